package runtime

import (
	"strings"
	"testing"
	"time"

	"skynet/sched"
)

// runner is a service whose handler runs under a watch, with a model of the heap.
type runner struct {
	sched.Scheduler // the clock, which stands still until a step takes some time

	watch    *HeapWatch
	now      sched.Time
	heap     int64         // the size
	held     int64         // by the service
	weighed  int           // how often that was found out
	weighing time.Duration // what that takes
	collects int
	pace     pace
	steps    uint64
	why      string // it was stopped
}

func (r *runner) Now() sched.Time { return r.now }
func (r *runner) maxBulk() int64  { return maxBulk }
func (r *runner) weigh() int64 {
	r.weighed++
	r.now = r.now.Add(r.weighing)
	return r.held
}

func newRunner(limit int64) *runner {
	r := &runner{weighing: 100 * time.Microsecond}
	r.watch = NewHeapWatch(limit, func() int64 { return r.heap }, func() { r.collects++ })
	r.begin()
	return r
}

// begin is the first look at a handler, or at one that goes on after it has blocked, if it was not stopped.
func (r *runner) begin() {
	if r.why != "" {
		return
	}
	if r.pace.running {
		r.pace.pause(r.now)
	}
	r.pace.begin(r.now, r.now, r.steps)
}

// step is a step that takes some time, makes the heap grow, and what the service holds, if the handler was not stopped.
func (r *runner) step(took time.Duration, grow, hold int64) {
	if r.why != "" {
		return
	}
	r.steps++
	r.now = r.now.Add(took)
	r.heap += grow
	r.held += hold
	if r.steps >= r.pace.next {
		r.why = r.pace.look(r.watch, r, r, r.steps)
	}
}

// run takes so many usual steps.
func (r *runner) run(steps int) {
	for range steps {
		r.step(usual, 0, 0)
	}
}

// usual is what a step takes.
const usual = 10 * time.Nanosecond

// TestWatchStopsWhatDoubles: a string that doubles is stopped before it fills the memory, whatever the machine copies a second, whatever
// else the loop does, blocking included, and whether garbage is collected at once or not at all. Each copy of 512 MiB and more
// may hold up the node, so there are few of them without a limit, too.
func TestWatchStopsWhatDoubles(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{256 << 20, 4 << 30, 1 << 40} {
		for _, speed := range []int64{100 << 20, 1 << 30, 8 << 30} { // bytes a second
			for _, loop := range []int{11, 12, 20, 50, 200, 500, 5000} { // steps
				for _, blocks := range []string{"never", "before it doubles", "after that"} {
					for _, garbage := range []bool{false, true} {
						for phase := range min(loop, 16) {
							r := newRunner(limit)
							r.heap = 10 << 20
							largest := int64(1)
							r.run(phase)
							for r.why == "" && largest < 1<<50 {
								r.run(loop - 1)
								grow := 2 * largest
								if !garbage {
									grow -= largest / 2 // what was there before the last copy
								}
								took := usual + time.Duration(float64(2*largest)/float64(speed)*1e9)
								if loop < 50 || blocks == "never" {
									r.step(took, grow, largest)
								} else if blocks == "after that" {
									r.step(took, grow, largest)
									r.run(16)
									r.begin()
								} else if r.why == "" {
									r.pace.pause(r.now)
									turn := r.now
									r.heap, r.held, r.now = r.heap+grow, r.held+largest, r.now.Add(took)
									r.pace.begin(r.now, turn, r.steps)
								}
								largest *= 2
							}
							bound := min(3*limit, 16<<30)
							if loop >= stride { // then it doubles but once a stride
								bound = min(limit, 4<<30)
							}
							if r.heap > bound+16<<20 {
								t.Errorf("limit %s, %d MiB a second, loop of %d steps from %d, blocks %s, garbage %v: heap got to %s, want at most %s",
									megabytes(limit), speed>>20, loop, phase, blocks, garbage, megabytes(r.heap), megabytes(bound))
							}
						}
					}
				}
			}
		}
	}
}

// TestWatchStopsWhatGrows: what grows by little is stopped when the heap is too large, and what grows by much at once a little before, also
// if it blocks before it has run for long.
func TestWatchStopsWhatGrows(t *testing.T) {
	t.Parallel()
	for _, grow := range []int64{100, 10_000, 1 << 20, 20 << 20} {
		for _, turn := range []int{1 << 40, 500, 40} { // steps until it blocks
			const limit = 1 << 30
			r := newRunner(limit)
			for i := 0; r.why == "" && r.heap < 10*limit; i++ {
				r.step(usual, 0, 0)
				if i%15 == 0 {
					r.step(time.Duration(grow), grow, grow) // a byte a nanosecond
				}
				if i%turn == turn-1 {
					r.begin()
				}
			}
			if r.heap < limit-10*grow || r.heap > limit+max(30*grow, 20<<20) {
				t.Errorf("grows by %d in turns of %d steps: stopped at %s, want about %s", grow, turn, megabytes(r.heap), megabytes(limit))
			}
			if r.collects != 1 {
				t.Errorf("grows by %d in turns of %d steps: got %d collections, want 1", grow, turn, r.collects)
			}
		}
	}
}

// TestWatchSparesBystanders: who holds little is not stopped for what others hold, unless they hold twice the limit, nor is who makes
// garbage; and nobody is weighed often.
func TestWatchSparesBystanders(t *testing.T) {
	t.Parallel()
	const limit = 1 << 30
	r := newRunner(limit)
	r.held = 1 << 20
	for r.heap = 200 << 10; r.heap < limit; { // the others' string doubles, each time the world is stopped
		r.run(1000)
		r.step(300*time.Millisecond, r.heap, 0)
	}
	for range 100 { // others grow fast while this one is looked at
		r.step(300*time.Microsecond, 4<<20, 0)
		r.step(-usual, -4<<20, 0)
		r.run(20)
	}
	r.run(1000)
	r.heap = 2*limit - 100<<20
	r.run(1_000_000)
	if r.why != "" {
		t.Errorf("bystander, with a heap of %s: got %q, want to go on", megabytes(r.heap), r.why)
	}
	if r.weighed > 200 {
		t.Errorf("bystander: weighed %d times, want at most 100 and once in 2 ms", r.weighed)
	}
	r.heap = 2*limit + 1
	r.run(300_000)
	if r.why == "" {
		t.Error("bystander, with a heap of more than twice the limit: got to go on, want to be stopped")
	}

	r = newRunner(limit)
	for range 1000 {
		r.step(20*time.Millisecond, 200<<20, 200<<20)
		r.run(100)
		r.step(usual, -200<<20, -200<<20)
	}
	if r.why != "" {
		t.Errorf("garbage of 200 MiB again and again: got %q, want to go on", r.why)
	}
}

// TestWatchSparesWhatItCannotBlame: what was made before the last stride, or by others during a wait, was not made by the last stride.
func TestWatchSparesWhatItCannotBlame(t *testing.T) {
	t.Parallel()
	const limit = 256 << 20
	r := newRunner(limit) // what it loads is seen only when it is complete, and then it sorts
	r.step(5*time.Millisecond, 95<<20, 3000)
	r.run(1000)
	r.step(6*time.Millisecond, 0, 70<<20)
	r.run(1000)
	r.step(6*time.Millisecond, 0, 0)
	r.run(1000)
	if r.why != "" {
		t.Errorf("loads and sorts: got %q, want to go on", r.why)
	}

	r = newRunner(limit) // waits while the heap is read often
	r.run(firstStride)
	r.step(150*time.Microsecond, 0, 0)
	r.run(stride)
	r.heap += 120 << 20
	r.begin()
	r.run(1000)
	if r.why != "" {
		t.Errorf("waits while others grow: got %q, want to go on", r.why)
	}
}

// TestWeighingTakesLittle: a service whose state takes long to weigh is weighed seldom.
func TestWeighingTakesLittle(t *testing.T) {
	t.Parallel()
	const limit = 1 << 30
	r := newRunner(limit)
	r.weighing = 4 * time.Millisecond
	r.heap, r.held = limit/2, limit/3
	for range 1000 {
		r.step(hugeStride, 0, 0)
		r.run(1000)
	}
	if most := r.now.Sub(0) / 20; time.Duration(r.weighed)*r.weighing > most || r.weighed < 5 {
		t.Errorf("weighed %d times for %v each in %v, want more than 5 times and no more than a twentieth of the time", r.weighed, r.weighing, r.now)
	}
}

// TestWatchSparesOthersUntilCollected: when one was stopped the next is stopped only if the heap grows by another quarter of the limit,
// until what the first one held is collected.
func TestWatchSparesOthersUntilCollected(t *testing.T) {
	t.Parallel()
	const limit = 100 << 20
	r := newRunner(limit)
	r.held = 50 << 20
	run := func(want bool) {
		t.Helper()
		r.why = ""
		r.begin()
		r.run(300_000)
		if got := strings.Contains(r.why, "memory: the node's heap holds"); got != want {
			t.Errorf("heap of %s: got stopped %v, want %v", megabytes(r.heap), got, want)
		}
	}
	r.heap = limit
	run(false)
	r.heap = limit + 10<<20
	run(true)
	run(false)
	r.heap = limit + 35<<20
	run(false)
	r.heap++
	run(true)
	r.heap = 2 * limit
	run(true)
	run(false)
	r.heap++
	run(true)
	run(true)
	r.heap = limit + 1
	run(false)
	r.watch.Settle()
	run(true)
	if r.collects != 6 {
		t.Errorf("collections: got %d, want 6", r.collects)
	}
}
