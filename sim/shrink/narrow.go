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
		h.rounder(i, func(f *scenario.Instance, grain sched.Time) {
			length := f.Until - f.At
			f.At -= f.At % grain
			f.Until = f.At + length
		})
		h.rounder(i, func(f *scenario.Instance, grain sched.Time) {
			if length := f.Until - f.At; length >= grain {
				f.Until -= length % grain
			}
		})
	}
}

// shorter halves the length of a fault, if that still fails.
func (h *hunt) shorter(i int) bool {
	half := (h.best.faults[i].Until - h.best.faults[i].At) / 2
	return half >= sched.Time(time.Millisecond) && h.changed(i, func(f *scenario.Instance) { f.Until = f.At + half })
}

// rounder rounds to the coarsest grain that still fails.
func (h *hunt) rounder(i int, round func(f *scenario.Instance, grain sched.Time)) {
	for _, grain := range grains {
		if h.changed(i, func(f *scenario.Instance) { round(f, grain) }) {
			return
		}
	}
}

// changed tries a change of one fault; one that changes nothing succeeds without a run.
func (h *hunt) changed(i int, change func(f *scenario.Instance)) bool {
	faults := slices.Clone(h.best.faults)
	change(&faults[i])
	return h.fails(candidate{faults, h.best.clients})
}
