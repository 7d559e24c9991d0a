package runtime

import (
	"bytes"
	"cmp"
	"fmt"
	"sync"
	"time"

	"go.starlark.net/starlark"

	"skynet/sched"
	"skynet/vnet"
)

// socket is a stream as its service sees it: blocking reads and writes over the event-driven network. The network's
// goroutines only append to buf and wake the service; everything else happens in the service's turns.
type socket struct {
	svc   *Service
	place int // in svc.closers

	mu       sync.Mutex // guards what the network's events touch
	buf      []byte     // received, not yet read
	eof      bool       // nothing more will come
	closed   bool
	reason   error
	paused   bool
	writable bool // the output buffer is low, or the stream gone: the writer may go on
	notified bool // an event is on its way to the service
	drains   uint // how often the output buffer has become low

	// What the service has written in this turn is given to the network after it, while the service may be running again.
	out     []byte
	pending bool       // socket.flush is going to be called after this turn
	full    bool       // the output buffer of the stream is full: the next write waits
	gone    bool       // the stream takes nothing any more
	ending  bool       // close the stream once out is sent
	sending sync.Mutex // held while bytes go from out to the stream; not within mu
	spare   []byte     // what out is next; guarded by sending
	flushed func()     // socket.flush, bound once

	conn vnet.Conn // set before the service knows of the socket

	// Only touched in turns of the service.
	reader, writer waitID
	label          string // what String returns, once it was called
	shut           bool   // close was called
	changed        func() // wakes the reader and the writer; made once
}

// maxRead bounds what one read or line may hold; defaultLine is the limit of a line that is given none.
const (
	maxRead     = 16 << 20
	defaultLine = 64 << 10
)

func newSocket(s *Service) *socket {
	k := &socket{svc: s, place: -1}
	k.flushed = k.flush
	k.changed = func() {
		k.mu.Lock()
		writable := k.writable
		k.notified, k.writable = false, false
		k.mu.Unlock()
		s.wake(k.reader, starlark.True, nil)
		if writable {
			s.wake(k.writer, starlark.True, nil)
		}
	}
	return k
}

// notify wakes the service; the lock is held.
func (k *socket) notify() {
	if !k.notified {
		k.notified = true
		k.svc.run(nil, k.changed)
	}
}

// Opened implements [vnet.Handler].
func (k *socket) Opened(vnet.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.notify()
}

// Data implements [vnet.Handler].
func (k *socket) Data(c vnet.Conn, p []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.buf = append(k.buf, p...)
	if len(k.buf) >= k.svc.limits.ReadBuffer && !k.paused {
		k.paused = true
		c.Pause()
	}
	k.notify()
}

// EOF implements [vnet.Handler].
func (k *socket) EOF(vnet.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.eof = true
	k.notify()
}

// Writable implements [vnet.Handler].
func (k *socket) Writable(vnet.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writable, k.full = true, false
	k.drains++
	k.notify()
}

// Closed implements [vnet.Handler].
func (k *socket) Closed(_ vnet.Conn, reason error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.eof, k.closed, k.writable, k.reason = true, true, true, reason
	k.notify()
}

// close ends the stream after what is buffered was sent; it is idempotent.
func (k *socket) close() {
	if k.shut {
		return
	}
	k.shut = true
	k.svc.removeCloser(k)
	if k.conn != nil {
		k.mu.Lock()
		k.ending = true
		k.later()
		k.mu.Unlock()
	}
	k.svc.wake(k.reader, starlark.True, nil)
	k.svc.wake(k.writer, starlark.True, nil)
}

func (k *socket) position() *int { return &k.place }

// keepBuffer is up to what size an empty buffer is kept for the bytes to come: an idle socket costs no more than that.
const keepBuffer = 512

// pattern says what is to be read: a line that ends with separator, or without one exactly n bytes, or for n = 0 whatever
// there is.
type pattern struct {
	n         int
	separator string
	limit     int // of a line
}

// match returns the length of what to return and of what to remove, or 0, 0 if more must come.
func (p pattern) match(buf []byte, eof bool) (value, consumed int) {
	switch {
	case p.separator != "":
		i := bytes.Index(buf[:min(len(buf), p.limit+len(p.separator))], []byte(p.separator))
		if i < 0 {
			return 0, 0
		}
		return i, i + len(p.separator)
	case p.n == 0 || eof && len(buf) < p.n:
		return len(buf), len(buf)
	case len(buf) >= p.n:
		return p.n, p.n
	}
	return 0, 0
}

// tooLong tells whether a buffer of so many bytes without a match begins with a line beyond the limit.
func (p pattern) tooLong(left int) bool { return p.separator != "" && left >= p.limit+len(p.separator) }

// take removes from the buffer what matches; data is nil if nothing does, and left how much stays. A stream that has ended
// and offers nothing more has ended for the reader.
func (k *socket) take(p pattern) (data starlark.Value, left int, ended bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	value, consumed := p.match(k.buf, k.eof)
	ended = consumed == 0 && k.eof
	if consumed > 0 {
		data = starlark.String(k.buf[:value])
		k.remove(consumed)
	}
	left = len(k.buf)
	if k.paused && (consumed == 0 || left < k.svc.limits.ReadBuffer/2) && !k.closed {
		k.paused = false
		k.conn.Resume()
	}
	return data, left, ended
}

// remove drops the first n bytes of the buffer; the lock is held.
func (k *socket) remove(n int) {
	switch {
	case n < len(k.buf):
		k.buf = k.buf[n:]
	case cap(k.buf) <= keepBuffer:
		k.buf = k.buf[:0]
	default:
		k.buf = nil
	}
}

// read blocks until the pattern matches, the stream ends or the deadline passes. It returns None at the end.
func (k *socket) read(co *coroutine, b *starlark.Builtin, timeout time.Duration, p pattern) (starlark.Value, error) {
	if k.reader != 0 {
		return nil, fmt.Errorf("%s: another coroutine is reading this socket", b.Name())
	}
	deadline := deadlineAfter(co, timeout)
	for {
		data, left, ended := k.take(p)
		switch {
		case data != nil:
			return data, nil
		case p.tooLong(left) && !k.shut:
			return nil, fmt.Errorf("%s: got more than %d bytes without an end, want a separator within them", b.Name(), p.limit)
		case ended || k.shut:
			return starlark.None, nil
		}
		k.reader = co.svc.addWait(otherWait, co, nil, deadline)
		v, err := co.block("read", k.String())
		k.reader = 0
		if err != nil {
			return nil, err
		}
		if v != starlark.True {
			return nil, callErrorf(Timeout, true, "%s: nothing came from %s in time", b.Name(), k.remote())
		}
	}
}

func deadlineAfter(co *coroutine, timeout time.Duration) sched.Time {
	if timeout == 0 {
		return 0
	}
	return co.now().Add(timeout)
}

// write sends data, after a wait if the peer is slow: what waits for it is never much more than one write. At the deadline nothing of
// data was sent. False says that the stream is gone.
func (k *socket) write(co *coroutine, b *starlark.Builtin, timeout time.Duration, data string) (starlark.Value, error) {
	if k.writer != 0 {
		return nil, fmt.Errorf("%s: another coroutine is writing this socket", b.Name())
	}
	sent, full := k.put(data)
	if full {
		deadline := deadlineAfter(co, cmp.Or(timeout, co.svc.limits.Call))
		for ; full; sent, full = k.put(data) {
			if err := k.awaitRoom(co, b, deadline); err != nil {
				return nil, err
			}
		}
	}
	return starlark.Bool(sent), nil
}

// awaitRoom blocks until the peer has taken enough of what was written, or the stream is gone.
func (k *socket) awaitRoom(co *coroutine, b *starlark.Builtin, deadline sched.Time) error {
	k.writer = co.svc.addWait(otherWait, co, nil, deadline)
	v, err := co.block("write", k.String())
	k.writer = 0
	if err == nil && v != starlark.True {
		err = callErrorf(Timeout, false, "%s: %s does not read", b.Name(), k.remote())
	}
	return err
}

// maxPending is how much of a turn's output waits for the end of the turn.
const maxPending = 16 << 10

// put adds data to what is sent after this turn, or sends all of it now if it is much. It is not sent if the stream is gone; full says
// that it is not because the network has more than enough.
func (k *socket) put(data string) (sent, full bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed || k.gone || k.shut:
		return false, false
	case k.full:
		return false, true
	}
	k.out = append(k.out, data...)
	k.later()
	if len(k.out) > maxPending {
		k.mu.Unlock()
		k.flush()
		k.mu.Lock()
	}
	return true, false
}

// later has the socket flushed after this turn; the lock is held.
func (k *socket) later() {
	if !k.pending {
		k.pending = true
		turn := k.svc.turn
		turn.Later = append(turn.Later, k.flushed)
	}
}

// flush gives the network what waits for it. The service may be running meanwhile, and flush the same socket from another
// worker: who comes second finds nothing left, or what was written since.
func (k *socket) flush() {
	k.sending.Lock()
	defer k.sending.Unlock()
	k.mu.Lock()
	out, ending, drains, was := k.out, k.ending, k.drains, k.full
	k.out, k.pending = k.spare, false
	k.mu.Unlock()
	if len(out) > 0 {
		full, err := k.conn.Write(out)
		if full != was || err != nil {
			k.mu.Lock()
			k.full = full && k.drains == drains
			k.gone = err != nil
			k.mu.Unlock()
		}
	}
	k.spare = nil
	if cap(out) <= keepBuffer {
		k.spare = out[:0]
	}
	if ending {
		k.conn.Close()
	}
}

func (k *socket) remote() string {
	if k.conn == nil {
		return "nobody"
	}
	return k.conn.RemoteAddr()
}

// String names the peer. Scripts have a socket only once it is connected, when its peer's address stays the same.
func (k *socket) String() string {
	if k.label == "" {
		k.label = "socket(" + k.remote() + ")"
	}
	return k.label
}

// Type returns "socket".
func (k *socket) Type() string { return "socket" }

// Freeze does nothing: a socket is used, not changed.
func (k *socket) Freeze() {}

// Truth is always true.
func (k *socket) Truth() starlark.Bool { return true }

// Hash makes sockets usable as keys.
func (k *socket) Hash() (uint32, error) { return uint32(k.conn.ID()), nil }

// Attr offers address (of the peer), local (address of this side) and error (why the stream ended, or None).
func (k *socket) Attr(name string) (starlark.Value, error) {
	switch name {
	case "address":
		return starlark.String(k.remote()), nil
	case "local":
		return starlark.String(k.conn.LocalAddr()), nil
	case "error":
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.reason != nil {
			return starlark.String(k.reason.Error()), nil
		}
		return starlark.None, nil
	}
	return nil, nil
}

// AttrNames lists the attributes.
func (k *socket) AttrNames() []string { return []string{"address", "error", "local"} }

// listener is an open port of a service.
type listener struct {
	svc   *Service
	place int
	l     vnet.Listener
}

func (l *listener) position() *int { return &l.place }

func (l *listener) close() {
	l.svc.removeCloser(l)
	l.l.Close() // a listener that fails to close has no more to say
}

func (l *listener) String() string        { return "listener(" + l.l.Addr() + ")" }
func (l *listener) Type() string          { return "listener" }
func (l *listener) Freeze()               {}
func (l *listener) Truth() starlark.Bool  { return true }
func (l *listener) Hash() (uint32, error) { return starlark.String(l.l.Addr()).Hash() }
func (l *listener) AttrNames() []string   { return []string{"address"} }

// Attr offers address: where it listens, with the real port.
func (l *listener) Attr(name string) (starlark.Value, error) {
	if name == "address" {
		return starlark.String(l.l.Addr()), nil
	}
	return nil, nil
}

// addCloser notes what must be closed when the service ends.
func (s *Service) addCloser(c closer) {
	*c.position() = len(s.closers)
	s.closers = append(s.closers, c)
}

func (s *Service) removeCloser(c closer) {
	i, last := *c.position(), len(s.closers)-1
	if i < 0 || i > last || s.closers[i] != c {
		return
	}
	s.closers[i] = s.closers[last]
	*s.closers[i].position() = i
	s.closers[last] = nil
	s.closers = s.closers[:last]
	*c.position() = -1
}
