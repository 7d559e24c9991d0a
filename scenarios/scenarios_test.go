package scenarios_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"skynet/sim"
	"skynet/sim/shrink"
	"skynet/sim/sweep"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	passing = 60  // seeds that must pass; make sim SEEDS=2000 is thorough
	failing = 500 // seeds of which one must fail
)

// TestScenarios holds every scenario that ships to what it expects: a correct service passes every seed, and meets all of
// its trouble; a faulty one is caught, by the check of its history.
func TestScenarios(t *testing.T) {
	names, err := filepath.Glob("*.star")
	if err != nil || len(names) < 5 {
		t.Fatalf("scenarios: got %q, %v, want several", names, err)
	}
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil && shrink.Ours(text) {
			continue // left behind by skynet sim --shrink
		}
		t.Run(strings.TrimSuffix(name, ".star"), func(t *testing.T) {
			t.Parallel()
			s, err := sim.Load(os.ReadFile, name)
			if err != nil {
				t.Fatal(err)
			}
			if s.Scenario.ExpectFails {
				wantCaught(t, s)
			} else {
				wantPassed(t, s)
			}
		})
	}
}

func sweepOf(t *testing.T, s *sim.Simulation, o sweep.Options) *sweep.Summary {
	t.Helper()
	sum, err := sweep.Sweep(context.Background(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func wantPassed(t *testing.T, s *sim.Simulation) {
	t.Helper()
	sum := sweepOf(t, s, sweep.Options{First: 1, Count: passing, Jobs: 2})
	if sum.Passed != passing {
		t.Errorf("got %d of %d seeds passed, %d unknown, want all; failures: %v", sum.Passed, sum.Seeds, sum.Unknown, sum.Failures)
	}
	for _, fault := range sum.Idle() {
		t.Errorf("%s, %s: got no effect in %d strikes, want some", fault.Name, fault.What, fault.Strikes)
	}
	for _, check := range sum.Missed() {
		t.Errorf("sometimes %q: got to it in none of %d seeds", check.Name, sum.Seeds)
	}
}

func wantCaught(t *testing.T, s *sim.Simulation) {
	t.Helper()
	sum := sweepOf(t, s, sweep.Options{First: 1, Count: failing, Jobs: 2, StopAtFailure: true})
	if sum.Failed == 0 {
		t.Fatalf("got %d seeds passed, %d unknown, want a failure", sum.Passed, sum.Unknown)
	}
	if check := sum.Failures[0].Check; !strings.HasPrefix(check, "linearizable-") {
		t.Errorf("seed %d: got a failure of %q, want one of the history", sum.Failures[0].Seed, check)
	}
}
