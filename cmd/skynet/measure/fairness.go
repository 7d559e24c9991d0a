package measure

import (
	"errors"
	"slices"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
)

// One round of the fairness sends a message to an idle service for so many queued ones, so far apart, but for no longer
// than that.
const (
	probeShare = 1000
	probeEvery = time.Millisecond
	probeFor   = 3 * time.Second
)

// probe is what one message to an idle service met.
type probe struct {
	inside  time.Duration // until its answer was there
	outside time.Duration // until the goroutine that waited for the answer ran again
}

func inside(p probe) time.Duration  { return p.inside }
func outside(p probe) time.Duration { return p.outside }

// overloaded prepares a node that has for each worker a service with n queued messages, which make as many new ones as are
// handled. The cost is the delay in ms of a call of another service, which has nothing else to do, at the 99th percentile.
func overloaded(command string, delay func(probe) time.Duration) func() (*rig, error) {
	return func() (*rig, error) {
		return &rig{close: func() {}, round: func(n int) (float64, error) {
			h, warden, err := load{script: "warden.star", pairs: 1}.with(roomFor(n)).start()
			if err != nil {
				return 0, err
			}
			defer h.close()
			idle, err := h.launch("echo.star", "")
			if err != nil {
				return 0, err
			}
			floods := starlark.MakeInt(h.workers.Threads())
			if _, err := h.ask(warden[0], "begin", floods, starlark.String(command), starlark.MakeInt(n)); err != nil {
				return 0, err
			}
			delays, err := h.probe(idle, max(1, n/probeShare), delay)
			_, e := h.ask(warden[0], "end") // else they would handle all of their mail before they stopped
			return float64(percentile(delays, 99)) / float64(time.Millisecond), errors.Join(err, e)
		}}, nil
	}
}

// roomFor makes mailboxes large enough for n messages and some more, and lets endless loops end as they usually do.
func roomFor(n int) change {
	return func(c *runtime.Config) { c.Limits.Mailbox, c.Limits.MailboxBytes, c.Limits.Steps = n+1000, 1<<40, 0 }
}

// probe calls an idle service now and then, n times if there is time, and returns the delays.
func (h *host) probe(idle *runtime.Address, n int, delay func(probe) time.Duration) (delays []time.Duration, err error) {
	for end := time.Now().Add(probeFor); len(delays) < n && time.Now().Before(end); {
		time.Sleep(probeEvery)
		p, err := h.probeOnce(idle)
		if err != nil {
			return nil, err
		}
		delays = append(delays, delay(p))
	}
	return delays, nil
}

func (h *host) probeOnce(idle *runtime.Address) (probe, error) {
	type outcome struct {
		took time.Duration
		err  error
	}
	answered := make(chan outcome, 1)
	begun := time.Now()
	h.node.Request(idle, "ping", starlark.Tuple{starlark.MakeInt(1)}, nil, patience, func(_ starlark.Value, err error) {
		answered <- outcome{time.Since(begun), err}
	})
	o := <-answered
	return probe{inside: o.took, outside: time.Since(begun)}, o.err
}

// percentile is the smallest of the durations that so many percent of them do not exceed.
func percentile(all []time.Duration, percent int) time.Duration {
	slices.Sort(all)
	return all[(len(all)*percent+99)/100-1]
}
