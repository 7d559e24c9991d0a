//go:build linux && !gopoll

package real

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"skynet/vnet"
)

const (
	// pollBatch is how many sockets are read before what has arrived is handled: enough to share among them what a batch costs,
	// few enough that the first need not wait for long, about 1 µs for each, and that all they touch stays in the cache.
	pollBatch = 16
	// pollYield is after how many batches a poller that never waits lets other goroutines run.
	pollYield = 64
	// stallTick is how often somebody looks whether a poller has left its sockets alone: so long, up to twice, and another
	// goroutine takes them over.
	stallTick = 5 * time.Millisecond
)

// pollers wait for the TCP sockets of a network and read them, one goroutine for many: what a batch of them brings is handed to
// the handlers, and then run in one go what that has made ready. There are as many pollers as processors, each with sockets
// of its own.
type pollers struct {
	lend func() (work func()) // may be nil
	done sync.WaitGroup

	mu     sync.Mutex
	all    []*poller // nil until the first socket of each
	next   int       // which one gets the next socket
	closed bool

	ticking atomic.Bool // the timer is set
	timer   *time.Timer
}

func newPollers(lend func() (work func())) *pollers {
	ps := &pollers{lend: lend, all: make([]*poller, runtime.GOMAXPROCS(0))}
	ps.timer = time.AfterFunc(time.Hour, ps.replaceStalled)
	ps.timer.Stop()
	return ps
}

// assign returns the poller of a new socket.
func (ps *pollers) assign() (*poller, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.closed {
		return nil, vnet.ErrClosed
	}
	i := ps.next
	ps.next = (i + 1) % len(ps.all)
	if ps.all[i] == nil {
		p, err := newPoller(ps)
		if err != nil {
			return nil, err
		}
		ps.all[i] = p
		ps.done.Go(p.run)
	}
	return ps.all[i], nil
}

// close ends the pollers, which have no sockets any more, and waits.
func (ps *pollers) close() {
	ps.mu.Lock()
	ps.closed = true
	for _, p := range ps.all {
		if p != nil {
			p.file.Close()
		}
	}
	ps.mu.Unlock()
	ps.done.Wait()
	ps.timer.Stop()
}

// over tells whether the pollers are to end.
func (ps *pollers) over() bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.closed
}

// tick sets the timer of replaceStalled, which is not set while nothing arrives.
func (ps *pollers) tick() {
	if !ps.ticking.Load() && ps.ticking.CompareAndSwap(false, true) {
		ps.timer.Reset(stallTick)
	}
}

// replaceStalled replaces the pollers that still handle what they did a tick ago: who keeps a thread for long, such as a service in Go that
// blocks, is not to keep others from their sockets.
func (ps *pollers) replaceStalled() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.ticking.Store(false)
	for _, p := range ps.all {
		if p == nil || ps.closed {
			continue
		}
		round := p.handling.Load()
		if round != 0 && round == p.seen && p.handling.CompareAndSwap(round, 0) {
			ps.done.Go(p.run)
			continue
		}
		if p.seen = round; round != 0 {
			ps.tick()
		}
	}
}

// poller is an epoll instance (epoll(7)). Go's own poller watches it in its turn, so a poller that waits is a parked goroutine
// and no thread.
type poller struct {
	of   *pollers
	file *os.File // of the epoll instance
	raw  syscall.RawConn
	fd   int

	// These belong to the goroutine that polls.
	events  [pollBatch]unix.EpollEvent
	found   int             // how many of events there are
	conns   [pollBatch]*tcp // of events
	batches int             // since it last waited
	round   int64           // how often it has handled
	asked   bool            // lend was called for this batch
	work    func()          // what that returned
	buffer  [readSize]byte

	// handling is the number of the round, not 0, in which the goroutine that polls handles what it has read. Who sets it back
	// to 0 polls next.
	handling atomic.Int64
	seen     int64 // by replaceStalled, guarded by pollers.mu

	mu          sync.Mutex
	sockets     []*tcp // by descriptor
	interrupted []*tcp // whose reading is to end, see interrupt
}

func newPoller(of *pollers) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // for Go to poll it
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{of: of, fd: fd, file: os.NewFile(uintptr(fd), "epoll")}
	p.raw, err = p.file.SyscallConn()
	if err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // fails if Go's poller has not taken it
	}
	if err != nil {
		p.file.Close()
		return nil, err
	}
	return p, nil
}

// run polls until the file is closed or another goroutine polls.
func (p *poller) run() {
	for {
		err := p.raw.Read(p.poll)
		switch {
		case err == nil:
			if !p.handle() {
				return
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			p.file.SetReadDeadline(time.Time{})
			p.endInterrupted()
		case p.of.over():
			return
		default:
			panic(err) // its sockets would hang
		}
	}
}

// poll finds out which sockets have something; false asks Go to wait until one may have. None is missed: Go hears of what comes
// after this.
func (p *poller) poll(uintptr) bool {
	for {
		n, err := unix.EpollWait(p.fd, p.events[:], 0)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			p.batches = 0
			return false
		}
		p.found = n
		return true
	}
}

// handle reads what poll has found and has it handled; false says that meanwhile another goroutine has begun to poll.
func (p *poller) handle() (still bool) {
	events := p.events[:p.found]
	p.mu.Lock()
	for i, e := range events {
		p.conns[i] = p.sockets[e.Fd] // nil if it was closed since
	}
	p.mu.Unlock()
	for i, e := range events {
		if t := p.conns[i]; t != nil {
			t.event(e.Events, p.buffer[:])
			p.conns[i] = nil
		}
	}
	work := p.work
	p.work, p.asked = nil, false
	if work != nil && !p.do(work) {
		return false
	}
	if p.batches++; p.batches >= pollYield {
		p.batches = 0
		runtime.Gosched()
	}
	return true
}

// borrow implements [lender], see [Options.Lend]: once a batch.
func (p *poller) borrow() {
	if !p.asked && p.of.lend != nil {
		p.asked, p.work = true, p.of.lend()
	}
}

// do calls work, as long as which another goroutine may begin to poll; false says that one has.
func (p *poller) do(work func()) (still bool) {
	p.round++
	round := p.round
	p.handling.Store(round)
	p.of.tick()
	work()
	return p.handling.CompareAndSwap(round, 0)
}

// watch makes events those of t that are waited for, all but errors, which always are; was is what they were, 0 if none. What there
// is already is reported, too.
func (p *poller) watch(t *tcp, was, events uint32) error {
	if was == events {
		return nil
	}
	p.mu.Lock()
	if short := t.fd + 1 - len(p.sockets); short > 0 {
		p.sockets = append(p.sockets, make([]*tcp, short)...)
	}
	if p.sockets[t.fd] = t; events == 0 {
		p.sockets[t.fd] = nil
	}
	p.mu.Unlock()
	switch {
	case was == 0:
		return p.control(unix.EPOLL_CTL_ADD, t.fd, events)
	case events == 0:
		return p.control(unix.EPOLL_CTL_DEL, t.fd, 0)
	}
	return p.control(unix.EPOLL_CTL_MOD, t.fd, events)
}

// control is epoll_ctl(2). Events are reported when they come (EPOLLET), not for as long as they are there, which spares the kernel
// looking at each socket a second time.
func (p *poller) control(operation, fd int, events uint32) error {
	err := unix.EpollCtl(p.fd, operation, fd, &unix.EpollEvent{Events: events | unix.EPOLLET, Fd: int32(fd)})
	return os.NewSyscallError("epoll_ctl", err)
}

// interrupt has the goroutine that polls end the reading of t, if it was interrupted.
func (p *poller) interrupt(t *tcp) {
	p.mu.Lock()
	p.interrupted = append(p.interrupted, t)
	p.mu.Unlock()
	p.file.SetReadDeadline(time.Unix(1, 0))
}

// endInterrupted ends the readings that were interrupted.
func (p *poller) endInterrupted() {
	p.mu.Lock()
	interrupted := slices.Clone(p.interrupted)
	clear(p.interrupted)
	p.interrupted = p.interrupted[:0]
	p.mu.Unlock()
	for _, t := range interrupted {
		t.endIfInterrupted()
	}
}
