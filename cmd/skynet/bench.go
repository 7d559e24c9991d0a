package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"skynet/cmd/skynet/measure"
)

// benchOptions are the parsed flags of the bench command.
type benchOptions struct {
	names  []string // none means all
	format string
	client bool // be the clients of another process's echo server
}

func benchCommand() command {
	return command{
		name:     "bench",
		operands: "[NAME…] [flags]",
		brief:    "measure this machine",
		about: `Measures the runtime and the simulator, all of it in less than a minute and a half. Beside each figure stands
the time of a ping-pong over a Go channel in the same seconds, since a figure without the speed of the
machine says little. docs/performance.md says what is measured. Without a NAME all measurements are made.
They want the whole machine: run nothing else meanwhile. The names are
` + wrapped(measure.Names(), 100),
		examples: []string{
			"skynet bench",
			"skynet bench call send",
			"skynet bench --format json",
		},
		define: func(flags *pflag.FlagSet) func(*State, []string) error {
			o := benchFlags(flags)
			return func(s *State, operands []string) error {
				o.names = operands
				return bench(s, *o)
			}
		},
	}
}

func benchFlags(flags *pflag.FlagSet) *benchOptions {
	o := &benchOptions{}
	formatFlag(flags, &o.format)
	flags.BoolVar(&o.client, "echo-client", false, "be a process that tcp-echo starts")
	flags.MarkHidden("echo-client")
	return o
}

// wrapped joins words with spaces, in lines of so many characters at most.
func wrapped(words []string, columns int) string {
	var b strings.Builder
	column := 0
	for _, word := range words {
		switch {
		case column+1+len(word) > columns:
			b.WriteString("\n  ")
			column = 2
		case column > 0:
			b.WriteString(" ")
			column++
		default:
			b.WriteString("  ")
			column = 2
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

func bench(s *State, o benchOptions) error {
	if o.client {
		return measure.Client(s.Stdin, s.Stdout)
	}
	p := newProgress(s)
	options := measure.Options{Client: func() *exec.Cmd { return s.Self("bench", "--echo-client") }}
	results, err := measure.Run(options, o.names, func(name string, done, total int) {
		p.show(func(time.Duration) string { return fmt.Sprintf("measuring %s, %d of %d", name, done+1, total) })
	})
	p.done()
	if unknown := (*measure.UnknownError)(nil); errors.As(err, &unknown) {
		return &usageError{msg: unknownMeasurement(unknown)}
	}
	if err != nil {
		return err
	}
	if o.format == "json" {
		return json.NewEncoder(s.Stdout).Encode(results)
	}
	return printFigures(s.Stdout, results)
}

// unknownMeasurement says what was probably meant, or if that is anybody's guess what there is.
func unknownMeasurement(err *measure.UnknownError) string {
	if len(err.Near()) > 0 {
		return err.Error() + "\nThe help lists all names."
	}
	return err.Error() + ", want one of\n" + wrapped(measure.Names(), 100)
}

// printFigures prints a table for people.
func printFigures(out io.Writer, results []measure.Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "name\tfigure\tping-pong\tratio\treference\tbar")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%s %s\t%.0f ns\t%s\t%s\t%s\n", r.Name, digits(r.Value), r.Unit, r.PingPong, ratioText(r), referenceText(r), barText(r))
	}
	return w.Flush()
}

// digits prints a figure with about three digits, and thousands apart.
func digits(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.3g", v)
	}
	text := fmt.Sprintf("%.0f", v)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func ratioText(r measure.Result) string {
	if r.Ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f ×", r.Ratio)
}

func referenceText(r measure.Result) string {
	if r.Reference == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f × %s", r.OfReference, digits(r.Reference))
}

func barText(r measure.Result) string {
	switch {
	case r.Bar == "":
		return "-"
	case r.Met:
		return r.Bar + ": met"
	}
	return r.Bar + ": missed"
}
