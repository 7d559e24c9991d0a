package main

import (
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// TestTestJSONIsDocumented holds the table in docs/testing.md and the fields that are printed to each other.
func TestTestJSONIsDocumented(t *testing.T) {
	names, objects := documented(t, "testing.md", "test --format json")
	if got := append(fields(reflect.TypeFor[testResult]()), "logs", "failure"); !same(got, names) {
		t.Errorf("testResult has the fields %v, want those of docs/testing.md: %v", got, names)
	}
	for name, typ := range map[string]reflect.Type{
		"tests": reflect.TypeFor[testCase](), "logs": reflect.TypeFor[testLine](), "failure": reflect.TypeFor[testFailure](),
		"error": reflect.TypeFor[testError](),
	} {
		if got := strings.Join(fields(typ), ", "); got != objects[name] {
			t.Errorf("%s has the fields {%s}, want those of docs/testing.md: {%s}", name, got, objects[name])
		}
	}
}

func TestParseTest(t *testing.T) {
	for _, c := range []struct {
		line, run string
		want      testOptions
	}{
		{"", "", testOptions{operands: []string{"."}, limit: time.Hour, format: "text"}},
		{"a_test.star b", "", testOptions{operands: []string{"a_test.star", "b"}, limit: time.Hour, format: "text"}},
		{"--run x -v", "x", testOptions{operands: []string{"."}, limit: time.Hour, format: "text", verbose: true}},
		{"-run x --verbose", "x", testOptions{operands: []string{"."}, limit: time.Hour, format: "text", verbose: true}},
		{"-run=x --timeout 90s", "x", testOptions{operands: []string{"."}, limit: 90 * time.Second, format: "text"}},
		{"-r un --seed 0 --format json", "un", testOptions{operands: []string{"."}, limit: time.Hour, format: "json", seeded: true}},
		{"-- -run", "", testOptions{operands: []string{"-run"}, limit: time.Hour, format: "text"}},
	} {
		flags := newFlags()
		got := testFlags(flags)
		line := strings.Join(respellRun(strings.Fields(c.line)), " ")
		if msg := parse(line, flags, func(operands []string) error { return got.finish(flags, operands) }); msg != "" {
			t.Errorf("test %s: got %q, want no error", c.line, msg)
		}
		run := got.run.String()
		got.run = pattern{}
		if run != c.run || !reflect.DeepEqual(*got, c.want) {
			t.Errorf("test %s = %+v with --run %q, want %+v with %q", c.line, *got, run, c.want, c.run)
		}
	}
}

// Files of tests are found below directories, each once, in the order of the operands and then of their names.
func TestFindTests(t *testing.T) {
	s, _, _ := fakeState()
	s.Files = memory{"x_test.star": ""}
	s.Dir = func(dir string) fs.FS {
		return fstest.MapFS{
			"b/b_test.star": {}, "a_test.star": {}, "b/b.star": {}, ".git/c_test.star": {}, "b/test.star": {},
		}
	}
	o := testOptions{operands: []string{"x_test.star", "sub", ".", "./sub/"}}
	got, err := o.find(s)
	want := []string{"x_test.star", "sub/a_test.star", "sub/b/b_test.star", "a_test.star", "b/b_test.star"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("find = %q, %v, want %q", got, err, want)
	}
}
