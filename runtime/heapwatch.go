package runtime

import (
	"fmt"
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime/weigh"
	"skynet/sched"
)

// HeapWatch stops handlers that run for long while the heap of the process is too large, if their service holds much of it,
// and those that are about to make it so. The runtime itself cannot see the heap, which depends on the machine: whoever runs a node
// in production gives it a function that does. In simulation there is none.
//
// Nobody looks at handlers from outside. One that runs for long looks itself, between two of its steps: a goroutine that looks
// would come too late. Go's garbage collector stops the world, for that it waits until a copy of gigabytes is done, and what
// doubles a string has begun the next copy a microsecond later. Who made the heap large is found by weighing what the service holds.
//
// A handler is stopped before its next step. One built-in operation cannot be stopped: `[0] * 1000000000` takes 16 GB at once,
// and whoever makes it needs a limit of the operating system. Handlers that end or block within 24 steps do not look.
//
// A HeapWatch may be used by many goroutines.
type HeapWatch struct {
	limit   int64
	size    func() int64
	collect func()
	ceiling atomic.Int64 // limit, or up to twice that while what was stopped is not collected yet
}

// NewHeapWatch returns a watch for [Config.Heap], of one node. The heap should not grow beyond limit bytes; size tells how many
// it holds, within a microsecond or so. When a handler is told to stop, collect is called: it should begin a garbage collection on
// another goroutine, and [HeapWatch.Settle] should be called when no such collection is left. Both functions are called by
// workers, at the same time too, and must not block.
func NewHeapWatch(limit int64, size func() int64, collect func()) *HeapWatch {
	w := &HeapWatch{limit: limit, size: size, collect: collect}
	w.Settle()
	return w
}

// Settle is called when the garbage was collected. From the moment in which a handler is stopped until then the heap may
// grow by another quarter of the limit before others are stopped, since what that handler held is garbage.
func (w *HeapWatch) Settle() { w.ceiling.Store(w.limit) }

const (
	// The first look at a handler comes firstStride steps after it was found to run for more than a few, the others are stride
	// apart.
	firstStride = 16
	stride      = 96

	// A stride that takes longStride, 100 times what is usual, may have made a large value. Then alertLooks strides are short,
	// so that no value in a container doubles more than once within each, and the heap is read at each, in about 0.5 µs.
	longStride  = 100 * time.Microsecond
	shortStride = 8
	alertLooks  = 40

	// A service is suspected, and weighed, if its handlers have run for patience and the heap is too large, if a stride took
	// hugeStride and the heap is not small, or if the heap has grown by leap within a short stride and leapsAhead of that
	// would make it too large. To weigh it takes some 100 µs at the most: of so many values that of 200 globals none is left out.
	patience   = 2 * time.Millisecond
	hugeStride = time.Millisecond
	leap       = 1 << 20
	leapsAhead = 16
	suspected  = 2000

	// What a service holds more than when it was last weighed, if that was not longer than fresh before the last stride, was
	// made by this stride as far as that had the time to copy it, maxCopied bytes in a nanosecond. If growth times that would make the heap too
	// large the handler is stopped: a string that doubles has added once or twice its old size, and would add up to
	// four times that by its next step.
	fresh     = time.Second
	maxCopied = 16
	growth    = 4
)

// pace is what is known, for the watch, of a service while its handlers run. One that blocks and goes on is not new.
type pace struct {
	next    uint64        // steps of the running thread at which it is looked at next
	at      sched.Time    // when it was looked at last
	partial time.Duration // of a stride that was interrupted
	ran     time.Duration // since it was last asked out of patience
	alert   int           // so many strides are short yet
	heap    int64         // the size of the heap when it was read last
	held    int64         // what the service held when it was weighed last …
	weighed sched.Time    // … and when that was
}

// weigher tells what somebody holds, and what the largest of its values may take.
type weigher interface {
	weigh() int64
	maxBulk() int64
}

// begin begins to look at a thread, or goes on after others have run, when it has taken so many steps.
func (p *pace) begin(now sched.Time, steps uint64) {
	p.at, p.next = now.Add(-p.partial), steps+firstStride
}

// pause is the end of begin: the thread blocks, makes way or ends.
func (p *pace) pause(now sched.Time) { p.partial = now.Sub(p.at) }

// look is called when the thread has come to p.next. It returns why the thread is to be stopped, "" if it may go on.
func (p *pace) look(w *HeapWatch, who weigher, now sched.Time, steps uint64) (why string) {
	took := now.Sub(p.at)
	p.at, p.next, p.partial = now, steps+stride, 0
	// A thread that was kept waiting, by the system or by a collection that waits for another one, has not run meanwhile.
	p.ran += min(took, longStride)
	patient := p.ran < patience
	if took < longStride && p.alert == 0 && patient {
		return ""
	}
	if !patient {
		p.ran = 0
	}
	before, short := p.heap, p.alert > 0
	p.heap = w.size()
	if short {
		p.alert--
	}
	if took >= longStride {
		p.alert = alertLooks
	}
	if p.alert > 0 {
		p.next = steps + shortStride
	}
	ceiling, grown := w.ceiling.Load(), p.heap-before
	if !short { // what it was when the stride began is not known
		grown = int64(took) * maxCopied
	}
	switch {
	case !patient && p.heap > ceiling:
	case took >= hugeStride && p.heap > min(w.limit/8, maxBulk):
	case short && grown >= leap && p.heap+leapsAhead*grown > ceiling:
	case short && grown >= maxBulk:
	default:
		return ""
	}
	return p.suspect(w, who, now, took, grown)
}

// suspect weighs a service and returns why its handler is to be stopped, whose last stride took so long
// and made the heap grow by most at the most; "" if it is others who make the heap large.
func (p *pace) suspect(w *HeapWatch, who weigher, now sched.Time, took time.Duration, most int64) (why string) {
	held, grown := who.weigh(), int64(0)
	if p.weighed != 0 && now.Sub(p.weighed)-took < fresh {
		grown = min(held-p.held, most)
	}
	p.held, p.weighed = held, now
	ceiling := w.ceiling.Load()
	switch {
	case p.heap > ceiling && held >= (2*w.limit-p.heap)/8: // the more it is too large the less is much; at twice the limit anything is
	case grown >= leap && p.heap+growth*grown > ceiling:
	case grown > 2*who.maxBulk(): // whatever the limit: while so much is copied a collection may hold up the node
	default:
		return ""
	}
	w.ceiling.Store(max(w.limit, min(p.heap+w.limit/4, 2*w.limit)))
	w.collect()
	more := ""
	if grown >= leap {
		more = ", " + megabytes(grown) + " more than a moment ago"
	}
	return fmt.Sprintf("memory: the node's heap holds %s, limit %s, and of it this service about %s%s; handler stopped", megabytes(p.heap), megabytes(w.limit), megabytes(held), more)
}

// weigh implements weigher: what the handler's service holds, this handler included.
func (co *coroutine) weigh() int64 {
	scale := weigh.New(suspected)
	total := co.svc.weigh(scale)
	var values []starlark.Value
	for depth := range min(co.thread.CallStackDepth(), maxFrames) {
		f := co.thread.DebugFrame(depth)
		values = append(values, f.Callable()) // for the variables that it shares with the functions around it
		if co.live < 0 {                      // else they were weighed with those of the others
			values = appendLocals(values, f)
		}
	}
	return total + scale.Weigh(values)
}

func (co *coroutine) maxBulk() int64 { return max(co.svc.maxBulk(), maxBulk) }

// loader weighs what loads: nobody can see that, so the heap is taken for what it holds.
type loader struct{ pace *pace }

func (l loader) weigh() int64 { return l.pace.heap }
func (loader) maxBulk() int64 { return maxBulk }
