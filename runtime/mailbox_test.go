package runtime

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched"
	"skynet/sched/stepper"
)

// mailboxModel is what a mailbox should be: slices and flags.
type mailboxModel struct {
	queue        []entry
	blocked      []entry
	putOff       []entry
	busy, closed bool
	first        entry // handed over, if given
	given        bool
	signalled    bool
}

// entry is a message of the model.
type entry struct {
	session uint64
	size    int64      // of a request; -1 for everything else
	by      sched.Time // when it is dropped, if it is entrusted to the mailbox
}

const (
	modelLimit = 6
	modelBytes = 1000
)

func newMailbox(requests int, bytes int64) *mailbox {
	b := new(mailbox)
	b.bound(requests, bytes)
	return b
}

func (m *mailboxModel) fits(size int64) bool {
	n, bytes := 0, int64(0)
	for _, e := range append(append([]entry(nil), m.queue...), m.putOff...) {
		if e.size >= 0 {
			n++
			bytes += e.size
		}
	}
	return n < modelLimit && bytes+size <= modelBytes
}

// enter hands e over if the owner is idle, else it appends it.
func (m *mailboxModel) enter(e entry) putResult {
	if m.busy {
		m.queue = append(m.queue, e)
		return putOK
	}
	m.busy, m.given, m.first = true, true, e
	return putReady
}

func (m *mailboxModel) put(e entry) putResult {
	switch {
	case m.closed:
		return putClosed
	case e.size >= 0 && (len(m.blocked) > 0 || !m.fits(e.size)):
		return putFull
	}
	return m.enter(e)
}

// displace drops the oldest requests of the queue until e fits, if that helps.
func (m *mailboxModel) displace(e entry) (dropped []uint64, r putResult) {
	if m.closed {
		return nil, putClosed
	}
	alone := &mailboxModel{putOff: m.putOff}
	if !alone.fits(e.size) {
		return nil, putFull
	}
	for !m.fits(e.size) {
		i := slices.IndexFunc(m.queue, func(e entry) bool { return e.size >= 0 })
		dropped = append(dropped, m.queue[i].session)
		m.queue = slices.Delete(m.queue, i, i+1)
	}
	return dropped, m.enter(e)
}

func (m *mailboxModel) block(e entry) putResult {
	switch {
	case m.closed:
		return putClosed
	case e.size > modelBytes:
		return putFull
	case len(m.blocked) == 0 && m.fits(e.size):
		return m.enter(e)
	case e.by != 0 && !m.takesCare(e):
		return putFull
	}
	m.blocked = append(m.blocked, e)
	return putWaits
}

// takesCare tells whether one more request may be entrusted to the mailbox.
func (m *mailboxModel) takesCare(e entry) bool {
	requests, bytes := 0, e.size
	for _, other := range m.blocked {
		if other.by != 0 {
			requests, bytes = requests+1, bytes+other.size
		}
	}
	return requests < modelLimit && bytes <= modelBytes
}

func (m *mailboxModel) expire(now sched.Time) (late []uint64) {
	isLate := func(e entry) bool { return e.by != 0 && e.by <= now }
	byDeadline := slices.Clone(m.blocked)
	slices.SortStableFunc(byDeadline, func(a, b entry) int { return cmp.Compare(a.by, b.by) })
	for _, e := range byDeadline {
		if isLate(e) {
			late = append(late, e.session)
		}
	}
	m.blocked = slices.DeleteFunc(m.blocked, isLate)
	return late
}

func (m *mailboxModel) admit() (entered []uint64) {
	for len(m.blocked) > 0 && m.fits(m.blocked[0].size) {
		entered = append(entered, m.blocked[0].session)
		m.queue, m.blocked = append(m.queue, m.blocked[0]), m.blocked[1:]
	}
	return entered
}

func (m *mailboxModel) take() (e entry, ok bool) {
	if m.given {
		m.given = false
		return m.first, true
	}
	if len(m.queue) == 0 {
		m.busy = m.signalled
		return entry{}, false
	}
	e, m.queue = m.queue[0], m.queue[1:]
	return e, true
}

func (m *mailboxModel) settle() bool {
	m.busy = m.given || len(m.queue) > 0 || m.signalled
	return m.busy
}

func (m *mailboxModel) signal() putResult {
	if m.closed {
		return putClosed
	}
	wasBusy := m.busy
	m.busy, m.signalled = true, true
	if wasBusy {
		return putOK
	}
	return putReady
}

func (m *mailboxModel) close() (left []uint64) {
	if m.given {
		m.given = false
		left = append(left, m.first.session)
	}
	for _, e := range append(m.queue, m.blocked...) {
		left = append(left, e.session)
	}
	m.queue, m.blocked, m.closed = nil, nil, true
	return left
}

// mailboxPair is a mailbox and its model, with what the real one needs remembered.
type mailboxPair struct {
	b       *mailbox
	m       *mailboxModel
	outside []*blockedSend // those that have senders
	now     sched.Time
	off     []message
	taken   message // the last request taken, until it is put off
	policy  Overflow
	report  string
}

func (p *mailboxPair) compare(what string, got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) && p.report == "" {
		p.report = fmt.Sprintf("%s: got %v, want %v", what, got, want)
	}
}

func sessions(messages []message) (all []uint64) {
	for _, m := range messages {
		all = append(all, m.session)
	}
	return all
}

// request puts in a request as the policy says.
func (p *mailboxPair) request(session uint64, size int64) {
	entrusted := p.policy == Block && session%3 == 0
	if entrusted {
		size /= 5 // so that their number is a bound as well as their bytes
	}
	m, e := &message{kind: request, session: session, size: uint32(size)}, entry{session: session, size: size}
	switch p.policy {
	case Refuse:
		p.compare("put of a request", p.b.put(m), p.m.put(e))
	case DropOldest:
		r, want := p.b.put(m), p.m.put(e)
		p.compare("put of a request", r, want)
		if r == putFull {
			dropped, r := p.b.displace(m)
			wantDropped, want := p.m.displace(e)
			p.compare("displace", fmt.Sprint(sessions(dropped), r), fmt.Sprint(wantDropped, want))
		}
	case Block:
		r, want := p.b.put(m), p.m.put(e)
		p.compare("put of a request", r, want)
		if r == putFull {
			wait := &blockedSend{m: *m, wake: waitID(session)}
			if entrusted {
				e.by = p.now.Add(time.Duration(session % 40))
				wait.wake, wait.by = 0, e.by
			}
			r := p.b.block(wait)
			p.compare("block", r, p.m.block(e))
			if r == putWaits && e.by == 0 {
				p.outside = append(p.outside, wait)
			}
		}
	}
}

// entered compares who was let in.
func (p *mailboxPair) entered() {
	var got []uint64
	for _, e := range p.b.overflow.entered {
		got = append(got, uint64(e.wake))
	}
	p.b.overflow.entered = nil
	want := p.m.admit()
	want = slices.DeleteFunc(want, func(session uint64) bool { return session%3 == 0 }) // nobody is to be told
	p.compare("let in", got, want)
	p.outside = slices.DeleteFunc(p.outside, func(e *blockedSend) bool { return e.state != outside })
}

func (p *mailboxPair) take() {
	var out message
	ok := p.b.take(&out) == took
	want, wantOK := p.m.take()
	p.compare("take", fmt.Sprint(out.session, ok), fmt.Sprint(want.session, wantOK))
	if ok && out.kind == request {
		p.entered()
		p.taken = out
	}
}

// withdraw takes back what waits longest but for the i-th.
func (p *mailboxPair) withdraw(i int) {
	if len(p.outside) == 0 {
		return
	}
	e := p.outside[i%len(p.outside)]
	session := e.m.session
	p.compare("withdraw", p.b.withdraw(e), !p.m.closed)
	p.m.blocked = slices.DeleteFunc(p.m.blocked, func(e entry) bool { return e.session == session })
	p.outside = slices.DeleteFunc(p.outside, func(other *blockedSend) bool { return other == e })
}

// step does operation op on both and compares what they say.
func (p *mailboxPair) step(op int, session uint64) {
	p.now++
	switch {
	case op < 60:
		p.request(session, int64(op%12)*110)
	case op < 75:
		p.compare("put of a reply", p.b.put(&message{kind: reply, session: session}), p.m.put(entry{session: session, size: -1}))
	case op < 125:
		p.take()
	case op < 135:
		p.compare("settle", p.b.settle(), p.m.settle())
	case op < 140:
		p.withdraw(op)
	case op < 145:
		if p.b.overflow.entrusted != nil {
			p.compare("expire", sessions(p.b.expire(p.now)), p.m.expire(p.now))
		}
	case op < 152 && p.taken.session != 0 && !p.m.closed:
		p.b.putOff(&p.taken)
		p.off = append(p.off, p.taken)
		p.m.putOff = append(p.m.putOff, entry{session: p.taken.session, size: int64(p.taken.size)})
		p.taken = message{}
	case op < 158 && len(p.off) > 0 && !p.m.closed && p.b.busy:
		p.b.release(&p.off[0])
		p.off, p.m.putOff = p.off[1:], p.m.putOff[1:]
		p.entered()
	case op == 159 && session%4 == 0:
		p.compare("close", sessions(p.b.close()), p.m.close())
		p.outside, p.off, p.m.putOff = nil, nil, nil
	case op >= 164:
		p.compare("signal", p.b.signal(func() uint32 { return signalUrgent }), p.m.signal())
	case op >= 160:
		p.compare("attend", p.b.signals.Swap(0) != 0, p.m.signalled)
		p.m.signalled = false
	}
	p.compare("length", p.b.length(), len(p.m.queue))
	p.compare("requests that wait", p.b.overflow.waiting, len(p.m.blocked))
	if t := p.b.overflow.entrusted; t != nil {
		requests, bytes := 0, int64(0)
		for _, e := range p.m.blocked {
			if e.by != 0 {
				requests, bytes = requests+1, bytes+e.size
			}
		}
		p.compare("requests without a sender", fmt.Sprint(t.requests, t.bytes, t.deadlines.timed), fmt.Sprint(requests, bytes, requests))
	}
	if len(p.m.blocked) > 0 && len(p.m.putOff) == 0 && !slices.ContainsFunc(p.m.queue, func(e entry) bool { return e.size >= 0 }) {
		p.report = "senders wait for room in a mailbox without a request: nothing would let them in"
	}
}

func TestMailboxIsItsModel(t *testing.T) {
	for _, policy := range []Overflow{Refuse, DropOldest, Block} {
		t.Run(string(policy), func(t *testing.T) {
			parameters := gopter.DefaultTestParametersWithSeed(1)
			parameters.MinSuccessfulTests, parameters.MaxSize = 300, 300
			properties := gopter.NewProperties(parameters)
			properties.Property("a mailbox does what its model does", prop.ForAll(func(ops []int) string {
				p := &mailboxPair{b: newMailbox(modelLimit, modelBytes), m: &mailboxModel{}, policy: policy}
				for i, op := range ops {
					if p.step(op, uint64(i+1)); p.report != "" {
						return fmt.Sprintf("operation %d (%d): %s", i, op, p.report)
					}
				}
				return ""
			}, gen.SliceOf(gen.IntRange(0, 167))))
			properties.TestingRun(t)
		})
	}
}

// TestMailboxGrows pushes a burst through a mailbox, whose ring wraps around and is given back.
func TestMailboxGrows(t *testing.T) {
	b := newMailbox(5000, 1<<30)
	var m message
	next := uint64(0)
	for i := range uint64(5000) {
		b.put(&message{session: i})
		if i%3 == 0 {
			if b.take(&m); m.session != next {
				t.Fatalf("take: got %d, want %d", m.session, next)
			}
			next++
		}
	}
	for b.take(&m) == took {
		if m.session != next {
			t.Fatalf("take: got %d, want %d", m.session, next)
		}
		next++
	}
	if next != 5000 || b.ring != nil {
		t.Errorf("after a burst: got %d messages and a ring of %d, want 5000 and none", next, len(b.ring))
	}
}

// TestMailboxLosesNothing lets several goroutines put while one takes: every message arrives, in the order of its sender, and
// the owner is told exactly when it is not busy.
func TestMailboxLosesNothing(t *testing.T) {
	const senders, each = 4, 2000
	b := newMailbox(senders*each, 1<<30)
	ready := make(chan struct{}, senders*each)
	var putters sync.WaitGroup
	for s := range senders {
		putters.Go(func() {
			for i := range each {
				if b.put(&message{session: uint64(s)<<32 | uint64(i)}) == putReady {
					ready <- struct{}{}
				}
			}
		})
	}
	var next [senders]uint64
	var m message
	for got := 0; got < senders*each; {
		<-ready
		for b.take(&m) == took {
			got++
			s := m.session >> 32
			if uint32(m.session) != uint32(next[s]) {
				t.Fatalf("message of sender %d: got %d, want %d", s, uint32(m.session), next[s])
			}
			next[s]++
		}
	}
	putters.Wait()
	if b.busy || len(ready) > 0 {
		t.Errorf("at the end: got busy %v and %d more reports, want an idle mailbox", b.busy, len(ready))
	}
}

func TestCloseReturnsWhatIsLeft(t *testing.T) {
	b := newMailbox(10, 1<<30)
	for i := range uint64(7) {
		b.put(&message{session: i})
	}
	var m message
	b.take(&m)
	var left []uint64
	for _, l := range b.close() {
		left = append(left, l.session)
	}
	if want := []uint64{1, 2, 3, 4, 5, 6}; !slices.Equal(left, want) {
		t.Errorf("left: got %v, want %v", left, want)
	}
	if got := b.put(&message{}); got != putClosed {
		t.Errorf("put after close: got %d, want %d", got, putClosed)
	}
}

// TestTheTimedMessageMayBeDropped drops the message whose waiting is measured, which others are after it.
func TestTheTimedMessageMayBeDropped(t *testing.T) {
	b := newMailbox(2, 1<<30)
	b.clock = stepper.New(stepper.Options{Seed: 1}).NewNode(0, "n", stepper.NodeOptions{})
	b.put(&message{kind: request}) // handed over
	timed := 0
	for range 10 * sampleEvery {
		m := &message{kind: request}
		if b.put(m) == putFull {
			b.displace(m)
		}
		for i := range b.n {
			if b.ring[(b.head+i)&(len(b.ring)-1)].timed {
				timed++
			}
		}
	}
	if timed < 10 {
		t.Errorf("messages that were timed while %d went through: got %d, want one in %d", 10*sampleEvery, timed, sampleEvery)
	}
}
