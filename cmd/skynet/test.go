package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"skynet/sim/unit"
)

// testOptions are the parsed flags of the test command.
type testOptions struct {
	operands []string // files and directories
	run      pattern  // of the tests to run
	seeded   bool     // seed is that of every test, else each has its own
	seed     uint64
	limit    time.Duration // of virtual time for each test
	verbose  bool
	format   string
}

func testCommand() command {
	return command{
		name:     "test",
		operands: "[FILE_test.star | DIR]… [flags]",
		brief:    "test services one by one, without a node",
		about: `Runs every function test_* of the files, of those below a directory, or of those below the present one, in
the order of each file. Every test has a world of its own, with a virtual clock, network and disk, in which
nothing takes time but waiting. A test file sees the words of services, and beside them assert and test;
docs/testing.md describes them. A failure shows the place, what was got and wanted, and the command that
repeats it.`,
		examples: []string{
			"skynet test                                 # every *_test.star below this directory",
			"skynet test kv_test.star -v",
			"skynet test scripts --run 'put|get' --format json",
			"skynet test kv_test.star --run '^test_put$' --seed 42",
		},
		respell: respellRun,
		define: func(flags *pflag.FlagSet) func(*State, []string) error {
			o := testFlags(flags)
			return func(s *State, operands []string) error {
				if err := o.finish(flags, operands); err != nil {
					return err
				}
				return test(s, *o)
			}
		},
	}
}

// respellRun takes -run, as go test has it, for --run: one letter after a dash would mean -r un.
func respellRun(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if arg == "-run" || strings.HasPrefix(arg, "-run=") {
			args[i] = "-" + arg
		}
	}
	return args
}

func testFlags(flags *pflag.FlagSet) *testOptions {
	o := &testOptions{limit: unit.DefaultLimit}
	flags.VarP(&o.run, "run", "r", "run only the tests whose name matches `REGEXP`; -run is understood, too")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print every test, how long it took, and what services logged")
	flags.Var(whole{&o.seed, 0}, "seed", "the seed of every test (default: one that depends on the test's name)")
	flags.Var(span{&o.limit}, "timeout", "the virtual time a test may take, without what test.advance lets pass")
	formatFlag(flags, &o.format)
	return o
}

// finish checks the operands.
func (o *testOptions) finish(flags *pflag.FlagSet, operands []string) error {
	o.operands, o.seeded = operands, flags.Changed("seed")
	for _, name := range operands {
		if strings.HasSuffix(name, ".star") && !strings.HasSuffix(name, unit.Suffix) {
			return &usageError{msg: fmt.Sprintf("got %q, want files whose names end in %s, or directories", name, unit.Suffix)}
		}
	}
	if len(operands) == 0 {
		o.operands = []string{"."}
	}
	return nil
}
