package real

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"skynet/vnet"
)

// Options configure a [Network]. The zero value is ready for use.
type Options struct {
	// DialTimeout bounds name look-up and connecting together; 0 means 5 s.
	DialTimeout time.Duration
	// IdleTimeout is how long a KCP stream may be silent, or its window full, before it is closed with
	// vnet.ErrTimeout; 0 means 30 s. TCP has the kernel's keep-alive instead.
	IdleTimeout time.Duration
	// CloseTimeout bounds how long Close goes on sending what is buffered, and then waits for the peer's end; 0
	// means 3 s. What is not sent by then is lost and the reason of Closed is vnet.ErrTimeout.
	CloseTimeout time.Duration
	// Refused is told that a listener cannot accept, as when the process has no descriptor left; clients wait meanwhile. It is called
	// by goroutines of the network, for each listener at most once in ten seconds. Nil means that nobody is told.
	Refused func(address string, err error)
	// Lend is called by a goroutine of the network that is about to tell a handler of bytes or a datagram, or some handlers one
	// after the other; what it returns, unless it is nil, is called by that goroutine when the handlers have returned, with
	// no lock held. A scheduler that runs there what they have made ready saves the wake-up of a thread. The
	// goroutine reads on when that call returns, so it should be short. Nil means that nothing is called.
	Lend func() (work func())
}

// lend is called before an event; see returned.
func (o *Options) lend() (work func()) {
	if o.Lend == nil {
		return nil
	}
	return o.Lend()
}

// returned is called after the event with what lend returned.
func returned(work func()) {
	if work != nil {
		work()
	}
}

func (o Options) withDefaults() Options {
	if o.DialTimeout <= 0 {
		o.DialTimeout = 5 * time.Second
	}
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = 30 * time.Second
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = 3 * time.Second
	}
	return o
}

// Network is the machine's network. Its methods may be called from any goroutine, those of what it opens too.
type Network struct {
	options Options
	ids     atomic.Uint64
	ctx     context.Context // over when the network is closed
	cancel  context.CancelFunc
	running sync.WaitGroup // every goroutine of this network but the pollers'
	pollers *pollers

	mu      sync.Mutex
	closed  bool
	streams map[*stream]struct{}
	sockets map[uint64]interface{ Close() error } // listeners and datagram sockets
}

var _ vnet.Network = (*Network)(nil)

// New makes a network. It opens nothing yet.
func New(options Options) *Network {
	ctx, cancel := context.WithCancel(context.Background())
	return &Network{
		options: options.withDefaults(),
		pollers: newPollers(options.Lend),
		ctx:     ctx,
		cancel:  cancel,
		streams: make(map[*stream]struct{}),
		sockets: make(map[uint64]interface{ Close() error }),
	}
}

// Listen implements [vnet.Network].
func (n *Network) Listen(protocol, address string, accept func(vnet.Conn) vnet.Handler) (vnet.Listener, error) {
	if err := checkAddress(address, true); err != nil {
		return nil, fmt.Errorf("vnet: listen %s %q: %w", protocol, address, err)
	}
	source, err := n.listen(protocol, address)
	if err != nil {
		return nil, fmt.Errorf("vnet: listen %s %s: %w", protocol, address, mapError(err))
	}
	l := &listener{net: n, id: n.ids.Add(1), protocol: protocol, source: source, accept: accept}
	if !n.open(l.id, l) {
		source.close()
		return nil, fmt.Errorf("vnet: listen %s %s: %w", protocol, address, vnet.ErrClosed)
	}
	go l.run()
	return l, nil
}

func (n *Network) listen(protocol, address string) (source, error) {
	switch protocol {
	case vnet.TCP:
		return listenTCP(n, address)
	case vnet.KCP:
		return listenKCP(address, n.options)
	}
	return nil, fmt.Errorf("%w: got protocol %q, want %q or %q", vnet.ErrAddress, protocol, vnet.TCP, vnet.KCP)
}

// Dial implements [vnet.Network].
func (n *Network) Dial(protocol, address string, h vnet.Handler) (vnet.Conn, error) {
	if protocol != vnet.TCP && protocol != vnet.KCP {
		return nil, fmt.Errorf("vnet: dial %s: %w: got protocol %q, want %q or %q",
			address, vnet.ErrAddress, protocol, vnet.TCP, vnet.KCP)
	}
	if err := checkAddress(address, false); err != nil {
		return nil, fmt.Errorf("vnet: dial %s %q: %w", protocol, address, err)
	}
	s := newStream(n, protocol, h)
	s.remote = address
	if !n.start(s) {
		return nil, fmt.Errorf("vnet: dial %s %s: %w", protocol, address, vnet.ErrClosed)
	}
	go s.dial(address)
	return s, nil
}

func (n *Network) connect(protocol, address string) (transport, error) {
	ctx, cancel := context.WithTimeout(n.ctx, n.options.DialTimeout)
	defer cancel()
	if protocol == vnet.KCP {
		return dialKCP(ctx, address, n.options)
	}
	return dialTCP(ctx, n, address)
}

// Close implements [vnet.Network]: it closes all streams in an orderly way, aborts those that have not ended after
// [Options.CloseTimeout], and returns when no goroutine of this network is left. It must not be called from a handler.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	streams := make([]*stream, 0, len(n.streams))
	for s := range n.streams {
		streams = append(streams, s)
	}
	sockets := make([]interface{ Close() error }, 0, len(n.sockets))
	for _, c := range n.sockets {
		sockets = append(sockets, c)
	}
	n.mu.Unlock()

	for _, c := range sockets {
		c.Close()
	}
	for _, s := range streams {
		s.Close()
	}
	n.cancel()
	abort := time.AfterFunc(n.options.CloseTimeout, func() {
		for _, s := range streams {
			s.Abort()
		}
	})
	n.running.Wait()
	abort.Stop()
	n.pollers.close()
	return nil
}

// open registers a listener or socket and its goroutine; it is false once the network is closed.
func (n *Network) open(id uint64, c interface{ Close() error }) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.sockets[id] = c
	n.running.Add(1)
	return true
}

func (n *Network) shut(id uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sockets, id)
}

// start registers a stream and its reader; it is false once the network is closed.
func (n *Network) start(s *stream) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.streams[s] = struct{}{}
	n.running.Add(1)
	return true
}

func (n *Network) forget(s *stream) {
	n.mu.Lock()
	delete(n.streams, s)
	n.mu.Unlock()
	n.running.Done()
}

// checkAddress finds what is wrong with "host:port" without asking anybody.
func checkAddress(address string, listen bool) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%w: want host:port", vnet.ErrAddress)
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 && !listen {
		return fmt.Errorf("%w: got port %q, want 1 to 65535", vnet.ErrAddress, port)
	}
	if host == "" && !listen {
		return fmt.Errorf("%w: want a host before the port", vnet.ErrAddress)
	}
	return nil
}

// parseAddrPort reads a numeric address; "localhost" stands for 127.0.0.1.
func parseAddrPort(address string) (netip.AddrPort, error) {
	if port, ok := strings.CutPrefix(address, "localhost:"); ok {
		address = "127.0.0.1:" + port
	}
	parsed, err := netip.ParseAddrPort(address)
	if err != nil || parsed.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%w: want a numeric host:port", vnet.ErrAddress)
	}
	return parsed, nil
}

// formatAddrPort prints an IPv4 address as such even when a dual-stack socket received it.
func formatAddrPort(a netip.AddrPort) string {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}
