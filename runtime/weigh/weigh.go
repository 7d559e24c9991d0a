// Package weigh estimates how many bytes of memory Starlark values hold, without looking at all of them: of a large
// container it looks at a sample and takes the rest to be alike.
//
// # Guarantees
//
//   - The same values in the same order give the same estimate, on every machine.
//   - The work is bounded by the number of values a [Scale] may look at, whatever the values are; containers may contain
//     themselves.
//   - What is reached twice is counted once, where it is a list, dict, set or another value that can change. Strings and
//     tuples have no identity: one that is reached twice is counted twice.
//
// An estimate is right within a quarter where the elements of a large container are alike. It is too low where what is
// large hides among very many that are small, in variables that an inner function shares with an outer one, behind the
// methods of bound functions, and in chains of thousands of nested containers. Of a dict or set with more entries than the
// scale looks at, times eight, only the oldest are sampled.
package weigh

import (
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// The sizes of values on a 64-bit machine.
const (
	place     = 16  // an interface value: an element, a local, a field
	header    = 16  // a string's or bytes' header, boxed
	container = 48  // a list, tuple or struct without its elements
	table     = 480 // an empty dict or set with its first buckets
	entry     = 64  // an entry of a dict or set besides its places, the slack of buckets included
	other     = 64  // what is not known

	maxDepth = 500
	skip     = 8 // so many entries of a dict are passed over at the price of one looked at
)

// Holder is a value of another package that holds values.
type Holder interface {
	starlark.Value

	// Held calls f for each value it holds, in a fixed order, until f returns false.
	Held(f func(starlark.Value) bool)
}

// Scale weighs values. The zero value cannot be used; see [New].
type Scale struct {
	budget  int
	visited int
	seen    map[starlark.Value]struct{}
}

// New returns a scale that looks at about budget values at most.
func New(budget int) *Scale {
	return &Scale{budget: max(budget, 1), seen: make(map[starlark.Value]struct{})}
}

// Visited is how many values the scale has looked at, for the price of it.
func (s *Scale) Visited() int { return s.visited }

// Weigh returns the estimated bytes of values, their places included.
func (s *Scale) Weigh(values []starlark.Value) int64 {
	return s.sample(len(values), s.budget, 0, func(i int) starlark.Value { return values[i] })
}

// sample weighs n values, of which share may be looked at, evenly spread; the rest is taken to be like them.
func (s *Scale) sample(n, share, depth int, at func(int) starlark.Value) int64 {
	if n == 0 {
		return 0
	}
	k := sampled(n, share)
	left, total := share, int64(0)
	for i := range k {
		before := s.visited
		total += place + s.value(at(i*n/k), left/(k-i), depth)
		left -= s.visited - before
	}
	return scale(total, n, k)
}

// sampled is how many of n elements are looked at: few enough that something is left for what is inside them.
func sampled(n, share int) int { return min(n, max(share/8, min(share, 16), 1)) }

// scale is total * n / k without overflow where that matters.
func scale(total int64, n, k int) int64 {
	if n == k {
		return total
	}
	return total/int64(k)*int64(n) + total%int64(k)*int64(n)/int64(k)
}

// value weighs v without its place. Share is how many values inside it may be looked at.
func (s *Scale) value(v starlark.Value, share, depth int) int64 {
	s.visited++
	switch v := v.(type) {
	case nil, starlark.NoneType, starlark.Bool, starlark.Float:
		return 0
	case starlark.String:
		return header + int64(len(v))
	case starlark.Bytes:
		return header + int64(len(v))
	case starlark.Int:
		return integer(v)
	case starlark.Tuple:
		return container + s.inside(len(v), share, depth, func(i int) starlark.Value { return v[i] })
	case *starlark.Function:
		return s.function(v, share, depth)
	case *starlark.Builtin:
		return other
	}
	return s.shared(v, share, depth)
}

// shared weighs what has an identity.
func (s *Scale) shared(v starlark.Value, share, depth int) int64 {
	switch v.(type) {
	case *starlark.List, *starlark.Dict, *starlark.Set, *starlarkstruct.Struct, Holder:
	default:
		return other
	}
	if _, ok := s.seen[v]; ok {
		return 0
	}
	s.seen[v] = struct{}{}
	switch v := v.(type) {
	case *starlark.List:
		return container + s.inside(v.Len(), share, depth, v.Index)
	case *starlark.Dict:
		return table + s.dict(v, share, depth)
	case *starlark.Set:
		return table + s.set(v, share, depth)
	case *starlarkstruct.Struct:
		return container + s.inside(v.Len(), share, depth, func(i int) starlark.Value {
			_, field := v.AttrAt(i)
			return field
		})
	case Holder:
		return container + s.holder(v, share, depth)
	}
	return other
}

// inside is sample one level deeper, unless that is too deep or the share is used up: then only the places count.
func (s *Scale) inside(n, share, depth int, at func(int) starlark.Value) int64 {
	if depth >= maxDepth || share <= 0 {
		return int64(n) * place
	}
	return s.sample(n, share, depth+1, at)
}

// stride walks up to count of n entries, of which share may be looked at: the i-th is looked at if look says so.
type stride struct {
	walk, k, next, looked int
}

func newStride(n, share int) stride {
	walk := min(n, skip*share)
	return stride{walk: walk, k: min(walk, sampled(n, share))}
}

// look tells whether entry i is one of the evenly spread sample.
func (t *stride) look(i int) bool {
	if t.looked == t.k || i < t.next {
		return false
	}
	t.looked++
	t.next = t.looked * t.walk / t.k
	return true
}

func (s *Scale) dict(d *starlark.Dict, share, depth int) int64 {
	n := d.Len()
	if depth >= maxDepth || share <= 1 || n == 0 {
		return int64(n) * (entry + 2*place)
	}
	t, i, total, left := newStride(n, share/2), 0, int64(0), share
	for k, v := range d.Entries() {
		if i >= t.walk {
			break
		}
		if t.look(i) {
			before := s.visited
			each := left / (t.k - t.looked + 1)
			total += entry + 2*place + s.value(k, each/2, depth+1)
			total += s.value(v, each-(s.visited-before), depth+1)
			left -= s.visited - before
		}
		i++
	}
	s.visited += t.walk / skip
	return scale(total, n, t.k)
}

func (s *Scale) set(set *starlark.Set, share, depth int) int64 {
	n := set.Len()
	if depth >= maxDepth || share <= 0 || n == 0 {
		return int64(n) * (entry + place)
	}
	t, i, total, left := newStride(n, share), 0, int64(0), share
	for v := range set.Elements() {
		if i >= t.walk {
			break
		}
		if t.look(i) {
			before := s.visited
			total += entry + place + s.value(v, left/(t.k-t.looked+1), depth+1)
			left -= s.visited - before
		}
		i++
	}
	s.visited += t.walk / skip
	return scale(total, n, t.k)
}

// holder weighs what a value of another package holds, in its order, as far as its share goes.
func (s *Scale) holder(h Holder, share, depth int) (total int64) {
	if depth >= maxDepth {
		return 0
	}
	h.Held(func(v starlark.Value) bool {
		before := s.visited
		total += place + s.value(v, share, depth+1)
		share -= s.visited - before
		return share > 0
	})
	return total
}

// function weighs a closure: the variables it has captured.
func (s *Scale) function(f *starlark.Function, share, depth int) int64 {
	n := f.NumFreeVars()
	if n == 0 {
		return other
	}
	if _, ok := s.seen[f]; ok {
		return 0
	}
	s.seen[f] = struct{}{}
	return other + s.inside(n, share, depth, func(i int) starlark.Value {
		_, v := f.FreeVar(i)
		return v
	})
}

// integer is 0 for one that needs no memory of its own.
func integer(v starlark.Int) int64 {
	if _, ok := v.Int64(); ok {
		return 0
	}
	return 2*header + int64(v.BigInt().BitLen()/8)
}
