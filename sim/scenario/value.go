package scenario

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// word is the Starlark face of a plain Go value: immutable, printed as the source that makes it, and equal to every
// word printed the same.
type word struct {
	kind  string
	text  string
	plain any
}

func (w *word) String() string        { return w.text }
func (w *word) Type() string          { return w.kind }
func (w *word) Freeze()               {}
func (w *word) Truth() starlark.Bool  { return true }
func (w *word) Hash() (uint32, error) { return starlark.String(w.text).Hash() }

// CompareSameType compares by text.
func (w *word) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	switch op {
	case syntax.EQL:
		return w.text == y.String(), nil
	case syntax.NEQ:
		return w.text != y.String(), nil
	}
	return false, fmt.Errorf("%s %s %s: not ordered", w.kind, op, y.Type())
}

// unwrap returns the plain value of a word.
func unwrap[T any](v starlark.Value) (plain T, ok bool) {
	w, isWord := v.(*word)
	if !isWord {
		return plain, false
	}
	plain, ok = w.plain.(T)
	return plain, ok
}

// unwrapAll returns the plain values of positional arguments.
func unwrapAll[T any](fn string, args starlark.Tuple, want string) ([]T, error) {
	var all []T
	for i, v := range args {
		plain, ok := unwrap[T](v)
		if !ok {
			return nil, fmt.Errorf("%s: argument %d: got %s, want %s", fn, i+1, v.Type(), want)
		}
		all = append(all, plain)
	}
	return all, nil
}

// builtin is the Go side of a word that is called.
type builtin = func(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)

func newBuiltin(name string, call builtin) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return call(b.Name(), args, kwargs)
	})
}

// choose checks a text against the few it may be.
func choose(got string, from ...string) error {
	for _, s := range from {
		if got == s {
			return nil
		}
	}
	return fmt.Errorf("got %q, want %s%s", got, orList(from), hint(got, from))
}

// unpack is starlark.UnpackArgs with a hint for misspelt keywords.
func unpack(fn string, args starlark.Tuple, kwargs []starlark.Tuple, pairs ...any) error {
	var known []string
	for i := 0; i < len(pairs); i += 2 {
		known = append(known, strings.TrimRight(pairs[i].(string), "?"))
	}
	for _, kwarg := range kwargs {
		if got := string(kwarg[0].(starlark.String)); !slices.Contains(known, got) {
			return fmt.Errorf("%s: unexpected keyword argument %s%s", fn, got, hint(got, known))
		}
	}
	return starlark.UnpackArgs(fn, args, kwargs, pairs...)
}
