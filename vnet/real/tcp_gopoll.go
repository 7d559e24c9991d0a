//go:build !linux || gopoll

package real

import (
	"context"
	"errors"
	"io"
	"net"
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
	to       receiver
	readErr  error
}

// pollers are Go's own here.
type pollers struct{}

func newPollers(func() func()) *pollers { return nil }
func (*pollers) close()                 {}

// newTCP makes a transport of conn. If it fails conn is as it was.
func newTCP(_ *Network, conn *net.TCPConn) (transport, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	t := &tcp{conn: conn, raw: raw} // Go sets TCP_NODELAY and keep-alive itself
	t.readable = t.onReadable
	if err := raw.Control(func(fd uintptr) { t.fd = int(fd) }); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *tcp) first(context.Context) error { return nil }

func (t *tcp) receive(to receiver) error {
	t.to, t.readErr = to, nil
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
		more := err == nil && n > 0 && t.to.deliver((*buffer)[:n])
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

func (t *tcp) drain(ctx context.Context, timeout time.Duration) {
	end := time.Now().Add(timeout)
	t.conn.SetReadDeadline(end)
	stop := context.AfterFunc(ctx, func() { t.conn.SetReadDeadline(time.Now().Add(grace)) })
	defer stop()
	t.receive(&drain{ctx: ctx, end: end}) // so that no byte which is left over resets the peer
}

// drain takes what comes until its time is over, however much.
type drain struct {
	ctx     context.Context
	end     time.Time
	hurried bool
}

func (d *drain) offer([]byte, lender) bool { return false }

func (d *drain) deliver([]byte) (more bool) {
	now := time.Now()
	if !d.hurried && d.ctx.Err() != nil {
		d.hurried = true
		if soon := now.Add(grace); soon.Before(d.end) {
			d.end = soon
		}
	}
	return now.Before(d.end)
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
