package unit

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"skynet/runtime"
	"skynet/runtime/diag"
)

// Failure is why a test failed.
type Failure struct {
	Message   string // in one line
	File      string // where, as the user sees it; empty if it is not known
	Line, Col int    // from 1; 0 if they are not known
	Diff      []string
	Waits     []string // who waits for whom, if the test did not end
	Text      string   // all of it for people: whole lines, with the source line and the calls that led there
}

// failure is one that is not reported yet.
type failure struct {
	err   error
	diff  []string
	waits []string
	row   string // of a table
}

// mismatch is what a failed assertion raises. It is an error of the script like any other.
type mismatch struct {
	msg  string
	diff []string
}

// Error returns the message.
func (m *mismatch) Error() string { return m.msg }

// placed is an error with a place, which shows the calls that led there only if there are any beside the test itself.
type placed struct {
	pos   syntax.Position
	msg   string
	stack *starlark.EvalError
}

// placedAt places an error where a thread is.
func placedAt(th *starlark.Thread, msg string) error {
	stack := th.CallStack()
	calls := scripted(stack)
	if len(calls) == 0 {
		return errors.New(msg)
	}
	p := &placed{pos: calls[len(calls)-1].Pos, msg: msg}
	if len(calls) > 1 {
		p.stack = &starlark.EvalError{Msg: msg, CallStack: stack}
	}
	return p
}

// scripted are the calls that were made in scripts.
func scripted(stack starlark.CallStack) (calls []starlark.CallFrame) {
	for _, frame := range stack {
		if frame.Pos.Line > 0 {
			calls = append(calls, frame)
		}
	}
	return calls
}

// plain is an error without the calls that led to it if they are the test alone, which its place names already.
func plain(err error) error {
	eval, ok := err.(*starlark.EvalError)
	if !ok {
		return err
	}
	calls := scripted(eval.CallStack)
	if inner := (*starlark.EvalError)(nil); len(calls) != 1 || errors.As(eval.Unwrap(), &inner) {
		return err
	}
	return &placed{pos: calls[0].Pos, msg: eval.Msg}
}

// Error leads with the position.
func (p *placed) Error() string { return p.pos.String() + ": " + p.msg }

// Position is where it happened; see diag.Positioned.
func (p *placed) Position() syntax.Position { return p.pos }

// Unwrap gives the calls, if there are any.
func (p *placed) Unwrap() error {
	if p.stack == nil {
		return nil
	}
	return p.stack
}

// report is a failure as the user sees it.
func (w *world) report(f *failure) *Failure {
	r := &Failure{Diff: f.diff, Waits: f.waits}
	r.Message, _ = runtime.Describe(f.err)
	if file, line, col, ok := diag.Position(f.err); ok {
		r.File, r.Line, r.Col = w.folder.place(file), line, col
	}
	r.Message = w.folder.outside(r.Message)
	r.Message = strings.TrimPrefix(r.Message, placeOf(r))
	var b strings.Builder
	b.WriteString(diag.Format(plain(f.err), w.programs.Source, w.names()...))
	if f.row != "" {
		b.WriteString("in " + f.row + "\n")
	}
	if slices.ContainsFunc(f.diff, changed) {
		b.WriteString("(-want +got)\n")
	}
	for _, line := range f.diff {
		b.WriteString(line + "\n")
	}
	if call := (*runtime.CallError)(nil); errors.As(f.err, &call) {
		b.WriteString(w.cause(call))
	}
	for _, wait := range f.waits {
		b.WriteString("  " + wait + "\n")
	}
	r.Text = w.folder.outside(b.String())
	return r
}

// launching is what leads the message of a launch that failed.
var launching = regexp.MustCompile(`^launch [^:]+: `)

// cause shows where a callee failed, if that is known, and the calls that led there if there is more than one.
func (w *world) cause(call *runtime.CallError) string {
	at, ok := diag.Located(launching.ReplaceAllString(call.Message, ""))
	if !ok {
		return ""
	}
	text := "caused by " + diag.Format(at, w.programs.Source, w.names()...)
	if calls, _, _ := strings.Cut(call.Backtrace, "\nError"); strings.Count(calls, "\n") > 1 {
		text += calls + "\n"
	}
	return text
}

// changed reports whether a line of a diff is not in both values.
func changed(line string) bool { return line[0] == '-' || line[0] == '+' }

// placeOf is how a message begins that has a place.
func placeOf(r *Failure) string {
	if r.File == "" {
		return ""
	}
	pos := syntax.MakePosition(&r.File, int32(r.Line), int32(r.Col))
	return pos.String() + ": "
}
