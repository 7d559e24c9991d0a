package runtime

import (
	"errors"
	"fmt"
	"iter"

	"go.starlark.net/starlark"

	"skynet/runtime/wire"
	"skynet/sched"
)

// signal is what a coroutine says when it hands the worker back.
type signal uint8

const (
	done      signal = iota // the job is finished; the coroutine is free
	blocked                 // it waits for something
	preempted               // its slice of steps is used up
)

// coroutine runs handlers: one at a time, from first step to last, suspended wherever they block. It is an iter.Pull
// coroutine, so a switch is a direct hand-over of the goroutine (60-70 ns a pair) that no Go scheduler decides, and the
// same code is deterministic on the stepper. Coroutines are pooled: a fresh one would pay for growing its stack, 2.8 µs
// against 0.6 µs a handler. The Starlark thread is pooled with it.
type coroutine struct {
	svc     *Service
	thread  *starlark.Thread
	context Context // of a service in Go
	next    func() (signal, bool)
	stop    func()
	yield   func(signal) bool

	job       job
	charged   uint64 // thread.Steps up to which the turn was charged
	stepLimit uint64 // thread.Steps at which the budget is exhausted
	fresh     bool   // the budget is new, and not watched yet

	// The request being handled: who is to be answered and until when. A session of 0 wants no answer.
	source   caller
	session  uint64
	deadline sched.Time
	depth    uint16 // of the request, see message
	trace    uint64 // what the request, fork or timer belongs to; 0 for nothing yet
	answered bool   // by skynet.ret, or the answer was given away: what the handler returns goes nowhere

	// While suspended: what is awaited, and with what the coroutine is resumed.
	wait    waitID           // what completes the wait
	section *criticalSection // that it waits to enter
	live    int              // index in svc.live, -1 when it has never been suspended
	what    string           // "call", "sleep", …
	target  string           // whom a call awaits
	asked   string           // the command of that call
	value   starlark.Value
	err     error

	cancelled bool // by skynet.cancel, or because its service ends: what it runs is unwound
	lent      bool // code in Go has the thread, and may have changed it
	halted    bool // the thread was told to stop, since it has used up its steps, or grown too large
	guard     guard

	id      uint64     // of the task within its service: the service's count of coroutines when it began
	begun   sched.Time // when the job began
	waiting waiting    // whom a suspended coroutine waits for
	long    longRun    // of a handler that runs
}

// job is what a coroutine runs: a Starlark callable, or Go code.
type job struct {
	fn      starlark.Callable
	args    starlark.Tuple
	kwargs  []starlark.Tuple
	native  func(*coroutine) (starlark.Value, error)
	handler Handler // of a service in Go: it handles the command what
	what    string
	trace   uint64                      // of the handler that forked it
	task    *forkedTask                 // its handle, if it has one
	then    func(starlark.Value, error) // called with the outcome instead of logging it; nil for requests
}

// coroutineKey is the thread-local under which built-ins find the coroutine they run in.
const coroutineKey = "co"

// Coroutines is a pool of coroutines that nodes share out to their workers. A node makes its own unless given one; the
// simulator gives one to all nodes of all the worlds that a sweep runs one after another.
type Coroutines struct {
	free   []freeList // by worker; touched only by that worker
	rulers rulers
}

// freeList is padded: every command writes it, and two workers that write the same cache line cost each other a quarter of
// their speed.
type freeList struct {
	idle []*coroutine
	_    [104]byte
}

// maxFree bounds the idle coroutines a worker keeps: each holds a stack of 8 KB or more.
const maxFree = 256

// NewCoroutines returns an empty pool for a scheduler with the given number of workers.
func NewCoroutines(workers int) *Coroutines {
	return &Coroutines{free: make([]freeList, workers)}
}

// Close ends the idle coroutines. No node may be using the pool.
func (p *Coroutines) Close() {
	for i := range p.free {
		for _, co := range p.free[i].idle {
			co.stop()
		}
		p.free[i].idle = nil
	}
}

func (p *Coroutines) get(worker int) *coroutine {
	free := &p.free[worker].idle
	last := len(*free) - 1
	if last < 0 {
		return newCoroutine()
	}
	co := (*free)[last]
	*free = (*free)[:last]
	return co
}

func (p *Coroutines) put(worker int, co *coroutine) {
	free := &p.free[worker].idle
	if len(*free) >= maxFree {
		co.stop()
		return
	}
	*free = append(*free, co)
}

func newCoroutine() *coroutine {
	co := &coroutine{live: -1}
	co.context.co = co
	co.newThread()
	co.next, co.stop = iter.Pull(co.body)
	return co
}

func (co *coroutine) newThread() {
	co.thread = &starlark.Thread{Print: printToLog, Load: loadFromCoroutine, OnMaxSteps: co.onMaxSteps}
	co.thread.SetLocal(coroutineKey, co)
	co.charged = 0
}

// body is the coroutine's life: a job, a hand-over, the next job.
func (co *coroutine) body(yield func(signal) bool) {
	co.yield = yield
	for {
		co.run()
		if !yield(done) {
			return
		}
	}
}

// run executes the job and delivers its outcome. A panic of a built-in or a Go service is the failure of this handler
// only; the thread it interrupted is not used again.
func (co *coroutine) run() {
	defer func() {
		if p := recover(); p != nil {
			err := newPanicError(p)
			co.svc.waits.leave(co) // it may have panicked before it blocked
			co.charge()
			co.newThread()
			co.finish(nil, err)
		}
	}()
	j := &co.job
	switch {
	case j.handler != nil:
		co.finish(j.handler.Handle(&co.context, j.what, j.args, j.kwargs))
		return
	case j.native != nil:
		co.finish(j.native(co))
		return
	}
	began := co.thread.Steps
	v, err := starlark.Call(co.thread, j.fn, j.args, j.kwargs)
	if err != nil && co.thread.Steps == began && !co.cancelled {
		err = notBegun{misfit(j.fn, err)}
	}
	co.finish(v, err)
}

// begin prepares the coroutine for its job, which is one of svc.
func (co *coroutine) begin(svc *Service) {
	co.svc = svc
	th := co.thread
	th.Name = svc.label
	co.charged = th.Steps
	svc.count.tasks++
	co.id, co.begun = svc.count.tasks, svc.turn.Now
	co.allow(svc.limits)
}

// allow gives the coroutine a fresh budget of steps. What is to be watched while it uses it is set up by the first call of
// onMaxSteps, if it comes to that: most handlers are shorter.
func (co *coroutine) allow(l *Limits) {
	th := co.thread
	co.stepLimit = th.Steps + l.Steps
	co.fresh = true
	th.SetMaxExecutionSteps(min(th.Steps+firstLook, co.stepLimit))
	if co.svc.node.profile.Load() != nil {
		co.arm() // short handlers are sampled, too
		co.nextHook()
	}
}

// finish delivers the job's outcome: to the caller of a request, to then, or to the log.
func (co *coroutine) finish(value starlark.Value, err error) {
	s := co.svc
	switch {
	case co.cancelled || err != nil && (s.unwinding() || errors.Is(err, errKilled)):
		if s.phase > draining {
			s.farewell(co)
		} else {
			co.answer(nil, callErrorf(Remote, true, "%s: the handler of %q was cancelled", s.label, co.job.what))
		}
		if co.job.then != nil {
			co.job.then(nil, errKilled)
		}
	case co.job.then != nil:
		co.job.then(value, err)
	case err != nil:
		answer := asCallError(err)
		if answer.Kind == Remote || co.session == 0 { // else the caller is told that its request was refused, which is no failure
			co.logFailure(err)
		}
		co.answer(nil, answer)
	case co.session != 0: // 0 after ret, response and redirect, too
		if value == nil { // as services in Go may say that they have nothing to say
			value = starlark.None
		}
		sent, err := wire.Copy(value)
		if err != nil {
			co.answer(nil, callErrorf(Remote, true, "%s: result of %q: %v", s.label, co.job.what, err))
			return
		}
		co.answer(sent, nil)
	}
}

// answer replies once; later answers, and answers to a send, are dropped.
func (co *coroutine) answer(value starlark.Value, err *CallError) {
	if session := co.session; session != 0 {
		co.session = 0
		co.source.answer(co.svc.turn, session, value, err)
	}
}

// recycle clears what the job left behind.
func (co *coroutine) recycle() {
	if t := co.job.task; t != nil {
		t.co, t.ended = nil, true
	}
	co.svc, co.job, co.source, co.deadline, co.trace = nil, job{}, nil, 0, 0
	co.session, co.depth, co.cancelled, co.answered = 0, 0, false, false
	co.waiting.callee = nil
	if co.lent {
		co.lent = false
		co.newThread()
	}
	if co.halted {
		co.halted = false
		co.thread.Uncancel()
	}
}

// charge tells the turn what the script has executed so far, so that virtual clocks and sends stand where the script is.
func (co *coroutine) charge() {
	steps := co.thread.Steps - co.charged
	co.charged = co.thread.Steps
	co.svc.turn.Steps += steps
	co.svc.count.steps += steps
}

// onMaxSteps is called by the interpreter now and then, to look at the handler's values and to take samples, and when a slice
// of steps is used up: then the worker is handed back, or the handler is stopped if that was the last slice of its budget.
func (co *coroutine) onMaxSteps(th *starlark.Thread) {
	first := co.fresh
	if first {
		co.arm()
	}
	p := co.svc.pace
	due := p != nil && th.Steps >= p.next
	if th.Steps >= co.guard.lookAt {
		co.look()
		due = due || p != nil && !first // so that the next looks of both come at the same time
	}
	co.sample()
	if due && !co.halted {
		if why := p.look(co.svc.node.heap, co, co.svc.node.sched, th.Steps); why != "" {
			co.stopHandler(why)
			return
		}
	}
	if th.Steps < co.guard.sliceEnd {
		co.nextHook()
		return
	}
	if th.Steps >= co.stepLimit {
		co.stopHandler(fmt.Sprintf("step budget of %d exceeded (endless loop?)", co.svc.limits.Steps))
		return
	}
	co.guard.sliceEnd = min(th.Steps+co.svc.limits.Slice, co.stepLimit)
	co.nextHook()
	co.noteSlow()
	if !co.yield(preempted) || co.cancelled {
		co.cancelled, co.halted = true, true
		th.Cancel(errKilled.Error())
		return
	}
	co.long.resumed = co.svc.node.sched.Now()
	if p := co.svc.pace; p != nil {
		p.goOn(co.long.resumed, th.Steps)
	}
}

// nextHook makes the interpreter call onMaxSteps when the next of its duties is due.
func (co *coroutine) nextHook() {
	at := min(co.guard.sliceEnd, co.guard.lookAt)
	if p := co.svc.pace; p != nil {
		at = min(at, p.next)
	}
	if co.long.sampleAt != 0 {
		at = min(at, co.long.sampleAt)
	}
	co.thread.SetMaxExecutionSteps(at)
}

// block suspends the coroutine until its wait entry is completed, or killed. The caller has made the entry. A handler that
// blocks is no endless loop, so its budget begins anew.
func (co *coroutine) block(what, target string) (starlark.Value, error) {
	if err := co.mayBlock(what); err != nil {
		co.svc.waits.take(co.wait) // or it would resume a coroutine that does something else by then
		return nil, err
	}
	co.what, co.target = what, target
	return co.unblocked(co.yield(blocked))
}

// unblocked is how a wait has ended, once the coroutine goes on.
func (co *coroutine) unblocked(alive bool) (starlark.Value, error) {
	v, err := co.value, co.err
	co.value, co.err, co.what, co.target, co.asked, co.waiting.behind = nil, nil, "", "", "", nil
	if !alive || co.cancelled {
		co.cancelled = true
		return nil, errKilled
	}
	co.allow(co.svc.limits)
	return v, err
}

// mayBlock tells why the coroutine may not block, nil if it may. Words that tell others something before they block ask it first.
func (co *coroutine) mayBlock(what string) error {
	switch {
	case co.cancelled:
		return errKilled
	case co.svc.exchanging:
		return fmt.Errorf("%s: %w", what, errExchanging)
	}
	return nil
}

// abandon makes the interpreter stop at its next step: for built-ins that cannot return an error.
func (co *coroutine) abandon() {
	co.halted = true
	co.thread.Cancel(errKilled.Error())
}

// current returns the coroutine a built-in runs in; built-ins of services cannot be used while a module loads, since a
// module belongs to all services.
func current(th *starlark.Thread, b *starlark.Builtin) (*coroutine, error) {
	co, ok := th.Local(coroutineKey).(*coroutine)
	if !ok {
		return nil, fmt.Errorf("%s: cannot be used while a module loads; call it from a function", b.Name())
	}
	if co.cancelled || co.svc.unwinding() {
		return nil, errKilled
	}
	return co, nil
}
