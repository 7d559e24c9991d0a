package runtime

import (
	"cmp"
	"time"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// This file is what happens to a request that finds a mailbox full: see [Overflow]. A mailbox that is not full knows
// nothing of it, but for the bounds.

// messageSize is what a queued request takes besides its arguments: its place in the ring.
const messageSize = 128

// overflow is the part of a mailbox that is used when it is full. The mailbox's lock guards it, but for entered.
type overflow struct {
	blocked []*blockedSend // requests that wait for room, the oldest first; some may have been withdrawn
	waiting int            // how many have not

	putOff      int   // requests that left the queue but wait for init or an upgrade: they cannot be dropped
	putOffBytes int64 // their size

	entered []*blockedSend // let in by the owner's last take or release; only the owner looks at it

	entrusted *entrusted // nil if there never were any

	counts    mailCounts
	untold    uint64      // requests dropped or refused since the last line of the log about it
	msg, last string      // that line, and the command of the youngest of them
	toldAt    sched.Time  // when that was
	everTold  bool        // whether there was one
	teller    sched.Timer // tells the rest; nil if it never had to
	telling   bool        // whether it is set
}

// mailCounts is how often the bounds of a mailbox did something.
type mailCounts struct {
	refused uint64 // requests that their sender got overload for
	dropped uint64 // requests that made room for a younger one, and entrusted ones that found no room in time
	blocked uint64 // requests that waited for room
}

// blockedSend is a request that waits for room in a mailbox. The lock of that mailbox guards state and m.
//
// It has either a sender, a service of this node that takes it back when its wait is over in any way, or none, because it comes from
// another node or was redirected: then it is entrusted to the mailbox.
type blockedSend struct {
	callee *Service
	m      message
	wake   waitID // of m.source, to be told when m has entered; 0 for a call, whose wait is that for its reply
	state  blockedState

	by  sched.Time // when the mailbox drops it; 0 if it has a sender
	due waitID     // of entrusted.deadlines
}

// entrusted is the requests that wait for room without a sender. How many do is up to those who send, other nodes among them, so
// no more may wait, in number and in bytes, than the mailbox itself holds. The mailbox's lock guards it.
type entrusted struct {
	requests  int
	bytes     int64
	deadlines waits     // one for each
	late      []message // those whose deadline has passed, between expire and its end

	timer   sched.Timer // calls dropLate
	timerAt sched.Time  // when it is set to, 0 if it is not
}

type blockedState uint8

const (
	outside   blockedState = iota // it waits
	inside                        // it has entered the mailbox
	withdrawn                     // its sender has given up
)

// bound sets the bounds of a mailbox that is not in use yet.
func (b *mailbox) bound(requests int, bytes int64) {
	b.limit, b.maxRequests, b.maxBytes = requests, requests, bytes
}

// fits tells whether there is room for a request besides what is there, less some requests of some size.
func (b *mailbox) fits(size uint32, lessRequests int, lessBytes int64) bool {
	return b.requests-lessRequests < b.maxRequests && b.bytes-lessBytes+int64(size) <= b.maxBytes
}

// displace puts in a request, and takes out the oldest ones as far as that needs room. It is putFull, and takes out nothing,
// if that is not enough.
func (b *mailbox) displace(m *message) (dropped []message, r putResult) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := &b.overflow
	switch {
	case b.closed:
		return nil, putClosed
	case !b.fits(m.size, b.requests-o.putOff, b.bytes-o.putOffBytes):
		return nil, putFull
	}
	for !b.fits(m.size, 0, 0) {
		dropped = append(dropped, b.removeOldest())
	}
	o.counts.dropped += uint64(len(dropped))
	return dropped, b.enter(m)
}

// removeOldest takes the oldest request out of the queue, which holds one. Replies and events before it keep their order.
func (b *mailbox) removeOldest() (m message) {
	mask := len(b.ring) - 1
	i := 0
	for b.ring[(b.head+i)&mask].kind != request {
		i++
	}
	m = b.ring[(b.head+i)&mask]
	for ; i > 0; i-- {
		b.ring[(b.head+i)&mask] = b.ring[(b.head+i-1)&mask]
	}
	b.ring[b.head] = message{}
	b.head = (b.head + 1) & mask
	b.n--
	b.requests--
	b.bytes -= int64(m.size)
	if m.timed {
		b.timedAt, m.timed = 0, false
	}
	return m
}

// putWaits is one more outcome of block: the request is not queued yet, but waits for room.
const putWaits = putClosed + 1

// block puts in the request of e, or lets it wait for room behind those that wait already. It is putFull if there will
// never be room, or if it is to be entrusted to the mailbox and too many are.
func (b *mailbox) block(e *blockedSend) putResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := &b.overflow
	switch {
	case b.closed:
		return putClosed
	case int64(e.m.size) > b.maxBytes:
		return putFull
	case o.waiting == 0 && b.fits(e.m.size, 0, 0):
		e.state = inside
		return b.enter(&e.m)
	case e.by != 0 && !b.entrust(e):
		return putFull
	}
	o.blocked = append(o.blocked, e)
	o.waiting++
	o.counts.blocked++
	b.limit = 0 // nobody overtakes
	return putWaits
}

// entrust takes care of a request without a sender until there is room or its deadline has passed. It reports false if too many
// wait like that. The lock is held.
func (b *mailbox) entrust(e *blockedSend) bool {
	t := b.overflow.entrusted
	if t == nil {
		t = new(entrusted)
		b.overflow.entrusted = t
	}
	if t.requests == b.maxRequests || t.bytes+int64(e.m.size) > b.maxBytes {
		return false
	}
	t.requests++
	t.bytes += int64(e.m.size)
	e.due = t.deadlines.add(otherWait, nil, func(outcome) {
		t.late = append(t.late, e.m)
		b.leave(e)
	}, e.by)
	return true
}

// discharge is the end of entrust.
func (b *mailbox) discharge(e *blockedSend) {
	if e.by == 0 {
		return
	}
	t := b.overflow.entrusted
	t.requests--
	t.bytes -= int64(e.m.size)
	t.deadlines.take(e.due)
	if t.requests == 0 && t.deadlines.size() > 1024 { // a burst is over
		t.deadlines = waits{}
	}
}

// expire takes out the entrusted requests whose deadline has passed.
func (b *mailbox) expire(now sched.Time) (late []message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.overflow.entrusted
	for {
		w, _, ok := t.deadlines.expired(now)
		if !ok {
			break
		}
		w.fire(outcome{late: true})
	}
	late, t.late = t.late, nil
	b.overflow.counts.dropped += uint64(len(late))
	return late
}

// admit lets in those for whom there is room, the oldest first. The owner calls it, with the lock held, so the mailbox is
// busy.
func (b *mailbox) admit() {
	o := &b.overflow
	n := 0
	for ; n < len(o.blocked); n++ {
		e := o.blocked[n]
		if e.state == withdrawn {
			continue
		}
		if !b.fits(e.m.size, 0, 0) {
			break
		}
		b.enter(&e.m)
		b.discharge(e)
		e.m.args, e.m.body = nil, nil // they belong to the owner now
		e.state = inside
		o.waiting--
		if e.wake != 0 {
			o.entered = append(o.entered, e)
		}
	}
	clear(o.blocked[:n])
	o.blocked = o.blocked[n:]
	b.reopen()
}

// reopen ends the time in which nobody may overtake, once nobody waits any more.
func (b *mailbox) reopen() {
	if b.overflow.waiting == 0 {
		b.overflow.blocked, b.limit = nil, b.maxRequests
	}
}

// withdraw takes back a request that waits for room. It reports false if it has entered the mailbox.
func (b *mailbox) withdraw(e *blockedSend) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.state != outside {
		return false
	}
	if b.closed { // the owner has died, which its sender is being told
		e.state, e.m = withdrawn, message{}
		return true
	}
	b.leave(e)
	return true
}

// leave takes out a request that waits for room. The lock is held.
func (b *mailbox) leave(e *blockedSend) {
	b.discharge(e)
	e.state, e.m = withdrawn, message{}
	o := &b.overflow
	if o.waiting--; len(o.blocked) > 2*o.waiting+64 {
		live := make([]*blockedSend, 0, 2*o.waiting)
		for _, other := range o.blocked {
			if other.state == outside {
				live = append(live, other)
			}
		}
		o.blocked = live
	}
	b.reopen()
}

// giveUp returns the messages that tell those who wait for room that the owner has died. The lock is held.
func (b *mailbox) giveUp() (left []message) {
	for _, e := range b.overflow.blocked {
		if e.state == outside {
			if e.wake != 0 {
				e.m.session = uint64(e.wake)
			}
			left = append(left, e.m)
		}
	}
	b.overflow.blocked, b.overflow.waiting = nil, 0
	if t := b.overflow.entrusted; t != nil {
		t.requests, t.bytes, t.deadlines = 0, 0, waits{}
		if t.timer != nil {
			t.timer.Stop()
		}
	}
	return left
}

// putOff counts a request that take has returned as one that waits still.
func (b *mailbox) putOff(m *message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	b.bytes += int64(m.size)
	b.overflow.putOff++
	b.overflow.putOffBytes += int64(m.size)
}

// release is the end of putOff.
func (b *mailbox) release(m *message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests--
	b.bytes -= int64(m.size)
	b.overflow.putOff--
	b.overflow.putOffBytes -= int64(m.size)
	if len(b.overflow.blocked) > 0 {
		b.admit()
	}
}

// makeRoom puts a request into a full mailbox whose policy is [DropOldest].
func (s *Service) makeRoom(turn *sched.Turn, m *message) putResult {
	dropped, r := s.mail.displace(m)
	var sends uint64
	for i := range dropped {
		d := &dropped[i]
		if d.session == 0 {
			sends++
			continue
		}
		d.source.answer(turn, d.session, nil, callErrorf(Overload, false, "%s dropped %q, its oldest request, from its full mailbox", s.label, d.command))
	}
	if sends > 0 {
		s.tell(turn, sends, "messages dropped from a full mailbox", dropped[0].command)
	}
	return r
}

// tellEvery is how often a service says in the log that it drops or refuses messages.
const tellEvery = time.Second

// tell logs that n messages were lost that nobody waits for: at once, or, if it did so a moment ago, later together with what
// is lost until then. It may be called by any sender.
func (s *Service) tell(turn *sched.Turn, n uint64, msg, command string) {
	now := s.now(turn)
	s.mail.mu.Lock()
	o := &s.mail.overflow
	o.untold += n
	o.msg, o.last = msg, command
	next := o.toldAt.Add(tellEvery)
	later := o.everTold && now < next && !s.mail.closed
	set := later && !o.telling
	if set {
		o.telling = true
		if o.teller == nil {
			o.teller = s.node.sched.NewTimer(func() { s.tellRest(s.node.sched.Now()) })
		}
	}
	teller := o.teller
	s.mail.mu.Unlock()
	if set {
		teller.Reset(next)
	} else if !later {
		s.tellRest(now)
	}
}

// tellRest logs what was not told yet.
func (s *Service) tellRest(now sched.Time) {
	s.mail.mu.Lock()
	o := &s.mail.overflow
	n, msg, last := o.untold, o.msg, o.last
	o.untold, o.toldAt, o.everTold, o.telling = 0, now, true, false
	s.mail.mu.Unlock()
	if n > 0 {
		s.log(levelWarn, msg, "count", n, "last", last)
	}
}

// tellLast is tellRest of a service that has died.
func (s *Service) tellLast() {
	s.mail.mu.Lock()
	teller := s.mail.overflow.teller
	s.mail.mu.Unlock()
	if teller != nil {
		teller.Stop()
		s.tellRest(s.turn.Now)
	}
}

// now is the time of a turn, or of the clock outside of any.
func (s *Service) now(turn *sched.Turn) sched.Time {
	if turn != nil {
		return turn.Now
	}
	return s.node.sched.Now()
}

// overloaded is the error of a request that the mailbox refused.
func (s *Service) overloaded(m *message) *CallError {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	b := &s.mail
	b.overflow.counts.refused++
	switch {
	case int64(m.size) > b.maxBytes:
		return callErrorf(Overload, false, "%q takes %s, the mailbox of %s holds at most %s (mailbox_bytes)", m.command, megabytes(int64(m.size)), s.label, megabytes(b.maxBytes))
	case b.overflow.waiting > 0:
		return callErrorf(Overload, false, "the mailbox of %s is full (%d messages), and %d more wait for room", s.label, b.requests, b.overflow.waiting)
	case b.requests < b.maxRequests:
		return callErrorf(Overload, false, "the mailbox of %s is full (%s of %s)", s.label, megabytes(b.bytes), megabytes(b.maxBytes))
	}
	return callErrorf(Overload, false, "the mailbox of %s is full (%d messages)", s.label, b.maxRequests)
}

// waitForRoom lets the request m, which has found the mailbox full, wait for room, if it may, as long as its wait lasts: the one for the
// reply or, of a send, one that ends when it has entered and that the coroutine must await. Without an error the request waits, or is
// in the mailbox after all.
func (co *coroutine) waitForRoom(m *message, callee *Service) (waits bool, err error) {
	s := co.svc
	if callee.limits.Overflow != Block || callee == s {
		return false, callee.overloaded(m)
	}
	e := &blockedSend{m: *m, callee: callee}
	wait := waitID(m.session)
	if wait == 0 {
		wait = s.addWait(otherWait, co, nil, co.deadlineFor(s.limits.Call))
		e.wake = wait
	}
	waits, refused := e.line(s.turn)
	if waits {
		s.waits.block(wait, e)
		return true, nil
	}
	if e.wake != 0 {
		s.waits.take(e.wake)
	}
	if refused != nil {
		return false, refused
	}
	return false, nil
}

// entrust lets a request that has found the mailbox full wait for room there without a sender, if it may: until its deadline, or,
// for a send, as long as the limit call says.
func (s *Service) entrust(turn *sched.Turn, m *message) *CallError {
	if s.limits.Overflow != Block {
		return s.overloaded(m)
	}
	e := &blockedSend{m: *m, callee: s, by: cmp.Or(m.deadline, s.now(turn).Add(s.limits.Call))}
	waits, refused := e.line(turn)
	if waits {
		s.watchDeadlines()
	}
	return refused
}

// line puts a request that has found the mailbox full into it after all, or into the line of those that wait for room; waits
// tells which. turn is that of whoever puts it there.
func (e *blockedSend) line(turn *sched.Turn) (waits bool, refused *CallError) {
	switch e.callee.mail.block(e) {
	case putWaits:
		return true, nil
	case putReady:
		e.callee.ready(turn)
	case putFull:
		return false, e.callee.overloaded(&e.m)
	case putClosed:
		return false, callErrorf(Dead, false, "%s has ended", e.callee.label)
	}
	return false, nil
}

// watchDeadlines sets the timer for the first of the entrusted requests to be dropped. It is left alone when that one enters, as a
// service's alarm is.
func (s *Service) watchDeadlines() {
	b := &s.mail
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.overflow.entrusted
	at := t.deadlines.earliest()
	if at == 0 || t.timerAt != 0 && t.timerAt <= at {
		return
	}
	if t.timer == nil {
		t.timer = s.node.sched.NewTimer(s.dropLate)
	}
	t.timerAt = at
	t.timer.Reset(at)
}

// dropLate drops the entrusted requests that have found no room by their deadline. Who waits for one hears what its own clock is
// about to say, whichever is first.
func (s *Service) dropLate() {
	s.mail.mu.Lock()
	s.mail.overflow.entrusted.timerAt = 0
	s.mail.mu.Unlock()
	late := s.mail.expire(s.node.sched.Now())
	s.watchDeadlines()
	var sends uint64
	var last string
	for i := range late {
		if m := &late[i]; m.session == 0 {
			sends, last = sends+1, m.command
		} else {
			m.source.answer(nil, m.session, nil, callErrorf(Timeout, true, "the mailbox of %s had no room for %q within the deadline", s.label, m.command))
		}
	}
	if sends > 0 {
		s.tell(nil, sends, "messages dropped that found no room in the mailbox in time", last)
	}
}

func (e *blockedSend) noRoom() *CallError {
	return callErrorf(Overload, false, "the mailbox of %s had no room within the deadline", e.callee.label)
}

// welcome tells the senders whose requests the last take or release let in.
func (s *Service) welcome() {
	entered := s.mail.overflow.entered
	s.mail.overflow.entered = nil
	for _, e := range entered {
		e.m.source.answer(s.turn, uint64(e.wake), starlark.True, nil)
	}
}
