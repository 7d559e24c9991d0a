package runtime

import (
	"strings"
	"testing"
	"time"

	"skynet/sched"
)

// fakeClock is a clock that stands still until a test moves it.
type fakeClock struct {
	sched.Scheduler
	now sched.Time
}

func (c *fakeClock) Now() sched.Time { return c.now }

// runner is a thread under a watch, with a model of the heap.
type runner struct {
	watch    *HeapWatch
	clock    fakeClock
	heap     int64
	collects int
	pace     pace
	steps    uint64
	why      string // it was stopped
}

func newRunner(limit int64) *runner {
	r := &runner{}
	r.watch = NewHeapWatch(limit, func() int64 { return r.heap }, func() { r.collects++ })
	r.begin()
	return r
}

// begin is the first look at a handler.
func (r *runner) begin() {
	r.pace.begin(r.watch, &r.clock, r.steps, maxBulk)
	r.why = ""
}

// step is a step that takes some time and makes the heap grow, if the thread was not stopped.
func (r *runner) step(took time.Duration, grow int64) {
	if r.why != "" {
		return
	}
	r.steps++
	r.clock.now = r.clock.now.Add(took)
	r.heap += grow
	if r.steps >= r.pace.next {
		r.why = r.pace.look(r.watch, r.clock.now, r.steps)
	}
}

// usual is what a step takes.
const usual = 10 * time.Nanosecond

// TestWatchStopsWhatDoubles: a string that doubles is stopped before it fills the memory, whatever the machine copies a second,
// wherever the loop has its other steps and whether garbage is collected at once or not at all. Each copy of 256 MiB and more may hold up the
// node, so there are few of them without a limit, too.
func TestWatchStopsWhatDoubles(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{256 << 20, 4 << 30, 1 << 40} {
		for _, speed := range []int64{100 << 20, 1 << 30, 8 << 30} { // bytes a second
			for _, loop := range []int{11, 12, 20, 50, 200, 299} { // steps
				for _, garbage := range []bool{false, true} {
					for phase := range min(loop, 16) {
						r := newRunner(limit)
						r.heap = 10 << 20
						largest := int64(1)
						for range phase {
							r.step(usual, 0)
						}
						for r.why == "" && largest < 1<<50 {
							for range loop - 1 {
								r.step(usual, 0)
							}
							grow := 2 * largest
							if !garbage {
								grow -= largest / 2 // what was there before the last copy
							}
							largest *= 2
							r.step(usual+time.Duration(float64(largest)/float64(speed)*1e9), grow)
						}
						if bound := min(2*limit, 8<<30); r.heap > bound {
							t.Errorf("limit %s, %d MiB a second, loop of %d steps from %d, garbage %v: heap got to %s, want at most %s",
								megabytes(limit), speed>>20, loop, phase, garbage, megabytes(r.heap), megabytes(bound))
						}
					}
				}
			}
		}
	}
}

// TestWatchStopsWhatGrows: what grows by little is stopped when the heap is too large, and what grows by much a little before.
func TestWatchStopsWhatGrows(t *testing.T) {
	t.Parallel()
	for _, grow := range []int64{100, 10_000, 1 << 20, 20 << 20} {
		const limit = 1 << 30
		r := newRunner(limit)
		for i := 0; r.why == "" && r.heap < 10*limit; i++ {
			r.step(usual, 0)
			if i%15 == 0 {
				r.step(time.Duration(grow), grow) // a byte a nanosecond
			}
		}
		if r.heap < limit-5*grow || r.heap > limit+max(5*grow, 5<<20) {
			t.Errorf("grows by %d: stopped at %d, want about %d", grow, r.heap, limit)
		}
		if r.collects != 1 {
			t.Errorf("grows by %d: got %d collections, want 1", grow, r.collects)
		}
	}
}

// TestWatchSparesBystanders: who is held up by what others do has not run meanwhile, and what others allocate is not its own.
func TestWatchSparesBystanders(t *testing.T) {
	t.Parallel()
	const limit = 1 << 30
	r := newRunner(limit)
	r.heap = 200 << 10
	for range 15 { // the others' string doubles, each time the world is stopped
		for range 1000 {
			r.step(usual, 0)
		}
		r.step(300*time.Millisecond, r.heap)
		if r.why != "" {
			t.Fatalf("bystander, with a heap of %s: got %q, want to go on", megabytes(r.heap), r.why)
		}
	}
	if r.heap < limit {
		t.Fatalf("heap: got %s, want more than the limit", megabytes(r.heap))
	}
	r.begin()
	began := r.steps
	for r.why == "" && r.steps < 1_000_000 {
		r.step(usual, 0)
	}
	if took := r.steps - began; took < 190_000 || took > 210_000 {
		t.Errorf("with a heap that stays too large: stopped after %d steps, want some 200,000, which are 2 ms", took)
	}
}

// TestWatchSparesOthersUntilCollected: when one was stopped the next is stopped only if the heap grows by another half, until what the first one held
// is collected.
func TestWatchSparesOthersUntilCollected(t *testing.T) {
	t.Parallel()
	const limit = 100 << 20
	r := newRunner(limit)
	run := func(want bool) {
		t.Helper()
		r.begin()
		for range 300_000 {
			if r.step(usual, 0); r.why != "" {
				break
			}
		}
		if got := strings.Contains(r.why, "memory: the node's heap holds"); got != want {
			t.Errorf("heap of %s: got stopped %v, want %v", megabytes(r.heap), got, want)
		}
	}
	r.heap = limit
	run(false)
	r.heap = 2 * limit
	run(true)
	run(false)
	r.heap = 3 * limit
	run(false)
	r.heap++
	run(true)
	r.heap = 4 * limit
	run(false)
	r.watch.Settle()
	run(true)
	if r.collects != 3 {
		t.Errorf("collections: got %d, want 3", r.collects)
	}
}
