package runtime

import (
	"fmt"

	"go.starlark.net/starlark"

	"skynet/sched"
	"skynet/sched/trace"
)

// This file is the life of a service: init, and the one way in which it ends.

// phase is how far a service is on the way to its end.
type phase uint8

const (
	alive     phase = iota
	upgrading       // an upgrade waits for the handlers under way; requests wait for it
	draining        // it was asked to stop: new requests are refused, what it has may finish
	departing       // at the end of this step what is suspended is unwound, and the exit hook begins
	leaving         // the exit hook runs
	ending          // at the end of this step the service dies
)

// begin prepares a coroutine for the start message: the script's top level, then init, run on one coroutine, which may block; until it
// is through, requests wait.
func (s *Service) begin(m *message) *coroutine {
	s.starting = true
	x, _ := m.body.(*extras)
	if x == nil {
		x = &extras{}
	}
	co := s.node.coroutines.get(s.turn.Worker)
	s.initial = co
	co.source, co.session, co.deadline, co.trace, co.depth = m.source, m.session, m.deadline, m.trace, m.depth
	args := m.args
	co.job = job{
		what:   "init",
		native: func(co *coroutine) (starlark.Value, error) { return s.addr, s.initialise(co, args, x.kwargs) },
		then:   func(_ starlark.Value, err error) { s.started(co, err) },
	}
	co.begin(s)
	return co
}

func (s *Service) initialise(co *coroutine, args starlark.Tuple, kwargs []starlark.Tuple) error {
	if s.handler != nil {
		return s.handler.Init(&Context{co: co}, args, kwargs)
	}
	globals, err := s.script.program.Init(co.thread, s.script.predeclared)
	s.globals = globals
	if err != nil {
		return err
	}
	s.exitHook, _ = globals["exit"].(*starlark.Function)
	fn, ok := globals["init"]
	if !ok {
		if len(args)+len(kwargs) > 0 {
			return fmt.Errorf("%s: got %d arguments for a script without init, want none", s.script.name, len(args)+len(kwargs))
		}
		return nil
	}
	if _, ok := fn.(starlark.Callable); !ok {
		return fmt.Errorf("%s: init: got %s, want a function", s.script.name, fn.Type())
	}
	began := co.thread.Steps
	_, err = starlark.Call(co.thread, fn, args, kwargs)
	if err != nil && co.thread.Steps == began {
		err = misfit(fn, err)
	}
	return err
}

// started is told how init ended.
func (s *Service) started(co *coroutine, err error) {
	s.starting, s.initial = false, nil
	if err == nil && s.unwinding() { // Init of a service in Go has called Exit
		err = errKilled
	}
	if err == nil {
		co.answer(s.addr, nil)
		s.admitDeferred()
		return
	}
	if err == errKilled {
		s.end(Reason{Kind: Exited})
		co.answer(nil, callErrorf(Dead, true, "%s ended in init", s.label))
		return
	}
	failure := asCallError(err)
	s.end(Reason{Kind: Failed, Message: "init: " + failure.Message})
	co.logFailure(err)
	co.answer(nil, failure)
}

// postpone keeps a request until init has returned or an upgrade is over, or refuses it because the service is about to end. What
// an upgrade waits for is let in.
func (s *Service) postpone(m *message) *coroutine {
	switch {
	case s.phase == upgrading && !s.exchanging && s.admits(m):
		return s.dispatch(m)
	case s.phase <= upgrading:
		s.deferred = append(s.deferred, *m)
		s.mail.putOff(m)
	case m.session == 0:
		s.tell(s.turn, 1, "messages refused: the service is stopping", m.command)
	default:
		m.source.answer(s.turn, m.session, nil, callErrorf(Dead, false, "%s is stopping", s.label))
	}
	return nil
}

// end makes the service die after the present step, without its exit hook. The first reason counts.
func (s *Service) end(why Reason) {
	s.because(why)
	s.phase = ending
}

// leave makes the service end in an orderly way: at the end of the present step its handlers are unwound, then its exit hook
// runs, then it dies.
func (s *Service) leave(why Reason) {
	s.because(why)
	s.phase = max(s.phase, departing)
}

// drainUntil makes the service leave once it has finished what it is doing, or at the deadline.
func (s *Service) drainUntil(deadline sched.Time, why Reason) {
	if s.phase > upgrading {
		return
	}
	if s.upgrade != nil {
		s.finishUpgrade(fmt.Errorf("%s is stopping", s.label))
	}
	s.because(why)
	s.phase = draining
	s.stopAccepting()
	s.addWait(otherWait, nil, func(outcome) { s.leave(why) }, deadline)
}

func (s *Service) because(why Reason) {
	if s.reason.Kind == "" {
		s.reason = why
	}
}

// unwinding tells whether nothing may run any more but what is being unwound.
func (s *Service) unwinding() bool { return s.phase == departing || s.phase == ending }

// pressing tells whether closing has something to do at once.
func (s *Service) pressing() bool {
	return s.unwinding() || s.phase == draining && !s.busy() || s.phase == upgrading && !s.exchanging && s.quiet()
}

// closing goes on with an upgrade or the end of the service, between two steps; true says that it is time to die.
func (s *Service) closing() (dies bool) {
	if s.phase == upgrading && !s.exchanging && s.quiet() {
		s.exchange()
	}
	if s.phase == draining && !s.busy() {
		s.phase = departing
	}
	if s.phase == departing {
		s.unwind()
		if s.phase == departing { // else init was unwound, and a service without state has no hook
			s.phase = leaving
			s.beginExit()
		}
	}
	if s.phase == leaving && s.preempted != nil && s.leaveBy != 0 && s.turn.Now >= s.leaveBy {
		s.hookTooLong() // the alarm is a message, and no message is handled before a loop without end
	}
	return s.phase == ending
}

// beginExit runs the exit hook, which may block but not for ever.
func (s *Service) beginExit() {
	trace := s.node.nextTrace()
	j := job{what: "exit", trace: trace, then: func(_ starlark.Value, err error) {
		if err != nil && err != errKilled {
			s.logFailure(marks(0, trace), "exit", err)
		}
		s.end(s.reason)
	}}
	why := s.reason
	switch exiter, native := s.handler.(Exiter); {
	case native:
		j.native = func(co *coroutine) (starlark.Value, error) { return starlark.None, exiter.Exit(&Context{co: co}, why) }
	case s.exitHook != nil && s.exitHook.NumParams() == 0:
		j.fn = s.exitHook
	case s.exitHook != nil:
		j.fn, j.args = s.exitHook, starlark.Tuple{reasonValue(why)}
	default:
		s.end(why)
		return
	}
	if _, ok := s.handler.(*supervisor); !ok { // each of its children has a limit of its own
		s.leaveBy = s.turn.Now.Add(s.limits.Call)
		s.addWait(otherWait, nil, func(outcome) { s.hookTooLong() }, s.leaveBy)
	}
	s.fork(j)
}

// hookTooLong gives the exit hook up.
func (s *Service) hookTooLong() {
	s.log(levelWarn, "exit hook takes too long", "limit", s.limits.Call)
	s.end(s.reason)
}

// unwind ends every coroutine, and drops what was to run: forks, timers, waits. Requests that were put off are kept, to be
// answered at the end.
func (s *Service) unwind() {
	for s.runq.len() > 0 {
		r := s.runq.pop()
		if r.message != nil {
			s.deferred = append(s.deferred, *r.message)
		}
		r.job.drop()
	}
	for len(s.live) > 0 {
		co := s.live[len(s.live)-1]
		co.cancelled = true
		s.resume(co)
	}
	for s.runq.len() > 0 { // what was woken or forked meanwhile; its coroutines are gone
		r := s.runq.pop()
		r.job.drop()
	}
	s.preempted = nil
	s.waits.clear()
	s.parked = nil
}

// drop tells who waits for a job, if there is one, that it will never run.
func (j *job) drop() {
	if j == nil {
		return
	}
	if j.task != nil {
		j.task.ended = true
	}
	if j.then != nil {
		j.then(nil, errKilled)
	}
}

// farewell answers the request that co was handling when its service ended. The answer goes out once the service is gone,
// so that whoever gets it finds its names free.
func (s *Service) farewell(co *coroutine) {
	if co.session != 0 {
		err := callErrorf(Dead, true, "%s ended while handling %q", s.label, co.job.what)
		s.farewells = append(s.farewells, message{session: co.session, source: co.source, err: err})
		co.session = 0
	}
}

// die is the one way a service ends, whatever the cause: everyone who waits for it, is linked to it or watches it hears
// about it.
func (s *Service) die() {
	n := s.node
	n.unname(s)
	if s.alarm != nil {
		s.alarm.Stop()
	}
	if s.meter != nil {
		s.meter.stop()
	}
	s.unwind()
	n.dying.Add(1)
	left := append(s.deferred, s.mail.close()...)
	s.tellLast()
	n.delist(s) // not before its coroutines are back in the pool, which the node's stop closes
	for len(s.closers) > 0 {
		s.closers[len(s.closers)-1].close()
	}
	if s.upgrade != nil {
		s.finishUpgrade(errKilled)
	}
	for i := range s.farewells {
		m := &s.farewells[i]
		m.source.answer(s.turn, m.session, nil, m.err)
	}
	lost, last := 0, ""
	for i := range left {
		if m := &left[i]; m.kind == request && m.session == 0 {
			lost, last = lost+1, m.command
		}
		s.decline(&left[i])
	}
	if _, crashed := s.turn.Owner.(discard); lost > 0 && !crashed { // a node without power says nothing
		s.log(levelWarn, "messages lost: the service has ended", "count", lost, "last", last)
	}
	s.tellWatchers()
	s.last.command, s.last.fn = "", nil
	s.deferred, s.farewells, s.globals, s.exitHook = nil, nil, nil, nil
	n.trace.Add(int64(s.turn.Now), trace.Node, n.index, s.TaskID(), 0)
	n.dying.Add(-1)
	if s.onDeath != nil {
		s.onDeath()
	}
}

// decline answers what was in the mailbox when the service died.
func (s *Service) decline(m *message) {
	switch {
	case m.session == 0 || m.kind == reply:
	case m.kind == watching:
		s.watchers.add(replyTo{m.source, m.session}, struct{}{})
	default:
		m.source.answer(s.turn, m.session, nil, callErrorf(Dead, false, "%s ended before it handled %q", s.label, m.command))
	}
}

// kill ends the service from outside; a handler that runs is stopped at the end of its slice.
func (s *Service) kill(turn *sched.Turn, why Reason) {
	s.signal(turn, func() uint32 {
		if s.mail.signals.Load()&signalKilled == 0 {
			s.mail.sentence = why
		}
		return signalKilled
	})
}

// lifeFunction tells whether a function of that name is one that the runtime calls in the life of a service, and nobody else.
func lifeFunction(name string) bool { return name == "init" || name == "exit" || name == "upgrade" }
