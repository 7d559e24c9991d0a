package stepper_test

import (
	"fmt"
	"testing"
	"time"

	"skynet/sched"
	"skynet/sched/schedtest"
	"skynet/sched/stepper"
)

func TestConformance(t *testing.T) {
	strategies := map[string]func() sched.Strategy{
		"fifo":   stepper.FIFO,
		"random": func() sched.Strategy { return stepper.Random(sched.NewStream(7, "schedule")) },
	}
	for name, strategy := range strategies {
		for _, cores := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/cores=%d", name, cores), func(t *testing.T) {
				schedtest.Run(t, func(t *testing.T) schedtest.World {
					s := stepper.New(stepper.Options{Seed: 1, Strategy: strategy()})
					n := s.NewNode(0, "n", stepper.NodeOptions{Cores: cores})
					return schedtest.World{
						Scheduler: n,
						Drive:     func(until func() bool) { t.Helper(); drive(t, s, until) },
						Close:     n.Halt,
					}
				})
			})
		}
	}
}

// drive runs s until the condition holds.
func drive(t *testing.T, s *stepper.Stepper, until func() bool) {
	t.Helper()
	limit := s.Steps() + 1_000_000
	out := s.Run(s.Now().Add(time.Hour), func() bool { return until() || s.Steps() > limit })
	if !until() {
		t.Fatalf("condition does not hold: run ended %v at %v after %d steps", out, s.Now(), s.Steps())
	}
}
