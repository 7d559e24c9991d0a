package runtime

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched"
)

// crowd is a wait table with many timers, and what should be in it: a sorted list.
type crowd struct {
	waits waits
	model []due
	ids   []waitID // all that were ever given
	order uint64
	now   sched.Time
	r     *rand.Rand
}

func compareDues(a, b due) int {
	return cmp.Or(cmp.Compare(a.deadline, b.deadline), cmp.Compare(a.order, b.order))
}

// set adds n timers whose deadlines are spread as the shape says, over some nanoseconds to some centuries.
func (c *crowd) set(n, shape int) {
	spread := int64(1) << (c.r.IntN(60) + 1)
	for i := range n {
		at := c.now + 1
		switch shape {
		case 0: // anywhere
			at += sched.Time(c.r.Int64N(spread))
		case 1: // all the same
			at += sched.Time(spread)
		case 2: // later and later
			at += sched.Time(spread/int64(n)) * sched.Time(i)
		case 3: // earlier and earlier
			at += sched.Time(spread/int64(n)) * sched.Time(n-i)
		case 4: // most of them soon
			at += sched.Time(spread >> c.r.IntN(60))
		case 5: // in the past, some of them
			at = max(1, at-sched.Time(c.r.Int64N(100)))
		}
		id := c.waits.add(timerWait, nil, nil, at)
		c.waits.slot(uint32(id)).timer = &timerValue{id: id}
		c.order++
		d := due{deadline: at, order: c.order, slot: uint32(id), gen: uint32(id >> 32)}
		where, _ := slices.BinarySearchFunc(c.model, d, compareDues)
		c.model = slices.Insert(c.model, where, d)
		c.ids = append(c.ids, id)
	}
}

// cancel takes a part of all that were ever set, be they pending or not.
func (c *crowd) cancel(part float64) error {
	pending := make(map[waitID]bool, len(c.model))
	for _, d := range c.model {
		pending[d.id()] = true
	}
	for _, id := range c.ids {
		if c.r.Float64() >= part {
			continue
		}
		if _, got := c.waits.take(id); got != pending[id] {
			return fmt.Errorf("take of %x: got %v, want %v", id, got, pending[id])
		}
		delete(pending, id)
	}
	c.model = slices.DeleteFunc(c.model, func(d due) bool { return !pending[d.id()] })
	if bound := 2*len(c.model) + slack + segmentMax/2; c.waits.due.len > bound {
		return fmt.Errorf("deadlines kept for %d timers: got %d, want at most %d", len(c.model), c.waits.due.len, bound)
	}
	return nil
}

// expire lets time pass until n timers are due.
func (c *crowd) expire(n int) error {
	if n = min(n, len(c.model)); n == 0 {
		return nil
	}
	c.now = max(c.now, c.model[n-1].deadline)
	for len(c.model) > 0 && c.model[0].deadline <= c.now {
		got, _, ok := c.waits.expired(c.now)
		if want := c.model[0].id(); !ok || got.timer.id != want {
			return fmt.Errorf("expired: got %v, %v, want %x", got.timer, ok, want)
		}
		c.model = c.model[1:]
	}
	if got, _, ok := c.waits.expired(c.now); ok {
		return fmt.Errorf("expired: got %x, want nothing", got.timer.id)
	}
	return nil
}

// run does the operations: each sets timers, cancels some, or lets some expire, of hundreds to some ten thousands.
func (c *crowd) run(ops []int) error {
	for i, op := range ops {
		n := 100 << (op / 10 % 9)
		var err error
		switch kind := op % 10; kind {
		case 6, 7:
			err = c.expire(n)
		case 8:
			err = c.cancel(0.3)
		case 9:
			err = c.cancel(0.9)
		default:
			c.set(n, kind)
		}
		want := sched.Time(0)
		if len(c.model) > 0 {
			want = c.model[0].deadline
		}
		if got := c.waits.earliest(); err == nil && got != want {
			err = fmt.Errorf("earliest: got %d, want %d", got, want)
		}
		if err == nil && (c.waits.timed != len(c.model) || c.waits.count[timerWait] != len(c.model)) {
			err = fmt.Errorf("got %d with a deadline and %d timers, want %d", c.waits.timed, c.waits.count[timerWait], len(c.model))
		}
		if err != nil {
			return fmt.Errorf("operation %d: %w", i, err)
		}
	}
	return c.expire(len(c.model))
}

func TestManyTimersAreTheirModel(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests, parameters.MaxSize = 60, 12
	properties := gopter.NewProperties(parameters)
	properties.Property("timers expire in order of deadline and registration", prop.ForAll(func(ops []int) string {
		c := &crowd{r: rand.New(rand.NewPCG(1, uint64(len(ops))))}
		if err := c.run(ops); err != nil {
			return err.Error()
		}
		return ""
	}, gen.SliceOf(gen.IntRange(0, 89))))
	properties.TestingRun(t)
}

// BenchmarkDeadlines sets so many timers within a second, and lets them expire.
func BenchmarkDeadlines(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			r := rand.New(rand.NewPCG(1, 2))
			var w waits
			for i := 0; i < b.N; i += n {
				for range n {
					w.add(timerWait, nil, nil, 1+sched.Time(r.Int64N(1e9)))
				}
				for range n {
					w.expired(2e9)
				}
			}
		})
	}
}

// BenchmarkCancel sets so many timers and takes them, in another order.
func BenchmarkCancel(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			r := rand.New(rand.NewPCG(1, 2))
			var w waits
			ids := make([]waitID, n)
			for i := 0; i < b.N; i += n {
				for j, p := range r.Perm(n) {
					ids[p] = w.add(timerWait, nil, nil, 1+sched.Time(j))
				}
				for _, id := range ids {
					w.take(id)
				}
			}
		})
	}
}
