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

// slot holds the one task a worker runs next. Its owner puts and takes, the watcher takes what has been there too
// long.
type slot struct {
	mu    sync.Mutex
	task  sched.Task
	count uint64 // how often it was filled
}

// put fills the slot and returns the task it held.
func (s *slot) put(t sched.Task) (displaced sched.Task) {
	s.mu.Lock()
	displaced, s.task = s.task, t
	s.count++
	s.mu.Unlock()
	return displaced
}

// take empties the slot.
func (s *slot) take() sched.Task {
	s.mu.Lock()
	t := s.task
	s.task = nil
	s.mu.Unlock()
	return t
}

// full reports whether the slot holds a task.
func (s *slot) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.task != nil
}

// takeStale empties the slot if it still holds what it held at the count seen, and returns the count now.
func (s *slot) takeStale(seen uint64) (stale sched.Task, count uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == seen {
		stale, s.task = s.task, nil
	}
	return stale, s.count
}
