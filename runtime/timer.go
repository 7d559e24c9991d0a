package runtime

import (
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// timerValue is what skynet.timeout and skynet.every return. A service may have a million of them, so it has the size of a cache
// line; what few timers need is in more.
type timerValue struct {
	id    waitID
	trace uint64 // of the handler that set it
	fn    starlark.Callable
	args  starlark.Tuple
	more  *moreTimer // nil if it calls fn with args once, and that is all
}

// moreTimer is what a timer needs that fires more than once, or runs more than a function with positional arguments.
type moreTimer struct {
	job job

	// Of a periodic timer.
	svc    *Service
	tick   func(outcome)
	period time.Duration
	next   sched.Time  // when it fires next
	busy   bool        // the run of the last firing is not over
	run    *forkedTask // the last run
}

func (t *timerValue) String() string        { return "timer" }
func (t *timerValue) Type() string          { return "timer" }
func (t *timerValue) Freeze()               {}
func (t *timerValue) Truth() starlark.Bool  { return true }
func (t *timerValue) Hash() (uint32, error) { return uint32(t.id), nil }
func (t *timerValue) AttrNames() []string   { return []string{"cancel"} }

// Attr offers cancel(), which returns whether the timer was still going to fire.
func (t *timerValue) Attr(name string) (starlark.Value, error) {
	if name != "cancel" {
		return nil, nil
	}
	return starlark.NewBuiltin("timer.cancel", func(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
			return nil, err
		}
		co, err := current(th, b)
		if err != nil {
			return nil, err
		}
		return starlark.Bool(t.cancel(co.svc)), nil
	}), nil
}

// cancel ends a timer of s and tells whether it was still going to fire.
func (t *timerValue) cancel(s *Service) bool {
	_, pending := s.waits.take(t.id)
	if t.more != nil && t.more.run != nil {
		t.more.run.drop()
	}
	return pending
}

// skynetTimeout runs a function later; the result has cancel().
func skynetTimeout(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	d, fn, args, err := delayed(b, args)
	if err != nil {
		return nil, err
	}
	t := &timerValue{fn: fn, args: args}
	if len(kwargs) > 0 {
		t.more = &moreTimer{job: job{fn: fn, args: args, kwargs: kwargs, what: fn.Name()}}
	}
	if err := co.after(d, t); err != nil {
		return nil, err
	}
	return t, nil
}

// after sets a timer that fires once.
func (co *coroutine) after(d time.Duration, t *timerValue) error {
	if err := co.svc.roomForTimer(); err != nil {
		return err
	}
	t.trace = co.traceID()
	if t.more != nil {
		t.more.job.trace = t.trace
	}
	t.start(co.svc, d, co.now())
	return nil
}

// delayed takes the duration and the function off d, f, *args.
func delayed(b *starlark.Builtin, args starlark.Tuple) (time.Duration, starlark.Callable, starlark.Tuple, error) {
	if len(args) < 2 {
		return 0, nil, nil, fmt.Errorf("%s: got %d arguments, want a duration and a function", b.Name(), len(args))
	}
	d, err := Duration(args[0])
	if err != nil {
		return 0, nil, nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	fn, args, err := function(b, args[1:])
	return d, fn, args, err
}

// start sets a timer of s that fires once. What is due at once goes through the mailbox, as in Skynet: it comes after all that is
// queued already.
func (t *timerValue) start(s *Service, d time.Duration, now sched.Time) {
	var deadline sched.Time
	if d > 0 {
		deadline = now.Add(d)
	}
	t.id = s.addWait(timerWait, nil, nil, deadline)
	s.waits.slot(uint32(t.id)).timer = t
	if d <= 0 {
		s.run(s.turn, func() { s.wake(t.id, nil, nil) })
	}
}

// skynetEvery runs a function periodically, the first time after one period. The times are those of a clock: a late firing
// does not move the next one. A firing while the function still runs is left out.
func skynetEvery(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	d, fn, args, err := delayed(b, args)
	if err != nil {
		return nil, err
	}
	if d < time.Millisecond {
		return nil, fmt.Errorf("%s: got a period of %v, want 1ms or more", b.Name(), d)
	}
	t, err := co.every(d, job{fn: fn, args: args, kwargs: kwargs, what: fn.Name()})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// every sets a periodic timer. It counts as one for as long as it goes on.
func (co *coroutine) every(period time.Duration, j job) (*timerValue, error) {
	if err := co.svc.roomForTimer(); err != nil {
		return nil, err
	}
	m := &moreTimer{svc: co.svc, job: j, period: period, next: co.now()}
	t := &timerValue{more: m}
	m.job.then = m.ran
	m.tick = func(outcome) { t.tick() }
	t.schedule()
	return t, nil
}

// schedule sets a periodic timer to its next time that has not passed.
func (t *timerValue) schedule() {
	m := t.more
	m.next = m.next.Add(m.period)
	if behind := m.svc.turn.Now.Sub(m.next); behind >= 0 {
		m.next = m.next.Add((behind/m.period + 1) * m.period)
	}
	t.id = m.svc.addWait(timerWait, nil, m.tick, m.next)
}

func (t *timerValue) tick() {
	t.schedule()
	if m := t.more; !m.busy {
		m.busy = true
		m.job.trace = m.svc.node.nextTrace()
		m.run = m.svc.forkTask(m.job)
	}
}

// ran is told how a run ended; a failure does not end the timer.
func (m *moreTimer) ran(_ starlark.Value, err error) {
	m.busy = false
	if err != nil && err != errKilled {
		m.svc.logFailure(marks(0, m.job.trace), m.job.what, err)
	}
}

func skynetSleep(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "seconds", &v); err != nil {
		return nil, err
	}
	d, err := Duration(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.None, co.sleep(d)
}

// sleep suspends the coroutine; for no time at all, until what is queued already was handled.
func (co *coroutine) sleep(d time.Duration) error {
	if d <= 0 {
		return co.giveWay()
	}
	_, err := co.sleepUntil(co.now().Add(d), "sleep")
	return err
}

// giveWay lets the service handle what is queued already.
func (co *coroutine) giveWay() error {
	s := co.svc
	id := s.addWait(otherWait, co, nil, 0)
	s.run(s.turn, func() { s.wake(id, nil, nil) })
	_, err := co.block("yield", "")
	return err
}

// skynetYield is skynet.give_way: yield is a word that Starlark reserves.
func skynetYield(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	return starlark.None, co.giveWay()
}
