package real

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// grace is how long a closing network waits for the ends of its peers: a few round trips of a local network.
const grace = 100 * time.Millisecond

func dialTCP(ctx context.Context, n *Network, address string) (transport, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	tr, err := newTCP(n, conn.(*net.TCPConn)) // Go has set TCP_NODELAY and keep-alive
	if err != nil {
		conn.Close()
	}
	return tr, err
}

// tcpSource accepts TCP connections.
type tcpSource struct {
	*net.TCPListener
	net     *Network
	waiting *net.TCPConn // was accepted, but there was no descriptor for its transport
	closed  atomic.Bool
}

func listenTCP(n *Network, address string) (source, error) {
	l, err := net.Listen("tcp", address) // Go sets SO_REUSEADDR itself
	if err != nil {
		return nil, err
	}
	return &tcpSource{TCPListener: l.(*net.TCPListener), net: n}, nil
}

func (s *tcpSource) next() (transport, error) {
	conn := s.waiting
	if s.waiting = nil; conn == nil {
		var err error
		if conn, err = s.AcceptTCP(); err != nil {
			return nil, err
		}
	}
	tr, err := newTCP(s.net, conn)
	switch {
	case (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)) && !s.closed.Load():
		s.waiting = conn // until a descriptor is free, as those who were not accepted yet
	case err != nil:
		conn.Close()
	}
	return tr, err
}

func (s *tcpSource) over(err error) bool { return errors.Is(err, net.ErrClosed) }
func (s *tcpSource) addr() string        { return s.Addr().String() }

func (s *tcpSource) close() error {
	s.closed.Store(true)
	return ignoreClosed(s.Close())
}

// retry repeats a system call that a signal interrupted.
func retry(call func(int, []byte) (int, error), fd int, p []byte) (int, error) {
	for {
		n, err := call(fd, p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// ignoreClosed makes a second Close succeed.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
