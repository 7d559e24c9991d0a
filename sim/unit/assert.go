package unit

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"skynet/runtime"
)

// assertEq wants two equal values.
func assertEq(c *call) (starlark.Value, error) {
	got, want, equal, err := compared(c)
	if err != nil || equal {
		return starlark.None, err
	}
	return nil, differ(got, want)
}

// assertNe wants two values that are not equal.
func assertNe(c *call) (starlark.Value, error) {
	got, _, equal, err := compared(c)
	if err != nil || !equal {
		return starlark.None, err
	}
	return nil, &mismatch{msg: fmt.Sprintf("got %s, want another value", brief(got))}
}

func compared(c *call) (got, want starlark.Value, equal bool, err error) {
	if err = c.unpack("got", &got, "want", &want); err == nil {
		if equal, err = starlark.Equal(got, want); err != nil {
			err = fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return got, want, equal, err
}

func assertTrue(c *call) (starlark.Value, error) { return truth(c, true) }

func assertFalse(c *call) (starlark.Value, error) { return truth(c, false) }

// truth wants a value that counts as true, or as false.
func truth(c *call, want bool) (starlark.Value, error) {
	var cond, msg starlark.Value = nil, starlark.None
	if err := c.unpack("cond", &cond, "msg?", &msg); err != nil {
		return nil, err
	}
	if bool(cond.Truth()) == want {
		return starlark.None, nil
	}
	text := fmt.Sprintf("got %s, want it to be %t", brief(cond), want)
	if msg != starlark.None {
		said, ok := starlark.AsString(msg)
		if !ok {
			said = msg.String()
		}
		text = said + ": " + text
	}
	return nil, &mismatch{msg: text}
}

// assertContains wants `item in container`.
func assertContains(c *call) (starlark.Value, error) {
	var container, item starlark.Value
	if err := c.unpack("container", &container, "item", &item); err != nil {
		return nil, err
	}
	in, err := starlark.Binary(syntax.IN, item, container)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	if in.Truth() {
		return starlark.None, nil
	}
	m := &mismatch{msg: fmt.Sprintf("got %s, want %s in it", brief(container), brief(item))}
	if lines := pretty(container); len(lines) > 1 {
		m.msg = fmt.Sprintf("got a %s without it, want %s in it", container.Type(), brief(item))
		for _, line := range lines {
			m.diff = append(m.diff, "  "+line)
		}
	}
	return nil, m
}

// assertWithin wants a number that is near another one.
func assertWithin(c *call) (starlark.Value, error) {
	var got, want, tol starlark.Value
	if err := c.unpack("got", &got, "want", &want, "tolerance", &tol); err != nil {
		return nil, err
	}
	g, ok := starlark.AsFloat(got)
	if !ok {
		return nil, &mismatch{msg: fmt.Sprintf("got %s, want a number", brief(got))}
	}
	t, err := tolerance(tol)
	if err == nil && !(t >= 0) {
		err = fmt.Errorf("got %v, want 0 or more", tol)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: tolerance: %w", c.name, err)
	}
	w, ok := starlark.AsFloat(want)
	if !ok {
		return nil, fmt.Errorf("%s: want: got %s, want a number", c.name, want.Type())
	}
	if math.Abs(g-w) <= t || g == w {
		return starlark.None, nil
	}
	return nil, &mismatch{msg: fmt.Sprintf("got %v, want %v within %v", got, want, tol)}
}

// kinds are those of errors, as scripts see them.
func kinds() []string {
	return []string{
		string(runtime.Timeout), string(runtime.Dead), string(runtime.Overload), string(runtime.Remote), string(runtime.Denied),
		string(runtime.Unreachable), "error",
	}
}

// expectation is what assert.fails was told of the error.
type expectation struct {
	kind  string
	match *regexp.Regexp
}

// assertFails wants a function to fail, and returns its error.
func assertFails(c *call) (starlark.Value, error) {
	want, kwargs, err := expected(c)
	if err != nil {
		return nil, err
	}
	r, err := starlark.Call(c.thread, c.world.caught, c.args, kwargs)
	if err != nil {
		return nil, err
	}
	if f := c.world.failure; f != nil {
		return nil, f.err // an assertion within the function: not the error that is expected
	}
	result := r.(starlark.HasAttrs)
	failed, _ := result.Attr("error")
	e, ok := failed.(*runtime.ErrorValue)
	if !ok {
		v, _ := result.Attr("value")
		return nil, &mismatch{msg: fmt.Sprintf("got %s, want an error%s", brief(v), want)}
	}
	if !want.met(e) {
		return nil, &mismatch{msg: fmt.Sprintf("got the error %s, want an error%s", brief(starlark.String(e.String())), want)}
	}
	return e, nil
}

// expected takes kind and match out of the keywords, which else go to the function.
func expected(c *call) (want expectation, rest []starlark.Tuple, err error) {
	for _, kw := range c.kwargs {
		name := string(kw[0].(starlark.String))
		if kw[1] == starlark.None && (name == "kind" || name == "match") {
			continue
		}
		text, _ := starlark.AsString(kw[1])
		switch name {
		case "kind":
			if want.kind = text; !slices.Contains(kinds(), text) {
				err = fmt.Errorf("%s: kind: got %v, want one of %s", c.name, kw[1], strings.Join(kinds(), ", "))
			}
		case "match":
			if _, ok := kw[1].(starlark.String); !ok {
				err = fmt.Errorf("%s: match: got %s, want a regular expression", c.name, kw[1].Type())
			} else if want.match, err = regexp.Compile(text); err != nil {
				err = fmt.Errorf("%s: match: got %v, want a regular expression: %w", c.name, kw[1], err)
			}
		default:
			rest = append(rest, kw)
		}
		if err != nil {
			return want, nil, err
		}
	}
	return want, rest, nil
}

// met reports whether an error is as expected. The pattern may be found in its message or in its text.
func (x expectation) met(e *runtime.ErrorValue) bool {
	kind, _ := e.Attr("kind")
	return (x.kind == "" || kind == starlark.String(x.kind)) && (x.match == nil || x.match.MatchString(e.String()))
}

// String goes on after "an error".
func (x expectation) String() string {
	var s string
	if x.kind != "" {
		s += " of kind " + x.kind
	}
	if x.match != nil {
		s += fmt.Sprintf(" that matches %q", x.match)
	}
	return s
}
