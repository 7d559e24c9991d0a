// Package diag turns the error of loading or running a Starlark script into a diagnostic that a person can act on:
// where it happened, the source line with a caret, how the script got there, and what was probably meant.
//
//	main.star:7:11: module has no .cal field or method
//	   7 |     skynet.cal(".counter", "incr")
//	     |           ^
//	hint: did you mean skynet.call?
//	Traceback (most recent call last):
//	  main.star:10:8: in init
//	    hit()
//	  main.star:7:11: in hit
//	    skynet.cal(".counter", "incr")
//
// It is plain text for every sink: a terminal, a log, an answer to a remote caller. Its functions keep no state and may
// be called from any goroutine. A diagnostic depends on the error and the source alone, so it may enter a trace.
package diag

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Positioned is an error that knows where in a script it arose. Errors of this system implement it to be shown like
// those of Starlark itself; the text of Error may begin with the position, whose line is 0 if only the file is known.
// It has the last word on place and message: an evaluation error that it wraps only adds its backtrace.
type Positioned interface {
	error
	Position() syntax.Position
}

// MaxProblems is the number of errors of one file that are shown; the others are only counted, since most of them
// follow from the first.
const MaxProblems = 10

// Format renders err, whatever wraps it, as one or more lines that end in a newline. Errors of the parser, the resolver
// and the evaluator of Starlark and [Positioned] errors are shown with their source line; any other error is its text.
// source returns a script by the name under which it was compiled; it may be nil. names are the predeclared names of
// the script, candidates for hints next to Starlark's universal ones. A nil error gives the empty string.
func Format(err error, source func(file string) ([]byte, bool), names ...string) string {
	if err == nil {
		return ""
	}
	f := formatter{source: source, names: names}
	problems := problemsOf(err)
	for i, p := range problems {
		if i == MaxProblems {
			fmt.Fprintf(&f.out, "and %d more errors\n", len(problems)-i)
			break
		}
		f.problem(p)
	}
	if len(problems) == 0 {
		f.out.WriteString(strings.TrimRight(err.Error(), "\n") + "\n")
	}
	return f.out.String()
}

// Position returns where err arose: of several places the first, and of nested ones the innermost, such as the broken
// line of a loaded module. ok is false if err has no position; line and col count from 1, and are 0 if unknown.
func Position(err error) (file string, line, col int, ok bool) {
	problems := problemsOf(err)
	if len(problems) == 0 || !problems[0].pos.IsValid() {
		return "", 0, 0, false
	}
	pos := problems[0].pos
	return pos.Filename(), int(pos.Line), int(pos.Col), true
}

// A problem is one thing to show.
type problem struct {
	pos     syntax.Position
	msg     string
	context string               // what wraps the error, if that says more than where
	stacks  []starlark.CallStack // the outermost first
}

// problemsOf returns what there is to show of err, nothing if no part of it has a position. The innermost part says
// what is wrong, every evaluation on the way to it adds its backtrace, and what was put in front is the context.
func problemsOf(err error) []problem {
	var found []problem
	var stacks []starlark.CallStack
	var outermost error
	settled := false
	for e := err; e != nil; {
		if eval, ok := e.(*starlark.EvalError); ok {
			stacks = append(stacks, eval.CallStack)
		}
		here, inner := look(e)
		if len(here) > 0 && !settled {
			found = here
			_, settled = e.(Positioned)
			if outermost == nil {
				outermost = e
			}
		}
		e = inner
	}
	if len(found) > 0 {
		found[0].stacks = append(stacks, found[0].stacks...)
		if before, ok := strings.CutSuffix(err.Error(), outermost.Error()); ok {
			found[0].context += strings.TrimSuffix(before, ": ")
		}
	}
	return found
}

// look returns the problems of one link of a chain of errors, and the next link.
func look(err error) (here []problem, inner error) {
	switch e := err.(type) {
	case *starlark.EvalError:
		if pos, ok := innermost(e.CallStack); ok {
			here = []problem{{pos: pos, msg: e.Msg}}
		}
		return here, e.Unwrap()
	case syntax.Error:
		return []problem{{pos: e.Pos, msg: e.Msg}}, nil
	case resolve.ErrorList:
		for _, one := range e {
			here = append(here, problem{pos: one.Pos, msg: one.Msg})
		}
		return here, nil
	case resolve.Error:
		return []problem{{pos: e.Pos, msg: e.Msg}}, nil
	case Positioned:
		msg := strings.TrimPrefix(e.Error(), e.Position().String()+": ")
		return []problem{{pos: e.Position(), msg: msg}}, errors.Unwrap(err)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			here = append(here, problemsOf(one)...)
		}
		return here, nil
	}
	return nil, errors.Unwrap(err)
}

// innermost is the position of the last frame that is in a script; built-in functions have none.
func innermost(stack starlark.CallStack) (syntax.Position, bool) {
	for i := range stack {
		if pos := stack.At(i).Pos; scripted(pos) {
			return pos, true
		}
	}
	return syntax.Position{}, false
}

func scripted(pos syntax.Position) bool { return pos.IsValid() && pos.Line > 0 }
