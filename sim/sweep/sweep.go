// Package sweep runs a scenario with many seeds at the same time and adds up what came of it.
//
//	s, err := sim.Load(os.ReadFile, "kv.star")
//	sum, err := sweep.Sweep(ctx, s, sweep.Options{First: 1, Count: 500, Jobs: 2})
//	fmt.Println(sum.Passed, sum.Failed, sum.Failures)
//
// # Guarantees
//
//   - The summary is a function of the simulation and the options, but for Jobs: outcomes are added up in the order of the
//     seeds, whoever ran them.
//   - Memory does not grow with the number of seeds: a run is reduced to counts before the next one begins, and the
//     failures that are kept are bounded.
//   - Some of the seeds are run twice. Two runs of one seed that differ end the sweep with the first event in which they do.
//   - When the context ends, the summary covers the seeds up to the first that was not run.
package sweep

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"skynet/runtime"
	"skynet/sim"
)

// Options configure a sweep. The zero value runs no seed.
type Options struct {
	First, Count uint64
	// Jobs is how many seeds run at the same time; 0 means 1.
	Jobs int
	// Strategy is that of [sim.Options].
	Strategy string
	// CheckEvery makes the first of so many seeds run twice; 0 means [DefaultCheckEvery]. More often finds a
	// dependence on something other than the seed sooner and costs as many runs.
	CheckEvery uint64
	// StopAtFailure ends the sweep with the first seed that fails.
	StopAtFailure bool
	// Progress, if set, is told after each seed how far the sweep is, in order and never by two goroutines at a time.
	Progress func(Tally)
}

// DefaultCheckEvery costs 2 % of a sweep.
const DefaultCheckEvery = 50

// ahead is how many seeds may be begun before the earliest unfinished one is added up: enough that a seed which takes a
// hundred times as long as the others stops nobody.
const ahead = 256

// Tally is how far a sweep is.
type Tally struct{ Done, Total, Failed, Unknown, Steps uint64 }

// Sweep runs the seeds from First on. An error is one of the scenario, or a [*sim.Divergence]; that of the lowest seed is
// returned. A run that panics makes Sweep panic.
func Sweep(ctx context.Context, s *sim.Simulation, o Options) (*Summary, error) {
	w := &sweeper{Options: o, run: s.Run, summary: newSummary(s.Scenario), diverged: func(seed uint64) error {
		return sim.SelfCheck(s, sim.Options{Seed: seed, Strategy: o.Strategy})
	}}
	return w.sweep(ctx)
}

// sweeper is one sweep.
type sweeper struct {
	Options
	run      func(sim.Options) (*sim.Result, error)
	diverged func(seed uint64) error // says where two runs of a seed differ
	summary  *Summary

	seeds   chan uint64 // to be run, as offsets from First
	reports chan report // in the order in which they were finished
	workers sync.WaitGroup
}

// sweep hands out seeds, and takes the reports in the order of the seeds.
func (w *sweeper) sweep(ctx context.Context) (*Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	w.start(ctx)
	defer w.stop(cancel)
	early := make(map[uint64]report) // finished before an earlier seed
	for next := uint64(0); next < w.Count; next++ {
		r, ok := early[next]
		for ; !ok; r, ok = early[next] {
			done := <-w.reports
			early[done.offset] = done
		}
		delete(early, next)
		switch {
		case r.skipped:
			w.summary.Interrupted = true
			return w.summary, nil
		case r.panicked != "":
			panic(r.panicked)
		case r.err != nil:
			return nil, fmt.Errorf("seed %d: %w", r.seed, r.err)
		}
		w.take(r)
		if w.StopAtFailure && r.failed != nil {
			return w.summary, nil
		}
		if next+ahead < w.Count {
			w.seeds <- next + ahead
		}
	}
	return w.summary, nil
}

// take adds up one seed.
func (w *sweeper) take(r report) {
	s := w.summary
	s.add(r)
	if w.Progress != nil {
		w.Progress(Tally{Done: s.Seeds, Total: w.Count, Failed: s.Failed, Unknown: s.Unknown, Steps: s.Steps})
	}
}

// start starts the workers and gives them the first seeds. Neither channel ever blocks a sender: no more than ahead
// seeds are on their way.
func (w *sweeper) start(ctx context.Context) {
	w.seeds, w.reports = make(chan uint64, ahead), make(chan report, ahead)
	for i := range min(ahead, w.Count) {
		w.seeds <- i
	}
	for range min(uint64(max(w.Jobs, 1)), ahead, w.Count) { // more would find nothing to run
		w.workers.Add(1)
		go w.work(ctx) //determinism:ok each seed is a run of its own, and the order of their ends reaches no summary
	}
}

// stop ends the workers and waits for them.
func (w *sweeper) stop(cancel func()) {
	cancel()
	close(w.seeds)
	w.workers.Wait()
}

// work runs seeds one after the other, all on one pool of coroutines. Once the context has ended it only says so.
func (w *sweeper) work(ctx context.Context) {
	defer w.workers.Done()
	pool := sim.NewCoroutines()
	defer pool.Close()
	for offset := range w.seeds {
		r := report{offset: offset, seed: w.First + offset, skipped: true}
		if ctx.Err() == nil {
			r = w.one(offset, pool)
		}
		w.reports <- r
	}
}

// one runs one seed, twice if it is its turn. A panic is carried to the caller of the sweep, with the seed.
func (w *sweeper) one(offset uint64, pool *runtime.Coroutines) (r report) {
	r = report{offset: offset, seed: w.First + offset}
	defer func() {
		if p := recover(); p != nil {
			r.panicked = fmt.Sprintf("seed %d: %v\n\n%s", r.seed, p, debug.Stack())
		}
	}()
	o := sim.Options{Seed: r.seed, Strategy: w.Strategy, Coroutines: pool}
	result, err := w.run(o)
	if err != nil {
		r.err = err
		return r
	}
	w.summary.reduce(&r, result)
	if offset%w.checkEvery() == 0 {
		r.twice, r.err = true, w.repeat(o, result)
	}
	return r
}

func (w *sweeper) checkEvery() uint64 {
	if w.CheckEvery == 0 {
		return DefaultCheckEvery
	}
	return w.CheckEvery
}

// repeat runs a seed again, on coroutines that others have used in between, and wants the same run.
func (w *sweeper) repeat(o sim.Options, first *sim.Result) error {
	second, err := w.run(o)
	if err != nil {
		return fmt.Errorf("the second run of the same seed: %w", err)
	}
	if second.Hash == first.Hash && second.Events == first.Events {
		return nil
	}
	if err := w.diverged(o.Seed); err != nil {
		return err
	}
	return &sim.Divergence{Seed: o.Seed, Hashes: [2]uint64{first.Hash, second.Hash}}
}
