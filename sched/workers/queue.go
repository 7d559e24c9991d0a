package workers

import (
	"sync"
	"sync/atomic"

	"skynet/sched"
)

// queue is a ring of tasks that its owner fills and drains and others steal from. The lock is uncontended unless
// somebody steals; whether there is anything to take is known without it.
type queue struct {
	size atomic.Int64 // len of the queue, written under mu
	mu   sync.Mutex
	ring []sched.Task // its length is 0 or a power of two
	head int
}

func (q *queue) len() int { return int(q.size.Load()) }

// push appends tasks.
func (q *queue) push(tasks ...sched.Task) {
	q.mu.Lock()
	for _, t := range tasks {
		q.add(t)
	}
	q.mu.Unlock()
}

// add appends one task; the lock is held.
func (q *queue) add(t sched.Task) {
	n := int(q.size.Load())
	if n == len(q.ring) {
		q.grow(n)
	}
	q.ring[(q.head+n)&(len(q.ring)-1)] = t
	q.size.Store(int64(n + 1))
}

func (q *queue) grow(n int) {
	ring := make([]sched.Task, max(2*n, 16))
	k := copy(ring, q.ring[q.head:])
	copy(ring[k:], q.ring[:q.head])
	q.ring, q.head = ring, 0
}

// pop takes the oldest task, nil if there is none.
func (q *queue) pop() sched.Task {
	if q.len() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.remove()
}

// remove is pop with the lock held.
func (q *queue) remove() sched.Task {
	n := q.size.Load()
	if n == 0 {
		return nil
	}
	t := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.size.Store(n - 1)
	return t
}

// take moves one of parts shares of the queue to into, oldest first.
func (q *queue) take(into []sched.Task, parts int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min((int(q.size.Load())+parts-1)/parts, len(into))
	for i := range n {
		into[i] = q.remove()
	}
	return n
}

// slot holds the one task a worker runs next. Its owner puts and takes, without a lock; the watcher takes what has been there
// too long. What is in held is a box of the owner's: whoever takes it out of there has it for itself.
type slot struct {
	held   atomic.Pointer[box]
	boxes  [8]*box // the owner fills them in turn, so that the watcher can tell one filling from the next
	last   int     // the box filled last
	filled bool    // the owner has put it into held, and has not taken it out
}

type box struct{ task sched.Task }

// put fills the slot and returns the task it held.
func (s *slot) put(t sched.Task) (displaced sched.Task) {
	if s.filled {
		displaced = s.take()
	}
	s.last = (s.last + 1) % len(s.boxes)
	b := s.boxes[s.last]
	if b == nil {
		b = new(box)
		s.boxes[s.last] = b
	}
	b.task = t
	s.filled = true
	s.held.Store(b)
	return displaced
}

// take empties the slot.
func (s *slot) take() sched.Task {
	if !s.filled {
		return nil
	}
	s.filled = false
	b := s.held.Swap(nil)
	if b == nil {
		s.boxes[s.last] = nil // the watcher has it
		return nil
	}
	t := b.task
	b.task = nil
	return t
}

// full reports, to the owner, whether the slot holds a task.
func (s *slot) full() bool { return s.filled && s.held.Load() != nil }

// takeStale empties the slot if it holds what it held at the last look, and returns what it holds now. It is the watcher's.
func (s *slot) takeStale(seen *box) (stale sched.Task, now *box) {
	b := s.held.Load()
	if b != nil && b == seen && s.held.CompareAndSwap(b, nil) {
		return b.task, nil
	}
	return nil, b
}
