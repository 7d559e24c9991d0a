package runtime

import (
	"go.starlark.net/starlark"

	"skynet/sched"
)

// waitID names an entry of a service's wait table: the index in the lower half, the generation of the slot above. It is the
// session of a call. 0 names nothing. A slot's generation grows with each use, so a late reply finds nobody: it would
// take 2^32 uses of one slot for an id to come again.
type waitID uint64

// waits holds everything a service waits for: replies, alarms, wake-ups. Slots are reused, so that a call costs no
// allocation, and those with a deadline form a heap.
type waits struct {
	slots []wait
	free  []uint32 // indices of free slots
	heap  []due    // those with a deadline, a heap of four children each, ordered by (deadline, order)
	order uint64
	count [waitKinds]int // how many entries of each kind there are
}

// waiter is who hears that a wait is over.
type waiter struct {
	co    *coroutine    // resumed at completion …
	fire  func(outcome) // … or called, for waits without a coroutine …
	timer *timerValue   // … or due
}

// due is an entry of the heap. What it is ordered by lies in it, so that a comparison touches no slot.
type due struct {
	deadline sched.Time
	order    uint64 // ties between equal deadlines: first set, first fired
	slot     uint32
}

func (a *due) before(b *due) bool {
	return a.deadline < b.deadline || a.deadline == b.deadline && a.order < b.order
}

type wait struct {
	gen  uint32
	at   int32 // position in the heap, -1 when there is no deadline
	used bool
	kind waitKind
	waiter
}

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

// add makes an entry. A deadline of 0 means none.
func (w *waits) add(kind waitKind, co *coroutine, fire func(outcome), deadline sched.Time) waitID {
	var i uint32
	if n := len(w.free); n > 0 {
		i = w.free[n-1]
		w.free = w.free[:n-1]
	} else {
		i = uint32(len(w.slots))
		w.slots = append(w.slots, wait{})
	}
	s := &w.slots[i]
	s.gen++
	if s.gen == 0 {
		s.gen = 1
	}
	s.used, s.kind, s.co, s.fire, s.at = true, kind, co, fire, -1
	w.count[kind]++
	if deadline != 0 {
		w.order++
		w.heap = append(w.heap, due{})
		w.up(len(w.heap)-1, due{deadline, w.order, i})
	}
	return waitID(s.gen)<<32 | waitID(i)
}

// take removes the entry id names and returns what it held; ok is false if it is gone already.
func (w *waits) take(id waitID) (entry waiter, ok bool) {
	i := uint32(id)
	if int(i) >= len(w.slots) {
		return waiter{}, false
	}
	s := &w.slots[i]
	if !s.used || s.gen != uint32(id>>32) {
		return waiter{}, false
	}
	entry = s.waiter
	if s.at >= 0 {
		w.unheap(int(s.at))
	}
	s.used, s.waiter = false, waiter{}
	w.count[s.kind]--
	w.free = append(w.free, i)
	return entry, true
}

// refire gives a wait another function to be called.
func (w *waits) refire(id waitID, fire func(outcome)) { w.slots[uint32(id)].fire = fire }

// holds tells whether the entry id names is the wait of co.
func (w *waits) holds(id waitID, co *coroutine) bool {
	i := uint32(id)
	return int(i) < len(w.slots) && w.slots[i].used && w.slots[i].gen == uint32(id>>32) && w.slots[i].co == co
}

// earliest is the first deadline, or 0.
func (w *waits) earliest() sched.Time {
	if len(w.heap) == 0 {
		return 0
	}
	return w.heap[0].deadline
}

// expired removes the first entry whose deadline is not after now.
func (w *waits) expired(now sched.Time) (entry waiter, ok bool) {
	if at := w.earliest(); at == 0 || at > now {
		return waiter{}, false
	}
	i := w.heap[0].slot
	return w.take(waitID(w.slots[i].gen)<<32 | waitID(i))
}

// clear forgets everything but the generations: a late reply must not find what is added afterwards.
func (w *waits) clear() {
	for i := range w.slots {
		if s := &w.slots[i]; s.used {
			entry, _ := w.take(waitID(s.gen)<<32 | waitID(i))
			if s.kind == watchWait {
				entry.fire(outcome{dropped: true})
			}
		}
	}
}

// put places an entry of the heap.
func (w *waits) put(i int, d due) {
	w.heap[i] = d
	w.slots[d.slot].at = int32(i)
}

// up places d at index i or above.
func (w *waits) up(i int, d due) {
	for i > 0 {
		parent := (i - 1) / 4
		if !d.before(&w.heap[parent]) {
			break
		}
		w.put(i, w.heap[parent])
		i = parent
	}
	w.put(i, d)
}

// down places d at index i or below.
func (w *waits) down(i int, d due) {
	for {
		child := 4*i + 1
		if child >= len(w.heap) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(w.heap)); c++ {
			if w.heap[c].before(&w.heap[least]) {
				least = c
			}
		}
		if !w.heap[least].before(&d) {
			break
		}
		w.put(i, w.heap[least])
		i = least
	}
	w.put(i, d)
}

// unheap removes the entry at index i.
func (w *waits) unheap(i int) {
	last := len(w.heap) - 1
	w.slots[w.heap[i].slot].at = -1
	moved := w.heap[last]
	w.heap = w.heap[:last]
	switch {
	case i == last:
	case i > 0 && moved.before(&w.heap[(i-1)/4]):
		w.up(i, moved)
	default:
		w.down(i, moved)
	}
}

// sleepUntil suspends the coroutine until the deadline (0: for ever) or until somebody completes the wait; woken tells
// which.
func (co *coroutine) sleepUntil(deadline sched.Time, what string) (woken bool, err error) {
	co.svc.addWait(otherWait, co, nil, deadline)
	v, err := co.block(what, "")
	return v == starlark.True, err
}
