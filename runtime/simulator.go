package runtime

import (
	"fmt"

	"go.starlark.net/starlark"
)

// This file is what the simulator sees of a node beyond what services see: it looks, it changes nothing.

// Globals returns the globals of the service that has a name, which are its state; nil if there is no such service, it is
// written in Go, or its script has not been run to its end yet. The dict is the service's own: it must be read only, in
// simulation, while no turn runs.
func (n *Node) Globals(name string) starlark.StringDict {
	if s := n.lookup(name); s != nil {
		return s.globals
	}
	return nil
}

// ContextOf returns the context of the handler that runs on a Starlark thread: how built-ins that a [Handler] gives to a
// script find out who calls them. It is valid until that handler returns.
func ContextOf(th *starlark.Thread) (*Context, error) {
	co, ok := th.Local(coroutineKey).(*coroutine)
	if !ok {
		return nil, fmt.Errorf("got a thread that belongs to no service, want that of a handler")
	}
	if co.cancelled || co.svc.unwinding() {
		return nil, errKilled
	}
	return &Context{co: co}, nil
}

// NewErrorValue returns an error as scripts see it.
func NewErrorValue(err error) *ErrorValue { return newErrorValue(err) }

// Describe splits an error into a message that begins with the position of the innermost script frame, if there is one, and
// a Starlark backtrace, which may be empty.
func Describe(err error) (message, backtrace string) { return describe(err) }
