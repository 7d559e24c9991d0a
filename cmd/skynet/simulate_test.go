package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documented reads the table of fields in a section of a document: the fields, and those of the objects that the rows
// describe, by the row's name.
func documented(t *testing.T, file, section string) (names []string, objects map[string]string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "### "+section)
	if !ok {
		t.Fatalf("docs/%s: got no section on %s", file, section)
	}
	table, _, _ = strings.Cut(table, "\n## ")
	objects = map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\| (\\w+) \\| (.*) \\|$").FindAllStringSubmatch(table, -1) {
		for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
			names = append(names, name[1])
		}
		if fields := regexp.MustCompile("`\\{(.*?)\\}`").FindStringSubmatch(row[3]); fields != nil {
			objects[strings.Trim(row[1], "`")] = fields[1]
		}
	}
	return names, objects
}

// TestJSONIsDocumented holds the table in docs/command-line.md and the fields that are printed to each other.
func TestJSONIsDocumented(t *testing.T) {
	names, lists := documented(t, "command-line.md", "sim --format json")
	if got := fields(reflect.TypeFor[simResult]()); !same(got, names) {
		t.Errorf("simResult has the fields %v, want those of docs/command-line.md: %v", got, names)
	}
	for name, typ := range map[string]reflect.Type{
		"failures": reflect.TypeFor[simFailure](), "checks": reflect.TypeFor[simCheck](),
		"faults": reflect.TypeFor[simFault](), "shrunk": reflect.TypeFor[simShrunk](),
	} {
		if got := strings.Join(fields(typ), ", "); got != lists[name] {
			t.Errorf("%s has the fields {%s}, want those of docs/command-line.md: {%s}", name, got, lists[name])
		}
	}
}

func fields(typ reflect.Type) []string {
	var names []string
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func same(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// register has a scenario that always fails.
var register = memory{
	"reg.star": `def world(w):
    w.nodes("n", 1, main = "node.star")
    w.clients("c", 1)
def work(c):
    c.op("write", 1)
    c.op("read")
verdict = checks(linearizable("register"))
`,
	"node.star": "def read():\n    return 2\ndef write(v):\n    pass\n",
}

// oneSeed sweeps a scenario in memory, in process.
func oneSeed(t *testing.T, args ...string) (exit int, stdout string) {
	t.Helper()
	s, out, stderr := fakeState(append([]string{"sim", "reg.star"}, args...)...)
	s.Files = register
	exit = Main(s)
	if stderr.Len() > 0 {
		t.Errorf("stderr = %q, want nothing", stderr)
	}
	return exit, out.String()
}

func TestJSONTypes(t *testing.T) {
	exit, out := oneSeed(t, "--seed", "9", "--format", "json")
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil || exit != exitFailed {
		t.Fatalf("exit status %d, %v, want 1 and JSON: %s", exit, err, out)
	}
	for name, want := range map[string]string{
		"scenario": "string", "expect": "string", "ok": "bool", "seeds": "float64", "passed": "float64", "failed": "float64",
		"unknown": "float64", "steps": "float64", "virtual_seconds": "float64", "wall_seconds": "float64", "interrupted": "bool",
		"hash": "string", "failures": "[]interface {}", "checks": "[]interface {}", "faults": "[]interface {}",
	} {
		if typ := fmt.Sprintf("%T", got[name]); typ != want {
			t.Errorf("%s is a %s, want %s", name, typ, want)
		}
	}
	failure := got["failures"].([]any)[0].(map[string]any)
	if failure["hash"] != got["hash"] || failure["seed"] != 9.0 || failure["replay"] != "skynet sim reg.star --seed 9" {
		t.Errorf("failures = %v, want seed 9 with hash %v", got["failures"], got["hash"])
	}
}

// TestInterrupted sends a signal at the start of a sweep that would take for ever.
func TestInterrupted(t *testing.T) {
	for _, signals := range []int{1, 2} {
		s, out, _ := fakeState("sim", "reg.star", "--seeds", "1000000000000")
		s.Files = register
		s.Signals = func() <-chan os.Signal {
			sent := make(chan os.Signal, 2)
			for range signals {
				sent <- os.Interrupt
			}
			return sent
		}
		exit := Main(s)
		if exit != exitFailed || signals == 1 && !strings.Contains(out.String(), "(interrupted: ") {
			t.Errorf("%d signals: exit status %d, want 1 and an interrupted sweep:\n%s", signals, exit, out)
		}
	}
}

func TestPanicInASweepIsStatus3(t *testing.T) {
	s, _, stderr := fakeState("sim")
	exit := guard(s, func() int {
		return status(interruptible(s, func(context.Context) error { panic("lost my marbles") }))
	})
	if exit != exitInternal || !strings.Contains(stderr.String(), "lost my marbles") || !strings.Contains(stderr.String(), "simulate_test.go") {
		t.Errorf("exit status %d, want 3 with the place of the panic:\n%s", exit, stderr)
	}
}

func TestColourIsForTerminals(t *testing.T) {
	for _, c := range []struct {
		tty     bool
		noColor string
		want    bool
	}{{true, "", true}, {true, "1", false}, {false, "", false}} {
		x := &simulation{State: &State{StdoutTTY: c.tty, Env: func(string) string { return c.noColor }}}
		if got := x.red("FAILED") != "FAILED"; got != c.want {
			t.Errorf("tty %v, NO_COLOR %q: coloured %v, want %v", c.tty, c.noColor, got, c.want)
		}
	}
}

func TestReplayNamesTheStrategy(t *testing.T) {
	x := &simulation{name: "a.star", smallAt: "a-seed3.star", simOptions: simOptions{strategy: "fifo"}}
	if got, want := x.replay(3), "skynet sim a.star --seed 3 --strategy fifo"; got != want {
		t.Errorf("replay = %q, want %q", got, want)
	}
	if got, want := x.replayShrunk(), "skynet sim a-seed3.star --strategy fifo"; got != want {
		t.Errorf("replayShrunk = %q, want %q", got, want)
	}
}

func TestQuoteArg(t *testing.T) {
	for name, want := range map[string]string{
		"scenarios/a-b_1.star": "scenarios/a-b_1.star", "my dir/a.star": "'my dir/a.star'", "it's": `'it'\''s'`, "a;b": "'a;b'", "": "''", "é.star": "'é.star'",
	} {
		if got := quoteArg(name); got != want {
			t.Errorf("quoteArg(%q) = %s, want %s", name, got, want)
		}
	}
}

func TestNarrow(t *testing.T) {
	short := []string{"  a     b", "c"}
	if got := narrow(short); !slices.Equal(got, short) {
		t.Errorf("narrow(%q) = %q, want it unchanged", short, got)
	}
	long := strings.Repeat("x", 2*shownWidth)
	got := narrow([]string{"  a     b", long})
	if got[0] != "  a  b" || len([]rune(got[1])) != shownWidth {
		t.Errorf("narrow = %q, want close columns and nothing longer than %d", got, shownWidth)
	}
}
