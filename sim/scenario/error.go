package scenario

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"skynet/runtime/diag"
)

// Error is a mistake in a scenario file.
type Error struct {
	Pos       syntax.Position // the file is always known; Line is 0 if no line is to blame
	Msg       string
	Backtrace string // of the script, if it was running
}

// Error prints "file:line:col: message".
func (e *Error) Error() string {
	if e.Pos.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Pos.Filename(), e.Msg)
	}
	return fmt.Sprintf("%s: %s", e.Pos, e.Msg)
}

// Position is where the mistake is, for diagnostics; see diag.Positioned.
func (e *Error) Position() syntax.Position { return e.Pos }

func errorAt(pos syntax.Position, format string, args ...any) *Error {
	return &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)}
}

func inFile(name string) syntax.Position { return syntax.MakePosition(&name, 0, 0) }

// located gives an error of the parser, the resolver or the interpreter its place in a file. known are names that an
// undefined one may have been meant to be.
func located(file string, err error, known ...string) *Error {
	var mine *Error
	var parse syntax.Error
	var names resolve.ErrorList
	var eval *starlark.EvalError
	switch {
	case errors.As(err, &mine):
		return mine
	case errors.As(err, &parse):
		return errorAt(parse.Pos, "%s", parse.Msg)
	case errors.As(err, &names) && len(names) > 0:
		undefined, _ := strings.CutPrefix(names[0].Msg, "undefined: ")
		return errorAt(names[0].Pos, "%s%s", names[0].Msg, hint(undefined, known))
	case errors.As(err, &eval):
		msg := eval.Msg
		if strings.HasSuffix(msg, "too many steps") {
			msg = fmt.Sprintf("got no end within %d steps, want less work", maxSteps)
		}
		return &Error{Pos: scriptPos(file, eval), Msg: msg, Backtrace: eval.Backtrace()}
	}
	return errorAt(inFile(file), "%s", err)
}

// scriptPos is the innermost place of the backtrace that is in a script; built-ins have no lines.
func scriptPos(file string, err *starlark.EvalError) syntax.Position {
	for i := range err.CallStack {
		if pos := err.CallStack.At(i).Pos; pos.Line > 0 {
			return pos
		}
	}
	return inFile(file)
}

// hint proposes the candidate nearest to a misspelt name, or nothing.
func hint(got string, candidates []string) string {
	if near, ok := diag.Nearest(got, candidates); ok {
		return fmt.Sprintf(" (did you mean %s?)", near)
	}
	return ""
}

func orList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}
