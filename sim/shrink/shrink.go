// Package shrink reduces a failing run to the faults and clients that it needs, and writes down what is left as a scenario
// that anyone can run.
//
//	r, err := sim.Run(...)                                     // r.Failed != nil
//	small, err := shrink.Shrink(ctx, s, r, shrink.Options{Read: os.ReadFile})
//	os.WriteFile(small.File, []byte(small.Source), 0o644)     // fails the same check
//
// # Guarantees
//
//   - Every candidate is run as the scenario file that would be written, with the same seed, and is kept only if the same
//     check fails. So what is returned has failed in just the form in which it is replayed.
//   - The result is never larger than the run it came from. It is minimal, in that no single fault or client can be left
//     out, unless the runs were used up.
//   - Equal runs shrink to equal results.
package shrink

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sim"
	"skynet/sim/scenario"
)

// Options configure a shrinking. Read is required, all else has a default.
type Options struct {
	// Read returns the text of a file of the scenario; os.ReadFile is one.
	Read scenario.Reader
	// Strategy must be that of the run that failed.
	Strategy string
	// Runs bounds the candidates; 0 means [DefaultRuns]. With more, a large plan becomes smaller.
	Runs int
	// Progress, if set, is told after each candidate what is left.
	Progress func(Progress)
}

// DefaultRuns is enough for some dozen faults.
const DefaultRuns = 400

// Progress is how far a shrinking is.
type Progress struct{ Runs, MostRuns, Faults, Clients int }

// Result is a small run that fails like a large one.
type Result struct {
	Seed      uint64
	Instances []scenario.Instance // the faults that are needed, with their paths in the original
	Clients   []string            // the clients that are needed, at least one
	File      string              // where Source belongs: beside the original, whose parts it loads
	Source    string              // a scenario file that fails the same check when it is run
	Run       *sim.Result         // how it fails

	Faults, AllClients int  // what the large run had
	Runs               int  // candidates run
	Minimal            bool // the runs sufficed
}

// Shrink reduces a run of s that failed. It is an error if the explicit plan of the faults that struck does not fail the
// same check, or if the context ends before that is known; a context that ends later stops at what was reached.
func Shrink(ctx context.Context, s *sim.Simulation, failed *sim.Result, o Options) (*Result, error) {
	if failed.Failed == nil {
		return nil, fmt.Errorf("shrink: seed %d: got a run that does not fail", failed.Seed)
	}
	world, err := scenario.BuildWorld(s.Scenario, sched.NewStream(failed.Seed, "world"))
	if err != nil {
		return nil, err
	}
	h := &hunt{Options: o, ctx: ctx, sc: s.Scenario, seed: failed.Seed, check: failed.Failed.Name, tried: map[string]bool{}}
	h.pool = sim.NewCoroutines()
	defer h.pool.Close()
	h.try = h.load
	return h.shrink(failed.Instances, world.Cluster().Clients)
}

// File is where the shrunk form of a scenario belongs.
func File(original string, seed uint64) string {
	return fmt.Sprintf("%s-seed%d.star", strings.TrimSuffix(original, path.Ext(original)), seed)
}

// Ours reports whether a file was written by a shrinking, and so may be written over by the next one.
func Ours(text []byte) bool { return bytes.HasPrefix(text, []byte(`"""Shrunk from `)) }

// hunt is one shrinking.
type hunt struct {
	Options
	ctx   context.Context
	sc    *scenario.Scenario
	seed  uint64
	check string
	pool  *runtime.Coroutines

	try   func(c candidate, source string) (*sim.Result, error)
	runs  int
	tried map[string]bool // by source, whether it fails
	spent bool            // a candidate was not run
	best  candidate       // the smallest that fails, and how
	run   *sim.Result
	err   error // why the last candidate could not be run
}

// candidate is what may suffice.
type candidate struct {
	faults  []scenario.Instance
	clients []string
}

func (h *hunt) shrink(faults []scenario.Instance, clients []string) (*Result, error) {
	r := &Result{Seed: h.seed, File: File(h.sc.File, h.seed), Faults: len(faults), AllClients: len(clients)}
	h.best = candidate{faults, clients}
	if !h.fails(h.best) {
		return nil, h.unrepeatable()
	}
	for before := -1; before != h.size(); {
		before = h.size()
		minimise(h.best.faults, func(f []scenario.Instance) bool { return h.fails(candidate{f, h.best.clients}) })
		minimise(h.best.clients, func(c []string) bool { return len(c) > 0 && h.fails(candidate{h.best.faults, c}) })
	}
	h.narrow()
	r.Instances, r.Clients, r.Source, r.Run = h.best.faults, h.best.clients, h.source(h.best), h.run
	r.Runs, r.Minimal = h.runs, !h.spent
	return r, nil
}

// unrepeatable says why the whole plan does not do what the run did.
func (h *hunt) unrepeatable() error {
	if h.err == nil {
		h.err = h.ctx.Err()
	}
	if h.err != nil {
		return fmt.Errorf("shrink: seed %d: run its faults as an explicit plan: %w", h.seed, h.err)
	}
	return fmt.Errorf("shrink: seed %d: its faults, as an explicit plan, do not fail %s", h.seed, h.check)
}

func (h *hunt) size() int { return len(h.best.faults) + len(h.best.clients) }

// fails runs a candidate, unless that was done or the runs are used up, and keeps it as the best if the check fails.
func (h *hunt) fails(c candidate) bool {
	source := h.source(c)
	if known, ok := h.tried[source]; ok {
		return known
	}
	if h.runs >= h.mostRuns() || h.ctx.Err() != nil {
		h.spent = true
		return false
	}
	h.runs++
	run, err := h.try(c, source)
	h.err = err // a candidate that cannot be run, say since a fault names a client that is gone, does not fail
	fails := err == nil && run.Failed != nil && run.Failed.Name == h.check
	h.tried[source] = fails
	if fails {
		h.best, h.run = c, run
	}
	if h.Progress != nil {
		h.Progress(Progress{h.runs, h.mostRuns(), len(h.best.faults), len(h.best.clients)})
	}
	return fails
}

func (h *hunt) mostRuns() int {
	if h.Runs == 0 {
		return DefaultRuns
	}
	return h.Runs
}

// source is the scenario file of a candidate.
func (h *hunt) source(c candidate) string {
	return scenario.Shrunk(h.sc, h.seed, c.faults, time.Duration(h.sc.Trouble.Settle().Hi), c.clients)
}

// load runs a scenario file as if it were written already.
func (h *hunt) load(_ candidate, source string) (*sim.Result, error) {
	file := path.Clean(File(h.sc.File, h.seed))
	s, err := sim.Load(func(name string) ([]byte, error) {
		if name == file {
			return []byte(source), nil
		}
		return h.Read(name)
	}, file)
	if err != nil {
		return nil, err
	}
	return s.Run(sim.Options{Seed: h.seed, Strategy: h.Strategy, Coroutines: h.pool})
}
