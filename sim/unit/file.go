package unit

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"path"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"skynet/runtime/diag"
)

// Suffix is how the name of a file with tests ends.
const Suffix = "_test.star"

// prefix is how the name of a test begins.
const prefix = "test_"

// File is a file with tests. It is immutable: any number of runs may use it at the same time, if its reader allows that.
type File struct {
	// Name is the file's name as it was given to [Load].
	Name string
	// Tests are those of the file, in its order.
	Tests []Test

	read func(name string) ([]byte, error)
}

// Test is one function test_*.
type Test struct {
	Name string
	Line int // where it is defined
}

// LoadError says that a file with tests cannot be run at all.
type LoadError struct {
	File string
	Err  error
	// Failure is the same for people and programs, with the place and what was probably meant.
	Failure *Failure
}

// Error is the text of the cause.
func (e *LoadError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *LoadError) Unwrap() error { return e.Err }

// Load reads a file with tests and runs its top level once, in a world of its own, to see what tests there are. It and the
// scripts it names are read with read; a file that is not there must be reported as fs.ErrNotExist. The error is a
// [*LoadError].
func Load(read func(name string) ([]byte, error), name string) (*File, error) {
	f := &File{Name: name, read: read}
	w := newWorld(f, "load", Options{})
	defer w.close()
	if err := w.programs.Check(f.base()); err != nil {
		return nil, w.loadError(&failure{err: err})
	}
	w.run(func(_ *starlark.Thread, globals starlark.StringDict) error {
		f.Tests = testsOf(globals)
		return nil
	})
	if w.failure != nil {
		return nil, w.loadError(w.failure)
	}
	return f, nil
}

// base is the file's name in its runs.
func (f *File) base() string { return path.Base(f.Name) }

func (w *world) loadError(f *failure) *LoadError {
	return &LoadError{File: w.file.Name, Err: f.err, Failure: w.report(f)}
}

// testsOf lists the tests among the globals of a file in the order of their definition.
func testsOf(globals starlark.StringDict) []Test {
	type found struct {
		Test
		col int32
	}
	var all []found
	for _, name := range globals.Keys() { // sorted
		if fn, ok := globals[name].(*starlark.Function); ok && strings.HasPrefix(name, prefix) {
			all = append(all, found{Test{name, int(fn.Position().Line)}, fn.Position().Col})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Or(a.Line-b.Line, int(a.col-b.col)) })
	tests := make([]Test, len(all))
	for i, t := range all {
		tests[i] = t.Test
	}
	return tests
}

// SeedOf is the seed that a test runs with if nobody names one: it depends on the test's name only.
func SeedOf(test string) uint64 {
	h := fnv.New32a()
	h.Write([]byte(test)) // never fails
	return uint64(h.Sum32())
}

// errNoTest is for a name that is none of the file's tests.
func errNoTest(name string, globals starlark.StringDict) error {
	var names []string
	for _, t := range testsOf(globals) {
		names = append(names, t.Name)
	}
	msg := fmt.Sprintf("got no test %q", name)
	if near, ok := diag.Nearest(name, names); ok {
		msg += fmt.Sprintf("; did you mean %s?", near)
	}
	return errors.New(msg)
}
