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
// and whoever makes it needs a limit of the operating system. Nobody looks in the first 24 steps of a handler, or after a wait.
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
	// would make it too large. To weigh it takes 0.1 ms as a rule: of so many values that of 200 globals none is left out.
	// One that takes longer is weighed so seldom that it has seldom times as long without.
	patience   = 2 * time.Millisecond
	hugeStride = time.Millisecond
	leap       = 1 << 20
	leapsAhead = 16
	suspected  = 2000
	seldom     = 20

	// What a service holds more than when it was last weighed, if that was not longer than maxAge before the last stride, was
	// made by this stride as far as the heap has grown meanwhile or, where that is not known, as far as there was the time to
	// copy it, maxCopied bytes in a nanosecond. If growth times that would make the heap too large the handler is stopped: a
	// string that doubles has added once or twice its old size, and would add up to four times that by its next step.
	maxAge    = time.Second
	maxCopied = 16
	growth    = 4
)

// pace is what is known, for the watch, of a service while its handlers run. One that blocks and goes on is not new.
type pace struct {
	next      uint64        // steps of the running thread at which it is looked at next
	running   bool          // a thread is looked at
	at        sched.Time    // when it was looked at last
	partial   time.Duration // of a long stride that was interrupted
	ran       time.Duration // since it was last asked out of patience
	alert     int           // so many strides are short yet
	heap      int64         // the size of the heap when it was read last …
	heapKnown bool          // … and whether that was when this stride began
	held      int64         // what the service held when it was weighed last …
	weighed   sched.Time    // … when that was …
	rises     int           // … how often in a row that was more than before …
	rest      sched.Time    // … and until when it is not weighed again
}

// weigher tells what somebody holds, and what the largest of its values may take.
type weigher interface {
	weigh() int64
	maxBulk() int64
}

// begin begins to look at a thread that has taken so many steps, in a turn that began at turn. When exactly the thread began
// is not known: if it may have been long ago, it is looked at at once.
func (p *pace) begin(now, turn sched.Time, steps uint64) {
	p.running, p.heapKnown = true, false
	p.at, p.next = now.Add(-p.partial), steps+firstStride
	if now.Sub(turn) >= hugeStride {
		p.at = min(p.at, turn)
	}
	if now.Sub(p.at) >= longStride || p.ran >= patience {
		p.next = steps
	}
}

// goOn is begin for a thread that goes on after others.
func (p *pace) goOn(now sched.Time, steps uint64) { p.begin(now, now, steps) }

// pause is the end of begin: the thread blocks, makes way or ends.
func (p *pace) pause(now sched.Time) {
	took := now.Sub(p.at)
	p.running, p.partial = false, 0
	if took >= longStride {
		p.partial = took
	} else {
		p.ran += took
	}
}

// look is called when the thread has come to p.next. It returns why the thread is to be stopped, "" if it may go on.
func (p *pace) look(w *HeapWatch, who weigher, clock sched.Scheduler, steps uint64) (why string) {
	now := clock.Now()
	took := now.Sub(p.at)
	before, short := p.heap, p.heapKnown
	p.at, p.next, p.partial, p.heapKnown = now, steps+stride, 0, false
	// A thread that was kept waiting, by the system or by a collection that waits for another one, has not run meanwhile.
	p.ran += min(took, longStride)
	patient := p.ran < patience
	if took < longStride && p.alert == 0 && patient {
		return ""
	}
	if !patient {
		p.ran = 0
	}
	p.heap = w.size()
	if p.alert--; took >= longStride {
		p.alert = alertLooks
	}
	if p.alert = max(p.alert, 0); p.alert > 0 {
		p.next, p.heapKnown = steps+shortStride, true
	}
	ceiling, made := w.ceiling.Load(), p.heap-before
	if !short { // what it was when the stride began is not known
		made = int64(took) * maxCopied
	}
	switch {
	case short && made >= leap && p.heap+growth*made > 2*w.limit: // no time to ask who it is
		return w.stop(p.heap, 0, made)
	case now < p.rest:
		return ""
	case !patient && p.heap > ceiling:
	case took >= hugeStride && p.heap > min(w.limit/8, maxBulk):
	case short && made >= leap && p.heap+leapsAhead*made > ceiling:
	case short && made >= maxBulk:
	default:
		return ""
	}
	why = p.suspect(w, who, now, took, made, short)
	p.at = clock.Now()
	p.rest = p.at.Add(seldom * p.at.Sub(now))
	return why
}

// suspect weighs a service and returns why its handler is to be stopped, whose last stride took so long and made no more
// than made, as the heap tells if that is sure; "" if it is others who make the heap large.
func (p *pace) suspect(w *HeapWatch, who weigher, now sched.Time, took time.Duration, made int64, sure bool) (why string) {
	held, grown := min(who.weigh(), p.heap), int64(0)
	if p.weighed != 0 && now.Sub(p.weighed)-took < maxAge {
		grown = min(held-p.held, made)
	}
	if p.rises++; grown < leap {
		p.rises = 0
	}
	p.held, p.weighed = held, now
	ceiling := w.ceiling.Load()
	switch {
	case p.heap > ceiling && held >= (2*w.limit-p.heap)/8: // the more it is too large the less is much; at twice the limit anything is
	case (sure || p.rises > 1) && grown >= leap && p.heap+growth*grown > ceiling:
	case grown > 2*who.maxBulk(): // whatever the limit: while so much is copied a collection may hold up the node
	default:
		return ""
	}
	return w.stop(p.heap, held, grown)
}

// stop returns what is said to a handler that is stopped when the heap holds size bytes, because its service holds so many of
// them or has made so many just now, each 0 if that is not known.
func (w *HeapWatch) stop(size, held, made int64) (why string) {
	w.ceiling.Store(max(w.limit, min(size+w.limit/4, 2*w.limit)))
	w.collect()
	why = fmt.Sprintf("memory: the node's heap holds %s, limit %s", megabytes(size), megabytes(w.limit))
	if held > 0 {
		why += ", and of it this service about " + megabytes(held)
	}
	if made >= leap {
		why += ", " + megabytes(made) + " more than a moment ago"
	}
	return why + "; handler stopped"
}

// weigh implements weigher: what the handler's service holds, this handler included.
func (co *coroutine) weigh() int64 {
	scale := weigh.New(suspected)
	total := co.svc.weigh(scale)
	var values []starlark.Value
	frames := min(co.thread.CallStackDepth(), maxFrames)
	for depth := range frames {
		f := co.thread.DebugFrame(depth)
		values = append(values, f.Callable()) // for the variables that it shares with the functions around it
		values = appendLocals(values, f)
	}
	if co.svc.globals == nil && frames > 0 { // the script's top level runs
		if f, ok := co.thread.DebugFrame(frames - 1).Callable().(*starlark.Function); ok {
			globals := f.Globals()
			for _, name := range globals.Keys() {
				values = append(values, globals[name])
			}
		}
	}
	return total + scale.Weigh(values)
}

func (co *coroutine) maxBulk() int64 { return max(co.svc.maxBulk(), maxBulk) }

// While a module loads the heap is read every loadStride steps. What loads can be seen by nobody, so it is stopped for whatever
// makes the heap too large, or would if it grew as much twice more.
const loadStride = 16

// guardLoad is called every loadStride steps of a thread that loads. It returns why it is to be stopped.
func (w *HeapWatch) guardLoad(size *int64) (why string) {
	before := *size
	*size = w.size()
	if *size+2*max(*size-before, 0) <= w.limit {
		return ""
	}
	return fmt.Sprintf("memory: the node's heap holds %s, limit %s; nothing is loaded", megabytes(*size), megabytes(w.limit))
}
