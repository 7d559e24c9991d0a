package stepper

import "skynet/sched"

// place says where an event is.
type place uint8

const (
	nowhere   place = iota // not set, or fired
	inHeap                 // its time has not come
	inEnabled              // it is due and the strategy may choose it
	inHeld                 // it is due and its node is paused
)

// event is something that happens at a virtual time. The stepper's own events (a core becomes free, a task becomes
// ready at the end of a stretch of work) have quiet set: they are no choice of the strategy and leave no trace.
type event struct {
	what  sched.Action // what.Seq orders events of the same time
	fire  func()
	step  *Stepper
	node  *Node // nil for an event of the world
	at    sched.Time
	pos   int // index in the heap
	place place
	quiet bool
}

// Reset sets the event to fire at t, or now if t has passed.
func (e *event) Reset(t sched.Time) {
	if e.node != nil && e.node.halted {
		return
	}
	e.step.unset(e)
	e.step.set(e, max(t, e.step.Now()))
}

// Stop unsets the event.
func (e *event) Stop() { e.step.unset(e) }

// heap is a 4-ary min-heap of events by (time, seq). The keys lie in the slice beside the pointers, so that a
// comparison touches no event.
type heap []item

type item struct {
	at  sched.Time
	seq uint64
	e   *event
}

func (a item) before(b item) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// push adds e by its time and Seq.
func (h *heap) push(e *event) {
	*h = append(*h, item{})
	h.up(len(*h)-1, item{e.at, e.what.Seq, e})
}

// remove takes out the event at index i.
func (h *heap) remove(i int) *event {
	old := *h
	e, last := old[i].e, len(old)-1
	moved := old[last]
	old[last] = item{}
	*h = old[:last]
	if i == last {
		return e
	}
	if i > 0 && moved.before(old[(i-1)/4]) {
		h.up(i, moved)
	} else {
		h.down(i, moved)
	}
	return e
}

// up puts it at index i or above.
func (h heap) up(i int, it item) {
	for i > 0 {
		parent := (i - 1) / 4
		if !it.before(h[parent]) {
			break
		}
		h.put(i, h[parent])
		i = parent
	}
	h.put(i, it)
}

// down puts it at index i or below.
func (h heap) down(i int, it item) {
	for {
		child := 4*i + 1
		if child >= len(h) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(h)); c++ {
			if h[c].before(h[least]) {
				least = c
			}
		}
		if !h[least].before(it) {
			break
		}
		h.put(i, h[least])
		i = least
	}
	h.put(i, it)
}

func (h heap) put(i int, it item) {
	h[i] = it
	it.e.pos = i
}

// drop removes every event of a node in one pass.
func (h *heap) drop(n *Node) {
	kept := (*h)[:0]
	for _, it := range *h {
		if it.e.node == n {
			it.e.place = nowhere
		} else {
			kept = append(kept, it)
		}
	}
	clear((*h)[len(kept):])
	*h = kept
	for i := len(kept) - 1; i >= 0; i-- {
		h.down(i, kept[i])
	}
}
