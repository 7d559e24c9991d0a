// Package workers is the scheduler of production: goroutines that run tasks from queues of their own and steal from each
// other, on the machine's clocks.
//
// # Guarantees
//
//   - A task made ready from within a turn prefers the same worker: a pair that talks stays on one worker as long as
//     that worker has nothing else to do. No lock is shared by two workers unless one of them has run out of work.
//   - A queued task never waits for a long turn while another worker is idle: what the busy worker's queue holds is
//     stolen at once, what it has reserved to run next after about a millisecond.
//   - A goroutine that brings work from outside may run it in the place of a parked worker ([Workers.Lend]), for about
//     200 µs. Whatever is said here of workers holds for it too, and what it leaves a worker is woken for.
//   - No task starves another: tasks that make each other ready give way to the queue after a bounded number of
//     turns, and what comes from outside is looked at every few turns. Workers that never run out of work let other
//     goroutines run about every millisecond, between two turns.
//   - A turn that lasts longer than about 200 ms, as one that blocks, holds up nobody else: its worker is replaced until it ends, as
//     long as no more than 64 are stuck at the same time.
//   - [Workers.Close] waits for everything this package has started, and for the places it has lent.
//
// Timers are Go's own ([time.AfterFunc]): they are precise to well under a millisecond, cost nothing while they are not
// set, and each fires in a goroutine of its own, so a slow one delays no other.
package workers

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"skynet/sched"
)

// Options configures the workers. The zero value is ready for use.
type Options struct {
	// Threads is the number of workers; 0 is GOMAXPROCS. More than the cores only helps tasks that block, which
	// should use Offload.
	Threads int
	// Seed is the root of the random streams.
	Seed uint64
	// Budget is how many messages a task may handle in one turn; 0 is 32. A higher one shares a turn's fixed cost
	// (a clock read and a queue operation, some 60 ns) among more messages, a lower one is fairer.
	Budget int
	// Headroom is how many bytes may be allocated between two garbage collections at the least; 0 leaves it to Go. Go
	// collects when the heap has doubled, and that of a small node is a few megabytes: it would collect every few
	// thousand messages, at 8 % of the processor. The price is up to twice as much memory in use.
	Headroom int
}

// Headroom is a sensible value of [Options.Headroom] for a process that runs one node.
const Headroom = 32 << 20

const (
	defaultBudget = 32
	// outsideEvery is after how many turns a worker with work of its own looks at what came from outside.
	outsideEvery = 32
	// nextLimit is how many turns in a row a worker may run what the turn before made ready, while others wait.
	nextLimit = 64
	// batch is how many tasks are stolen at a time, at most.
	batch = 32
	// clockEvery is for how many short turns one reading of the clock serves: a reading costs as much as the handling
	// of a small message. Short is a turn of at most shortTurn messages and shortTurnSteps Starlark steps, so a
	// reading is a few dozen microseconds old at the most while a worker is busy.
	clockEvery     = 16
	shortTurn      = 2
	shortTurnSteps = 500
	// yieldEvery is after what time a worker that never runs out of work lets Go run other goroutines: those that read
	// sockets, fire timers and end offloads. Go itself would interrupt it after 10 ms or more.
	yieldEvery = time.Millisecond
)

// Workers runs tasks on goroutines. It implements [sched.Scheduler]; every method may be called from any goroutine.
type Workers struct {
	start    time.Time
	seed     uint64
	budget   int
	threads  int
	workers  []*worker    // those that run, and the spare ones
	used     atomic.Int32 // how many of them have ever run, the first ones
	alive    atomic.Int32 // how many of them have a goroutine
	spares   spares
	closed   atomic.Bool
	closing  sync.Once
	done     sync.WaitGroup // workers and watcher
	watch    watcher
	work     func() // Workers.standIn, bound once
	fires    gate
	offload  pool
	headroom []byte // counts as heap but, never touched, takes no memory

	// What many goroutines write is kept apart from what all of them read.
	_       [64]byte
	outside queue // what became ready outside of any turn
	_       [64]byte

	// Searching workers are awake and have no task; while there is one, no other need be woken, since it wakes the
	// next when it has found work.
	searching atomic.Int32
	_         [64]byte
	idle      idlers
	lent      gate // places lent to other goroutines
}

// worker is one goroutine with a queue. Its fields below wake are its own, or while it is parked those of the goroutine
// that its place is lent to.
type worker struct {
	queue queue
	next  slot
	all   *Workers
	index int
	wake  chan struct{}

	turns    uint       // turns run, for looking outside now and then
	nexts    int        // turns in a row that came from next
	clockAge int        // turns since the clock was read
	yieldAt  sched.Time // when to let other goroutines run next
	turn     sched.Turn
	_        [64]byte // no two workers share a cache line

	// Written by the worker only now and then, so that others may look.
	began    atomic.Int64 // when the clock was read last before a turn, 0 while parked
	replaced atomic.Bool  // it was stuck, and another one is in its place
	_        [64]byte
}

// New starts the workers. They run until Close.
func New(o Options) *Workers {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Budget <= 0 {
		o.Budget = defaultBudget
	}
	ws := &Workers{start: time.Now(), seed: o.Seed, budget: o.Budget, threads: o.Threads, workers: make([]*worker, o.Threads+maxSpares), headroom: make([]byte, o.Headroom)}
	for i := range ws.workers {
		w := &worker{all: ws, index: i, wake: make(chan struct{}, 1), clockAge: clockEvery}
		w.turn = sched.Turn{Worker: i, Owner: w}
		ws.workers[i] = w
	}
	for i := len(ws.workers) - 1; i >= o.Threads; i-- {
		ws.spares.idle = append(ws.spares.idle, ws.workers[i])
	}
	ws.spares.quit = make(chan struct{})
	ws.used.Store(int32(o.Threads))
	ws.alive.Store(int32(o.Threads))
	ws.fires.init()
	ws.lent.init()
	ws.work = ws.standIn
	ws.offload.init()
	for _, w := range ws.inUse() {
		ws.done.Go(w.loop)
	}
	ws.watch.start(ws)
	ws.done.Go(ws.guard)
	return ws
}

// Close stops the scheduler: no turn, timer or offload begins any more, and it returns when those that had begun are
// over. Offloaded work that had begun is followed by its done; work still waiting is dropped, as are queued tasks. It
// is idempotent, and must not be called from a task, a timer or an offload, which it would wait for.
func (ws *Workers) Close() {
	ws.closing.Do(func() {
		ws.closed.Store(true)
		close(ws.spares.quit)
		for _, w := range ws.workers {
			w.unpark()
		}
		ws.watch.stop()
		ws.done.Wait()
		ws.lent.close()
		ws.offload.close()
		ws.fires.close()
	})
}

// Workers is the number of workers, the spare ones included.
func (ws *Workers) Workers() int { return len(ws.workers) }

// Threads is how many workers run at the same time, those that are stuck not counted.
func (ws *Workers) Threads() int { return ws.threads }

// Now is the time since New.
func (ws *Workers) Now() sched.Time { return sched.Time(time.Since(ws.start)) }

// Wall is the machine's wall clock.
func (ws *Workers) Wall() int64 { return time.Now().UnixNano() }

// Rand returns the stream named by path below the seed.
func (ws *Workers) Rand(path string) *sched.Stream { return sched.NewStream(ws.seed, path) }

// Ready queues t for whichever worker looks first, and wakes one.
func (ws *Workers) Ready(t sched.Task) {
	if ws.closed.Load() {
		return
	}
	ws.outside.push(t)
	ws.wakeOne()
}

// ReadyFrom makes t what this worker runs next. If that displaces another task there is more work than this worker
// takes at once, and an idle one is woken.
func (w *worker) ReadyFrom(_ *sched.Turn, t sched.Task) {
	if displaced := w.next.put(t); displaced != nil {
		w.queue.push(displaced)
		w.all.wakeOne()
	}
}

// loop runs tasks until the workers are closed.
func (w *worker) loop() {
	for {
		t := w.find()
		if t == nil {
			return
		}
		// As run does, with one frame less: a task that switches stacks pays for every return to here.
		if t.Run(w.begin()) {
			w.again(t)
		}
		if len(w.turn.Later) > 0 {
			w.later()
		}
		if w.replaced.Load() {
			w.retire()
			return
		}
		if w.turn.Now >= w.yieldAt {
			w.yieldAt = w.turn.Now.Add(yieldEvery)
			runtime.Gosched()
			w.passed()
		}
	}
}

// run gives t a turn.
func (w *worker) run(t sched.Task) {
	if t.Run(w.begin()) {
		w.again(t)
	}
	if len(w.turn.Later) > 0 {
		w.later()
	}
}

// later does what the turn has left for after it.
func (w *worker) later() {
	left := w.turn.Later
	for _, f := range left {
		f()
	}
	clear(left)
	w.turn.Later = left[:0]
	if len(left) > shortTurn { // each is likely a system call
		w.passed()
	}
}

// begin prepares a turn. The clock is read again after every long turn, and at the latest after clockEvery short ones.
func (w *worker) begin() *sched.Turn {
	turn := &w.turn
	if w.clockAge++; w.clockAge >= clockEvery || turn.Messages > shortTurn || turn.Steps > shortTurnSteps {
		turn.Now, w.clockAge = w.all.Now(), 0
		w.began.Store(max(int64(turn.Now), 1))
	}
	turn.Budget, turn.Messages, turn.Steps = w.all.budget, 0, 0
	return turn
}

// again queues a task that has more to do.
func (w *worker) again(t sched.Task) {
	w.queue.push(t)
	if w.next.full() || w.queue.len() > 1 {
		w.all.wakeOne()
	}
}

// passed tells that time has passed since the last turn.
func (w *worker) passed() { w.clockAge = clockEvery }

// find returns the task to run next, waiting for one if need be, or nil when the workers are closed.
func (w *worker) find() sched.Task {
	if w.all.closed.Load() {
		return nil
	}
	if t := w.local(); t != nil {
		return t
	}
	w.passed() // by searching and waiting
	if t := w.search(); t != nil {
		return t
	}
	return w.wait()
}

// local takes a task from what this worker has, or in its turn from outside.
func (w *worker) local() sched.Task {
	if w.turns++; w.turns%outsideEvery == 0 {
		if t := w.takeOutside(); t != nil {
			w.passed() // no task sees a time before it was made ready
			return t
		}
	}
	if w.nexts < nextLimit || w.queue.len() == 0 {
		if t := w.next.take(); t != nil {
			w.nexts++
			return t
		}
	}
	w.nexts = 0
	return w.queue.pop()
}

// search looks for a task everywhere but in this worker's own queue, which only it fills.
func (w *worker) search() sched.Task {
	if t := w.takeOutside(); t != nil {
		return t
	}
	all := w.all.inUse()
	for i := 1; i < len(all); i++ {
		victim := all[(w.index+i)%len(all)]
		if t := w.steal(&victim.queue, 2); t != nil {
			return t
		}
	}
	return nil
}

// takeOutside takes this worker's share of what came from outside, and returns one of it.
func (w *worker) takeOutside() sched.Task {
	return w.steal(&w.all.outside, w.all.threads)
}

// steal takes one of parts shares of victim, at least one task and at most a batch, and returns the oldest of it, nil if
// there is none. The rest goes to this worker's queue; while it was on its way nobody saw it, so it is announced. The
// two locks are never held together, so two workers may steal from each other.
func (w *worker) steal(victim *queue, parts int) sched.Task {
	switch victim.len() {
	case 0:
		return nil
	case 1:
		return victim.pop()
	}
	return w.stealSome(victim, parts)
}

// stealSome is steal where there may be more than one. It is a function of its own because its array has to be cleared, which a lone
// task need not pay for.
func (w *worker) stealSome(victim *queue, parts int) sched.Task {
	var loot [batch]sched.Task
	n := victim.take(loot[:], parts)
	if n > 1 {
		w.queue.push(loot[1:n]...)
		w.all.wakeOne()
	}
	return loot[0]
}
