package stepper

import (
	"sort"

	"skynet/sched"
)

// enabled is a list of actions in ascending Seq, each with what it stands for. A strategy may take from anywhere, so
// removing moves the shorter side; taking the oldest moves nothing.
type enabled[T any] struct {
	acts []sched.Action
	vals []T
	head int // the elements before it are gone
}

// len is the number of actions.
func (l *enabled[T]) len() int { return len(l.acts) - l.head }

// actions is the list a strategy sees; it is valid until the next change.
func (l *enabled[T]) actions() []sched.Action { return l.acts[l.head:] }

// push appends an action, whose Seq must be above all before it.
func (l *enabled[T]) push(a sched.Action, v T) {
	if l.head > 0 && len(l.acts) == cap(l.acts) && l.head >= len(l.acts)/2 {
		l.compact()
	}
	l.acts = append(l.acts, a)
	l.vals = append(l.vals, v)
}

// compact moves the elements to the front, so that a list that is never empty does not grow for ever.
func (l *enabled[T]) compact() {
	n := copy(l.acts, l.acts[l.head:])
	copy(l.vals, l.vals[l.head:])
	clear(l.vals[n:])
	l.acts, l.vals, l.head = l.acts[:n], l.vals[:n], 0
}

// take removes element i of actions and returns what it stood for.
func (l *enabled[T]) take(i int) T {
	i += l.head
	v := l.vals[i]
	var zero T
	if last := len(l.acts) - 1; i-l.head < last-i {
		copy(l.acts[l.head+1:i+1], l.acts[l.head:i])
		copy(l.vals[l.head+1:i+1], l.vals[l.head:i])
		l.vals[l.head] = zero
		l.head++
	} else {
		copy(l.acts[i:], l.acts[i+1:])
		copy(l.vals[i:], l.vals[i+1:])
		l.vals[last] = zero
		l.acts, l.vals = l.acts[:last], l.vals[:last]
	}
	if l.head == len(l.acts) {
		l.acts, l.vals, l.head = l.acts[:0], l.vals[:0], 0
	}
	return v
}

// find returns the index of the action with the given Seq, which must be there.
func (l *enabled[T]) find(seq uint64) int {
	acts := l.actions()
	return sort.Search(len(acts), func(i int) bool { return acts[i].Seq >= seq })
}

// each calls f for every element, the youngest first, so that f may take the element it is given.
func (l *enabled[T]) each(f func(i int, v T)) {
	for i := l.len() - 1; i >= 0; i-- {
		f(i, l.vals[l.head+i])
	}
}
