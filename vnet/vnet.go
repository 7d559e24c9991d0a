// Package vnet is the network seam: event-driven, non-blocking streams and datagrams.
//
// A [Network] is what one node has of the world. Two kinds exist and no code above this package may know which one it
// has: vnet/real (TCP, KCP, UDP of the machine) and vnet/virtual (a seeded network on a virtual clock).
//
// # Guarantees
//
//   - For one stream the handler's methods are never called concurrently, and come in this order: Opened at most once;
//     then Data, EOF and Writable; then Closed exactly once, and nothing after it.
//   - A stream is a reliable ordered sequence of bytes: writes may be split and joined arbitrarily; loss on the link is
//     delay. Bytes not yet acknowledged are lost when the stream is reset.
//   - A datagram arrives whole or not at all; it may arrive twice and out of order.
//   - No method blocks on the peer. Handlers are not called from within Listen, Dial or Write.
package vnet

import "errors"

// The reasons a stream can be closed for, apart from nil (closed by this side, or by the peer in an orderly way). Test
// with errors.Is; the error's text says more.
var (
	// ErrRefused: nobody listens at the address.
	ErrRefused = errors.New("connection refused")
	// ErrReset: the peer's host broke the stream off.
	ErrReset = errors.New("connection reset by peer")
	// ErrTimeout: nothing was heard of the peer for too long.
	ErrTimeout = errors.New("connection timed out")
	// ErrClosed: this side has closed the stream, the listener or the network.
	ErrClosed = errors.New("use of closed network connection")
	// ErrAddress: the address or the protocol is not one this network has.
	ErrAddress = errors.New("bad address")
)

// The protocols of streams and datagrams.
const (
	TCP = "tcp"
	KCP = "kcp"
	UDP = "udp"
)

// Network is one node's access to the network. Its methods may be called from any goroutine on the real network.
type Network interface {
	// Listen accepts streams of a protocol (TCP, KCP) at address "host:port"; port 0 picks a free one. accept is called
	// for each new stream before any of its events and returns the stream's handler; nil refuses it.
	Listen(protocol, address string, accept func(Conn) Handler) (Listener, error)

	// Dial begins to connect. It returns at once; the handler hears Opened or Closed. Only a malformed address or an
	// unknown protocol is an error here.
	Dial(protocol, address string, h Handler) (Conn, error)

	// ListenPacket opens a datagram socket (UDP) at address "host:port"; port 0 picks a free one.
	ListenPacket(protocol, address string, h PacketHandler) (PacketConn, error)

	// Close closes everything opened through this network and waits until no handler is running. It is idempotent.
	Close() error
}

// Handler is told what happens to a stream. Its methods must not block.
type Handler interface {
	// Opened: a dialled stream is connected. (An accepted one is connected from the start and does not hear this.)
	Opened(c Conn)
	// Data: bytes arrived. p is only valid during the call.
	Data(c Conn, p []byte)
	// EOF: the peer will send nothing more; writing is still possible. Close must still be called.
	EOF(c Conn)
	// Writable: after a Write that reported a full buffer, the buffer is low again.
	Writable(c Conn)
	// Closed: the stream is gone; reason is nil after an orderly close. It is the last call.
	Closed(c Conn, reason error)
}

// Conn is a stream.
type Conn interface {
	// ID is unique among the streams, listeners and sockets of its network, and never used again.
	ID() uint64
	// Write takes a copy of p, or sends it, and never blocks. It reports whether the stream's output buffer is now
	// above its high-water mark: the writer should wait for Writable, but nothing is lost if it does not. After
	// Close or Closed it is an error that wraps ErrClosed.
	Write(p []byte) (full bool, err error)
	// Pause stops Data events, and so, in time, the peer; Resume starts them again. A stream starts resumed.
	Pause()
	Resume()
	// Close sends what is buffered, then closes in an orderly way; Closed(nil) follows. It is idempotent.
	Close()
	// Abort discards what is buffered and resets the stream; Closed(ErrClosed) follows.
	Abort()
	// LocalAddr is this end of the stream, from Opened on; before it may be "". Any goroutine may ask, as for RemoteAddr.
	LocalAddr() string
	// RemoteAddr is the address that is dialled, then the peer's. Both keep their value after the end.
	RemoteAddr() string
}

// Listener is an open port.
type Listener interface {
	// Addr is the address it listens at, with the real port.
	Addr() string
	// Close stops accepting; streams already accepted live on. It is idempotent.
	Close() error
}

// PacketHandler is told of datagrams.
type PacketHandler interface {
	// Packet: a datagram arrived. p is only valid during the call; the handler must not block.
	Packet(c PacketConn, from string, p []byte)
}

// PacketConn is a datagram socket.
type PacketConn interface {
	// ID is unique among the streams, listeners and sockets of its network, and never used again.
	ID() uint64
	// WriteTo sends one datagram; nil says it was sent, not that it arrives.
	WriteTo(p []byte, to string) error
	// LocalAddr is the address it is bound to, with the real port; any goroutine may ask, and after Close, too.
	LocalAddr() string
	// Close ends it: what arrives from then on is dropped. It is idempotent.
	Close() error
}

// HighWater and LowWater are the marks, in bytes, of a stream's output buffer: Write reports full above the first,
// Writable follows below the second. A larger mark costs memory for each slow peer, a smaller one costs throughput on
// links of high latency.
const (
	HighWater = 1 << 20
	LowWater  = 256 << 10
)
