// Package double is a service that stands in for another one: it answers as a test wants, and remembers what it was asked.
package double

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/diag"
	"skynet/runtime/wire"
)

// Call is what a double was asked. Its arguments are frozen copies.
type Call struct {
	Command string
	Args    starlark.Tuple
	Kwargs  []starlark.Tuple
	Sent    bool // nobody waits for the answer
}

// Double is a [runtime.Handler]. Like every service it is used by one turn at a time; Calls may be read while none runs, or
// from a turn of the same simulation.
type Double struct {
	// Name is what its errors call it.
	Name string
	// Answer answers a command; known is false if the double has no such command. The arguments belong to it.
	Answer func(ctx *runtime.Context, command string, args starlark.Tuple, kwargs []starlark.Tuple) (v starlark.Value, known bool, err error)
	// Commands lists the commands there are, for the error about one that is not among them.
	Commands func() []string
	// Calls is what it was asked, unknown commands and launches (command "init") included, in order.
	Calls []Call
}

// Init records the arguments of a launch, and answers them if the double knows the command "init".
func (d *Double) Init(ctx *runtime.Context, args starlark.Tuple, kwargs []starlark.Tuple) error {
	if err := d.record("init", args, kwargs, false); err != nil {
		return err
	}
	_, _, err := d.Answer(ctx, "init", args, kwargs)
	return err
}

// Handle records a command and answers it.
func (d *Double) Handle(ctx *runtime.Context, command string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := d.record(command, args, kwargs, ctx.Deadline() == 0); err != nil {
		return nil, err
	}
	v, known, err := d.Answer(ctx, command, args, kwargs)
	if !known && err == nil {
		return nil, d.unknown(command)
	}
	return v, err
}

func (d *Double) record(command string, args starlark.Tuple, kwargs []starlark.Tuple, sent bool) error {
	args, kwargs, err := wire.CopyArgs(args, kwargs)
	if err != nil {
		return err
	}
	args.Freeze()
	for _, kw := range kwargs {
		kw.Freeze()
	}
	d.Calls = append(d.Calls, Call{command, slices.Clone(args), slices.Clone(kwargs), sent})
	return nil
}

func (d *Double) unknown(command string) error {
	known := slices.Sorted(slices.Values(d.Commands()))
	msg := fmt.Sprintf("the double of %s has no command %q", d.Name, command)
	if near, ok := diag.Nearest(command, known); ok {
		return fmt.Errorf("%s; did you mean %q?", msg, near)
	}
	if len(known) == 0 {
		return fmt.Errorf("%s, nor any other", msg)
	}
	return fmt.Errorf("%s, only %s", msg, strings.Join(known, ", "))
}
