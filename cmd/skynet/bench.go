package main

import "github.com/spf13/pflag"

// benchOptions are the parsed flags of the bench command.
type benchOptions struct {
	names  []string // none means all
	format string
}

func benchCommand() command {
	return command{
		name:     "bench",
		operands: "[NAME…] [flags]",
		brief:    "measure this machine",
		about: `Measures the runtime and the simulator. Beside each figure stands the time of a ping-pong over a Go channel in
the same run, since a figure without the speed of the machine says little. The list has one entry for each
measurement, {name, value, unit, pingpong_ns, ratio}; without a NAME all are run.`,
		examples: []string{
			"skynet bench",
			"skynet bench call send",
			"skynet bench --format json",
		},
		define: func(flags *pflag.FlagSet) func(*State, []string) error {
			o := benchFlags(flags)
			return func(s *State, operands []string) error {
				o.names = operands
				return measure(s, *o)
			}
		},
	}
}

func benchFlags(flags *pflag.FlagSet) *benchOptions {
	o := &benchOptions{}
	formatFlag(flags, &o.format)
	return o
}
