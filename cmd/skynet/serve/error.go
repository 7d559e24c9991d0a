package serve

import (
	"errors"
	"fmt"
	"strings"

	"skynet/runtime"
	"skynet/runtime/diag"
)

// StartError is why a node did not start: what the user can mend.
type StartError struct {
	Err error
	// Diagnosis is whole lines that show the place in a script; empty if the reason lies elsewhere.
	Diagnosis string
}

// Error returns the text of the cause.
func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// AbortError is why a node has stopped, in order, that was not told to: a service has called skynet.abort.
type AbortError struct{ Why string }

// Error gives the reason, if the service gave one.
func (e *AbortError) Error() string {
	if e.Why == "" {
		return "a service has ended the node"
	}
	return "a service has ended the node: " + e.Why
}

// diagnose explains an error of a script by its place, if it has one.
func diagnose(err error, programs *runtime.Programs) *StartError {
	e := &StartError{Err: err}
	_, _, _, ok := diag.Position(err)
	if !ok {
		var at diag.Positioned
		if at, ok = diag.Located(err.Error()); ok {
			err = at
		}
	}
	if ok {
		e.Diagnosis = diag.Format(err, programs.Source, runtime.Predeclared().Keys()...)
	}
	return e
}

// initFailed explains why the main service did not start; what came from its coroutine is text with a backtrace.
func initFailed(main string, err error, programs *runtime.Programs) *StartError {
	call := (*runtime.CallError)(nil)
	if !errors.As(err, &call) {
		return diagnose(fmt.Errorf("init of %s failed: %w", main, err), programs)
	}
	e := diagnose(errors.New(call.Message), programs)
	if e.Diagnosis == "" {
		return &StartError{Err: fmt.Errorf("init of %s failed: %s", main, call.Message)}
	}
	if stack, _, _ := strings.Cut(call.Backtrace, "\nError"); stack != "" {
		e.Diagnosis += stack + "\n"
	}
	e.Diagnosis += fmt.Sprintf("while: init of %s\n", main)
	return e
}
