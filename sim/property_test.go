package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched"
	"skynet/sim"
	"skynet/sim/history"
	"skynet/sim/scenario"
)

// kinds are all faults that strike nodes, with an amount that does something; but for disk_fail, from which a node that
// restarts at the wrong moment does not recover.
var kinds = []struct {
	kind   scenario.Kind
	amount int64
}{
	{scenario.Partition, 0}, {scenario.Crash, 0}, {scenario.Pause, 0}, {scenario.Latency, int64(20 * time.Millisecond)},
	{scenario.Loss, 300_000}, {scenario.Hold, 0}, {scenario.Slow, 10}, {scenario.Reset, 0},
	{scenario.ClockStep, int64(time.Hour)}, {scenario.Crash, 0},
}

// strike decodes an instance from random numbers.
func strike(n uint32) scenario.Instance {
	k := kinds[int(n)%len(kinds)]
	nodes := []string{"n1", "n2", "n3"}
	at := sched.Time(n / 16 % 600 * 1e6)
	i := scenario.Instance{ID: uint64(n), Path: fmt.Sprint("f", n), At: at, Until: at}
	cut := 1 + int(n/7)%2
	i.Fault = scenario.Concrete{Kind: k.kind, Amount: k.amount, Groups: [][]string{nodes[:cut]}}
	if k.kind == scenario.Partition {
		i.Fault.Groups = append(i.Fault.Groups, nodes[cut:])
	}
	if k.kind != scenario.Reset && k.kind != scenario.ClockStep {
		i.Until = at.Add(time.Duration(1 + n/5%400*1e6))
	}
	return i
}

// TestAnyPlan throws random, overlapping faults at a replicated register. Whatever they are: in the end all nodes are up, the
// history is linearizable, every client has been told everything or nobody knows, and a second run is the same.
func TestAnyPlan(t *testing.T) {
	s := load(t, quorum)
	pool := sim.NewCoroutines()
	defer pool.Close()
	seed := uint64(0)
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 15
	properties := gopter.NewProperties(parameters)
	properties.Property("any plan passes twice", prop.ForAll(func(numbers []uint32) string {
		plan := make([]scenario.Instance, 0, len(numbers))
		for _, n := range numbers {
			plan = append(plan, strike(n))
		}
		slices.SortStableFunc(plan, func(a, b scenario.Instance) int { return int(a.At - b.At) })
		seed++
		o := sim.Options{Seed: seed, Plan: plan, Coroutines: pool}
		r, err := s.Run(o)
		if err != nil {
			return err.Error()
		}
		again, err := s.Run(o)
		switch {
		case err != nil:
			return err.Error()
		case !r.Passed():
			return fmt.Sprintf("seed %d: %+v", seed, r.Checks)
		case r.Hash != again.Hash:
			return fmt.Sprintf("seed %d: got hash %x, then %x", seed, r.Hash, again.Hash)
		case len(r.Faults) != len(plan):
			return fmt.Sprintf("seed %d: got %d faults, want %d", seed, len(r.Faults), len(plan))
		}
		for _, op := range r.History.Operations {
			if op.Outcome == history.Unknown && !strings.Contains(op.Error, ":") {
				return fmt.Sprintf("seed %d: %v has no reason", seed, op)
			}
		}
		return ""
	}, gen.SliceOf(gen.UInt32())))
	properties.TestingRun(t)
}
