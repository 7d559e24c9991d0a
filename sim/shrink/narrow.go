package shrink

import (
	"slices"
	"time"

	"skynet/sched"
	"skynet/sim/scenario"
)

// grains are what moments and lengths are rounded to, for people: a plan with "3.2s" is easier to think about than one
// with "3.217384112s".
var grains = [...]sched.Time{sched.Time(time.Second), sched.Time(100 * time.Millisecond), sched.Time(10 * time.Millisecond), sched.Time(time.Millisecond)}

// narrow makes each fault as short as it can be, by halves down to a millisecond, and then as round.
func (h *hunt) narrow() {
	for i := range h.best.faults {
		for h.shorter(i) {
		}
		h.rounder(i, func(f *scenario.Instance, grain sched.Time) bool {
			excess := f.At % grain
			f.At, f.Until = f.At-excess, f.Until-excess
			return true
		})
		h.rounder(i, func(f *scenario.Instance, grain sched.Time) bool {
			length := f.Until - f.At
			f.Until -= length % grain
			return length >= grain
		})
	}
}

// shorter halves the length of a fault, if that still fails.
func (h *hunt) shorter(i int) bool {
	f := h.best.faults[i]
	half := (f.Until - f.At) / 2
	f.Until = f.At + half
	return half >= sched.Time(time.Millisecond) && h.changed(i, f)
}

// rounder rounds to the coarsest grain that applies and still fails.
func (h *hunt) rounder(i int, round func(f *scenario.Instance, grain sched.Time) (applies bool)) {
	for _, grain := range grains {
		f := h.best.faults[i]
		if round(&f, grain) && h.changed(i, f) {
			return
		}
	}
}

// changed tries another form of one fault; the form that it has succeeds without a run.
func (h *hunt) changed(i int, f scenario.Instance) bool {
	faults := slices.Clone(h.best.faults)
	faults[i] = f
	return h.fails(candidate{faults, h.best.clients})
}
