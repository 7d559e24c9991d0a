package runtime

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"

	"go.starlark.net/starlark"
)

// Kind is the kind of a failed call: what a script may branch on.
type Kind string

// The kinds of call errors.
const (
	Timeout     Kind = "timeout"     // no reply before the deadline
	Dead        Kind = "dead"        // the callee does not exist, or died before it replied
	Overload    Kind = "overload"    // the callee's mailbox, or the link to its node, is full
	Remote      Kind = "remote"      // the callee failed; Message and Backtrace are its own
	Denied      Kind = "denied"      // the callee may not be asked this
	Unreachable Kind = "unreachable" // the callee's node is unknown, or its link is down
)

// CallError is why a call or send failed.
type CallError struct {
	Kind    Kind
	Message string
	// Backtrace is the Starlark stack of the callee, if it failed.
	Backtrace string
	// Maybe tells whether the callee may have executed the request, or may yet execute it. Where it is false the
	// request certainly had no effect and can be repeated safely.
	Maybe bool
}

// Error returns "kind: message".
func (e *CallError) Error() string { return string(e.Kind) + ": " + e.Message }

// Is makes errors.Is(err, &CallError{Kind: k}) test for a kind.
func (e *CallError) Is(target error) bool {
	t, ok := target.(*CallError)
	return ok && t.Kind == e.Kind && t.Message == ""
}

func callErrorf(k Kind, maybe bool, format string, args ...any) *CallError {
	return &CallError{Kind: k, Maybe: maybe, Message: fmt.Sprintf(format, args...)}
}

// of puts a word in front of what is wrong with its arguments, unless it is there already. An error of a call says by itself what it is
// about.
func of(word string, err error) error {
	if _, ok := err.(*CallError); ok || err == nil || strings.HasPrefix(err.Error(), word+": ") {
		return err
	}
	return fmt.Errorf("%s: %w", word, err)
}

// errKilled unwinds the coroutines of a service that is ending. Scripts cannot catch it.
var errKilled = errors.New("service has ended")

// asCallError wraps what a handler failed with for its caller.
func asCallError(err error) *CallError {
	var refused refusal
	if errors.As(err, &refused) {
		return &CallError{Kind: Denied, Message: string(refused)}
	}
	msg, backtrace := describe(err)
	return &CallError{Kind: Remote, Message: msg, Backtrace: backtrace, Maybe: !errors.As(err, new(notBegun))}
}

// notBegun is the error of a function that has not executed a step, because the arguments do not fit.
type notBegun struct{ error }

func (e notBegun) Unwrap() error { return e.error }

// panicError is a panic of Go code in a service. Its stack holds functions and lines only, since addresses and goroutines
// differ from run to run.
type panicError struct {
	value any
	stack string
}

// newPanicError must be called by the deferred function that has recovered the value.
func newPanicError(value any) *panicError {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var b strings.Builder
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		fmt.Fprintf(&b, "%s (%s:%d)\n", f.Function, path.Base(f.File), f.Line)
		if strings.HasSuffix(f.Function, ".(*coroutine).run") {
			break
		}
	}
	return &panicError{value: value, stack: b.String()}
}

// Error returns "panic: value".
func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// describe splits an error into its message and its backtrace. The message of a Starlark error is led by the
// position of the innermost script frame, so that one line says where.
func describe(err error) (msg, backtrace string) {
	var p *panicError
	if errors.As(err, &p) {
		return err.Error(), p.stack
	}
	var eval *starlark.EvalError
	if !errors.As(err, &eval) {
		return err.Error(), ""
	}
	msg = eval.Msg
	for i := range eval.CallStack {
		if pos := eval.CallStack.At(i).Pos; pos.Filename() != "<builtin>" {
			msg = fmt.Sprintf("%s: %s", pos, msg)
			break
		}
	}
	return msg, eval.Backtrace()
}

// ErrorValue is the Starlark value of a caught error: pcall(...).error. It has the fields kind (a [Kind], or "error" for
// anything that is not a failed call), message, backtrace and maybe.
type ErrorValue struct {
	kind, message, backtrace string
	maybe                    bool
}

func newErrorValue(err error) *ErrorValue {
	var refused refusal
	if errors.As(err, &refused) {
		err = asCallError(err)
	}
	var call *CallError
	if errors.As(err, &call) {
		return &ErrorValue{kind: string(call.Kind), message: call.Message, backtrace: call.Backtrace, maybe: call.Maybe}
	}
	msg, backtrace := describe(err)
	return &ErrorValue{kind: "error", message: msg, backtrace: backtrace, maybe: true}
}

// String returns "kind: message".
func (e *ErrorValue) String() string { return e.kind + ": " + e.message }

// Type returns "error".
func (e *ErrorValue) Type() string { return "error" }

// Freeze does nothing: errors are immutable.
func (e *ErrorValue) Freeze() {}

// Truth is always true, so that `if r.error` works.
func (e *ErrorValue) Truth() starlark.Bool { return true }

// Hash hashes the text.
func (e *ErrorValue) Hash() (uint32, error) { return starlark.String(e.String()).Hash() }

// Attr returns a field.
func (e *ErrorValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "kind":
		return starlark.String(e.kind), nil
	case "message":
		return starlark.String(e.message), nil
	case "backtrace":
		return starlark.String(e.backtrace), nil
	case "maybe":
		return starlark.Bool(e.maybe), nil
	}
	return nil, nil
}

// AttrNames lists the fields.
func (e *ErrorValue) AttrNames() []string { return []string{"backtrace", "kind", "maybe", "message"} }

// CopyForSend makes errors sendable: they arrive as a string.
func (e *ErrorValue) CopyForSend() (starlark.Value, error) { return starlark.String(e.String()), nil }

// indent shifts a backtrace below a log line.
func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}
