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

// diagnose explains an error of a script that has its position, and any other one by its text.
func diagnose(err error, programs *runtime.Programs) *StartError {
	e := &StartError{Err: err}
	if _, _, _, ok := diag.Position(err); ok {
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
	at, ok := diag.Located(call.Message)
	if !ok {
		return &StartError{Err: fmt.Errorf("init of %s failed: %s", main, call.Message)}
	}
	e := diagnose(at, programs)
	if stack, _, _ := strings.Cut(call.Backtrace, "\nError"); stack != "" {
		e.Diagnosis += stack + "\n"
	}
	e.Diagnosis += fmt.Sprintf("while: init of %s\n", main)
	return e
}
