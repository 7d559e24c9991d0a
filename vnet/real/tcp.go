package real

import (
	"context"
	"errors"
	"net"
	"os"
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
	return newTCP(n, conn.(*net.TCPConn)) // Go has set TCP_NODELAY and keep-alive
}

// tcpSource accepts TCP connections.
type tcpSource struct {
	*net.TCPListener
	net *Network
}

func listenTCP(n *Network, address string) (source, error) {
	l, err := net.Listen("tcp", address) // Go sets SO_REUSEADDR itself
	if err != nil {
		return nil, err
	}
	return tcpSource{l.(*net.TCPListener), n}, nil
}

func (s tcpSource) next() (transport, error) {
	conn, err := s.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return newTCP(s.net, conn)
}

func (s tcpSource) over(err error) bool { return errors.Is(err, net.ErrClosed) }
func (s tcpSource) addr() string        { return s.Addr().String() }
func (s tcpSource) close() error        { return ignoreClosed(s.Close()) }

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
