package shrink

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"testing"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched"
	"skynet/sim"
	"skynet/sim/scenario"
)

// fault is the i-th fault of a made-up run: it lasts for a second.
func fault(i int) scenario.Instance {
	at := sched.Time(i) * sched.Time(317*time.Millisecond)
	return scenario.Instance{
		Path: fmt.Sprintf("every-1s-crash/%d", i), At: at, Until: at.Add(time.Second),
		Fault: scenario.Concrete{Kind: scenario.Crash, Groups: [][]string{{"n1"}}},
	}
}

// large is a run of so many faults and clients.
func large(faults, clients int) candidate {
	var c candidate
	for i := range faults {
		c.faults = append(c.faults, fault(i))
	}
	for i := range clients {
		c.clients = append(c.clients, fmt.Sprintf("c%d", i+1))
	}
	return c
}

// huntFor shrinks a made-up run that fails "check" exactly if fails says so.
func huntFor(fails func(candidate) bool, runs int) *hunt {
	h := &hunt{
		Options: Options{Runs: runs}, ctx: context.Background(), check: "check", tried: map[string]bool{},
		sc: &scenario.Scenario{File: "dir/made-up.star", Limit: time.Minute},
	}
	h.try = func(c candidate, _ string) (*sim.Result, error) {
		r := &sim.Result{}
		if fails(c) {
			r.Failed = &sim.CheckResult{Name: "check"}
		}
		return r, nil
	}
	return h
}

func (c candidate) has(faults map[int]bool, clients map[string]bool) bool {
	for i := range faults {
		if !slices.ContainsFunc(c.faults, func(f scenario.Instance) bool { return f.Path == fault(i).Path }) {
			return false
		}
	}
	for name := range clients {
		if !slices.Contains(c.clients, name) {
			return false
		}
	}
	return true
}

// TestFindsExactlyWhatIsNeeded plants the faults and clients that a failure needs and wants them back, and no others.
func TestFindsExactlyWhatIsNeeded(t *testing.T) {
	params := gopter.DefaultTestParametersWithSeed(7)
	params.MinSuccessfulTests = 100
	properties := gopter.NewProperties(params)
	properties.Property("only what is needed is left", prop.ForAll(
		func(faults, clients int, needFaults, needClients []int) bool {
			needed, working := map[int]bool{}, map[string]bool{}
			for _, i := range needFaults {
				if faults > 0 {
					needed[i%faults] = true
				}
			}
			for _, i := range needClients {
				working[fmt.Sprintf("c%d", i%clients+1)] = true
			}
			all := large(faults, clients)
			r, err := huntFor(func(c candidate) bool { return c.has(needed, working) }, 5000).shrink(all.faults, all.clients)
			return err == nil && r.Minimal && len(r.Instances) == len(needed) && len(r.Clients) == max(1, len(working)) &&
				candidate{r.Instances, r.Clients}.has(needed, working)
		},
		gen.IntRange(0, 60), gen.IntRange(1, 9), gen.SliceOfN(4, gen.IntRange(0, 1000)), gen.SliceOfN(2, gen.IntRange(0, 1000)),
	))
	properties.TestingRun(t)
}

// TestResultFailsAndIsNoLarger shrinks runs that fail as chaotically as real ones do: every subset fails or passes by
// chance.
func TestResultFailsAndIsNoLarger(t *testing.T) {
	params := gopter.DefaultTestParametersWithSeed(11)
	params.MinSuccessfulTests = 100
	properties := gopter.NewProperties(params)
	properties.Property("the result fails, is no larger, and is minimal", prop.ForAll(
		func(faults, clients, odds, runs int, salt uint64) bool {
			all := large(faults, clients)
			fails := func(c candidate) bool {
				h := fnv.New64a()
				fmt.Fprint(h, salt, c.faults, c.clients)
				return len(c.faults) == faults && len(c.clients) == clients || h.Sum64()%uint64(odds) == 0
			}
			r, err := huntFor(fails, runs).shrink(all.faults, all.clients)
			if err != nil || r.Runs > runs || !fails(candidate{r.Instances, r.Clients}) {
				return false
			}
			return subset(r.Instances, all.faults) && len(r.Clients) <= clients && (!r.Minimal || minimal(r, fails))
		},
		gen.IntRange(1, 20), gen.IntRange(1, 4), gen.IntRange(2, 30), gen.IntRange(1, 600), gen.UInt64(),
	))
	properties.TestingRun(t)
}

// subset reports whether each of the few is one of all and lasts no longer.
func subset(few, all []scenario.Instance) bool {
	for _, f := range few {
		i := slices.IndexFunc(all, func(a scenario.Instance) bool { return a.Path == f.Path })
		if i < 0 || f.Until-f.At > all[i].Until-all[i].At || f.At > all[i].At {
			return false
		}
	}
	return true
}

// minimal reports whether no single fault or client can be left out. The faults are taken as they were before they were
// narrowed, since leaving one out was tried then.
func minimal(r *Result, fails func(candidate) bool) bool {
	original := make([]scenario.Instance, len(r.Instances))
	for i, f := range r.Instances {
		var n int
		fmt.Sscanf(f.Path, "every-1s-crash/%d", &n)
		original[i] = fault(n)
	}
	for i := range original {
		if fails(candidate{slices.Delete(slices.Clone(original), i, i+1), r.Clients}) {
			return false
		}
	}
	for i := range r.Clients {
		if rest := slices.Delete(slices.Clone(r.Clients), i, i+1); len(rest) > 0 && fails(candidate{original, rest}) {
			return false
		}
	}
	return true
}

// TestNarrow wants a fault that must last 40 ms, and strike after 100 ms, to become about that.
func TestNarrow(t *testing.T) {
	all := large(3, 2)
	r, err := huntFor(func(c candidate) bool {
		return slices.ContainsFunc(c.faults, func(f scenario.Instance) bool {
			return f.Until-f.At >= sched.Time(40*time.Millisecond) && f.At >= sched.Time(100*time.Millisecond)
		})
	}, 500).shrink(all.faults, all.clients)
	if err != nil || len(r.Instances) != 1 {
		t.Fatalf("shrink: got %+v, %v, want one fault", r, err)
	}
	f := r.Instances[0]
	if f.At%sched.Time(100*time.Millisecond) != 0 || f.Until-f.At != sched.Time(60*time.Millisecond) {
		t.Errorf("got a fault at %v for %v, want a round moment and 60ms", f.At, f.Until-f.At)
	}
}

func TestWhatDoesNotFailAsAPlanIsAnError(t *testing.T) {
	all := large(2, 2)
	if r, err := huntFor(func(candidate) bool { return false }, 10).shrink(all.faults, all.clients); err == nil {
		t.Errorf("shrink: got %+v, want an error", r)
	}
}

func TestEndedContextStops(t *testing.T) {
	all := large(20, 3)
	ctx, cancel := context.WithCancel(context.Background())
	h := huntFor(func(candidate) bool { return true }, 100)
	h.ctx = ctx
	h.Progress = func(p Progress) {
		if p.Runs == 1 {
			cancel()
		}
	}
	r, err := h.shrink(all.faults, all.clients)
	if err != nil || r.Runs != 1 || r.Minimal || len(r.Instances) != 20 {
		t.Errorf("shrink: got %+v, %v, want the first candidate, not minimal", r, err)
	}
}
