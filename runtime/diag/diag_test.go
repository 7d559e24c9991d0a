package diag_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"skynet/runtime/diag"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the .want files; the difference is what to review")

var dialect = &syntax.FileOptions{While: true, TopLevelControl: true, Recursion: true, Set: true}

func source(file string) ([]byte, bool) {
	text, err := os.ReadFile(filepath.Join("testdata", file))
	return text, err == nil
}

// run executes a script of testdata the way a node does: a module's error is wrapped by the load that wanted it.
func run(file string) error {
	predeclared := starlark.StringDict{
		"skynet": starlarkstruct.FromStringDict(starlark.String("skynet"), starlark.StringDict{
			"call": starlark.None, "send": starlark.None, "newservice": starlark.None,
		}),
		"socket": starlark.None,
	}
	var load func(file string) (starlark.StringDict, error)
	load = func(file string) (starlark.StringDict, error) {
		text, ok := source(file)
		if !ok {
			return nil, fmt.Errorf("load: got %q, want a file beside the script", file)
		}
		thread := &starlark.Thread{
			Name: file,
			Load: func(_ *starlark.Thread, module string) (starlark.StringDict, error) { return load(module) },
		}
		return starlark.ExecFileOptions(dialect, thread, file, text, predeclared)
	}
	_, err := load(file)
	return err
}

func TestGolden(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.star")
	if err != nil || len(scripts) < 10 {
		t.Fatalf("testdata: got %d scripts (%v), want at least 10", len(scripts), err)
	}
	for _, script := range scripts {
		name := filepath.Base(script)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault := run(name)
			if fault == nil {
				t.Fatalf("run(%s) = nil, want an error to format", name)
			}
			got := diag.Format(fault, source, "skynet", "socket")
			wantFile := strings.TrimSuffix(script, ".star") + ".want"
			if *rewrite {
				if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("Format(%s) = \n%s\nwant\n%s", name, got, want)
			}
		})
	}
}

func TestPosition(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"syntax error", run("syntax.star"), "syntax.star:3:9 true"},
		{"resolve error", run("undefined.star"), "undefined.star:2:5 true"},
		{"inside a loaded module", run("load_broken.star"), "lib/broken.star:2:2 true"},
		{"wrapped", fmt.Errorf("runtime: load: %w", run("syntax.star")), "syntax.star:3:9 true"},
		{"our own", placed{}, "own.star:4:2 true"},
		{"no position", errors.New("disk is gone"), ":0:0 false"},
		{"nil", nil, ":0:0 false"},
	} {
		file, line, col, ok := diag.Position(c.err)
		if got := fmt.Sprintf("%s:%d:%d %v", file, line, col, ok); got != c.want {
			t.Errorf("%s: Position = %s, want %s", c.name, got, c.want)
		}
	}
}

// placed is an error of our own with a position.
type placed struct{}

func (placed) Error() string { return "own.star:4:2: call: got 3, want a string" }

func (placed) Position() syntax.Position {
	file := "own.star"
	return syntax.MakePosition(&file, 4, 2)
}

// limited is an error of our own that says more than the evaluation error it wraps.
type limited struct{ placed }

func (limited) Unwrap() error { return run("fail.star") }

func TestPositionedHasTheLastWord(t *testing.T) {
	got := diag.Format(limited{}, nil)
	want := "own.star:4:2: call: got 3, want a string\nTraceback (most recent call last):\n" +
		"  fail.star:5:7: in <toplevel>\n  fail.star:3:7: in check\n"
	if got != want {
		t.Errorf("Format = %q, want %q", got, want)
	}
}

// nowhere is an error of our own that knows the file alone.
type nowhere struct{}

func (nowhere) Error() string { return "own.star: got no world, want def world(w)" }

func (nowhere) Position() syntax.Position {
	file := "own.star"
	return syntax.MakePosition(&file, 0, 0)
}

func TestFormatOfOtherErrors(t *testing.T) {
	long := strings.Repeat("x", 1000) + "\x1b[2J" + strings.Repeat("y", 1000)
	file := "own.star"
	at := func(col int32) error { return syntax.Error{Pos: syntax.MakePosition(&file, 1, col), Msg: "bad"} }
	for _, c := range []struct {
		name, text string
		err        error
		want       string
	}{
		{"nil", "", nil, ""},
		{"plain", "", errors.New("disk is gone"), "disk is gone\n"},
		{"our own", "\n\n\n\tcall(3)\n", placed{}, "own.star:4:2: call: got 3, want a string\n   4 | \tcall(3)\n     | \t^\n"},
		{"wrapped", "", fmt.Errorf("runtime: init: %w", placed{}), "own.star:4:2: call: got 3, want a string\nwhile: runtime: init\n"},
		{"file alone", "x", nowhere{}, "own.star: got no world, want def world(w)\n"},
		{"joined", "", errors.Join(at(1), placed{}), "own.star:1:1: bad\nown.star:4:2: call: got 3, want a string\n"},
		{"escape sequence", "a\x1b[2Jb", at(1), "own.star:1:1: bad\n   1 | a·[2Jb\n     | ^\n"},
		{"carriage return", "a b\r\nc", at(3), "own.star:1:3: bad\n   1 | a b\n     |   ^\n"},
		{"column past the end", "ab", at(99), "own.star:1:99: bad\n   1 | ab\n     |   ^\n"},
		{"long line", long, at(1002), "own.star:1:1002: bad\n   1 | …" + strings.Repeat("x", 58) + "·[2J" +
			strings.Repeat("y", 56) + "…\n     | " + strings.Repeat(" ", 60) + "^\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := func(string) ([]byte, bool) { return []byte(c.text), c.text != "" }
			if got := diag.Format(c.err, src); got != c.want {
				t.Errorf("Format = %q, want %q", got, c.want)
			}
			if c.err != nil && diag.Format(c.err, nil) == "" {
				t.Error("Format without a source = nothing, want at least the message")
			}
		})
	}
}

func TestNearest(t *testing.T) {
	words := []string{"call", "send", "newservice", "uniqueservice", "self", "fork", "sleep", "timeout", "wait", "exit"}
	for _, c := range []struct{ name, want string }{
		{"cal", "call"},
		{"clal", "call"},
		{"Call", "call"},
		{"snd", "send"},
		{"newservce", "newservice"},
		{"newsrevice", "newservice"},
		{"timeuot", "timeout"},
		{"slep", "sleep"},
		{"call", ""}, // it is right, so what is wrong lies elsewhere
		{"x", ""},
		{"", ""},
		{"subscribe", ""},
		{"wa", ""},
	} {
		got, ok := diag.Nearest(c.name, words)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("Nearest(%q) = %q, %v, want %q", c.name, got, ok, c.want)
		}
	}
}

func TestOr(t *testing.T) {
	for want, alternatives := range map[string][]string{"": nil, `"a"`: {"a"}, `"a" or "b"`: {"a", "b"}, `"a", "b" or "c"`: {"a", "b", "c"}} {
		if got := diag.Or(alternatives); got != want {
			t.Errorf("Or(%q) = %s, want %s", alternatives, got, want)
		}
	}
}

func FuzzFormat(f *testing.F) {
	f.Add("x = 1\nx.foo(\n")
	f.Add("def f():\n  return skynt.call\nf()")
	f.Add("load('a', 'b')")
	f.Add("\xff\xfe\x00 = 'ü'")
	f.Fuzz(func(t *testing.T, text string) {
		thread := &starlark.Thread{Name: "fuzz"}
		thread.SetMaxExecutionSteps(1000)
		_, err := starlark.ExecFileOptions(&syntax.FileOptions{}, thread, "f.star", text, nil)
		if err == nil {
			return
		}
		got := diag.Format(err, func(string) ([]byte, bool) { return []byte(text), true }, "skynet")
		if !strings.HasSuffix(got, "\n") || strings.ContainsRune(got, '\x1b') && !strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("Format = %q, want whole lines without escape sequences of the script", got)
		}
	})
}

func ExampleFormat() {
	script := "def hit(key):\n    return prnt(key)\n"
	_, err := starlark.ExecFileOptions(&syntax.FileOptions{}, new(starlark.Thread), "main.star", script, nil)
	fmt.Print(diag.Format(err, func(string) ([]byte, bool) { return []byte(script), true }))
	// Output:
	// main.star:2:12: undefined: prnt
	//    2 |     return prnt(key)
	//      |            ^
	// hint: did you mean print?
}
