package real

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xtaci/kcp-go/v5"

	"skynet/vnet"
)

const (
	kcpTick   = 10 * time.Millisecond // the library's clock: when acknowledgements leave
	kcpWindow = 1024                  // packets in flight and accepted out of order: 1.4 MB
	kcpChunk  = 32 << 10              // one write: a session takes any amount at once when its window has room
	kcpPoll   = 50 * time.Millisecond // how often a waiting write looks at its deadline, which Close may shorten
)

// kcpConn is a KCP session. The session reads its deadlines without a lock, so only the goroutine that reads sets the
// read deadline, only the one that writes the write deadline, and interrupt has to close the session.
type kcpConn struct {
	session *kcp.UDPSession
	options Options
	remote  string
	limit   atomic.Int64 // Unix nanoseconds after which writes give up; 0 for none
	head    *[]byte      // the first bytes, read before the stream was accepted
	headLen int
	once    sync.Once
	closed  func() // told once when the session is over; may be nil
}

func newKCP(session *kcp.UDPSession, options Options, closed func()) *kcpConn {
	//lint:ignore SA1019 marked as deprecated without a substitute; without it a write is a message of limited size
	session.SetStreamMode(true)
	session.SetNoDelay(1, int(kcpTick/time.Millisecond), 2, 1) // the library's "fastest": resend after 2 skips, no congestion window
	session.SetWindowSize(kcpWindow, kcpWindow)
	return &kcpConn{session: session, options: options, remote: session.RemoteAddr().String(), closed: closed}
}

func dialKCP(ctx context.Context, address string, options Options) (transport, error) {
	resolved, err := resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	session, err := kcp.DialWithOptions(resolved, nil, 0, 0)
	if err != nil {
		return nil, err
	}
	return newKCP(session, options, nil), nil
}

// resolve looks a name up, with a deadline, which the library does not.
func resolve(ctx context.Context, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return address, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", err
	}
	return formatAddrPort(netip.AddrPortFrom(ips[0], uint16(number))), nil
}

// first waits for the first bytes: a late packet of a session that was closed makes the library report a new session,
// which never has any.
func (k *kcpConn) first(ctx context.Context) error {
	stop := context.AfterFunc(ctx, k.interrupt)
	defer stop()
	var err error
	k.head, k.headLen, err = k.readFor(k.options.DialTimeout)
	return err
}

func (k *kcpConn) receive(to receiver) error {
	buffer, n, err := k.head, k.headLen, error(nil)
	k.head = nil
	for {
		if buffer != nil {
			more := n == 0 || to.deliver((*buffer)[:n])
			buffers.Put(buffer)
			if err != nil || !more {
				return err
			}
		}
		buffer, n, err = k.readFor(k.options.IdleTimeout)
	}
}

func (k *kcpConn) readFor(d time.Duration) (*[]byte, int, error) {
	buffer := buffers.Get().(*[]byte)
	k.session.SetReadDeadline(time.Now().Add(d))
	n, err := k.session.Read(*buffer)
	return buffer, n, err
}

func (k *kcpConn) try(p []byte) (int, error) {
	sent := 0
	k.session.SetWriteDeadline(time.Unix(1, 0))
	for sent < len(p) {
		n, err := k.session.Write(p[sent:min(len(p), sent+kcpChunk)])
		if isTimeout(err) {
			break
		}
		if err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

func (k *kcpConn) write(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), kcpChunk)
		if err := k.writeBy(p[:n], time.Now().Add(k.options.IdleTimeout)); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// writeBy writes p whole, or nothing by the deadline.
func (k *kcpConn) writeBy(p []byte, deadline time.Time) error {
	for {
		now := time.Now()
		if limit := k.limit.Load(); limit != 0 && limit < deadline.UnixNano() {
			deadline = time.Unix(0, limit)
		}
		if !now.Before(deadline) {
			return vnet.ErrTimeout
		}
		k.session.SetWriteDeadline(now.Add(min(kcpPoll, deadline.Sub(now))))
		if _, err := k.session.Write(p); !isTimeout(err) {
			return err
		}
	}
}

func (k *kcpConn) closing(deadline time.Time) { k.limit.Store(deadline.UnixNano()) }

// finish waits until everything is acknowledged. The library does not tell, but an empty write goes through when fewer
// packets wait than the window holds: so the window is halved down to one packet, which costs no throughput, as what
// remains to be sent shrinks with it.
func (k *kcpConn) finish(deadline time.Time) error {
	for window := kcpWindow; window > 0; window /= 2 {
		k.session.SetWindowSize(window, kcpWindow)
		if err := k.writeBy(nil, deadline); err != nil {
			return err
		}
	}
	time.Sleep(2 * kcpTick) // the acknowledgements of what was read leave at the next tick
	return nil
}

func (k *kcpConn) interrupt() { k.close(false) }

// drain has nothing to wait for: KCP has no end.
func (k *kcpConn) drain(context.Context, time.Duration) {}

func (k *kcpConn) close(bool) {
	k.once.Do(func() {
		k.session.Close()
		if k.closed != nil {
			k.closed()
		}
	})
}

func (k *kcpConn) addrs() (local, remote string) {
	return k.session.LocalAddr().String(), k.remote
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// kcpSource accepts KCP sessions. They share its socket, which therefore lives until the source and all its sessions
// are closed.
type kcpSource struct {
	conn     *net.UDPConn
	listener *kcp.Listener
	options  Options
	users    atomic.Int64 // the source and its sessions
	closed   atomic.Bool
}

func listenKCP(address string, options Options) (source, error) {
	resolved, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", resolved)
	if err != nil {
		return nil, err
	}
	l, err := kcp.ServeConn(nil, 0, 0, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	s := &kcpSource{conn: conn, listener: l, options: options}
	s.users.Store(1)
	return s, nil
}

// next also runs while a closed source waits for its sessions, to turn new ones away.
func (s *kcpSource) next() (transport, error) {
	for {
		session, err := s.listener.AcceptKCP()
		if err != nil {
			return nil, err
		}
		if s.closed.Load() {
			session.Close()
			continue
		}
		s.users.Add(1)
		return newKCP(session, s.options, s.leave), nil
	}
}

func (s *kcpSource) over(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

func (s *kcpSource) addr() string { return s.conn.LocalAddr().String() }

func (s *kcpSource) close() error {
	if !s.closed.Swap(true) {
		s.leave()
	}
	return nil
}

func (s *kcpSource) leave() {
	if s.users.Add(-1) == 0 {
		s.conn.Close()
		s.listener.Close()
	}
}
