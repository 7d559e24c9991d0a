package main

import (
	"errors"
	"io"

	"github.com/spf13/pflag"
)

// checkOptions are the parsed flags of the check command.
type checkOptions struct {
	history string // "-" for the standard input
	model   string
	states  uint64 // the budget, 0 for the default
	format  string
}

func checkCommand() command {
	return command{
		name:     "check",
		operands: "HISTORY --model NAME [flags]",
		brief:    "check a recorded history",
		about: `Reads a history of client operations, one JSON object in each line, and looks for an order of the operations
that explains every result. Without one the history is not linearizable: exit status 1. The search has a
budget; when it is used up the verdict is unknown, never a pass: exit status 1 as well.`,
		examples: []string{
			"skynet check history.jsonl --model kv",
			"skynet check history.jsonl --model register --states 10000000",
			"skynet check - --model queue --format json < history.jsonl",
		},
		define: func(flags *pflag.FlagSet) func(*State, []string) error {
			o := checkFlags(flags)
			return func(s *State, operands []string) error {
				if err := o.finish(operands); err != nil {
					return err
				}
				return checkHistory(s, *o)
			}
		},
	}
}

func checkFlags(flags *pflag.FlagSet) *checkOptions {
	o := &checkOptions{}
	flags.Var(oneOf{&o.model, []string{"register", "kv", "queue", "set"}}, "model", "what the history is a history of")
	flags.Var(whole{&o.states, 1}, "states", "give up after this many states of the search (default: as in a simulation)")
	formatFlag(flags, &o.format)
	return o
}

func (o *checkOptions) finish(operands []string) (err error) {
	if o.history, err = operand(operands, `the file of the history, or "-"`); err != nil {
		return err
	}
	if o.model == "" {
		return &usageError{msg: "got no --model, want one of register, kv, queue, set"}
	}
	return nil
}

// text is the whole history.
func (o checkOptions) text(s *State) ([]byte, error) {
	if o.history == "-" {
		return io.ReadAll(s.Stdin)
	}
	text, err := s.Files.ReadFile(o.history)
	if err != nil {
		return nil, &usageError{msg: err.Error()}
	}
	return text, nil
}

func checkHistory(s *State, o checkOptions) error {
	if _, err := o.text(s); err != nil {
		return err
	}
	return errors.New("check: the checker is not part of this build")
}
