package measure

import (
	"errors"
	"slices"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
)

// probes is how many messages to an idle service one round of the fairness sends, and how far apart.
const (
	probes     = 500
	probeEvery = time.Millisecond
)

// overloaded prepares a node that has for each worker a service with n queued messages, which make as many new ones as are
// handled. The cost is the delay in ms of the call of another service, which has nothing else to do, at the 99th
// percentile.
func overloaded(command string) func() (*rig, error) {
	return func() (*rig, error) {
		return &rig{close: func() {}, round: func(n int) (float64, error) {
			h, warden, err := load{script: "warden.star", pairs: 1, change: roomFor(n)}.start()
			if err != nil {
				return 0, err
			}
			defer h.close()
			idle, err := h.launch("echo.star", "")
			if err != nil {
				return 0, err
			}
			floods := starlark.MakeInt(h.workers.Workers())
			if _, err := h.ask(warden[0], "begin", floods, starlark.String(command), starlark.MakeInt(n)); err != nil {
				return 0, err
			}
			delay, err := h.probe(idle)
			_, e := h.ask(warden[0], "end") // else they would handle all of their mail before they stopped
			return delay, errors.Join(err, e)
		}}, nil
	}
}

// roomFor makes mailboxes large enough for n messages and some more, and lets endless loops end as they usually do.
func roomFor(n int) change {
	return func(c *runtime.Config) { c.Limits.Mailbox, c.Limits.Steps = n+1000, 0 }
}

// probe calls an idle service now and then and returns the 99th percentile of the delays, in ms. A delay ends when the
// answer is there, not when the goroutine that waits for it has got a processor.
func (h *host) probe(idle *runtime.Address) (float64, error) {
	type outcome struct {
		took time.Duration
		err  error
	}
	outcomes := make(chan outcome, 1)
	delays := make([]time.Duration, probes)
	for i := range delays {
		time.Sleep(probeEvery)
		begun := time.Now()
		h.node.Request(idle, "ping", starlark.Tuple{starlark.MakeInt(i)}, nil, patience, func(_ starlark.Value, err error) {
			outcomes <- outcome{time.Since(begun), err}
		})
		o := <-outcomes
		if o.err != nil {
			return 0, o.err
		}
		delays[i] = o.took
	}
	slices.Sort(delays)
	return float64(delays[len(delays)*99/100]) / float64(time.Millisecond), nil
}
