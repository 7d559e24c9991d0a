package runtime

import (
	"slices"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// waitID names an entry of a service's wait table: the index in the lower half, the generation of the slot above. It is the
// session of a call. 0 names nothing. A slot's generation grows with each use, so a late reply finds nobody: it would
// take 2^32 uses of one slot for an id to come again.
type waitID uint64

// waits holds everything a service waits for: replies, alarms, wake-ups. Slots are reused, so that a call costs no
// allocation. The deadline of a wait that is over stays in the queue until it comes, or until there are more such ones than
// others: so the queue need not know where each lies, and moves them without a look at their slots.
type waits struct {
	pages [][]wait // of pageSize each; the last one grows up to that
	free  []uint32 // indices of free slots
	due   deadlines
	order uint64
	timed int            // how many entries have a deadline
	count [waitKinds]int // how many entries of each kind there are

	blocked map[waitID]*blockedSend // requests that wait for room in a mailbox: each is taken back when its wait is over
}

// pageSize is how many slots lie together: a table that grows is not copied.
const pageSize = 4096

// waiter is who hears that a wait is over.
type waiter struct {
	co    *coroutine    // resumed at completion …
	fire  func(outcome) // … or called, for waits without a coroutine …
	timer *timerValue   // … or run, as a timer that fires once
}

type wait struct {
	gen   uint32
	kind  waitKind
	used  bool
	timed bool // it has a deadline
	waiter
}

// id names the wait that d is the deadline of.
func (d due) id() waitID { return waitID(d.gen)<<32 | waitID(d.slot) }

// waitKind says what an entry awaits, as far as limits count it.
type waitKind uint8

const (
	otherWait  waitKind = iota // a wake-up, the network, an offload
	callWait                   // a reply
	timerWait                  // skynet.timeout, skynet.every
	watchWait                  // the end of a service
	behindWait                 // another coroutine of the service, see waiting.behind
	waitKinds
)

// outcome is how a wait ended: completed with a value or an error, late, because its deadline came first, or dropped with all
// the others, of which only those hear who have told somebody else of theirs: watches.
type outcome struct {
	value   starlark.Value
	err     error
	late    bool
	dropped bool
}

// slot is where the entry of an index lies.
func (w *waits) slot(i uint32) *wait { return &w.pages[i/pageSize][i%pageSize] }

// add makes an entry. A deadline of 0 means none.
func (w *waits) add(kind waitKind, co *coroutine, fire func(outcome), deadline sched.Time) waitID {
	var i uint32
	if n := len(w.free); n > 0 {
		i = w.free[n-1]
		w.free = w.free[:n-1]
	} else {
		i = w.grow()
	}
	s := w.slot(i)
	s.gen++
	if s.gen == 0 {
		s.gen = 1
	}
	s.used, s.kind, s.co, s.fire, s.timed = true, kind, co, fire, deadline != 0
	w.count[kind]++
	if s.timed {
		w.timed++
		w.order++
		w.due.push(due{deadline, w.order, i, s.gen})
	}
	return waitID(s.gen)<<32 | waitID(i)
}

// grow makes a slot.
func (w *waits) grow() uint32 {
	last := len(w.pages) - 1
	if last < 0 || len(w.pages[last]) == pageSize {
		var page []wait
		if last >= 0 {
			page = make([]wait, 0, pageSize)
		}
		w.pages = append(w.pages, page)
		last++
	}
	w.pages[last] = append(w.pages[last], wait{})
	return uint32(last*pageSize + len(w.pages[last]) - 1)
}

// size is how many slots there are.
func (w *waits) size() int {
	n := len(w.pages)
	if n == 0 {
		return 0
	}
	return (n-1)*pageSize + len(w.pages[n-1])
}

// find is the entry id names, nil if it is gone.
func (w *waits) find(id waitID) *wait {
	if p := uint32(id) / pageSize; p < uint32(len(w.pages)) {
		if i, page := uint32(id)%pageSize, w.pages[p]; i < uint32(len(page)) {
			if s := &page[i]; s.used && s.gen == uint32(id>>32) {
				return s
			}
		}
	}
	return nil
}

// take removes the entry id names and returns what it held; ok is false if it is gone already. A request of it that still waits for
// room in a mailbox is taken back.
func (w *waits) take(id waitID) (entry waiter, ok bool) {
	s := w.find(id)
	if s == nil {
		return waiter{}, false
	}
	entry = s.waiter
	timed := s.timed
	w.remove(s, uint32(id))
	if timed && !w.due.undo(id) && w.due.len > 2*w.timed+slack {
		w.due.sweep(w.pending)
	}
	return entry, true
}

// slack is how many deadlines of waits that are over are left in any case.
const slack = 16

// remove frees the slot of an entry. It returns the request of it that has found no room, if there is one.
func (w *waits) remove(s *wait, i uint32) (refused *blockedSend) {
	if len(w.blocked) > 0 {
		refused = w.withdraw(waitID(s.gen)<<32 | waitID(i))
	}
	if s.timed {
		w.timed--
	}
	s.used, s.waiter = false, waiter{}
	w.count[s.kind]--
	if len(w.free) == cap(w.free) {
		w.free = slices.Grow(w.free, len(w.free)+1) // append would copy a long list several times as often
	}
	w.free = append(w.free, i)
	return refused
}

// block notes that e, the request of a wait, waits for room in a mailbox.
func (w *waits) block(id waitID, e *blockedSend) {
	if w.blocked == nil {
		w.blocked = make(map[waitID]*blockedSend)
	}
	w.blocked[id] = e
}

// withdraw takes back the request of a wait, and returns it if it was waiting for room until now.
func (w *waits) withdraw(id waitID) *blockedSend {
	e := w.blocked[id]
	delete(w.blocked, id)
	if e == nil || !e.callee.mail.withdraw(e) {
		return nil
	}
	return e
}

// holds tells whether the entry id names is the wait of co.
func (w *waits) holds(id waitID, co *coroutine) bool {
	s := w.find(id)
	return s != nil && s.co == co
}

// leave removes all entries that would resume a coroutine, which does not wait any more.
func (w *waits) leave(co *coroutine) {
	for p, page := range w.pages {
		for i := range page {
			if e := &page[i]; e.used && e.co == co {
				w.take(waitID(e.gen)<<32 | waitID(p*pageSize+i))
			}
		}
	}
}

// first is the first entry that has a deadline, and that, or nil.
func (w *waits) first() (*wait, *due) {
	for w.due.len > 0 {
		d := w.due.first(w.pending)
		if d == nil {
			break
		}
		if s := w.find(d.id()); s != nil {
			return s, d
		}
		w.due.pop()
	}
	return nil, nil
}

// pending tells whether the wait of a deadline is not over.
func (w *waits) pending(d due) bool { return w.find(d.id()) != nil }

// earliest is the first deadline, or 0.
func (w *waits) earliest() sched.Time {
	if _, d := w.first(); d != nil {
		return d.deadline
	}
	return 0
}

// expired removes the first entry whose deadline is not after now. If all that time its request had no room, it returns that,
// taken back, too.
func (w *waits) expired(now sched.Time) (entry waiter, refused *blockedSend, ok bool) {
	s, d := w.first()
	if d == nil || d.deadline > now {
		return waiter{}, nil, false
	}
	entry = s.waiter
	refused = w.remove(s, d.slot)
	w.due.pop()
	return entry, refused, true
}

// clear forgets everything but the generations: a late reply must not find what is added afterwards. Watches are told that they are
// dropped, so that who is watched can forget them, too.
func (w *waits) clear() {
	w.due = deadlines{}
	for p, page := range w.pages {
		for i := range page {
			if s := &page[i]; s.used {
				kind, entry := s.kind, s.waiter
				w.remove(s, uint32(p*pageSize+i))
				if kind == watchWait {
					entry.fire(outcome{dropped: true})
				}
			}
		}
	}
}

// sleepUntil suspends the coroutine until the deadline (0: for ever) or until somebody completes the wait; woken tells
// which.
func (co *coroutine) sleepUntil(deadline sched.Time, what string) (woken bool, err error) {
	co.svc.addWait(otherWait, co, nil, deadline)
	v, err := co.block(what, "")
	return v == starlark.True, err
}
