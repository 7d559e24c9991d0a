package runtime

import (
	"fmt"
	"sync/atomic"
	"time"

	"skynet/sched"
)

// HeapWatch stops handlers that run while the heap of the process is too large, or that are about to make it so. The runtime
// itself cannot see the heap, which depends on the machine: whoever runs a node in production gives it a function that does.
// In simulation there is none.
//
// Nobody looks at handlers from outside. One that runs for long looks itself, between two of its steps: a goroutine that looks
// would come too late. Go's garbage collector stops the world, for that it waits until a copy of gigabytes is done, and what
// doubles a string has begun the next copy a microsecond later.
//
// A handler is stopped before its next step. One built-in operation cannot be stopped: `[0] * 1000000000` takes 16 GB at once,
// and whoever makes it needs a limit of the operating system.
//
// A HeapWatch may be used by many goroutines.
type HeapWatch struct {
	limit   int64
	size    func() int64
	collect func()
	ceiling atomic.Int64 // limit, or more while what was stopped is not collected yet
}

// NewHeapWatch returns a watch for [Config.Heap], of one node. The heap should not grow beyond limit bytes; size tells how many
// it holds, within a microsecond or so. When a handler is told to stop, collect is called: it should begin a garbage collection on
// another goroutine, which calls [HeapWatch.Settle] when it is over. Both functions are called by workers, at the same time too,
// and must not block.
func NewHeapWatch(limit int64, size func() int64, collect func()) *HeapWatch {
	w := &HeapWatch{limit: limit, size: size, collect: collect}
	w.Settle()
	return w
}

// Settle is called when the garbage was collected. From the moment in which a handler is stopped until then, others are only
// stopped if the heap grows by another half, since what it held is garbage.
func (w *HeapWatch) Settle() { w.ceiling.Store(w.limit) }

const (
	// Looks at a thread that runs for more than a few steps are so many apart.
	stride = 64
	// A stride that takes longStride, 500 times what is usual, may have made a large value. Then, for alertSteps, strides are short,
	// so that no value doubles more than once within each, and the heap is read at each: to read it 60 times takes 30 µs.
	longStride  = 100 * time.Microsecond
	shortStride = 8
	alertSteps  = 300
	// What makes the heap grow by leap in a short stride is stopped if growth times as much again would be too large: a string
	// that doubles has then added twice its old size, or less if some garbage was collected, and would add twice that by its
	// next step.
	leap   = 1 << 20
	growth = 4
	// What has run for patience is stopped if the heap is too large, whoever has made it so.
	patience = 2 * time.Millisecond
)

// pace is what is known, for the watch, of a thread that runs.
type pace struct {
	next  uint64        // thread.Steps at which it is looked at next; never without a watch
	at    sched.Time    // when it was looked at last
	ran   time.Duration // since it read the heap out of patience
	alert uint64        // strides are short until thread.Steps is this
	heap  int64         // the size at the last look, while strides are short
	bulk  int64         // the size of a string that the thread cannot need
}

const never = 1<<64 - 1

// begin begins to look at a thread that has taken so many steps, and needs no string of bulk bytes.
func (p *pace) begin(w *HeapWatch, clock sched.Scheduler, steps uint64, bulk int64) {
	if w == nil {
		p.next = never
		return
	}
	*p = pace{next: steps + stride, at: clock.Now(), bulk: bulk}
}

// hasten makes it the next time that the thread may be looked at.
func (p *pace) hasten() {
	if p.next != never {
		p.next = 0
	}
}

// goOn is called when the thread goes on after others, whose time and whose values are not its own.
func (p *pace) goOn(w *HeapWatch, now sched.Time, steps uint64) {
	if w == nil {
		return
	}
	p.at = now
	if steps < p.alert {
		p.heap = w.size()
	}
}

// look is called when the thread has come to p.next. It returns why the thread is to be stopped, "" if it may go on.
func (p *pace) look(w *HeapWatch, now sched.Time, steps uint64) (why string) {
	took := now.Sub(p.at)
	p.at, p.next = now, steps+stride
	if took >= longStride || steps < p.alert {
		if why := p.watchful(w, took, steps); why != "" {
			return why
		}
	}
	// A thread that was kept waiting, by the system or by a collection that waits for another one, has not run meanwhile.
	if p.ran += min(took, longStride); p.ran < patience {
		return ""
	}
	p.ran = 0
	return w.judge(w.size(), 0, 0)
}

// watchful is a look after a long stride, or not long after one.
func (p *pace) watchful(w *HeapWatch, took time.Duration, steps uint64) (why string) {
	before, again := p.heap, steps < p.alert
	p.heap = w.size()
	if took >= longStride {
		p.alert = steps + alertSteps
	}
	p.next = steps + shortStride
	grown := p.heap - before
	switch {
	case !again || grown < leap:
		return ""
	case grown > 2*p.bulk: // whatever the limit: while so much is copied a garbage collection may hold up the node
		return w.judge(p.heap, grown, w.limit)
	}
	return w.judge(p.heap, grown, growth*grown)
}

// judge returns why a thread is to be stopped that finds the heap to hold so many bytes, grown of them since its last look, and
// that may make it ahead bytes more.
func (w *HeapWatch) judge(size, grown, ahead int64) (why string) {
	ceiling := w.ceiling.Load()
	if size+ahead <= ceiling || !w.ceiling.CompareAndSwap(ceiling, max(ceiling, size+size/2)) { // or another one was stopped this moment
		return ""
	}
	w.collect()
	since := ""
	if grown > 0 {
		since = fmt.Sprintf(", %s of it since %d steps ago", megabytes(grown), shortStride)
	}
	return fmt.Sprintf("memory: the node's heap holds %s%s, limit %s; handler stopped", megabytes(size), since, megabytes(w.limit))
}
