package real

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"skynet/vnet"
)

// transport is what a stream needs of TCP or KCP. receive, write and finish may block and are called by one goroutine
// each; try never blocks and is not called while write or finish runs.
type transport interface {
	// first waits until it is certain that there is a peer; ctx is over when the network is closed.
	first(ctx context.Context) error
	// receive tells to of what arrives, until the peer's end (io.EOF), an error, or deliver returns false.
	receive(to receiver) error
	// try sends what can be sent now. It is not called once close may be.
	try(p []byte) (int, error)
	// write sends all of p.
	write(p []byte) error
	// finish ends the sending side after the last write, by the deadline.
	finish(deadline time.Time) error
	// closing bounds writes from now on, because the stream is being closed.
	closing(deadline time.Time)
	// interrupt makes receive return with an error once it waits, now and until drain.
	interrupt()
	// drain discards what the peer still sends, until its end, the timeout, or soon after ctx is over.
	drain(ctx context.Context, timeout time.Duration)
	// close frees everything; with abort the peer is reset, if the protocol can. It is called by who receives, afterwards.
	close(abort bool)
	addrs() (local, remote string)
}

// receiver is told of what arrives, which is valid during the call, by one goroutine at a time.
type receiver interface {
	// offer is for who must not wait: false says that deliver would, and nothing has been done. Before a handler is told it borrows.
	offer(p []byte, from lender) (taken bool)
	// deliver may wait; false says that no more is wanted.
	deliver(p []byte) (more bool)
}

// lender is who does afterwards what a handler has made ready, see [Options.Lend].
type lender interface{ borrow() }

const readSize = 32 << 10 // one read; larger reads gain nothing on loopback and cost memory per busy stream

var buffers = sync.Pool{New: func() any {
	b := make([]byte, readSize)
	return &b
}}

// stream is a vnet.Conn. Its reader goroutine brings all events but Writable; on Linux a poller brings Data in its place while nothing
// has to wait. A writer goroutine exists while there is a backlog.
type stream struct {
	net      *Network
	id       uint64
	protocol string
	handler  vnet.Handler

	events sync.Mutex // held during every call of the handler
	ended  bool       // Closed was called; guarded by events

	// held is set while paused, closing, aborted or failure is. The reader looks here first, because mu is held while Write
	// is in the socket, just when the peer's answer arrives.
	held atomic.Bool

	_ [64]byte // what is above belongs to the reader, what is below mostly to who writes, on another processor

	mu      sync.Mutex
	wake    sync.Cond // on mu: the reader waits here while paused and after the peer's end
	tr      transport // nil while dialling
	local   string
	remote  string
	backlog []byte // accepted by Write, not yet taken by the writer
	flight  int    // bytes the writer is sending
	writing bool   // the writer goroutine exists
	full    bool   // Write has reported it; Writable is owed
	paused  bool
	closing bool  // Close was called
	flushed bool  // after Close everything was sent
	aborted bool  // Abort was called
	failure error // why the writer gave up
}

var _ vnet.Conn = (*stream)(nil)

func newStream(n *Network, protocol string, h vnet.Handler) *stream {
	s := &stream{net: n, id: n.ids.Add(1), protocol: protocol, handler: h}
	s.wake.L = &s.mu
	return s
}

// ID implements [vnet.Conn].
func (s *stream) ID() uint64 { return s.id }

// LocalAddr is empty while dialling.
func (s *stream) LocalAddr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.local
}

// RemoteAddr is the dialled address while dialling, then the peer's.
func (s *stream) RemoteAddr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remote
}

// Write implements [vnet.Conn].
func (s *stream) Write(p []byte) (full bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.aborted || s.failure != nil {
		return false, fmt.Errorf("vnet: write %s %s: %w", s.protocol, s.remote, vnet.ErrClosed)
	}
	if s.tr != nil && !s.writing && len(s.backlog) == 0 {
		n, err := s.tr.try(p)
		if err != nil {
			s.fail(err)
			return false, fmt.Errorf("vnet: write %s %s: %w: %w", s.protocol, s.remote, vnet.ErrClosed, mapError(err))
		}
		p = p[n:]
	}
	if len(p) == 0 {
		return s.full, nil
	}
	s.backlog = append(s.backlog, p...)
	if len(s.backlog)+s.flight > vnet.HighWater {
		s.full = true
	}
	s.startWriter()
	return s.full, nil
}

// Pause implements [vnet.Conn].
func (s *stream) Pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = true
	s.hold()
}

// hold tells the reader whether it may deliver; mu is held.
func (s *stream) hold() {
	s.held.Store(s.paused || s.closing || s.aborted || s.failure != nil)
}

// Resume implements [vnet.Conn].
func (s *stream) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = false
	s.hold()
	s.wake.Broadcast()
}

// Close implements [vnet.Conn].
func (s *stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.aborted {
		return
	}
	s.closing = true
	s.hold()
	if s.tr != nil {
		s.tr.closing(time.Now().Add(s.net.options.CloseTimeout))
	}
	s.startWriter()
	s.wake.Broadcast()
}

// Abort implements [vnet.Conn].
func (s *stream) Abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aborted {
		return
	}
	s.aborted = true
	s.hold()
	s.backlog = nil
	if s.tr != nil {
		s.tr.interrupt() // who reads closes it
		s.tr.closing(time.Unix(1, 0))
	}
	s.wake.Broadcast()
}

// fail ends the stream because sending failed; the reader reports it. mu is held.
func (s *stream) fail(err error) {
	if s.failure == nil {
		s.failure = err
	}
	s.hold()
	s.backlog = nil
	s.tr.interrupt()
	s.wake.Broadcast()
}

// startWriter starts the writer, which sends the backlog and, when closing, the end; mu is held.
func (s *stream) startWriter() {
	if s.writing || s.tr == nil {
		return // while dialling the writer starts after Opened
	}
	s.writing = true
	s.net.running.Add(1) // the reader is running, so the count is not zero
	go s.writer()
}

func (s *stream) writer() {
	defer s.net.running.Done()
	var spare []byte
	for {
		batch := s.take(spare)
		if batch == nil {
			return
		}
		if err := s.tr.write(batch); err != nil {
			s.mu.Lock()
			s.fail(err)
			s.writing = false
			s.mu.Unlock()
			return
		}
		s.sent()
		spare = batch[:0]
	}
}

// take swaps the backlog for an empty buffer; nil says that the writer is done.
func (s *stream) take(spare []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.backlog) > 0 && !s.aborted {
		batch := s.backlog
		s.backlog, s.flight = spare, len(batch)
		return batch
	}
	s.backlog, s.flight = nil, 0
	if !s.closing || s.aborted {
		s.writing = false
		return nil
	}
	// writing stays set: nothing may follow the end.
	deadline := time.Now().Add(s.net.options.CloseTimeout)
	s.mu.Unlock()
	err := s.tr.finish(deadline)
	s.mu.Lock()
	s.flushed = true
	if err != nil {
		s.failure = err
	}
	s.tr.interrupt()
	s.wake.Broadcast()
	return nil
}

// sent tells the handler when the buffer has become low.
func (s *stream) sent() {
	s.mu.Lock()
	s.flight = 0
	writable := s.full && len(s.backlog) < vnet.LowWater && !s.closing && !s.aborted
	if writable {
		s.full = false
	}
	s.mu.Unlock()
	if writable {
		s.call(func() { s.handler.Writable(s) })
	}
}

// call runs an event of the handler unless the stream has ended.
func (s *stream) call(event func()) {
	s.events.Lock()
	defer s.events.Unlock()
	if !s.ended {
		event()
	}
}

// dial connects and then lives as an accepted stream does.
func (s *stream) dial(address string) {
	defer s.net.forget(s)
	tr, err := s.net.connect(s.protocol, address)
	if err != nil {
		s.end(fmt.Errorf("vnet: dial %s %s: %w", s.protocol, address, mapError(err)))
		return
	}
	if s.attach(tr) {
		s.call(func() { s.handler.Opened(s) })
		s.release()
	}
	s.run()
}

// attach gives the stream its connection. Until release the writer is held back, so that Writable follows Opened.
func (s *stream) attach(tr transport) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tr = tr
	s.local, s.remote = tr.addrs()
	s.writing = true
	if s.closing {
		tr.closing(time.Now().Add(s.net.options.CloseTimeout))
	}
	if s.aborted {
		tr.close(true)
	}
	return !s.aborted
}

// release sends what was written before and during Opened.
func (s *stream) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = false
	if len(s.backlog) > 0 || s.closing {
		s.startWriter()
	}
}

// run reads until the stream is over, reports it, and frees the connection.
func (s *stream) run() {
	reason, peerEnded := s.readAll()
	s.end(reason)
	if reason == nil && !peerEnded {
		s.tr.drain(s.net.ctx, s.net.options.CloseTimeout)
	}
	s.tr.close(reason != nil)
}

func (s *stream) readAll() (reason error, peerEnded bool) {
	err := s.tr.receive(s)
	if !errors.Is(err, io.EOF) {
		return s.reason(err), false
	}
	if wanted, _ := s.await(); wanted {
		s.call(func() { s.handler.EOF(s) })
	}
	return s.awaitEnd(), true
}

// offer tells the handler of bytes unless they have to wait, or are not wanted any more.
func (s *stream) offer(p []byte, from lender) (taken bool) {
	if s.held.Load() {
		return false
	}
	from.borrow()
	s.events.Lock()
	s.handler.Data(s, p)
	s.events.Unlock()
	return true
}

// deliver tells the handler of bytes, and then runs what that has made ready; false says that the stream is over.
func (s *stream) deliver(p []byte) (more bool) {
	if s.held.Load() {
		if wanted, over := s.await(); !wanted {
			return !over
		}
	}
	work := s.net.options.lend()
	s.events.Lock()
	s.handler.Data(s, p)
	s.events.Unlock()
	returned(work)
	return true
}

// await waits while the stream is paused. What arrives is not wanted any more once this side has closed, nor awaited once that
// is all sent.
func (s *stream) await() (wanted, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.paused && !s.closing && !s.aborted && s.failure == nil {
		s.wake.Wait()
	}
	return !s.closing && !s.aborted, s.flushed || s.aborted || s.failure != nil
}

// awaitEnd waits, after the peer's end, for the end of this side.
func (s *stream) awaitEnd() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.flushed && !s.aborted && s.failure == nil {
		s.wake.Wait()
	}
	return s.reasonLocked(nil)
}

func (s *stream) reason(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reasonLocked(err)
}

// reasonLocked is what Closed reports when read returned err: what this side did comes before what it caused.
func (s *stream) reasonLocked(err error) error {
	switch {
	case s.aborted:
		err = vnet.ErrClosed
	case s.failure != nil:
		err = s.failure
	case s.flushed:
		return nil
	}
	return fmt.Errorf("vnet: %s %s: %w", s.protocol, s.remote, mapError(err))
}

func (s *stream) end(reason error) {
	s.mu.Lock()
	if s.aborted && !errors.Is(reason, vnet.ErrClosed) { // a dial that failed after Abort
		reason = fmt.Errorf("vnet: %s %s: %w", s.protocol, s.remote, vnet.ErrClosed)
	}
	s.aborted = true // from here on Write is an error
	s.mu.Unlock()
	s.events.Lock()
	defer s.events.Unlock()
	s.ended = true
	s.handler.Closed(s, reason)
}
