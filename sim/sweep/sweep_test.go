package sweep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"skynet/sim"
	"skynet/sim/history"
	"skynet/sim/scenario"
)

// made is a made-up scenario: a linearizable, a sometimes, and one fault.
func made() *scenario.Scenario {
	crash := scenario.Fault{Kind: scenario.Crash, Where: scenario.Selector{Kind: "one"}}
	every := scenario.Timing{Kind: "every", When: scenario.Span{Lo: 1e9, Hi: 1e9}, Faults: []scenario.Fault{crash}}
	return &scenario.Scenario{
		File:    "made-up.star",
		Verdict: []scenario.Check{{Kind: "linearizable", Name: "kv"}, {Kind: "sometimes", Name: "seen"}},
		Trouble: scenario.Trouble{Phases: []scenario.Phase{{Kind: "run", Timing: every}}},
	}
}

// result is the made-up run of a seed: each seventh fails, each tenth cannot be decided, each third reaches what it
// sometimes does, each second is struck.
func result(seed uint64) *sim.Result {
	r := &sim.Result{Seed: seed, Hash: seed * 0x1234567, Steps: seed, Events: 2 * seed, Virtual: time.Duration(seed)}
	r.Checks = []sim.CheckResult{{Name: "kv", Kind: "linearizable", Verdict: sim.OK}, {Name: "seen", Kind: "sometimes", Verdict: sim.Unreached}}
	switch {
	case seed%7 == 0:
		r.Checks[0].Verdict, r.Checks[0].Message = sim.Failed, fmt.Sprint("seed ", seed)
		r.Failed = &r.Checks[0]
	case seed%10 == 0:
		r.Checks[0].Verdict = sim.Unknown
	}
	if seed%3 == 0 {
		r.Checks[1].Verdict = sim.OK
	}
	if seed%2 == 0 {
		effects := sim.Effects{Crashed: seed}
		r.Faults = []sim.FaultReport{{From: "every-1s-crash", Effects: effects, Bit: true}, {From: "every-1s-crash"}}
	}
	return r
}

// late makes runs end in another order than they began.
func late(o sim.Options) (*sim.Result, error) {
	for range o.Seed % 5 * 20 {
		runtime.Gosched()
	}
	return result(o.Seed), nil
}

func start(ctx context.Context, run func(sim.Options) (*sim.Result, error), o Options) (*Summary, error) {
	w := &sweeper{Options: o, run: run, summary: newSummary(made()), diverged: func(uint64) error { return nil }}
	return w.sweep(ctx)
}

func TestSummaryAddsUp(t *testing.T) {
	s, err := start(context.Background(), late, Options{First: 1, Count: 210, Jobs: 3})
	if err != nil {
		t.Fatal(err)
	}
	if s.Seeds != 210 || s.Failed != 30 || s.Unknown != 18 || s.Passed != 162 || s.Steps != 210*211/2 || s.Twice != 5 {
		t.Errorf("got %+v", s)
	}
	want := []Check{{"kv", "linearizable", 162, 30, 18}, {"seen", "sometimes", 70, 0, 0}}
	if !reflect.DeepEqual(s.Checks, want) {
		t.Errorf("Checks = %+v, want %+v", s.Checks, want)
	}
	if f := s.Faults[0]; f.Strikes != 210 || f.Bit != 105 || f.Effects.Crashed != 2*105*106/2 {
		t.Errorf("Faults = %+v, want 210 strikes, of which 105 crash 11130 machines", f)
	}
	if f := s.Failures[1]; f.Seed != 14 || f.Check != "kv" || f.Message != "seed 14" || f.Hash != 14*0x1234567 {
		t.Errorf("Failures[1] = %+v, want seed 14", f)
	}
}

// TestJobsDoNotMatter wants the same summary and the same progress from any number of jobs, in whatever order runs end.
func TestJobsDoNotMatter(t *testing.T) {
	sweepWith := func(jobs int, stop bool) (*Summary, []Tally) {
		var told []Tally
		s, err := start(context.Background(), late, Options{
			First: 1, Count: 2000, Jobs: jobs, StopAtFailure: stop, Progress: func(t Tally) { told = append(told, t) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return s, told
	}
	for _, stop := range []bool{false, true} {
		want, wantTold := sweepWith(1, stop)
		for _, jobs := range []int{0, 2, 4, 16, 1 << 30} {
			if got, told := sweepWith(jobs, stop); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(told, wantTold) {
				t.Errorf("jobs %d: got %+v, want %+v", jobs, got, want)
			}
		}
		if stop && want.Seeds != 7 {
			t.Errorf("StopAtFailure: got %d seeds, want 7", want.Seeds)
		}
	}
}

// TestInterruptedIsAPrefix ends the context in the middle and wants the summary of the seeds before some seed.
func TestInterruptedIsAPrefix(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	got, err := start(ctx, late, Options{First: 1, Count: 100_000, Jobs: 4, Progress: func(t Tally) {
		if t.Done == 1000 {
			cancel()
		}
	}})
	if err != nil || !got.Interrupted || got.Seeds < 1000 || got.Seeds > 1000+2*ahead {
		t.Fatalf("got %+v, %v, want an interrupted sweep of about 1000 seeds", got, err)
	}
	want, err := start(context.Background(), late, Options{First: 1, Count: got.Seeds, Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if want.Interrupted = true; !reflect.DeepEqual(got, want) || got.Well() {
		t.Errorf("got %+v, want %+v, and not well", got, want)
	}
}

func TestErrorOfTheLowestSeed(t *testing.T) {
	run := func(o sim.Options) (*sim.Result, error) {
		if o.Seed >= 90 {
			return nil, errors.New("broken")
		}
		return late(o)
	}
	for _, jobs := range []int{1, 8} {
		if _, err := start(context.Background(), run, Options{Count: 1000, Jobs: jobs}); err == nil || err.Error() != "seed 90: broken" {
			t.Errorf("jobs %d: got %v, want seed 90: broken", jobs, err)
		}
	}
}

func TestPanicNamesTheSeed(t *testing.T) {
	defer func() {
		if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "seed 33: lost\n") || !strings.Contains(p, "sweep_test.go") {
			t.Errorf("got panic %q, want one that names seed 33 and this file", p)
		}
	}()
	s, err := start(context.Background(), func(o sim.Options) (*sim.Result, error) {
		if o.Seed == 33 {
			panic("lost")
		}
		return late(o)
	}, Options{Count: 1000, Jobs: 4})
	t.Errorf("got %+v, %v, want a panic", s, err)
}

func TestDivergenceEndsTheSweep(t *testing.T) {
	var runs atomic.Uint64
	run := func(o sim.Options) (*sim.Result, error) {
		r := result(o.Seed)
		if o.Seed == 100 {
			r.Hash = runs.Add(1)
		}
		return r, nil
	}
	s, err := start(context.Background(), run, Options{Count: 1000, Jobs: 4, CheckEvery: 20})
	var d *sim.Divergence
	if !errors.As(err, &d) || d.Seed != 100 || d.Hashes != [2]uint64{1, 2} {
		t.Errorf("got %+v, %v, want a divergence of seed 100", s, err)
	}
}

func TestWell(t *testing.T) {
	const idle, missed, refused = true, true, true
	for _, c := range []struct {
		name                      string
		seeds, failed, unknown    uint64
		idle, missed, interrupted bool
		refused, mistake, empty   bool
		passes, fails             bool // whether it is well for a scenario that must pass, and for one that must fail
	}{
		{name: "all pass", seeds: 50, passes: true},
		{name: "one fails", seeds: 50, failed: 1, fails: true},
		{name: "one fails by a mistake", seeds: 50, failed: 1, mistake: true},
		{name: "one is unknown", seeds: 50, unknown: 1},
		{name: "a fault without effect in a long sweep", seeds: Long, idle: idle},
		{name: "a fault without effect in a short sweep", seeds: Long - 1, idle: idle, passes: true},
		{name: "a sometimes missed in a long sweep", seeds: Long, missed: missed},
		{name: "a sometimes missed by one seed", seeds: 1, missed: missed, passes: true},
		{name: "an operation refused in a long sweep", seeds: Long, refused: refused},
		{name: "an operation refused in a short sweep", seeds: Long - 1, refused: refused, passes: true},
		{name: "no operation in a long sweep", seeds: Long, empty: true},
		{name: "interrupted", seeds: 10, interrupted: true},
		{name: "interrupted after a failure", seeds: 10, failed: 1, interrupted: true, fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSummary(made())
			s.Seeds, s.Failed, s.Unknown, s.Interrupted = c.seeds, c.failed, c.unknown, c.interrupted
			s.Passed = c.seeds - c.failed - c.unknown
			if !c.idle {
				s.Faults[0].Bit = 1
			}
			if !c.missed {
				s.Checks[1].OK = 1
			}
			s.Operations = []Operation{{Name: "get", OK: 1, Unknown: 3}, {Name: "put", Fail: 4}}
			if c.mistake {
				s.Mistakes = 1
			}
			if !c.refused {
				s.Operations[1].OK = 1
			}
			if c.empty {
				s.Operations = nil
			}
			if got := s.Well(); got != c.passes {
				t.Errorf("Well() = %v, want %v", got, c.passes)
			}
			if s.ExpectFails = true; s.Well() != c.fails {
				t.Errorf("Well() of a scenario that must fail = %v, want %v", s.Well(), c.fails)
			}
		})
	}
}

func TestOperationsAreCounted(t *testing.T) {
	op := func(name string, o history.Outcome, why string) history.Operation {
		return history.Operation{Op: name, Outcome: o, Error: why}
	}
	s := newSummary(made())
	for _, ops := range [][]history.Operation{
		{op("put", history.Unknown, ""), op("get", history.OK, ""), op("put", history.Fail, "denied: a")},
		{op("put", history.Fail, "denied: b"), op("del", history.Unknown, "timeout"), op("get", history.OK, "")},
	} {
		var r report
		s.reduce(&r, &sim.Result{History: history.History{Operations: ops}})
		s.add(r)
	}
	want := []Operation{{Name: "del", Unknown: 1, Why: "timeout"}, {Name: "get", OK: 2}, {Name: "put", Fail: 2, Unknown: 1, Why: "denied: a"}}
	if !reflect.DeepEqual(s.Operations, want) {
		t.Errorf("got %+v, want %+v", s.Operations, want)
	}
	if got := s.Refused(); !reflect.DeepEqual(got, []Operation{want[0], want[2]}) {
		t.Errorf("refused: got %+v, want del and put", got)
	}
}

func TestFailuresAreBounded(t *testing.T) {
	s := newSummary(made())
	for seed := range uint64(keptFailures + 5) {
		s.add(report{seed: seed, failed: &sim.CheckResult{Name: "kv", Message: "m"}})
	}
	if len(s.Failures) != keptFailures || s.Failed != keptFailures+5 || s.Failures[keptMessages].Message != "" || s.Failures[0].Message != "m" {
		t.Errorf("got %d failures kept of %d, want %d, the first %d with their messages", len(s.Failures), s.Failed, keptFailures, keptMessages)
	}
}

// TestRealRuns sweeps a real scenario with one and with four jobs.
func TestRealRuns(t *testing.T) {
	s, err := sim.Load(os.ReadFile, "../shrink/testdata/backup.star")
	if err != nil {
		t.Fatal(err)
	}
	var all []*Summary
	for _, jobs := range []int{1, 4} {
		sum, err := Sweep(context.Background(), s, Options{First: 1, Count: 120, Jobs: jobs, CheckEvery: 30})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sum)
	}
	if !reflect.DeepEqual(all[0], all[1]) {
		t.Errorf("with 4 jobs: got %+v, want %+v", all[1], all[0])
	}
	if sum := all[0]; sum.Seeds != 120 || sum.Failed == 0 || sum.Failed == 120 || sum.Twice != 4 || len(sum.Idle()) > 0 || !sum.Well() {
		t.Errorf("got %+v, want some failures, as expected, and every fault with effects", sum)
	}
}

func ExampleSweep() {
	s, err := sim.Load(os.ReadFile, "../testdata/kv.star")
	if err != nil {
		fmt.Println(err)
		return
	}
	sum, err := Sweep(context.Background(), s, Options{First: 1, Count: 30, Jobs: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sum.Passed, sum.Failed, sum.Well())
	// Output: 30 0 true
}

func BenchmarkSweep(b *testing.B) {
	s, err := sim.Load(os.ReadFile, "../testdata/kv.star")
	if err != nil {
		b.Fatal(err)
	}
	for _, jobs := range []int{1, 2} {
		b.Run(fmt.Sprint("jobs=", jobs), func(b *testing.B) {
			b.ReportAllocs()
			if _, err := Sweep(context.Background(), s, Options{Count: uint64(b.N), Jobs: jobs}); err != nil {
				b.Fatal(err)
			}
		})
	}
}
