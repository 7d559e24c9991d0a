package main

import "github.com/spf13/pflag"

// runOptions are the parsed flags of the run command.
type runOptions struct {
	main    string
	config  string // "" for the defaults
	node    string // "" for the only node of the configuration
	threads uint64 // workers; 0 means one for each processor
}

func runCommand() command {
	return command{
		name:     "run",
		operands: "MAIN.star [flags]",
		brief:    "run a production node",
		about: `Starts a node and launches MAIN.star as its first service, on the machine's clock, network and disk. SIGTERM
or SIGINT drains it: it accepts nothing new, finishes what it has begun, syncs its stores and exits with
status 0. A second signal ends it at once.`,
		examples: []string{
			"skynet run main.star",
			"skynet run main.star --config cluster.star --node game1",
			"skynet run main.star --threads 4",
		},
		define: func(flags *pflag.FlagSet) func(*State, []string) error {
			o := runFlags(flags)
			return func(s *State, operands []string) error {
				if err := o.finish(flags, operands); err != nil {
					return err
				}
				if err := readable(s, o.main, o.config); err != nil {
					return err
				}
				return serve(s, *o)
			}
		},
	}
}

func runFlags(flags *pflag.FlagSet) *runOptions {
	o := &runOptions{}
	flags.StringVar(&o.config, "config", "", "read the configuration of the cluster, a Starlark file, from `FILE`")
	flags.StringVar(&o.node, "node", "", "be the node `NAME` of the configuration")
	flags.Var(whole{&o.threads, 1}, "threads", "run services on this many workers (default: one for each processor)")
	return o
}

func (o *runOptions) finish(flags *pflag.FlagSet, operands []string) (err error) {
	if o.main, err = operand(operands, "the script of the first service"); err != nil {
		return err
	}
	if flags.Changed("node") && o.node == "" {
		return &usageError{msg: `--node: got "", want a name`}
	}
	if o.node != "" && o.config == "" {
		return &usageError{msg: "got --node without --config, want both: the configuration says what the node is"}
	}
	return nil
}
