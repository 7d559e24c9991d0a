package workers_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"skynet/sched/schedtest"
	"skynet/sched/workers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	for _, o := range []workers.Options{{Threads: 1}, {Threads: 2, Budget: 1}, {Threads: 8, Seed: 7}} {
		t.Run(fmt.Sprintf("threads=%d", o.Threads), func(t *testing.T) {
			schedtest.Run(t, func(t *testing.T) schedtest.World {
				s := workers.New(o)
				return schedtest.World{
					Scheduler: s,
					Drive:     func(until func() bool) { t.Helper(); schedtest.Wait(t, until) },
					Close:     s.Close,
				}
			})
		})
	}
}
