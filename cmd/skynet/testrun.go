package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"skynet/sim/unit"
)

// testFile is a file and which of its tests are to run.
type testFile struct {
	*unit.File // nil if it does not load
	chosen     []unit.Test
	broken     *unit.LoadError // why it does not
}

// testRun is one test that has run.
type testRun struct {
	unit.Test
	*unit.Result
	wall time.Duration
}

// suite is what the tests of one file came to.
type suite struct {
	*State
	testOptions
	file   testFile
	runs   []testRun
	failed int
	wall   time.Duration
}

// test runs the tests of one file after the other. All files are loaded before the first test runs. One that does not load
// counts for more than any test that fails: what it would have tested is easier to overlook.
func test(s *State, o testOptions) error {
	files, err := o.load(s)
	if err != nil {
		return err
	}
	var sum testTotal
	for _, f := range files {
		if f.broken == nil && len(f.chosen) == 0 {
			continue
		}
		x := &suite{State: s, testOptions: o, file: f}
		if err := x.run(); err != nil {
			return err
		}
		sum.add(x)
	}
	if o.format == "text" && len(files) > 1 {
		if err := sum.print(s); err != nil {
			return err
		}
	}
	switch {
	case sum.broken > 0:
		return errNotLoaded
	case sum.failed > 0:
		return errFailed
	}
	return nil
}

// testTotal adds up what the files came to.
type testTotal struct{ tests, failed, broken int }

func (t *testTotal) add(x *suite) {
	t.tests, t.failed = t.tests+len(x.runs), t.failed+x.failed
	if x.file.broken != nil {
		t.broken++
	}
}

// load finds and loads the files and chooses the tests.
func (o *testOptions) load(s *State) ([]testFile, error) {
	names, err := o.find(s)
	if err != nil {
		return nil, err
	}
	var files []testFile
	all, chosen, broken := 0, 0, 0
	for _, name := range names {
		f, err := unit.Load(orShipped(s.Files.ReadFile), name)
		if load := (*unit.LoadError)(nil); errors.As(err, &load) {
			files = append(files, testFile{broken: load})
			broken++
			continue
		}
		if err != nil {
			return nil, err
		}
		some := slices.DeleteFunc(slices.Clone(f.Tests), func(t unit.Test) bool { return !o.run.matches(t.Name) })
		files = append(files, testFile{File: f, chosen: some})
		all, chosen = all+len(f.Tests), chosen+len(some)
	}
	switch {
	case broken > 0: // that is said first
	case all == 0:
		return nil, inputError{fmt.Errorf("got no function test_* in %s, want one", strings.Join(names, ", "))}
	case chosen == 0:
		return nil, inputError{fmt.Errorf("--run: got %q, which none of %s matches", o.run.String(), counted(all, "test"))}
	}
	return files, nil
}

// find lists the files that the operands name, each once.
func (o *testOptions) find(s *State) (names []string, err error) {
	for _, operand := range o.operands {
		below := []string{operand}
		if strings.HasSuffix(operand, unit.Suffix) {
			err = readable(s, operand)
		} else {
			below, err = testsBelow(s, operand)
		}
		if err != nil {
			return nil, err
		}
		for _, name := range below {
			if name = path.Clean(name); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// testsBelow lists the files with tests below a directory, in the order of their names; hidden directories are passed over.
func testsBelow(s *State, dir string) (names []string, err error) {
	err = fs.WalkDir(s.Dir(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return within(dir, err)
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case (d.Type().IsRegular() || d.Type()&fs.ModeSymlink != 0) && strings.HasSuffix(name, unit.Suffix):
			names = append(names, path.Join(dir, name))
		}
		return nil
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("got no file *%s below %s, want one", unit.Suffix, dir)
	}
	if err != nil {
		return nil, inputError{err}
	}
	return names, nil
}

// within is an error of a walk through dir with the path that a user knows.
func within(dir string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: e.Op, Path: path.Join(dir, e.Path), Err: e.Err}
	}
	return err
}

// run runs the chosen tests of the file, and prints what came of them, or why it does not load.
func (x *suite) run() error {
	if x.file.broken != nil {
		if x.format == "json" {
			return x.printLine(brokenResult(x.file.broken))
		}
		return x.printBroken()
	}
	begun := x.Now()
	for _, t := range x.file.chosen {
		seed := unit.SeedOf(t.Name)
		if x.seeded {
			seed = x.seed
		}
		before := x.Now()
		r := testRun{Test: t, Result: x.file.Run(t.Name, unit.Options{Seed: seed, Limit: x.limit})}
		r.wall = x.Now().Sub(before)
		x.runs = append(x.runs, r)
		if r.Failure != nil {
			x.failed++
		}
		if x.format == "text" {
			if err := x.printTest(r); err != nil {
				return err
			}
		}
	}
	x.wall = x.Now().Sub(begun)
	if x.format == "json" {
		return x.printJSON()
	}
	return x.printFile()
}

// repeat is a command that runs a test again.
func (x *suite) repeat(r testRun) string {
	line := fmt.Sprintf("skynet test %s --run %s --seed %d", quoteArg(x.file.Name), quoteArg("^"+r.Test.Name+"$"), r.Seed)
	if x.limit != unit.DefaultLimit {
		line += " --timeout " + x.limit.String()
	}
	return line
}

// counted is "1 test", "2 tests".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
