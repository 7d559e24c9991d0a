package runtime_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// ring is a script whose init calls the service of the next name; the name is found by waiting for it.
const ring = `
def init(name, next, timeout = 20):
    skynet.register(name)
    skynet.call(skynet.query(next, timeout = 10), "ping", timeout = timeout)

def ping():
    return "pong"
`

// deadlocks are the lines that report one.
func deadlocks(lines []runtimetest.Line) (found []string) {
	for _, l := range lines {
		if strings.Contains(l.String(), "ERROR deadlock ") {
			found = append(found, l.String())
		}
	}
	return found
}

// TestDeadlockInInit launches services that call each other in a ring, each in its init, for rings of several sizes.
func TestDeadlockInInit(t *testing.T) {
	for _, size := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
				w.Scripts(map[string]string{"ring.star": ring, "main.star": `
def go(size):
    for i in range(size):
        skynet.fork(_launch, ".%d" % i, ".%d" % ((i + 1) % size))
def _launch(name, next):
    skynet.pcall(skynet.newservice, "ring.star", name, next, timeout = 2.5)
`})
				w.Node("n", "main.star")
				w.Want("None", "n", "main", "go", size)
				w.Logged("n", "deadlock")
				w.Until("all have failed", func() bool { return failures(w) == size })
				found := deadlocks(w.Logs("n"))
				if len(found) != 1 {
					t.Fatalf("log: got %d reports of a deadlock, want 1:\n%s", len(found), strings.Join(found, "\n"))
				}
				cycle, stacks, _ := strings.Cut(found[0], "stacks=")
				for i := range size {
					who := fmt.Sprintf("n:%08x ring.star init", 4+i)
					if !strings.Contains(cycle, who+" -> ") || !strings.Contains(stacks, "  "+who+":\n    Traceback") {
						t.Errorf("report: got\n%s\nwant %s in it, with its stack", found[0], who)
					}
				}
				if got := strings.Count(stacks, "ring.star:4:16: in init"); got != size {
					t.Errorf("report: got %d stacks, want %d:\n%s", got, size, stacks)
				}
			})
		})
	}
}

// failures is how many init have failed.
func failures(w *runtimetest.World) (count int) {
	for _, l := range w.Logs("n") {
		if strings.Contains(l.String(), "handler failed") {
			count++
		}
	}
	return count
}

// TestDeadlockOfUniqueServices has two unique services ask for each other in init.
func TestDeadlockOfUniqueServices(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{
			"main.star": `
def go():
    skynet.fork(skynet.pcall, skynet.uniqueservice, "a.star")
`,
			"a.star": "def init():\n    skynet.uniqueservice(\"b.star\")\n",
			"b.star": "def init():\n    skynet.uniqueservice(\"a.star\")\n",
		})
		n := w.Node("n", "main.star")
		w.Want("None", "n", "main", "go")
		w.Logged("n", "deadlock", "cycle=n:00000004 a.star init -> n:00000005 b.star init -> n:00000004 a.star init")
		w.Until("the graph has it", func() bool {
			return strings.Contains(graphOf(t, w, n), "deadlock: n:00000004 a.star init -> n:00000005 b.star init -> n:00000004 a.star init")
		})
	})
}

// graphOf asks a node for its graph.
func graphOf(t *testing.T, w *runtimetest.World, n *runtime.Node) string {
	t.Helper()
	got := make(chan string, 1)
	n.WaitGraph(func(g runtime.WaitGraph, err error) {
		if err != nil {
			t.Error(err)
		}
		got <- g.String()
	})
	var text string
	w.Eventually("the node answers", func() bool {
		select {
		case text = <-got:
			return true
		default:
			return false
		}
	})
	return text
}

// relays is a script whose services call one another along a path, and sleep at its end. Their init is slow and asks the
// service before, so that requests wait for it.
const relays = `
def init(before = None):
    skynet.register(str(skynet.self())[-8:])
    if before:
        skynet.call(skynet.query(before, timeout = 10), "relay", [], timeout = 25)

def relay(path):
    if not path:
        skynet.sleep(random.choice([0.2, 1.2]))
        return "slept"
    skynet.sleep(random.choice([0, 0.1, 0.7]))
    return skynet.call(path[0], "relay", path[1:], timeout = 60)
`

const relaysMain = `
names = ["0000000%d" % n for n in range(4, 8)]

def launch():
    before = None
    for name in names:
        skynet.fork(skynet.newservice, "relays.star", before)
        before = name
    for name in names:
        skynet.query(name, timeout = 10)

def relay(path):
    path = [names[i] for i in path]
    return skynet.call(path[0], "relay", path[1:], timeout = 60)
`

// TestNoDeadlock wants no report of services that wait for long, but not in a circle: re-entrance, a slow callee, requests
// that wait for a slow init.
func TestNoDeadlock(t *testing.T) {
	t.Parallel()
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		if err := relay(w, [][]int{{0, 1, 0, 1}, {0, 0, 0}, {1}, {2, 3, 2}, {3, 2, 1, 0, 3}}); err != nil {
			t.Error(err)
		}
	})
}

// relay makes calls along the paths and wants them all to come to their ends without a report of a deadlock.
func relay(w *runtimetest.World, paths [][]int) error {
	w.Scripts(map[string]string{"relays.star": relays, "main.star": relaysMain})
	w.Node("n", "main.star")
	w.Want("None", "n", "main", "launch")
	var calls []*runtimetest.Pending
	for _, path := range paths {
		var via []any
		for _, i := range path {
			via = append(via, i)
		}
		calls = append(calls, w.Go("n", "main", "relay", via))
	}
	for i, c := range calls {
		if v, err := c.Wait(); err != nil || v.String() != `"slept"` {
			return fmt.Errorf("path %v: got %v, %v, want slept", paths[i], v, err)
		}
	}
	if found := deadlocks(w.Logs("n")); len(found) > 0 {
		return fmt.Errorf("log: got %q, want no deadlock", found)
	}
	return nil
}

// TestNoFalseDeadlock draws traffic of services that call one another along paths of any shape, for longer than it takes
// until a probe leaves, and wants no report.
func TestNoFalseDeadlock(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(7)
	parameters.MinSuccessfulTests = 60
	properties := gopter.NewProperties(parameters)
	path := gen.SliceOfN(6, gen.IntRange(0, 3))
	properties.Property("services that all answer in the end are in no deadlock", prop.ForAll(func(seed uint64, paths [][]int) (bool, error) {
		err := relay(runtimetest.NewVirtual(t, seed), paths)
		return err == nil, err
	}, gen.UInt64(), gen.SliceOfN(12, path)))
	properties.TestingRun(t)
}

// TestSlowHandler wants a handler that runs for long to be in the log once, and a busy one that blocks now and then not to.
func TestSlowHandler(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Limits = runtime.Limits{Slow: 20 * time.Millisecond, Slice: 1000}
		w.Scripts(map[string]string{"slow.star": `
def spin(n):
    for i in range(n):
        x = i * i
def work(n):
    for i in range(n):
        spin(1000)
        skynet.sleep(0.0001)
`})
		w.Node("n", "slow.star")
		w.Want("None", "n", "slow", "work", 100)
		w.Want("None", "n", "slow", "spin", 2_000_000)
		w.Logged("n", "WARN slow handler node=n service=n:00000003 slow.star session=", "trace=", "command=spin", "took=", "steps=", "at=slow.star:")
		var found []string
		for _, l := range w.Logs("n") {
			if strings.Contains(l.Text, "slow handler") {
				found = append(found, l.Text)
			}
		}
		if len(found) != 1 {
			t.Errorf("log: got %q, want one slow handler", found)
		}
	})
}
