package runtime_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// inspect asks a node what its services are doing.
func inspect(w *runtimetest.World, n *runtime.Node) (services []runtime.ServiceInfo, err error) {
	type outcome struct {
		services []runtime.ServiceInfo
		err      error
	}
	got := make(chan outcome, 1)
	n.Inspect(func(services []runtime.ServiceInfo, err error) { got <- outcome{services, err} })
	w.Eventually("the node answers", func() bool {
		select {
		case o := <-got:
			services, err = o.services, o.err
			return true
		default:
			return false
		}
	})
	return services, err
}

// TestInspect looks at a node with an idle, a waiting and an endlessly looping service.
func TestInspect(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Scripts(map[string]string{"busy.star": testScripts(t)["lib/callee.star"]})
		n := w.Node("n", "lib/callee.star", "busy.star")
		w.Limits.Steps = 1 << 40
		w.Want("1", "n", "lib/callee", "one", 1)
		w.Go("n", "lib/callee", "park")
		w.Go("n", "busy", "spin")
		var services []runtime.ServiceInfo
		w.Until("both are at it", func() bool {
			var err error
			if services, err = inspect(w, n); err != nil {
				t.Fatal(err)
			}
			return len(services) == 4 && len(services[2].Tasks) == 1 && len(services[3].Tasks) == 1
		})
		var got []string
		for _, s := range services[2:] {
			task := s.Tasks[0]
			got = append(got, fmt.Sprintln(s.Address, s.Script, s.Names, s.Stat.Messages, s.Stat.Tasks, task.Command, task.What, task.Source, task.Session > 0, task.HasDeadline))
			if !strings.Contains(task.Stack, "in "+task.Command) {
				t.Errorf("stack of %s: got %q", task.Command, task.Stack)
			}
		}
		want := []string{
			"n:00000003 lib/callee.star [lib/callee] 3 1 park wait n:00000001 system true true\n",
			"n:00000004 busy.star [busy] 2 1 spin running n:00000001 system true true\n",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%q, want\n%q", got, want)
		}
		w.Stop("n", 0)
		if _, err := inspect(w, n); err == nil || !strings.Contains(err.Error(), "node n has ended") {
			t.Errorf("inspection of a node that has ended: got %v, want an error", err)
		}
	})
}

// TestTraceFollowsARequest wants the log lines of a request to have one trace, in all services and on both nodes, and another
// one for the next request; and those of a connection one of their own.
func TestTraceFollowsARequest(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{
			"front.star": `
def ask(mark):
    log.info("front " + mark)
    skynet.fork(_later, mark)
    skynet.timeout(0.001, _later, mark)
    cluster.send("b", "back", "note", mark)
    return cluster.call("b", "back", "ask", mark)
def _later(mark):
    log.info("later " + mark)
`,
			"back.star": `
def ask(mark):
    log.info("back " + mark)
    return skynet.call(skynet.self(), "deep", mark)
def deep(mark):
    log.warn("deep " + mark)
    return skynet.trace()
def note(mark):
    log.info("note " + mark)
`,
		})
		w.Cluster("a", "b")
		w.Node("a", "front.star")
		w.Node("b", "back.star")
		traces := make(map[string]bool)
		for _, mark := range []string{"x", "y"} {
			v, err := w.Call("a", "front", "ask", mark)
			if err != nil {
				t.Fatal(err)
			}
			trace, _ := starlark.AsString(v)
			traces[trace] = true
			w.Eventually("all have spoken", func() bool { return len(marked(w, mark)) == 6 })
			for _, line := range marked(w, mark) {
				session := !strings.Contains(line, "later") && !strings.Contains(line, "note")
				if !strings.Contains(line, " trace="+trace) || strings.Contains(line, " session=") != session {
					t.Errorf("got %q, want the trace %s, and a session: %v", line, trace, session)
				}
			}
		}
		if len(traces) != 2 {
			t.Errorf("traces of two requests: got %v, want two", traces)
		}
	})
}

// marked are the lines of both nodes that end their message in a mark.
func marked(w *runtimetest.World, mark string) (found []string) {
	for _, l := range append(w.Logs("a"), w.Logs("b")...) {
		if strings.Contains(l.Text, " "+mark+" node=") {
			found = append(found, l.Text)
		}
	}
	return found
}

// TestTraceOfConnections wants each accepted stream to begin a trace.
func TestTraceOfConnections(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"s.star": `
traces = []
def init():
    l = socket.listen("127.0.0.1:0", _serve)
    for _ in range(2):
        socket.readline(socket.open(l.address))
def _serve(s):
    traces.append(skynet.trace())
    socket.write(s, "hello\n")
def differ():
    return len(set(traces + [skynet.trace()]))
`})
		w.Node("n", "s.star")
		w.Want("3", "n", "s", "differ")
	})
}

const profiled = `
def hot(n):
    x = 0
    for i in range(n):
        x += i * i % 7
    return x

def cold(n):
    for i in range(n):
        pass

def work():
    for _ in range(200):
        hot(1000)
        cold(100)
        skynet.sleep(0.0001)
`

// TestProfile wants the function that takes most on top, with its line, in a profile of short slices of work.
func TestProfile(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"hot.star": profiled})
		n := w.Node("n", "hot.star")
		if err := n.StopProfile(new(bytes.Buffer)); err == nil {
			t.Error("stop before start: got no error, want one")
		}
		if err := n.StartProfile(); err != nil {
			t.Fatal(err)
		}
		if err := n.StartProfile(); err == nil {
			t.Error("start again: got no error, want one")
		}
		w.Want("None", "n", "hot", "work")
		var out bytes.Buffer
		if err := n.StopProfile(&out); err != nil {
			t.Fatal(err)
		}
		w.Want("None", "n", "hot", "work") // takes no samples any more
		file := filepath.Join(t.TempDir(), "p")
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := profile.Parse(&out)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.CheckValid(); err != nil {
			t.Error(err)
		}
		steps, hot := int64(0), int64(0)
		for _, s := range p.Sample {
			steps += s.Value[0]
			if l := s.Location[0].Line[0]; l.Function.Name == "hot" && l.Function.Filename == "hot.star" && (l.Line == 4 || l.Line == 5) && l.Function.StartLine == 2 {
				hot += s.Value[0]
			}
			if got, want := fmt.Sprint(s.Label), "map[script:[hot.star] service:[n:00000003]]"; got != want {
				t.Errorf("labels: got %s, want %s", got, want)
			}
		}
		if steps < 1_000_000 || hot*100 < steps*80 {
			t.Errorf("got %d of %d steps in hot, want nearly all", hot, steps)
		}
		top, err := exec.Command("go", "tool", "pprof", "-top", file).CombinedOutput()
		if err != nil || !regexp.MustCompile(`%\s+hot\b`).Match(top) {
			t.Errorf("go tool pprof -top: got %v\n%s\nwant hot in it", err, top)
		}
	})
}

// TestProfileOfARunIsDeterministic wants two runs of a seed to have the same profile.
func TestProfileOfARunIsDeterministic(t *testing.T) {
	one := func() string {
		w := runtimetest.NewVirtual(t, 3)
		w.Scripts(map[string]string{"hot.star": profiled})
		n := w.Node("n", "hot.star")
		if err := n.StartProfile(); err != nil {
			t.Fatal(err)
		}
		w.Want("None", "n", "hot", "work")
		var out bytes.Buffer
		if err := n.StopProfile(&out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if first, second := one(), one(); first != second {
		t.Error("two runs of a seed: got two profiles, want one")
	}
}

// TestLookingDisturbsNobody looks at everything all the time while others work.
func TestLookingDisturbsNobody(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Limits = runtime.Limits{Steps: 3_000_000, Slice: 5_000}
		w.Node("n", "lib/callee.star")
		w.Scripts(map[string]string{"watcher.star": `
def watch(a, n):
    for _ in range(n):
        for s in skynet.services():
            skynet.pcall(skynet.stat, s.address)
            skynet.pcall(skynet.task, s.address)
        skynet.waits()
`})
		watcher := w.Launch("n", "watcher.star")
		watching := w.Go("n", watcher, "watch", watcher, 20)
		for i := range 50 {
			w.Want(fmt.Sprint(i), "n", "lib/callee", "one", i)
		}
		if _, err := watching.Wait(); err != nil {
			t.Error(err)
		}
		_, err := w.Call("n", "lib/callee", "spin")
		wantKind(t, err, "remote: lib/callee.star:40:11: ", "step budget of 3000000 exceeded")
		w.Stop("n", time.Second)
	})
}

// TestLookingAtAnotherNode wants it to be refused.
func TestLookingAtAnotherNode(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Scripts(map[string]string{"look.star": `
def look(word):
    a = cluster.query("b", "lib/callee")
    return getattr(skynet, word)(a)
`})
		w.Cluster("a", "b")
		w.Node("b", "lib/callee.star")
		w.Node("a", "look.star")
		for _, word := range []string{"stat", "mqlen", "task", "info"} {
			_, err := w.Call("a", "look", "look", word)
			wantKind(t, err, "denied: skynet."+word+": b:00000003 lives on another node")
		}
	})
}

// TestNobodyWaits wants the text to say so.
func TestNobodyWaits(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"look.star": `
seen = []
def _look():
    w = skynet.waits()
    seen.append((w.waits, w.deadlocks, w.text))
    log.info("looked")
def init():
    skynet.timeout(0.01, _look)
def looked():
    return seen
`})
		n := w.Node("n", "look.star")
		w.Logged("n", "looked") // a call would be one that waits
		w.Want(`[([], [], "nobody waits")]`, "n", "look", "looked")
		if got := graphOf(t, w, n); got != "nobody waits" {
			t.Errorf("String() = %q, want nobody waits", got)
		}
	})
}
