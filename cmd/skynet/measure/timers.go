package measure

import (
	"errors"

	"go.starlark.net/starlark"

	"skynet/runtime"
)

// timerBatch prepares a service that sets timers in batches and fires them.
var timerBatch = load{script: "timers.star", command: "timers", workers: 1, pairs: 1}

// ask calls a command of a service that answers with a number.
func (h *host) ask(service *runtime.Address, command string, args ...starlark.Value) (float64, error) {
	v, err := h.node.Call(service, command, args, patience)
	if err != nil {
		return 0, err
	}
	f, _ := starlark.AsFloat(v)
	return f, nil
}

// timing prepares a service of timers.star that measures itself: it is told a number of timers and so many seconds, and
// answers in seconds.
func timing(command string, seconds []float64, cost func(answer float64, n int) float64) func() (*rig, error) {
	return func() (*rig, error) {
		h, services, err := timerBatch.start()
		if err != nil {
			return nil, err
		}
		return &rig{close: h.close, round: func(n int) (float64, error) {
			args := []starlark.Value{starlark.MakeInt(n)}
			for _, s := range seconds {
				args = append(args, starlark.Float(s))
			}
			answer, err := h.ask(services[0], command, args...)
			return cost(answer, n), err
		}}, nil
	}
}

// lateness measures by how many ms timers fire late, at the 99th percentile, in a service that does nothing else. The
// first is due after the lead, which is time to set the others, and the rest within the spread; one in every few is looked
// at.
func lateness(lead, spread float64, every int) func() (*rig, error) {
	return timing("lateness", []float64{lead, spread, float64(every)}, func(seconds float64, _ int) float64 { return seconds * 1e3 })
}

// together measures timers that are all pending at the same time, due in turns over a thousand times within the spread: setting them, and
// firing them once the last is due. What is between is not counted.
func together(spread float64) func() (*rig, error) {
	return timing("together", []float64{spread}, func(seconds float64, n int) float64 { return seconds * 1e9 / float64(n) })
}

// pending measures what n timers that are not due add to the resident memory of the process, for each. Every round has a
// fresh node: the memory of one that has had timers would be used again.
func pending() (*rig, error) {
	return &rig{close: func() {}, round: func(n int) (float64, error) {
		h, services, err := timerBatch.start()
		if err != nil {
			return 0, err
		}
		defer h.close()
		before, err := resident()
		if err != nil {
			return 0, err
		}
		_, err = h.ask(services[0], "pend", starlark.MakeInt(n))
		after, e := resident()
		return float64(after-before) / float64(n), errors.Join(err, e)
	}}, nil
}
