//go:build linux && !gopoll

package real

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tcp is a TCP connection whose socket a poller reads. While receive waits, all that arrives is offered by the poller; what
// would have to wait, and the end, it leaves to receive. The writer waits for room with its help, too.
type tcp struct {
	poller        *poller
	fd            int // who receives closes it, so it is open while that goes on, and in try since nobody writes once it is closed
	local, remote string

	// The poller's while reading is set, else the goroutine's that receives.
	to      receiver
	left    []byte // was offered and not taken
	readErr error
	reading atomic.Bool
	ended   chan struct{} // reading has

	mu          sync.Mutex
	watched     uint32 // the events that the poller waits for
	writing     bool   // the writer waits for room
	interrupted bool
	closed      bool
	deadline    time.Time // of the writer; zero for none
	alarm       *time.Timer
	room        chan struct{} // the writer should look again
}

// newTCP takes the socket from Go's poller, which would wake up with each event, too, and closes conn. If it fails conn is as it was.
func newTCP(n *Network, conn *net.TCPConn) (transport, error) {
	p, err := n.pollers.assign()
	if err != nil {
		return nil, err
	}
	t := &tcp{
		poller: p, local: conn.LocalAddr().String(), remote: conn.RemoteAddr().String(),
		ended: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlled := raw.Control(func(fd uintptr) { t.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(controlled, os.NewSyscallError("dup", err)); err != nil {
		return nil, err
	}
	conn.Close()
	return t, nil
}

func (t *tcp) first(context.Context) error { return nil }

func (t *tcp) receive(to receiver) error {
	t.to = to
	for {
		if err := t.read(); err != nil {
			return err
		}
		<-t.ended
		if err := t.readErr; err != nil {
			return err
		}
		left := t.left
		if t.left = nil; !to.deliver(left) {
			return nil
		}
	}
}

// read leaves reading to the poller.
func (t *tcp) read() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return net.ErrClosed
	case t.interrupted:
		return os.ErrDeadlineExceeded
	}
	t.reading.Store(true)
	if err := t.watch(); err != nil {
		t.reading.Store(false)
		return err
	}
	return nil
}

// event is called by the poller with what epoll has reported, once for each time that something has come, and a buffer.
func (t *tcp) event(events uint32, buffer []byte) {
	const (
		failed = unix.EPOLLERR | unix.EPOLLHUP
		more   = unix.EPOLLRDHUP | unix.EPOLLPRI | failed // behind the bytes: the end, or what comes after urgent data, where read(2) stops
	)
	if events&(unix.EPOLLOUT|failed) != 0 {
		t.writable()
	}
	if events&(unix.EPOLLIN|more) != 0 && t.reading.Load() {
		t.readable(buffer, events&more != 0)
	}
}

// readable reads once. What is not read then is reported again, which epoll does by itself only of what comes later.
func (t *tcp) readable(buffer []byte, more bool) {
	n, err := retry(readNow, t.fd, buffer)
	switch {
	case err == syscall.EAGAIN:
	case err != nil:
		t.endReading(err)
	case n == 0:
		t.endReading(io.EOF)
	case !t.to.offer(buffer[:n], t.poller):
		t.left = append(t.left, buffer[:n]...)
		t.endReading(nil)
	case more || n == len(buffer):
		t.again()
	}
}

// again has the poller report what there is already.
func (t *tcp) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.poller.control(unix.EPOLL_CTL_MOD, t.fd, t.watched); err != nil {
		t.endReadingLocked(err)
	}
}

// endReading ends the poller's reading.
func (t *tcp) endReading(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endReadingLocked(err)
}

func (t *tcp) endReadingLocked(err error) {
	t.readErr = err
	t.reading.Store(false)
	if err := t.watch(); err != nil && t.readErr == nil {
		t.readErr = err
	}
	t.ended <- struct{}{}
}

// endIfInterrupted is endReading if reading was interrupted.
func (t *tcp) endIfInterrupted() {
	t.mu.Lock()
	interrupted := t.interrupted && t.reading.Load()
	t.mu.Unlock()
	if interrupted {
		t.endReading(os.ErrDeadlineExceeded)
	}
}

// watch tells the poller what to wait for; mu is held.
func (t *tcp) watch() error {
	var events uint32
	if t.reading.Load() {
		events |= unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLPRI
	}
	if t.writing {
		events |= unix.EPOLLOUT
	}
	err := t.poller.watch(t, t.watched, events)
	t.watched = events
	return err
}

func (t *tcp) try(p []byte) (sent int, err error) {
	for {
		some := p[sent:min(len(p), sent+writeSize)]
		n, err := retry(writeNow, t.fd, some)
		sent += max(n, 0)
		switch {
		case err == syscall.EAGAIN:
			return sent, nil
		case err != nil || n < len(some) || sent == len(p):
			return sent, err
		}
	}
}

// writeSize is how much one system call writes at the most: Go's scheduler is not told of it, so it must not take long.
const writeSize = 64 << 10

func (t *tcp) write(p []byte) error {
	for {
		n, err := t.some(p)
		if p = p[n:]; err != nil || len(p) == 0 {
			return err
		}
		<-t.room
	}
}

// some writes what there is room for; if that is not all, room tells when to go on.
func (t *tcp) some(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return 0, net.ErrClosed
	case !t.deadline.IsZero() && !time.Now().Before(t.deadline):
		return 0, os.ErrDeadlineExceeded
	}
	n, err := t.try(p)
	if err == nil && n < len(p) {
		t.writing = true
		err = t.watch()
	}
	return n, err
}

// writable is called by the poller when there is room, or an error to be found.
func (t *tcp) writable() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.writing {
		t.writing = false
		t.watch() // fails for what is not watched only
		t.lookAgain()
	}
}

// lookAgain wakes the writer, or the next that will wait.
func (t *tcp) lookAgain() {
	select {
	case t.room <- struct{}{}:
	default:
	}
}

func (t *tcp) closing(deadline time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.deadline = deadline
	if t.alarm != nil {
		t.alarm.Stop()
	}
	t.alarm = time.AfterFunc(time.Until(deadline), t.lookAgain)
}

func (t *tcp) finish(time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return net.ErrClosed
	}
	if err := unix.Shutdown(t.fd, unix.SHUT_WR); err != nil && err != unix.ENOTCONN {
		return os.NewSyscallError("shutdown", err)
	}
	return nil
}

func (t *tcp) interrupt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.interrupted = true
	if t.reading.Load() {
		t.poller.interrupt(t)
	}
}

func (t *tcp) drain(ctx context.Context, timeout time.Duration) {
	t.mu.Lock()
	t.interrupted = false
	t.mu.Unlock()
	end := time.AfterFunc(timeout, t.interrupt)
	defer end.Stop()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, t.interrupt) })
	defer stop()
	t.receive(drain{}) // so that no byte which is left over resets the peer
}

// drain takes what comes, however much.
type drain struct{}

func (drain) offer([]byte, lender) bool { return true }
func (drain) deliver([]byte) bool       { return true }

func (t *tcp) close(abort bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	t.writing = false
	t.watch() // fails for what is not watched only
	if t.alarm != nil {
		t.alarm.Stop()
	}
	if abort {
		unix.SetsockoptLinger(t.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	unix.Close(t.fd)
	t.lookAgain()
}

func (t *tcp) addrs() (local, remote string) { return t.local, t.remote }
