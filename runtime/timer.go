package runtime

import (
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// timerValue is what skynet.timeout and skynet.every return.
type timerValue struct {
	svc    *Service
	id     waitID
	job    job
	period time.Duration // 0 for a timer that fires once
	next   sched.Time    // when a periodic timer fires next
	busy   bool          // the run of the last firing is not over
	run    *forkedTask   // the last run of a periodic timer
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
	return starlark.NewBuiltin("timer.cancel", func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
			return nil, err
		}
		return starlark.Bool(t.cancel()), nil
	}), nil
}

func (t *timerValue) cancel() bool {
	_, pending := t.svc.waits.take(t.id)
	if t.run != nil {
		t.run.drop()
	}
	return pending
}

// skynetTimeout runs a function later; the result has cancel().
func skynetTimeout(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	d, j, err := delayed(b, args, kwargs)
	if err != nil {
		return nil, err
	}
	t, err := co.after(d, j)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// after sets a timer that fires once.
func (co *coroutine) after(d time.Duration, j job) (*timerValue, error) {
	if err := co.svc.roomForTimer(); err != nil {
		return nil, err
	}
	j.trace = co.traceID()
	t := &timerValue{svc: co.svc, job: j}
	t.start(d, co.now())
	return t, nil
}

// delayed takes a duration and what to run off the arguments.
func delayed(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (time.Duration, job, error) {
	if len(args) < 2 {
		return 0, job{}, fmt.Errorf("%s: got %d arguments, want a duration and a function", b.Name(), len(args))
	}
	d, err := Duration(args[0])
	if err != nil {
		return 0, job{}, fmt.Errorf("%s: %w", b.Name(), err)
	}
	j, err := callable(b, args[1:], kwargs)
	return d, j, err
}

// start sets a timer. What is due at once goes through the mailbox, as in Skynet: it comes after all that is queued already.
func (t *timerValue) start(d time.Duration, now sched.Time) {
	if d > 0 {
		t.await(now.Add(d))
		return
	}
	t.await(0)
	t.svc.run(t.svc.turn, func() { t.svc.wake(t.id, nil, nil) })
}

// await makes the timer's entry in the wait table.
func (t *timerValue) await(deadline sched.Time) {
	t.id = t.svc.addWait(timerWait, nil, nil, deadline)
	t.svc.waits.slots[uint32(t.id)].timer = t
}

// due is called, in a turn of the service, when the time has come.
func (t *timerValue) due() {
	if t.period > 0 {
		t.tick()
	} else {
		t.svc.fork(t.job)
	}
}

// skynetEvery runs a function periodically, the first time after one period. The times are those of a clock: a late firing
// does not move the next one. A firing while the function still runs is left out.
func skynetEvery(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	d, j, err := delayed(b, args, kwargs)
	if err != nil {
		return nil, err
	}
	if d < time.Millisecond {
		return nil, fmt.Errorf("%s: got a period of %v, want 1ms or more", b.Name(), d)
	}
	t, err := co.every(d, j)
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
	t := &timerValue{svc: co.svc, job: j, period: period, next: co.now()}
	t.job.then = t.ran
	t.schedule()
	return t, nil
}

// schedule sets a periodic timer to its next time that has not passed.
func (t *timerValue) schedule() {
	t.next = t.next.Add(t.period)
	if behind := t.svc.turn.Now.Sub(t.next); behind >= 0 {
		t.next = t.next.Add((behind/t.period + 1) * t.period)
	}
	t.await(t.next)
}

func (t *timerValue) tick() {
	t.schedule()
	if !t.busy {
		t.busy = true
		t.job.trace = t.svc.node.nextTrace()
		j := t.job
		t.run = &forkedTask{svc: t.svc, what: j.what}
		j.task = t.run
		t.svc.fork(j)
	}
}

// ran is told how a run ended; a failure does not end the timer.
func (t *timerValue) ran(_ starlark.Value, err error) {
	t.busy = false
	if err != nil && err != errKilled {
		t.svc.logFailure(marks(0, t.job.trace), t.job.what, err)
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
