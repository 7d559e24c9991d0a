package main

import (
	"bufio"
	"errors"
	"fmt"

	"skynet/sched/trace"
	"skynet/sim"
	pages "skynet/sim/report"
)

// record makes a run collect what --trace and --report ask for. When the run is over, finish completes the files.
func (x *simulation) record(o *sim.Options) (finish func() error, err error) {
	closeTrace := func() error { return nil }
	if x.trace != "" {
		if closeTrace, err = x.traced(o); err != nil {
			return nil, err
		}
	}
	if x.report == "" {
		return closeTrace, nil
	}
	o.Diagram = new(sim.Diagram)
	return func() error {
		page := pages.Page{Simulation: x.sim, Run: x.run, Diagram: o.Diagram, Replay: x.replay(x.run.Seed)}
		return errors.Join(closeTrace(), x.write(x.report, page.Write))
	}, nil
}

// traced makes a run write its events to the file of --trace, one on a line.
func (x *simulation) traced(o *sim.Options) (finish func() error, err error) {
	f, err := x.Files.Create(x.trace)
	if err != nil {
		return nil, inputError{err}
	}
	lines := bufio.NewWriterSize(f, 1<<16)
	o.Trace = &trace.Trace{Sink: func(e trace.Event) { fmt.Fprintln(lines, e) }} // the writer keeps its first error
	return func() error {
		return errors.Join(lines.Flush(), f.Close())
	}, nil
}
