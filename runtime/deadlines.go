package runtime

import (
	"slices"

	"skynet/sched"
)

// deadlines is a priority queue: what was put in comes out in order of the deadlines, equal ones as they were put in.
//
// The first of them are in a heap that fits into the cache of a processor. All others lie unsorted in segments of time; when
// the heap is empty it gets the entries of the next one. A segment is divided when it has many entries and when its turn
// comes, so an entry is moved two or three times, along with its neighbours, however many there are. An entry cannot be
// removed; what is not wanted any more is left out when it is met, or by sweep.
//
// The zero value is empty.
type deadlines struct {
	near  []due     // a heap of four children each
	room  int       // how many near may hold, if that is more than nearMax
	far   []segment // a stack: the latest first. near has all before the last one
	len   int
	swept int // where sweep goes on

	parts  []segment // for divide
	spare  *block    // blocks to be used again
	spares int
}

// due says when a wait of the table is over by itself. It holds no pointer, so the garbage collector need not look at it.
type due struct {
	deadline sched.Time
	order    uint64 // ties between equal deadlines: first set, first fired
	slot     uint32
	gen      uint32 // of the slot, when the wait was added
}

func (a *due) before(b *due) bool {
	return a.deadline < b.deadline || a.deadline == b.deadline && a.order < b.order
}

// segment has the entries whose deadlines are from its begin up to that of the segment above it in the stack.
type segment struct {
	from, latest sched.Time // latest is that of the entries, from that of the segment
	n            int
	first, last  *block
}

// block is a piece of a segment, half a KB.
type block struct {
	next *block
	n    int
	dues [20]due
}

const (
	nearMax    = 512    // a heap that has more is divided
	partSize   = 256    // what a part should have when a segment is divided
	maxParts   = 64     // into so many at the most
	segmentMax = 16_384 // one that has more is divided: so no division takes more than 0.2 ms
	maxSpares  = 1024   // half a MB
)

// push puts d in.
func (q *deadlines) push(d due) {
	q.len++
	if n := len(q.far); n > 0 && d.deadline >= q.far[n-1].from {
		q.pushFar(d)
		return
	}
	q.near = append(q.near, due{})
	q.up(len(q.near)-1, d)
	if len(q.near) > max(nearMax, q.room) {
		s := segment{from: q.near[0].deadline}
		for _, d := range q.near {
			q.add(&s, d)
		}
		q.near = q.near[:0]
		q.far = append(q.far, s)
	}
}

// pushFar puts d into its segment, the first in the stack that does not begin after it. Most deadlines are later than the
// others, so the search begins there.
func (q *deadlines) pushFar(d due) {
	end := 1
	for end < len(q.far) && q.far[end-1].from > d.deadline {
		end *= 2
	}
	lo, hi := end/2, min(end, len(q.far))-1
	for lo < hi {
		if m := (lo + hi) / 2; q.far[m].from <= d.deadline {
			hi = m
		} else {
			lo = m + 1
		}
	}
	s := &q.far[lo]
	q.add(s, d)
	if s.n > segmentMax && s.latest > s.from {
		q.far = slices.Replace(q.far, lo, lo+1, q.divide(*s)...)
	}
}

// first is the entry that comes out next, nil if there is none. It is valid until the next push or pop. Entries that are not
// wanted are left out on the way, some of them.
func (q *deadlines) first(wanted func(due) bool) *due {
	for len(q.near) == 0 {
		if len(q.far) == 0 {
			return nil
		}
		q.refill(wanted)
	}
	return &q.near[0]
}

// pop removes the first entry.
func (q *deadlines) pop() {
	q.len--
	last := len(q.near) - 1
	d := q.near[last]
	q.near = q.near[:last]
	if last > 0 {
		q.down(0, d)
	}
}

// undo removes the deadline of a wait if it is where a push has put it last: as that of a call, which is most often answered
// before anything else is awaited.
func (q *deadlines) undo(id waitID) bool {
	last := len(q.near) - 1
	if last < 0 || q.near[last].id() != id {
		return false
	}
	q.near = q.near[:last]
	q.len--
	return true
}

// refill makes near, which is empty, of the last segment. It asks for each entry whether it is wanted, one right after the other:
// so what the entries are about is read into the cache side by side.
func (q *deadlines) refill(wanted func(due) bool) {
	last := len(q.far) - 1
	s := q.far[last]
	q.far[last] = segment{}
	q.far = q.far[:last]
	if s.n > nearMax && s.latest > s.from {
		q.far = append(q.far, q.divide(s)...)
		return
	}
	q.drain(&s, func(d due) { q.near = append(q.near, d) })
	q.sweepNear(wanted)
	if last == 0 {
		q.parts, q.spare, q.spares = nil, nil, 0
	}
}

// divide makes segments of the same length of s, the latest first, without those that have no entry. The result is valid
// until the next call.
func (q *deadlines) divide(s segment) []segment {
	n := min(s.n/partSize+1, maxParts)
	q.parts = slices.Grow(q.parts[:0], n)[:n]
	width := (s.latest-s.from)/sched.Time(n) + 1
	for i := range q.parts {
		q.parts[i] = segment{from: s.from + width*sched.Time(n-1-i)}
	}
	q.drain(&s, func(d due) { q.add(&q.parts[n-1-int((d.deadline-s.from)/width)], d) })
	return slices.DeleteFunc(q.parts, func(s segment) bool { return s.n == 0 })
}

// sweep leaves out the entries that are not wanted in one segment after the other, and in near, until it has looked at some
// thousands or is at the end; the next call goes on there.
func (q *deadlines) sweep(wanted func(due) bool) {
	for seen := 0; seen < segmentMax; q.swept++ {
		if q.swept >= len(q.far) {
			q.swept = 0
			q.sweepNear(wanted)
			return
		}
		old := &q.far[q.swept]
		s := segment{from: old.from}
		seen += old.n + 1
		q.len -= old.n
		q.drain(old, func(d due) {
			if wanted(d) {
				q.add(&s, d)
			}
		})
		q.len += s.n
		*old = s
		if s.n == 0 {
			q.far = slices.Delete(q.far, q.swept, q.swept+1)
			q.swept--
		}
	}
}

// sweepNear leaves out the entries of near that are not wanted, and makes it a heap.
func (q *deadlines) sweepNear(wanted func(due) bool) {
	q.len -= len(q.near)
	q.near = slices.DeleteFunc(q.near, func(d due) bool { return !wanted(d) })
	q.len += len(q.near)
	for i := (len(q.near)+2)/4 - 1; i >= 0; i-- {
		q.down(i, q.near[i])
	}
	q.room = 2 * len(q.near) // or, if all are equal, it would be divided at each push, in vain
}

// add puts d at the end of a segment.
func (q *deadlines) add(s *segment, d due) {
	b := s.last
	if b == nil || b.n == len(b.dues) {
		if b = q.spare; b != nil {
			q.spare, b.next = b.next, nil
			q.spares--
		} else {
			b = new(block)
		}
		if s.last != nil {
			s.last.next = b
		} else {
			s.first = b
		}
		s.last = b
	}
	b.dues[b.n] = d
	b.n++
	s.n++
	s.latest = max(s.latest, d.deadline)
}

// drain calls f for the entries of s, in the order they were added, and takes its blocks.
func (q *deadlines) drain(s *segment, f func(due)) {
	for b := s.first; b != nil; {
		for i := range b.n {
			f(b.dues[i])
		}
		next := b.next
		if q.spares < maxSpares {
			b.n, b.next, q.spare = 0, q.spare, b
			q.spares++
		}
		b = next
	}
	s.first, s.last, s.n = nil, nil, 0
}

// up places d at index i of near or above.
func (q *deadlines) up(i int, d due) {
	for i > 0 {
		parent := (i - 1) / 4
		if !d.before(&q.near[parent]) {
			break
		}
		q.near[i] = q.near[parent]
		i = parent
	}
	q.near[i] = d
}

// down places d at index i of near or below.
func (q *deadlines) down(i int, d due) {
	heap := q.near
	for {
		child := 4*i + 1
		if child >= len(heap) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(heap)); c++ {
			if heap[c].before(&heap[least]) {
				least = c
			}
		}
		if !heap[least].before(&d) {
			break
		}
		heap[i] = heap[least]
		i = least
	}
	heap[i] = d
}
