package main

import (
	"fmt"
	"math"

	"github.com/spf13/pflag"
)

// simOptions are the parsed flags of the sim command.
type simOptions struct {
	scenarios []string
	single    bool   // one seed was named, so its hash is of interest
	open      bool   // no seed was named: the scenario may do so
	seed      uint64 // the one seed, if single
	first     uint64 // the first seed, or the only one
	count     uint64 // how many seeds
	jobs      uint64 // seeds at the same time; 0 means one for each processor
	shrink    bool
	trace     string // file for the events, "" for none
	report    string // file for the page, "" for none
	format    string
	strategy  string
	failFast  bool
}

const defaultSeeds = 100

func simCommand() command {
	return command{
		name:     "sim",
		operands: "SCENARIO.star… [--seed N | --seeds COUNT] [flags]",
		brief:    "simulate scenarios under seeded faults",
		about: `Runs every scenario once for each seed: a whole cluster in one process, on a virtual clock, a virtual
network and virtual disks, with the faults the scenario asks for. What the clients saw is checked. The same
seed gives the same run, event for event, on any machine. A failing sweep prints the seed, what failed and
the command that replays it. A scenario with expect = "fails" is well if a seed fails, and not if none does.`,
		examples: []string{
			"skynet sim scenarios/quorum.star --seeds 500          # a sweep",
			"skynet sim scenarios/quorum.star --seed 42 --shrink   # one run, reduced to what matters if it fails",
			"skynet sim scenarios/*.star --seeds 2000 --jobs 2 --format json",
			"skynet sim scenarios/quorum.star --seed 42 --report out.html --trace out.trace",
		},
		define: func(flags *pflag.FlagSet) func(*State, []string) error {
			o := simFlags(flags)
			return func(s *State, operands []string) error {
				if err := o.finish(flags, operands); err != nil {
					return err
				}
				if err := readable(s, o.scenarios...); err != nil {
					return err
				}
				return simulate(s, *o)
			}
		},
	}
}

func simFlags(flags *pflag.FlagSet) *simOptions {
	o := &simOptions{count: defaultSeeds, first: 1, strategy: "random"}
	flags.Var(whole{&o.seed, 0}, "seed", "run this one seed")
	flags.Var(whole{&o.count, 1}, "seeds", "run this many seeds")
	flags.Var(whole{&o.first, 0}, "first", "the first seed of a sweep")
	flags.Var(whole{&o.jobs, 1}, "jobs", "run this many seeds at the same time (default: one for each processor)")
	flags.BoolVar(&o.shrink, "shrink", false, "reduce the first failure to the faults and clients it needs, and write that as a scenario beside the original")
	flags.StringVar(&o.trace, "trace", "", "write the events of the run, or of the first one that fails, to `FILE`")
	flags.StringVar(&o.report, "report", "", "write a page about the run, or about the first one that fails, to `FILE`")
	flags.BoolVar(&o.failFast, "fail-fast", false, "end a sweep with the first seed that fails")
	formatFlag(flags, &o.format)
	flags.Var(oneOf{&o.strategy, []string{"random", "fifo"}}, "strategy", "who picks what happens next")
	return o
}

// finish checks what no single flag can see and adds the operands.
func (o *simOptions) finish(flags *pflag.FlagSet, operands []string) error {
	o.scenarios = operands
	o.single = flags.Changed("seed")
	o.open = !o.single && !flags.Changed("seeds") && !flags.Changed("first")
	switch {
	case len(operands) == 0:
		return &usageError{msg: "got no operand, want at least one scenario file"}
	case o.single && flags.Changed("seeds"):
		return &usageError{msg: "got --seed and --seeds, want one of them: --seed runs that seed, --seeds that many"}
	case o.single && flags.Changed("first"):
		return &usageError{msg: "got --seed and --first, want one of them: --first begins a sweep"}
	case len(operands) > 1 && (o.trace != "" || o.report != ""):
		return &usageError{msg: fmt.Sprintf("got %d scenarios, want one with --trace or --report: there is one file to write", len(operands))}
	}
	if o.single {
		o.first, o.count = o.seed, 1
	}
	if o.count-1 > math.MaxInt64-o.first {
		return &usageError{msg: fmt.Sprintf("got %d seeds from %d, want none above %d, the largest there is", o.count, o.first, math.MaxInt64)}
	}
	return nil
}
