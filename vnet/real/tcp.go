package real

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// tcp is a TCP connection. Reading and the first attempt at writing use the socket directly: reading so that a buffer
// is taken only when bytes are there, writing so that the caller never waits.
type tcp struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	fd   int // of raw: who reads closes it, so it is open in receive, and in try since nobody writes once it is closed

	readable func(fd uintptr) bool // tcp.onReadable, bound once
	deliver  func(p []byte) bool
	readErr  error
}

func newTCP(conn *net.TCPConn) (*tcp, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	t := &tcp{conn: conn, raw: raw} // Go sets TCP_NODELAY and keep-alive itself
	t.readable = t.onReadable
	if err := raw.Control(func(fd uintptr) { t.fd = int(fd) }); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

func dialTCP(ctx context.Context, address string) (transport, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return newTCP(conn.(*net.TCPConn))
}

func (t *tcp) first(context.Context) error { return nil }

func (t *tcp) receive(deliver func(p []byte) bool) error {
	t.deliver, t.readErr = deliver, nil
	if err := t.raw.Read(t.readable); err != nil {
		return err
	}
	return t.readErr
}

// onReadable delivers what there is; false asks the poller to wait. It stays within one call of the poller for as long as the
// connection lives, which saves the locks around each.
func (t *tcp) onReadable(uintptr) bool {
	for {
		buffer := buffers.Get().(*[]byte)
		n, err := retry(syscall.Read, t.fd, *buffer)
		more := err == nil && n > 0 && t.deliver((*buffer)[:n])
		buffers.Put(buffer)
		switch {
		case more:
		case err == syscall.EAGAIN:
			return false
		default:
			if err == nil && n == 0 {
				err = io.EOF
			}
			t.readErr = err
			return true
		}
	}
}

func (t *tcp) try(p []byte) (int, error) {
	n, err := retry(syscall.Write, t.fd, p)
	if err == syscall.EAGAIN {
		err = nil
	}
	return max(n, 0), err
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

func (t *tcp) write(p []byte) error {
	_, err := t.conn.Write(p)
	return err
}

func (t *tcp) closing(deadline time.Time) { t.conn.SetWriteDeadline(deadline) }

func (t *tcp) finish(time.Time) error {
	if err := t.conn.CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) {
		return err
	}
	return nil
}

func (t *tcp) interrupt() { t.conn.SetReadDeadline(time.Unix(1, 0)) }

// grace is how long a closing network waits for the ends of its peers: a few round trips of a local network.
const grace = 100 * time.Millisecond

func (t *tcp) drain(ctx context.Context, timeout time.Duration) {
	end := time.Now().Add(timeout)
	t.conn.SetReadDeadline(end)
	stop := context.AfterFunc(ctx, func() { t.conn.SetReadDeadline(time.Now().Add(grace)) })
	defer stop()
	hurried := false
	t.receive(func([]byte) bool { // reads until then, however much comes, so that no byte which is left over resets the peer
		now := time.Now()
		if !hurried && ctx.Err() != nil {
			hurried = true
			if soon := now.Add(grace); soon.Before(end) {
				end = soon
			}
		}
		return now.Before(end)
	})
}

func (t *tcp) close(abort bool) {
	if abort {
		t.conn.SetLinger(0)
	}
	t.conn.Close()
}

func (t *tcp) addrs() (local, remote string) {
	return t.conn.LocalAddr().String(), t.conn.RemoteAddr().String()
}

// tcpSource accepts TCP connections.
type tcpSource struct{ *net.TCPListener }

func listenTCP(address string) (source, error) {
	l, err := net.Listen("tcp", address) // Go sets SO_REUSEADDR itself
	if err != nil {
		return nil, err
	}
	return tcpSource{l.(*net.TCPListener)}, nil
}

func (s tcpSource) next() (transport, error) {
	conn, err := s.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return newTCP(conn)
}

func (s tcpSource) over(err error) bool { return errors.Is(err, net.ErrClosed) }
func (s tcpSource) addr() string        { return s.Addr().String() }
func (s tcpSource) close() error        { return ignoreClosed(s.Close()) }

// ignoreClosed makes a second Close succeed.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
