package runtime

import (
	"sync"
	"sync/atomic"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// kind says what a message is for.
type kind uint8

const (
	request  kind = iota // a command from a service, another node or Go code; session 0 wants no reply
	start                // the first message of a service: run the script, then init
	watching             // wants to be answered when the service ends
	reply                // the answer to a call of ours
	tick                 // the service's alarm: some of its deadlines have passed
	event                // body is a func() to run on the service: network events, finished offloads
)

// message is one entry of a mailbox. It is a value: mailboxes hold messages by value so that a send allocates nothing
// but what the sender's script already allocated for the arguments.
type message struct {
	kind     kind
	timed    bool   // mailbox.timedAt is when it was put
	depth    uint16 // how many requests wait for, or were redirected to, this one
	size     uint32 // estimated bytes of a request, for the mailbox's bound
	session  uint64 // of the caller; 0 when no reply is wanted
	deadline sched.Time
	trace    uint64 // what the request belongs to, see [Node.nextTrace]; 0 for nothing yet
	source   caller // who is to be answered; nil if nobody
	command  string
	args     starlark.Tuple
	value    starlark.Value // of a reply
	err      *CallError     // of a reply; nil if the call succeeded
	body     any            // request, start: *extras or nil; event: func()
}

// extras are the rarer parts of a request.
type extras struct {
	kwargs  []starlark.Tuple
	payload []byte // arguments still encoded, from another node
	from    string // name of that node
}

// caller is whoever waits for a reply: a local service, a link to another node, or Go code.
type caller interface {
	// answer delivers the outcome of a request. turn is the turn of the answering service, or nil outside of any.
	answer(turn *sched.Turn, session uint64, value starlark.Value, err *CallError)
	// name is what logs call it.
	name() string
}

// replyTo says who waits for an answer, under which session. The source is a service, a link or a unique launch, which can be compared.
type replyTo struct {
	source  caller
	session uint64
}

func (r replyTo) answer(turn *sched.Turn, v starlark.Value, err *CallError) {
	r.source.answer(turn, r.session, v, err)
}

// mailbox is a bounded FIFO queue with one owner. busy is the bit of [sched.Task]: "queued or running", set by the put that
// finds it false and cleared by the owner when it finds the queue empty, both under the lock, so that no message is ever
// left behind and no service is ever queued twice.
//
// A ring buffer behind a mutex: an uncontended lock costs about 10 ns here, less than the allocation of a list node.
type mailbox struct {
	mu   sync.Mutex
	ring []message // its length is a power of two, or 0
	head int       // index of the oldest message
	n    int       // how many there are

	// What is put into an idle mailbox is handed over with the turn it leads to: the owner takes it without the lock and without
	// copying it, 25 ns less. While given is set nobody but the owner touches the two; it is not counted as queued.
	first message
	given bool

	limit  int // requests beyond it are refused; replies, ticks and events are not; 0 while senders wait for room
	busy   bool
	closed bool

	requests    int   // how many of the queue are requests, and how many are put off: see putOff
	bytes       int64 // the estimated size of these
	maxRequests int   // what limit is while nobody waits
	maxBytes    int64
	overflow    overflow // what only mailboxes that were full need

	// A sample of how long messages wait, one at a time.
	puts    uint32
	timedAt sched.Time // when the message that is timed was put; 0 if none is
	clock   sched.Scheduler

	signals  atomic.Uint32 // what to look at between two steps; written under the lock
	urgent   []message     // events to run between two steps, see Service.interrupt
	sentence Reason        // why the service was killed
}

// The outcomes of a put.
type putResult uint8

const (
	putOK    putResult = iota // queued; the service was busy already
	putReady                  // queued; the sender must report the service ready
	putFull
	putClosed
)

// put appends a message.
func (b *mailbox) put(m *message) putResult {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return putClosed
	}
	if m.kind == request {
		if b.requests >= b.limit || b.bytes+int64(m.size) > b.maxBytes {
			b.mu.Unlock()
			return putFull
		}
	}
	r := b.enter(m)
	b.mu.Unlock()
	return r
}

// enter hands a message over if the owner is idle, else it appends it. The lock is held.
func (b *mailbox) enter(m *message) putResult {
	r, slot := putReady, &b.first
	if b.busy {
		if b.n == len(b.ring) {
			b.resize(max(4, 2*len(b.ring)))
		}
		r, slot = putOK, &b.ring[(b.head+b.n)&(len(b.ring)-1)]
		b.n++
		if m.kind == request {
			b.requests++
			b.bytes += int64(m.size)
		}
	} else {
		b.busy, b.given = true, true
	}
	*slot = *m
	if b.puts++; b.puts%sampleEvery == 0 {
		b.time(slot)
	}
	return r
}

// The bits of mailbox.signals: what others want a service to look at between two steps, even within a handler that never
// blocks. One atomic load a step finds out.
const (
	signalKilled uint32 = 1 << iota // sentence says why
	signalUrgent                    // urgent has messages
)

// signal sets signals; set says which, under the lock.
func (b *mailbox) signal(set func() uint32) putResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return putClosed
	}
	b.signals.Store(b.signals.Load() | set())
	if b.busy {
		return putOK
	}
	b.busy = true
	return putReady
}

// The outcomes of a take.
type takeResult uint8

const (
	took        takeResult = iota
	tookSignal             // nothing, but there is a signal to attend to
	tookNothing            // and busy is cleared
)

// take removes the oldest message into m. If there is neither a message nor a signal it clears busy.
func (b *mailbox) take(m *message) takeResult {
	if b.given {
		*m = b.first
		b.first, b.given = message{}, false
		return took
	}
	b.mu.Lock()
	if b.n == 0 {
		r := tookNothing
		if b.pending() {
			r = tookSignal
		} else {
			b.idle()
		}
		b.mu.Unlock()
		return r
	}
	slot := &b.ring[b.head]
	*m = *slot
	*slot = message{}
	b.head = (b.head + 1) & (len(b.ring) - 1)
	b.n--
	if m.kind == request {
		b.requests--
		b.bytes -= int64(m.size)
		if len(b.overflow.blocked) > 0 {
			b.admit()
		}
	}
	b.mu.Unlock()
	return took
}

// settle clears busy if there is nothing left to do and reports whether there is.
func (b *mailbox) settle() (more bool) {
	b.mu.Lock()
	if more = b.pending(); !more {
		b.idle()
	}
	b.mu.Unlock()
	return more
}

// pending tells whether there is a message, handed over or queued, or a signal. The owner calls it, with the lock held.
func (b *mailbox) pending() bool { return b.given || b.n > 0 || b.signals.Load() != 0 }

// idle is the end of a busy period; a ring that a burst has made large is given back.
func (b *mailbox) idle() {
	b.busy = false
	if len(b.ring) > 1024 {
		b.ring, b.head = nil, 0
	}
}

// close refuses all further messages and returns those still queued.
func (b *mailbox) close() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := append(make([]message, 0, len(b.urgent)+b.n+1), b.urgent...)
	if b.given {
		left = append(left, b.first)
		b.first, b.given = message{}, false
	}
	for i := range b.n {
		left = append(left, b.ring[(b.head+i)&(len(b.ring)-1)])
	}
	left = append(left, b.giveUp()...)
	b.ring, b.head, b.n, b.requests, b.bytes, b.urgent, b.closed = nil, 0, 0, 0, 0, nil, true
	return left
}

// isClosed reports whether the service has ended.
func (b *mailbox) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// length is the number of messages queued, without the one that is handed over.
func (b *mailbox) length() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

func (b *mailbox) resize(size int) {
	ring := make([]message, size)
	for i := range b.n {
		ring[i] = b.ring[(b.head+i)&(len(b.ring)-1)]
	}
	b.ring, b.head = ring, 0
}
