package runtime

import (
	"cmp"
	"fmt"
	"math/big"
	"math/bits"
	"sync"

	"go.starlark.net/starlark"
)

// This file stops handlers that grow a value without end, in both worlds: the hook that slices handlers comes early and
// looks at the local variables. What doubles itself becomes too large within some hundred steps, far less than a slice.
//
// It sees strings, bytes, lists, tuples, dicts, sets and ints in the local variables of the two innermost frames. It does
// not see what grows inside of a container or a global, nor what one built-in operation makes; in production [HeapWatch]
// sees the former.

const (
	// A handler that ends, or blocks, within firstLook steps pays nothing: to count something down and compare it takes 18.
	firstLook = 24
	// While the locals are small, looks are denseLook steps apart; a local that doubles in each turn of a loop of seven
	// steps has then grown 10,000-fold. While one doubles from look to look they are growthLook apart at the most.
	denseLook  = 96
	growthLook = 16

	// maxBulk is the size of a string that nobody needs, if the service has no limit of its memory. A container may be
	// containerScale times as large: it may be the state of a service, which is old and only looked at.
	maxBulk        = 256 << 20
	containerScale = 4
	// maxIntBits bounds ints: to multiply two of that size takes some milliseconds. Their size is compared with maxBulk as
	// if they were intScale times as large.
	maxIntBits = 1 << 20
	// maxNesting is how deep a container may be nested. To print or hash what is nested some million times exhausts the
	// stack, which ends the process.
	maxNesting = 10_000
	intScale   = maxBulk / (maxIntBits / 8)
)

// guard is what a coroutine knows about the values of its handler.
type guard struct {
	sliceEnd uint64 // thread.Steps at which the slice is used up
	lookAt   uint64 // thread.Steps at which the values are looked at next
	largest  int64  // the size of the largest local at the last look
}

// arm sets up what is watched while a handler, that has begun or gone on, uses its budget.
func (co *coroutine) arm() {
	g, l := &co.guard, co.svc.limits
	began := co.stepLimit - l.Steps // or went on after a wait
	g.sliceEnd = min(began+l.Slice, co.stepLimit)
	g.lookAt, g.largest = began+firstLook, 0
	co.fresh, co.long.spent = false, 0
	if s := co.svc; s.node.heap != nil {
		if s.pace == nil {
			s.pace = new(pace)
		}
		s.pace.begin(s.node.sched.Now(), s.turn.Now, co.thread.Steps)
	}
	co.sample()
}

// look stops the handler if one of its values is too large, and sets the next look.
func (co *coroutine) look() {
	th, g := co.thread, &co.guard
	largest, bound := int64(0), co.svc.maxBulk()
	for depth := range min(th.CallStackDepth(), 2) {
		f := th.DebugFrame(depth)
		for i := range f.NumLocals() {
			b, v := f.Local(i)
			n := co.bulk(v)
			if n > 0 && tooDeep(v) {
				co.stopHandler(fmt.Sprintf("memory: %s is nested deeper than %d; handler stopped", b.Name, maxNesting))
			}
			if n <= largest {
				continue
			}
			largest = n
			if _, isInt := v.(starlark.Int); isInt && n > maxBulk || !isInt && n > bound {
				co.tooLarge(b.Name, v, n)
			}
		}
	}
	next := distance(largest)
	if largest > 2*g.largest && largest > 4096 { // it grows
		next = min(next, growthLook)
	}
	g.largest = largest
	g.lookAt = th.Steps + next
}

// distance is how many steps the next look may be away if the largest local may double every seven.
func distance(largest int64) uint64 {
	const far = 29 // bits of twice maxBulk
	return min(max(7*uint64(max(far-bits.Len64(uint64(largest)), 1)), 7), denseLook)
}

// tooLarge stops the handler.
func (co *coroutine) tooLarge(name string, v starlark.Value, n int64) {
	bound := co.svc.maxBulk()
	switch v.(type) {
	case starlark.String, starlark.Bytes, starlark.Int:
	default:
		n, bound = n*containerScale, bound*containerScale
	}
	what := fmt.Sprintf("holds %s, limit %s", megabytes(n), megabytes(bound))
	if _, isInt := v.(starlark.Int); isInt {
		what = fmt.Sprintf("is an int of more than %d bits", maxIntBits)
	}
	co.stopHandler(fmt.Sprintf("memory: %s %s; handler stopped", name, what))
}

// tooDeep tells whether a container is nested too deep. It follows the first elements: what is nested without end is so in one
// place.
func tooDeep(v starlark.Value) bool {
	var seen *starlark.List // at a power of two: a cycle comes back to it
	for i := range maxNesting {
		switch c := v.(type) {
		case starlark.Tuple:
			if len(c) == 0 {
				return false
			}
			v = c[0]
		case *starlark.List:
			if c.Len() == 0 || c == seen {
				return false
			}
			if i&(i-1) == 0 || seen == nil {
				seen = c
			}
			v = c.Index(0)
		default:
			return false
		}
	}
	return true
}

// stopHandler makes the handler fail at its next step, which it cannot catch.
func (co *coroutine) stopHandler(why string) {
	co.halted = true
	co.svc.count.stopped++
	co.thread.Cancel(why)
}

// maxBulk is the size above which a string is too large: what the whole service may hold, if it has a limit of that.
func (s *Service) maxBulk() int64 { return cmp.Or(s.limits.Memory, maxBulk) }

// bulk is the size of a value by itself, without what its elements hold, on the scale of strings.
func (co *coroutine) bulk(v starlark.Value) int64 {
	switch v := v.(type) {
	case starlark.String:
		return int64(len(v))
	case starlark.Bytes:
		return int64(len(v))
	case starlark.Int:
		if _, ok := v.Int64(); ok {
			return 0
		}
		return co.svc.node.coroutines.rulers.measure(v) * intScale
	case *starlark.List:
		return 16 * int64(v.Len()) / containerScale
	case starlark.Tuple:
		return 16 * int64(len(v)) / containerScale
	case *starlark.Dict:
		return 96 * int64(v.Len()) / containerScale
	case *starlark.Set:
		return 80 * int64(v.Len()) / containerScale
	}
	return 0
}

// rulers measure ints without copying them: an int of n bits is compared with powers of two, which takes no time if their
// lengths differ. The zero value is ready for use by many goroutines.
type rulers struct {
	once  sync.Once
	marks []ruler
}

type ruler struct {
	bytes              int64
	positive, negative starlark.Value
}

// measure returns about the number of bytes of an int: never less than an eighth of it, up to maxIntBits.
func (r *rulers) measure(v starlark.Int) int64 {
	r.once.Do(r.make)
	size := int64(16)
	for i := range r.marks {
		m := &r.marks[i]
		var beyond bool
		if v.Sign() > 0 {
			c, _ := v.Cmp(m.positive.(starlark.Int), 1)
			beyond = c >= 0
		} else {
			c, _ := v.Cmp(m.negative.(starlark.Int), 1)
			beyond = c <= 0
		}
		if !beyond {
			break
		}
		size = m.bytes
	}
	return size
}

func (r *rulers) make() {
	for n := uint(512); n <= maxIntBits+1; n *= 8 {
		r.mark(n)
	}
	r.mark(maxIntBits + 8)
}

func (r *rulers) mark(n uint) {
	power := new(big.Int).Lsh(big.NewInt(1), n)
	r.marks = append(r.marks, ruler{
		bytes: int64(n+7) / 8, positive: starlark.MakeBigInt(power), negative: starlark.MakeBigInt(power.Neg(power)),
	})
}
