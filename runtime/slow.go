package runtime

import (
	"time"

	"skynet/sched"
)

// longRun is what is kept about a handler that runs for longer than a slice.
type longRun struct {
	sampleAt uint64 // thread.Steps at which the next sample of a profile is taken; 0 without one

	spent   time.Duration // since it has blocked last, all slices but the first; -1 once that was logged
	resumed sched.Time    // when the slice began; meaningful once one is over
}

// noteSlow is called at the end of a slice. It logs, once, a handler that has kept its service busy for as long as
// [Limits.Slow] without blocking.
func (co *coroutine) noteSlow() {
	s, w := co.svc, &co.long
	co.charge()
	now := s.node.sched.Now()
	first := w.spent == 0
	if first {
		w.spent = 1 // when the first slice began is not known, so it does not count
		return
	}
	if w.spent < 0 {
		return
	}
	if w.spent += now.Sub(w.resumed); w.spent < s.limits.Slow {
		return
	}
	steps := co.thread.Steps - (co.stepLimit - s.limits.Steps)
	co.log(levelWarn, "slow handler", "command", co.job.what, "took", w.spent.Round(time.Microsecond).String(), "steps", steps,
		"at", co.thread.CallFrame(0).Pos.String())
	w.spent = -1
}
