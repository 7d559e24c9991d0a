package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/pflag"

	"skynet/sim/check"
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
	flags.StringVar(&o.model, "model", "", "what the history is a history of: `NAME` is one of "+strings.Join(check.Names(), ", ")+
		", or NAME/key for one of each key")
	flags.Var(whole{&o.states, 1}, "states", fmt.Sprintf("give up after this many states of the search (default %d)", check.DefaultStates))
	formatFlag(flags, &o.format)
	return o
}

func (o *checkOptions) finish(operands []string) (err error) {
	if o.history, err = operand(operands, `the file of the history, or "-"`); err != nil {
		return err
	}
	if o.model == "" {
		return &usageError{msg: "got no --model, want one of " + strings.Join(check.Names(), ", ")}
	}
	if _, err := check.Named(o.model); err != nil {
		return &usageError{msg: fmt.Sprintf("--model: got %q, want one of %s", o.model, strings.Join(check.Names(), ", "))}
	}
	if o.states > math.MaxInt {
		return &usageError{msg: fmt.Sprintf("--states: got %d, want at most %d", o.states, math.MaxInt)}
	}
	return nil
}

// open opens the history, of which there may be more than is read as a whole.
func (o checkOptions) open(s *State) (io.ReadCloser, error) {
	if o.history == "-" {
		return io.NopCloser(s.Stdin), nil
	}
	return s.Files.Open(o.history)
}

func checkHistory(s *State, o checkOptions) error {
	r, err := o.open(s)
	if err != nil {
		return inputError{err}
	}
	defer r.Close()
	result, err := check.CheckFile(r, o.history, o.model, check.Budget{States: int(o.states)})
	if err != nil {
		return inputError{err}
	}
	if err := o.print(s.Stdout, result); err != nil {
		return err
	}
	if result.Verdict != check.OK {
		return errFailed
	}
	return nil
}

func (o checkOptions) print(out io.Writer, result check.Report) error {
	if o.format == "json" {
		line, err := result.JSON()
		if err != nil {
			return err
		}
		_, err = out.Write(line)
		return err
	}
	_, err := io.WriteString(out, result.Text())
	return err
}
