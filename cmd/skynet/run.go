package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"skynet/cmd/skynet/serve"
	"skynet/runtime/config"
	"skynet/scripts"
)

// runOptions are the parsed flags of the run command.
type runOptions struct {
	main    string
	config  string // "" for the defaults
	node    string // "" for runtime.DefaultName
	threads uint64 // workers; 0 means what the configuration says
	profile string // file for the profile; "" takes none
	print   bool   // print the configuration instead of running
}

func runCommand() command {
	return command{
		name:     "run",
		operands: "MAIN.star [flags]",
		brief:    "run a production node",
		about: `Starts a node and launches MAIN.star as its first service, on the machine's clock, network and disk. Once
its init has returned, one line "ready node=NAME …" with the open ports goes to the standard output; logs go
to the standard error.

Scripts are found by name in the directory of MAIN.star, then in the path of the configuration, then among
those that ship with skynet; MAIN.star itself may be one of these.

SIGTERM or SIGINT drains the node: it accepts nothing new, finishes what it has begun, syncs its store and
exits with status 0. A second signal ends it at once with status 1. docs/operations.md has the words of a
configuration.`,
		examples: []string{
			"skynet run main.star",
			"skynet run kv.star",
			"skynet run main.star --config cluster.star --node game1 --threads 4",
			"skynet run main.star --config cluster.star --node game1 --print-config",
			"skynet run main.star --profile scripts.pprof",
		},
		define: func(flags *pflag.FlagSet) func(*State, []string) error {
			o := runFlags(flags)
			return func(s *State, operands []string) error {
				if err := o.finish(flags, operands); err != nil {
					return err
				}
				return run(s, *o)
			}
		},
	}
}

func runFlags(flags *pflag.FlagSet) *runOptions {
	o := &runOptions{}
	flags.StringVar(&o.config, "config", "", "read the configuration of the cluster, a Starlark file, from `FILE`")
	flags.StringVar(&o.node, "node", "", "be the node `NAME` of the configuration")
	flags.Var(whole{&o.threads, 1}, "threads", "run services on this many workers (default: one for each processor)")
	flags.StringVar(&o.profile, "profile", "", "write a profile of the scripts to `FILE` at the end, for \"go tool pprof\"")
	flags.BoolVar(&o.print, "print-config", false, "print the effective configuration, which is itself a configuration file, and exit")
	return o
}

func (o *runOptions) finish(flags *pflag.FlagSet, operands []string) (err error) {
	if o.main, err = operand(operands, "the script of the first service"); err != nil {
		return err
	}
	if flags.Changed("node") && o.node == "" {
		return &usageError{msg: `--node: got "", want a name`}
	}
	if o.threads > config.MaxThreads {
		return &usageError{msg: fmt.Sprintf("--threads: got %d, want at most %d", o.threads, config.MaxThreads)}
	}
	if o.node != "" && o.config == "" {
		return &usageError{msg: "got --node without --config, want both: the configuration says what the node is"}
	}
	return nil
}

func run(s *State, o runOptions) error {
	c, err := o.configuration(s)
	if err != nil {
		return err
	}
	if o.print {
		_, err := fmt.Fprint(s.Stdout, c)
		return err
	}
	options := serve.Options{
		Main:    o.main,
		Config:  c,
		Shipped: scripts.FS,
		Signals: s.Signals(),
		Log:     s.Stderr,
		Ready:   func(r serve.Ready) { fmt.Fprintln(s.Stdout, r) },
	}
	if o.profile == "" {
		return serve.Run(options)
	}
	f, err := s.Files.Create(o.profile)
	if err != nil {
		return inputError{err}
	}
	options.Profile = f
	return errors.Join(serve.Run(options), f.Close())
}

// configuration is that of the file, with what the flags say in its place.
func (o *runOptions) configuration(s *State) (*config.Config, error) {
	var text []byte
	if o.config != "" {
		var err error
		if text, err = s.Files.ReadFile(o.config); err != nil {
			return nil, inputError{err}
		}
	}
	c, err := config.Parse(o.config, text, o.node)
	if err != nil {
		return nil, err
	}
	c.Threads = cmp.Or(int(o.threads), c.Threads)
	return c, nil
}
