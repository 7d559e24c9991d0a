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

	readReady func(fd uintptr) bool // tcp.onReadable, bound once
	inBuffer  *[]byte
	inCount   int
	inErr     error

	_ [64]byte // one goroutine reads while another writes

	writeReady func(fd uintptr) bool // tcp.onWrite, bound once
	out        []byte
	outCount   int
	outErr     error
}

func newTCP(conn *net.TCPConn) (*tcp, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	t := &tcp{conn: conn, raw: raw} // Go sets TCP_NODELAY and keep-alive itself
	t.readReady, t.writeReady = t.onReadable, t.onWrite
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

func (t *tcp) read() (*[]byte, int, error) {
	if err := t.raw.Read(t.readReady); err != nil {
		return nil, 0, err
	}
	return t.inBuffer, t.inCount, t.inErr
}

// onReadable reads once; false asks the poller to wait.
func (t *tcp) onReadable(fd uintptr) bool {
	buffer := buffers.Get().(*[]byte)
	n, err := retry(syscall.Read, fd, *buffer)
	if errors.Is(err, syscall.EAGAIN) {
		buffers.Put(buffer)
		return false
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	t.inBuffer, t.inCount, t.inErr = buffer, max(n, 0), err
	return true
}

func (t *tcp) try(p []byte) (int, error) {
	t.out = p
	err := t.raw.Write(t.writeReady)
	t.out = nil
	if err != nil {
		return 0, err
	}
	return t.outCount, t.outErr
}

func (t *tcp) onWrite(fd uintptr) bool {
	n, err := retry(syscall.Write, fd, t.out)
	if errors.Is(err, syscall.EAGAIN) {
		err = nil
	}
	t.outCount, t.outErr = max(n, 0), err
	return true
}

// retry repeats a system call that a signal interrupted.
func retry(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
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
	t.conn.SetReadDeadline(time.Now().Add(timeout))
	stop := context.AfterFunc(ctx, func() { t.conn.SetReadDeadline(time.Now().Add(grace)) })
	defer stop()
	for {
		buffer, _, err := t.read()
		if buffer != nil {
			buffers.Put(buffer)
		}
		if err != nil {
			return
		}
	}
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
