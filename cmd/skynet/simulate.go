package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"runtime/debug"
	"time"

	"skynet/scripts"
	"skynet/sim"
	"skynet/sim/shrink"
	"skynet/sim/sweep"
)

// simulate sweeps one scenario after the other. All of them are read before the first one runs.
func simulate(s *State, o simOptions) error {
	sims := make([]*sim.Simulation, len(o.scenarios))
	for i, name := range o.scenarios {
		var err error
		if sims[i], err = sim.Load(orShipped(s.Files.ReadFile), name); err != nil {
			return inputError{err}
		}
	}
	defer roomForGarbage(s)()
	return interruptible(s, func(ctx context.Context) error {
		well := true
		for i := range sims {
			one := &simulation{State: s, simOptions: o.of(sims[i]), sim: sims[i], name: o.scenarios[i]}
			if err := one.simulate(ctx); err != nil {
				return err
			}
			well = well && one.sum.Well()
			if i+1 < len(sims) && o.format == "text" {
				fmt.Fprintln(s.Stdout)
			}
		}
		if !well {
			return errFailed
		}
		return nil
	})
}

// orShipped reads a script that is not where its scenario names it from among the shipped ones, as the run command does.
func orShipped(read func(name string) ([]byte, error)) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		text, err := read(name)
		if errors.Is(err, fs.ErrNotExist) {
			if shipped, e := fs.ReadFile(scripts.FS, path.Base(name)); e == nil {
				return shipped, nil
			}
		}
		return text, err
	}
}

// roomForGarbage lets the heap grow to five times what is alive, a few megabytes, before it is collected: with the usual
// two times, two jobs spend a third more processor time than one. Who sets GOGC decides instead.
func roomForGarbage(s *State) (undo func()) {
	if s.Env("GOGC") != "" {
		return func() {}
	}
	old := debug.SetGCPercent(400)
	return func() { debug.SetGCPercent(old) }
}

// of fills in what the scenario says and what the machine has.
func (o simOptions) of(s *sim.Simulation) simOptions {
	if o.open && s.Scenario.HasSeed {
		o.single, o.first, o.count = true, s.Scenario.Seed, 1
	}
	if o.jobs == 0 {
		o.jobs = uint64(runtime.GOMAXPROCS(0))
	}
	return o
}

// interruptible runs body until it returns. The first signal ends its context, the second one leaves it behind.
func interruptible(s *State, body func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done, panicked := make(chan error, 1), make(chan string, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				panicked <- fmt.Sprintf("%v\n\n%s", p, debug.Stack())
			}
		}()
		done <- body(ctx)
	}()
	for signals := s.Signals(); ; {
		select {
		case err := <-done:
			return err
		case p := <-panicked:
			panic(p)
		case <-signals:
			if ctx.Err() != nil {
				return errFailed
			}
			cancel()
		}
	}
}

// simulation is the sweep of one scenario and what is told about it.
type simulation struct {
	*State
	simOptions
	sim  *sim.Simulation
	name string

	sum     *sweep.Summary
	wall    time.Duration
	run     *sim.Result // the run of interest; nil if there is none
	small   *shrink.Result
	smallAt string // the file in which the shrunk scenario is; "" if it could not be written
	note    string // why there is none
}

func (x *simulation) simulate(ctx context.Context) error {
	if err := x.sweep(ctx); err != nil {
		return err
	}
	examined := x.examine()
	if x.run == nil && examined != nil {
		return examined
	}
	if x.shrink && x.run != nil && x.run.Failed != nil {
		x.reduce(ctx)
	}
	if x.format == "json" {
		if x.note != "" {
			fmt.Fprintf(x.Stderr, "skynet: %s\n", x.note)
		}
		return cmp.Or(x.printJSON(), examined)
	}
	return cmp.Or(x.printText(), examined) // a file that could not be written does not hide the verdict
}

func (x *simulation) sweep(ctx context.Context) (err error) {
	shown, begun := newProgress(x.State), x.Now()
	x.sum, err = sweep.Sweep(ctx, x.sim, sweep.Options{
		First: x.first, Count: x.count, Jobs: int(min(x.jobs, 1<<16)), Strategy: x.strategy, StopAtFailure: x.failFast,
		Progress: func(t sweep.Tally) {
			shown.update(tally{name: x.name, done: t.Done, total: t.Total, failed: t.Failed, steps: t.Steps})
		},
	})
	shown.done()
	x.wall = x.Now().Sub(begun)
	if diverged := (*sim.Divergence)(nil); err != nil && !errors.As(err, &diverged) {
		return inputError{err}
	}
	return err
}

// examine runs the seed of interest once more, for all that a sweep forgets: the only one, or the first that failed. A
// trace or a report of a sweep that did not fail is of its first seed.
func (x *simulation) examine() error {
	seed := x.first
	switch {
	case len(x.sum.Failures) > 0:
		seed = x.sum.Failures[0].Seed
	case x.sum.Seeds == 0 || !x.single && x.trace == "" && x.report == "":
		return nil
	}
	o := sim.Options{Seed: seed, Strategy: x.strategy}
	finish, err := x.record(&o)
	if err != nil {
		return err
	}
	if x.run, err = x.sim.Run(o); err != nil {
		return inputError{err}
	}
	return finish()
}

// reduce shrinks the run of interest and writes the scenario that is left beside the original. A file that it has not
// written itself stays as it is.
func (x *simulation) reduce(ctx context.Context) {
	shown := newProgress(x.State)
	small, err := shrink.Shrink(ctx, x.sim, x.run, shrink.Options{
		Read: x.Files.ReadFile, Strategy: x.strategy, Progress: func(p shrink.Progress) {
			shown.show(func(time.Duration) string {
				return fmt.Sprintf("%s shrinking: %d faults and %d clients left after %d runs", x.name, p.Faults, p.Clients, p.Runs)
			})
		},
	})
	shown.done()
	if err != nil {
		x.note = err.Error()
		return
	}
	x.small = small
	if text, err := x.Files.ReadFile(small.File); err == nil && !shrink.Ours(text) {
		x.note = fmt.Sprintf("%s is there already and not a shrunk scenario; it is left as it is", small.File)
		return
	}
	if err := x.write(small.File, func(w io.Writer) error { _, err := io.WriteString(w, small.Source); return err }); err != nil {
		x.note = err.Error()
		return
	}
	x.smallAt = small.File
}

// write makes a file of what body writes.
func (x *simulation) write(name string, body func(io.Writer) error) error {
	f, err := x.Files.Create(name)
	if err != nil {
		return inputError{err}
	}
	return errors.Join(body(f), f.Close())
}
