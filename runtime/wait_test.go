package runtime

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched"
)

// waitsModel is what a wait table should be: a list of entries.
type waitsModel struct {
	entries []modelWait
	order   int
}

type modelWait struct {
	id       waitID
	deadline sched.Time
	order    int
}

func (m *waitsModel) add(id waitID, deadline sched.Time) {
	m.order++
	m.entries = append(m.entries, modelWait{id, deadline, m.order})
}

func (m *waitsModel) take(id waitID) bool {
	i := slices.IndexFunc(m.entries, func(e modelWait) bool { return e.id == id })
	if i >= 0 {
		m.entries = slices.Delete(m.entries, i, i+1)
	}
	return i >= 0
}

// first is the entry that expires first, if any has a deadline.
func (m *waitsModel) first() (modelWait, bool) {
	var timed []modelWait
	for _, e := range m.entries {
		if e.deadline != 0 {
			timed = append(timed, e)
		}
	}
	if len(timed) == 0 {
		return modelWait{}, false
	}
	return slices.MinFunc(timed, func(a, b modelWait) int {
		return cmp.Or(cmp.Compare(a.deadline, b.deadline), cmp.Compare(a.order, b.order))
	}), true
}

// waitsRun does the operations on both: each is an addition with a deadline, a removal of some id that was ever given, or the
// passing of time.
func waitsRun(ops []int) string {
	var w waits
	m := &waitsModel{}
	var ids []waitID
	for i, op := range ops {
		switch arg := op / 4; op % 4 {
		case 0, 1:
			id := w.add(otherWait, nil, nil, sched.Time(arg%8))
			if slices.Contains(ids, id) || id == 0 {
				return fmt.Sprintf("operation %d: add: got id %x a second time", i, id)
			}
			ids = append(ids, id)
			m.add(id, sched.Time(arg%8))
		case 2:
			id := waitID(op) // an id that was never given, unless
			if len(ids) > 0 {
				id = ids[arg%len(ids)]
			}
			if _, got := w.take(id); got != m.take(id) {
				return fmt.Sprintf("operation %d: take of %x: got %v, want %v", i, id, got, !got)
			}
		case 3:
			now := sched.Time(arg % 8)
			_, _, got := w.expired(now)
			first, some := m.first()
			if want := some && first.deadline <= now; got != want {
				return fmt.Sprintf("operation %d: expired at %d: got %v, want %v", i, now, got, want)
			}
			if got {
				m.take(first.id)
				if w.find(first.id) != nil {
					return fmt.Sprintf("operation %d: expired: got another entry than %x", i, first.id)
				}
			}
		}
		want, _ := m.first()
		if got := w.earliest(); got != want.deadline {
			return fmt.Sprintf("operation %d: earliest: got %d, want %d", i, got, want.deadline)
		}
	}
	return ""
}

func TestWaitsAreTheirModel(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 500
	properties := gopter.NewProperties(parameters)
	properties.Property("a wait table does what its model does", prop.ForAll(waitsRun, gen.SliceOf(gen.IntRange(0, 1000))))
	properties.TestingRun(t)
}

// TestWaitIDsWrap uses one slot until its generation wraps: no id is 0.
func TestWaitIDsWrap(t *testing.T) {
	w := waits{pages: [][]wait{{{gen: 1<<32 - 2}}}, free: []uint32{0}}
	for _, want := range []waitID{(1<<32 - 1) << 32, 1 << 32, 2 << 32} {
		id := w.add(otherWait, nil, nil, 0)
		if id != want {
			t.Errorf("id: got %x, want %x", id, want)
		}
		w.take(id)
	}
}

func TestClearForgetsEverything(t *testing.T) {
	var w waits
	id := w.add(otherWait, nil, nil, 5)
	w.clear()
	if _, ok := w.take(id); ok || w.earliest() != 0 {
		t.Errorf("after clear: got an entry (%v) or a deadline %d, want none", ok, w.earliest())
	}
}

// FuzzWaits runs the comparison with the model on operations of the fuzzer's making.
func FuzzWaits(f *testing.F) {
	f.Add([]byte{0, 4, 8, 3, 2, 31, 30})
	f.Fuzz(func(t *testing.T, data []byte) {
		ops := make([]int, len(data))
		for i, b := range data {
			ops[i] = int(b)
		}
		if difference := waitsRun(ops); difference != "" {
			t.Error(difference)
		}
	})
}
