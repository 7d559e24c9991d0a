package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"go.starlark.net/starlark"

	"skynet/sched"
)

// rest is what a scenario needs besides its trouble.
const rest = `
def world(w):
    w.nodes("n", 5, main = "node.star")
    w.clients("c", 2)

def work(c):
    pass

verdict = checks(linearizable("kv"))
`

func loadText(src string) (*Scenario, error) {
	return loadFiles(map[string]string{"main.star": src})
}

func loadFiles(files map[string]string) (*Scenario, error) {
	read := func(name string) ([]byte, error) {
		src, ok := files[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte(src), nil
	}
	return Load(read, "main.star", starlark.StringDict{"skynet": starlark.None})
}

var five = Cluster{Nodes: []string{"n1", "n2", "n3", "n4", "n5"}, Clients: []string{"c1", "c2"}}

// run takes all steps of a schedule; the clients are done at the given time.
func run(s *Schedule, done sched.Time) []Step {
	var steps []Step
	told := false
	for {
		step, ok := s.Peek()
		if !told && (!ok || step.At >= done) {
			s.ClientsDone(done)
			told = true
			continue
		}
		steps = append(steps, step)
		if step.Kind == End {
			return steps
		}
		s.Pop()
	}
}

// strikes returns all strikes of a run whose clients are done after a minute.
func strikes(t *testing.T, trouble Trouble, seed uint64, c Cluster) []Instance {
	t.Helper()
	s, err := Expand(trouble, seed, c, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	run(s, sched.Time(time.Minute))
	return s.Struck()
}

// The transcripts in testdata: what files load, what they mean, what is said about those that do not.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		files := map[string]string{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "file":
				files[d.CmdArgs[0].Key] = d.Input
				return ""
			case "load":
				files["main.star"] = d.Input
				return describe(loadFiles(files))
			case "trouble":
				return expand(t, d)
			case "world":
				return world(d)
			}
			return fmt.Sprintf("unknown command %s", d.Cmd)
		})
	})
}

func describe(sc *Scenario, err error) string {
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "title %q, limit %v, expect fails %v, seed %d %v, clients %q\n", sc.Title, sc.Limit, sc.ExpectFails, sc.Seed, sc.HasSeed, sc.Clients)
	fmt.Fprintf(&b, "%s\n", sc.Trouble)
	for _, c := range sc.Verdict {
		fmt.Fprintf(&b, "%s %s model %q per %q states %d within %v at %s\n", c.Kind, c.Name, c.Model.Name, c.Per, c.States, c.Within, c.Pos)
	}
	return b.String()
}

// expand prints the steps of a trouble in a cluster of five nodes.
func expand(t *testing.T, d *datadriven.TestData) string {
	seed, done := uint64(1), "20s"
	d.MaybeScanArgs(t, "seed", &seed)
	d.MaybeScanArgs(t, "done", &done)
	sc, err := loadText(rest + "trouble = " + d.Input)
	if err != nil {
		return err.Error()
	}
	s, err := Expand(sc.Trouble, seed, five, sc.Limit)
	if err != nil {
		return err.Error()
	}
	at, err := time.ParseDuration(done)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, step := range run(s, sched.Time(at)) {
		fmt.Fprintf(&b, "%v %s", step.At, step.Kind)
		if i := step.Instance; step.Kind == Strike {
			fmt.Fprintf(&b, " until %v %s %v %d %v: %s", i.Until, i.Fault.Kind, i.Fault.Groups, i.Fault.Amount, i.Fault.OneWay, i.Path)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func world(d *datadriven.TestData) string {
	src := "def world(w):\n    " + strings.ReplaceAll(d.Input, "\n", "\n    ") + "\ndef work(c): pass\nverdict = checks(linearizable(\"kv\"))\n"
	sc, err := loadText(src)
	if err != nil {
		return err.Error()
	}
	w, err := BuildWorld(sc, sched.NewStream(1, "world"))
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, n := range w.Nodes {
		fmt.Fprintf(&b, "%s main %s args %v %v config %v disk %+v speed %d cores %d skew %v\n", n.Name, n.Main, n.Args, n.Kwargs, n.Config, n.Disk, n.Speed, n.Cores, n.Skew)
	}
	for _, c := range w.Clients {
		fmt.Fprintf(&b, "%s service %s nodes %v timeout %v sticky %v\n", c.Name, c.Service, c.Nodes, c.Timeout, c.Sticky)
	}
	fmt.Fprintf(&b, "n1->n2 %+v\n", w.Link("n1", "n2"))
	fmt.Fprintf(&b, "n2->n1 %+v\n", w.Link("n2", "n1"))
	return b.String()
}

// A client's instance has globals of its own, those of loaded files included, and shares none with another client.
func TestInstantiateIsPrivate(t *testing.T) {
	sc, err := loadFiles(map[string]string{
		"main.star":  "load(\"state.star\", \"seen\", \"note\")\nmine = []\ndef world(w): pass\ndef work(c):\n    mine.append(c)\n    note(c)\n    return (mine, seen)\nverdict = checks(linearizable(\"kv\"))",
		"state.star": "seen = []\ndef note(c): seen.append(c)",
	})
	if err != nil {
		t.Fatal(err)
	}
	predeclared := Predeclared(starlark.StringDict{"skynet": starlark.None})
	for _, client := range []string{"c1", "c2"} {
		thread := new(starlark.Thread)
		globals, err := sc.Instantiate(thread, predeclared)
		if err != nil {
			t.Fatal(err)
		}
		got, err := starlark.Call(thread, globals["work"], starlark.Tuple{starlark.String(client)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("([%[1]q], [%[1]q])", client); got.String() != want {
			t.Errorf("work(%q) = %s, want %s", client, got, want)
		}
	}
	if _, err := starlark.Call(new(starlark.Thread), sc.Work, starlark.Tuple{starlark.None}, nil); err == nil {
		t.Error("the scenario's own work changed the globals that all runs share, want an error")
	}
}

// The names of the runtime may change their values from client to client.
func TestInstantiateTakesRuntimeValues(t *testing.T) {
	sc, err := loadText(rest + "def who(): return skynet")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		thread := new(starlark.Thread)
		globals, err := sc.Instantiate(thread, Predeclared(starlark.StringDict{"skynet": starlark.MakeInt(i)}))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := starlark.Call(thread, globals["who"], nil, nil); err != nil || got.String() != fmt.Sprint(i) {
			t.Errorf("who() = %v, %v, want %d", got, err, i)
		}
	}
}

// An error of a script has its place and its backtrace.
func TestErrorHasPlaceAndBacktrace(t *testing.T) {
	_, err := loadText("def f():\n    return 1 // 0\n\nx = f()\n")
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("Load = %v, want an *Error", err)
	}
	if e.Pos.Line != 2 || !strings.Contains(e.Backtrace, "main.star:4:6: in <toplevel>") {
		t.Errorf("got line %d and backtrace %q, want line 2 and the call in line 4", e.Pos.Line, e.Backtrace)
	}
}

func TestLoadRefusesHugeAndDeepFiles(t *testing.T) {
	if _, err := loadText(strings.Repeat("#", maxSource+1)); err == nil || !strings.Contains(err.Error(), "want at most") {
		t.Errorf("Load of a huge file = %v, want an error", err)
	}
	if _, err := loadText("x = " + strings.Repeat("(", maxSource-10)); err == nil {
		t.Error("Load of a deep file succeeded, want an error")
	}
}

// A few lines can describe what no memory holds; they must be refused in a moment.
func TestLoadRefusesExplosions(t *testing.T) {
	for _, test := range []struct{ grow, want string }{
		{"plan(x, x)", "plan: got members of "},
		{"swarm(x, x)", "swarm: got members of "},
		{"plan(x)", "plan: nested deeper than 50"},
	} {
		_, err := loadText(rest + "def f():\n    x = every(\"1s\", crash(one))\n    for _ in range(100000):\n        x = " + test.grow +
			"\n    return x\ntrouble = f()\n")
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Load of x = %s, again and again: got %v, want %q", test.grow, err, test.want)
		}
	}
	_, err := loadText(rest + "def f():\n    x = 1 << 500\n    for _ in range(12):\n        x = x * x\n    return x\nlimit = f()\n")
	if want := "limit: got an int of 2048001 bits, want a duration"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Load of a huge limit: got %v, want %q", err, want)
	}
}

func TestBuildWorldRefusesCrowds(t *testing.T) {
	sc, err := loadText("def world(w):\n    for i in range(100000):\n        w.nodes(\"n%d_\" % i, 1000, main = \"a.star\")\n" +
		"def work(c): pass\nverdict = checks(linearizable(\"kv\"))\n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = BuildWorld(sc, sched.NewStream(1))
	if want := "w.nodes: got 11000 nodes and clients, want at most 10000"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("BuildWorld with 100,000 groups: got %v, want %q", err, want)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(rest))
	f.Add([]byte(rest + `trouble = phases(calm("1s..2s"), swarm(every("5s", crash(one)), at("1s", loss("n*", "5%"))), heal(), settle(1))`))
	f.Add([]byte("load(\"main.star\", \"x\")"))
	f.Add([]byte("world = checks\nwork = linearizable"))
	f.Add([]byte(rest + "trouble = plan(at(1e300, crash(some(-1))))"))
	for _, w := range Words() {
		f.Add([]byte(exampleFile(w)))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		sc, err := loadText(string(src))
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || sc != nil {
				t.Fatalf("Load = %v, %v, want nil and an *Error", sc, err)
			}
			return
		}
		w, err := BuildWorld(sc, sched.NewStream(1, "world"))
		if err != nil {
			return
		}
		if s, err := Expand(sc.Trouble, 1, w.Cluster(), min(sc.Limit, time.Hour)); err == nil {
			for range 100 {
				s.Peek()
				s.Pop()
			}
		}
	})
}

func BenchmarkInstantiate(b *testing.B) {
	sc, err := loadText(rest)
	if err != nil {
		b.Fatal(err)
	}
	predeclared := Predeclared(starlark.StringDict{"skynet": starlark.None})
	thread := new(starlark.Thread)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sc.Instantiate(thread, predeclared); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuildWorld(b *testing.B) {
	sc, err := loadText(rest)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := BuildWorld(sc, sched.NewStream(1, "world")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSchedule(b *testing.B) {
	sc, err := loadText(rest + `trouble = swarm(every("5s", partition(halves)), every("7s", crash(one)))`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s, err := Expand(sc.Trouble, 1, five, sc.Limit)
		if err != nil {
			b.Fatal(err)
		}
		for range 10 {
			s.Peek()
			s.Pop()
		}
	}
}
