package sim

import (
	"fmt"
	"math"

	"skynet/sched/trace"
)

// SelfCheck runs a seed twice, the second time on coroutines that the first has used, and compares the runs event by event.
// The error, of type [*Divergence] if they differ, names the first event that does. o.Trace, o.Diagram and o.Coroutines are
// not used.
func SelfCheck(s *Simulation, o Options) error {
	pair := twins{sim: s, options: o}
	pair.options.Diagram = nil
	a, b, err := pair.run(nil, nil)
	if err != nil || a.Hash() == b.Hash() && a.Count() == b.Count() {
		return err
	}
	from, to := trace.FirstWindow(a.Checkpoints(), b.Checkpoints())
	// What is not deterministic may show elsewhere the next time, so the second attempt records everything.
	for _, window := range [][2]uint64{{from, to}, {0, math.MaxUint64}} {
		d, err := pair.record(window[0], window[1])
		if d != nil || err != nil {
			return &Divergence{Seed: o.Seed, Hashes: [2]uint64{a.Hash(), b.Hash()}, First: d, Err: err}
		}
	}
	return &Divergence{Seed: o.Seed, Hashes: [2]uint64{a.Hash(), b.Hash()}}
}

// Divergence says that two runs of one seed differ: something in the system or in a Go service is not deterministic.
type Divergence struct {
	Seed   uint64
	Hashes [2]uint64
	// First is the first event in which two runs differ; nil if the runs that were recorded were equal.
	First *trace.Divergence
	// Err is why a recorded run failed altogether.
	Err error
}

// Error prints the first divergent event of both runs.
func (d *Divergence) Error() string {
	text := fmt.Sprintf("sim: self-check of seed %d: two runs differ (%016x, %016x)", d.Seed, d.Hashes[0], d.Hashes[1])
	switch {
	case d.Err != nil:
		return text + ": " + d.Err.Error()
	case d.First == nil:
		return text + ", but two more runs were equal"
	}
	return text + "\n" + d.First.String()
}

// Unwrap returns Err.
func (d *Divergence) Unwrap() error { return d.Err }

// twins runs one seed twice.
type twins struct {
	sim     *Simulation
	options Options
}

func (t twins) run(sinkA, sinkB func(trace.Event)) (a, b *trace.Trace, err error) {
	pool := NewCoroutines()
	defer pool.Close()
	a, b = &trace.Trace{Keep: true, Sink: sinkA}, &trace.Trace{Keep: true, Sink: sinkB}
	for _, tr := range []*trace.Trace{a, b} {
		o := t.options
		o.Trace, o.Coroutines = tr, pool
		if _, err := t.sim.Run(o); err != nil {
			return a, b, err
		}
	}
	return a, b, nil
}

// record runs the twins and compares their events from index from to index to.
func (t twins) record(from, to uint64) (*trace.Divergence, error) {
	a, b := trace.Window(from, to), trace.Window(from, to)
	if _, _, err := t.run(a.Sink, b.Sink); err != nil {
		return nil, err
	}
	return trace.FirstDivergence(a.Events(), b.Events()), nil
}
