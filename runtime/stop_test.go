package runtime_test

import (
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// TestStopDrains stops a node that has a call in flight.
func TestStopDrains(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Node("n", "lib/callee.star")
		nap := w.Go("n", "lib/callee", "nap", "30ms")
		w.Want("1", "n", "lib/callee", "one", 1)
		w.Stop("n", 20*time.Second)
		v, err := nap.Wait()
		if err != nil || v != starlark.String("slept") {
			t.Errorf("call in flight at the stop: got %v, %v, want its result", v, err)
		}
	})
}

// TestStopGivesUp stops a node whose call in flight takes longer than the drain time.
func TestStopGivesUp(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Node("n", "lib/callee.star")
		nap := w.Go("n", "lib/callee", "nap", "55s")
		spin := w.Go("n", "lib/callee", "spin")
		w.Stop("n", 20*time.Millisecond)
		for _, p := range []*runtimetest.Pending{nap, spin} {
			if _, err := p.Wait(); err == nil {
				t.Error("call that takes longer than the drain time: got a result, want an error")
			}
		}
	})
}

var chain = map[string]string{"chain.star": `
def init(next):
    if next:
        skynet.fork(_watch, next)
def park():
    skynet.wait("for ever")
def _watch(next):
    r = skynet.pcall(skynet.call, next, "park", timeout = 3600)
    log.info("heard", kind = r.error.kind, of = next)
`}

// TestStopEndsTheYoungestFirst lets each service wait for a younger one: each hears of the other's end.
func TestStopEndsTheYoungestFirst(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"elder.star": `
def init():
    skynet.fork(_watch)
def _watch():
    first = skynet.newservice("chain.star", skynet.newservice("chain.star", skynet.newservice("chain.star", None)))
    skynet.register("elder watches")
    r = skynet.pcall(skynet.call, first, "park", timeout = 3600)
    log.info("the elder heard", kind = r.error.kind)
`})
		w.Scripts(chain)
		n := w.Node("n", "elder.star")
		w.Eventually("everyone waits", func() bool { return len(n.Services()) == 6 && len(n.Names()) == 2 })
		logs := w.LogsOf("n")
		w.Stop("n", 0)
		var text strings.Builder
		for _, line := range logs() {
			text.WriteString(line.Text + "\n")
		}
		// The chain was launched from its end, so only the elder outlives the one it waits for.
		if got := text.String(); strings.Count(got, "heard") != 1 || !strings.Contains(got, "the elder heard") || !strings.Contains(got, "kind=dead") {
			t.Errorf("log: got\n%swant the elder to hear of the end", got)
		}
	})
}

// TestStopWhileServicesEnd stops a node whose services are ending by themselves.
func TestStopWhileServicesEnd(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"brood.star": `
def init():
    for _ in range(20):
        skynet.send(skynet.newservice("lib/callee.star"), "leave")
`})
		w.Scripts(testScripts(t))
		for _, drain := range []time.Duration{0, time.Second} {
			w.Node("n", "brood.star")
			w.Stop("n", drain)
		}
	})
}

// TestStopRefusesLaunches launches from a handler while its node drains.
func TestStopRefusesLaunches(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Scripts(map[string]string{"late.star": `
def late():
    r = skynet.pcall(skynet.newservice, "lib/callee.star")
    while r.ok:
        skynet.kill(r.value)
        skynet.sleep("1ms")
        r = skynet.pcall(skynet.newservice, "lib/callee.star")
    return r.error.kind + ": " + r.error.message
`})
		w.Node("n", "late.star")
		late := w.Go("n", "late", "late")
		w.Stop("n", 20*time.Second)
		v, err := late.Wait()
		if want := starlark.String("denied: launch lib/callee.star: node n is stopping"); err != nil || v != want {
			t.Errorf("launch while the node stops: got %v, %v, want %v", v, err, want)
		}
	})
}

// TestKillEndsAnEndlessLoop kills a service that would run for ever, with a call waiting behind the loop.
func TestKillEndsAnEndlessLoop(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Scripts(map[string]string{"killer.star": "def kill(name):\n    skynet.kill(name)\n"})
		w.Limits = runtime.Limits{Steps: 1 << 60, Slice: 1000}
		w.Node("n", "lib/callee.star", "killer.star")
		pending := []*runtimetest.Pending{w.Go("n", "lib/callee", "spin"), w.Go("n", "lib/callee", "notes")}
		w.Want("None", "n", "killer", "kill", "lib/callee")
		for _, p := range pending {
			_, err := p.Wait()
			wantKind(t, err, "dead: n:00000003 lib/callee.star ended")
		}
	})
}

// TestCrash crashes a node in the middle of everything: no coroutine is left, which TestMain verifies, and Go callers hear.
func TestCrash(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Node("n", "lib/callee.star")
		parked := w.Go("n", "lib/callee", "park")
		spinning := w.Go("n", "lib/callee", "spin")
		w.Crash("n")
		for _, p := range []*runtimetest.Pending{parked, spinning} {
			if _, err := p.Wait(); err == nil {
				t.Error("call of a node that crashed: got a result, want an error")
			}
		}
		w.Node("n", "lib/callee.star")
		w.Want("1", "n", "lib/callee", "one", 1)
	})
}

// TestStopOfAnExitHookWithoutEnd: a hook that never blocks is given up as one is that does, however many steps it may take.
func TestStopOfAnExitHookWithoutEnd(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"main.star": "def exit():\n    while True:\n        pass\n"})
		w.Limits = runtime.Limits{Steps: 1 << 60, Call: 20 * time.Millisecond}
		w.Node("n", "main.star")
		w.Stop("n", 0)
	})
}

// TestStopIsBounded stops a node with a hundred services whose exit hooks hang: after the drain time and the limit call those that
// are left are killed, which the log says once, and everybody who waits for them is answered, on other nodes too.
func TestStopIsBounded(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{
			"main.star": `
def init():
    for i in range(100):
        skynet.newservice("hook.star", i, launch = {"name": "hook %d" % i})
def exit():
    log.info("main was asked")
`,
			"hook.star": `
def init(i):
    pass
def park():
    skynet.wait("for ever")
def exit():
    skynet.wait("for ever")
`,
			"mourner.star": mourner,
		})
		w.Limits = runtime.Limits{Call: 200 * time.Millisecond}
		w.Heartbeat, w.Silence = 100*time.Millisecond, 10*time.Second
		w.Cluster("a", "b")
		w.Node("a", "mourner.star")
		w.Node("b", "main.star")
		w.Want("None", "a", "mourner", "watch", "b", "hook 0")
		w.Want("None", "a", "mourner", "watch", "b", "hook 99")
		here := w.Go("b", "hook 7", "park")
		logs := w.LogsOf("b")
		w.Stop("b", 100*time.Millisecond)
		_, err := here.Wait()
		wantKind(t, err, "dead: ")
		w.Logged("a", "heard", "kind=stopped") // hook 99, the youngest: its hook began
		w.Logged("a", "heard", "kind=killed")  // hook 0

		var killed, late int
		for _, line := range logs() {
			switch {
			case strings.Contains(line.Text, "services killed: the stop takes too long"):
				killed++
				// The calls to be drained take the whole drain time, then there is the time for one hook.
				wantParts(t, line.Text, "limit=300ms", "count=", "services=", "b:0000", "hook.star, b:0000", ", …")
			case strings.Contains(line.Text, "exit hook takes too long"):
				late++
			case strings.Contains(line.Text, "main was asked"):
				t.Error("log: got a line of the last exit hook, want none: those before it took all the time")
			}
		}
		if killed != 1 || late > 3 {
			t.Errorf("log: got %d lines about killed services and %d hooks given up, want 1 and at most 3", killed, late)
		}
	})
}

// TestStopIsBoundedForThePatient: the limit call of a service, and a supervisor, which has none for its hook, do not count for the
// stop of their node; nor does a handler in a loop.
func TestStopIsBoundedForThePatient(t *testing.T) {
	hang := "def exit():\n    skynet.wait('for ever')\n"
	for name, main := range map[string]string{
		"a limit of its own": `
def init():
    skynet.newservice("hang.star", launch = {"limits": {"call": "1000h"}})
`,
		"a supervisor": `
def init():
    skynet.supervise([skynet.child("hang.star", stop = "1000h", launch = {"limits": {"call": "1000h"}})])
`,
		"a loop": `
def init():
    skynet.newservice("loop.star", launch = {"limits": {"call": "1000h", "steps": 1 << 60}})
`,
	} {
		t.Run(name, func(t *testing.T) {
			runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
				w.Scripts(map[string]string{"main.star": main, "hang.star": hang, "loop.star": "def exit():\n    while True:\n        pass\n"})
				w.Limits = runtime.Limits{Call: 20 * time.Millisecond}
				w.Node("n", "main.star")
				logs := w.LogsOf("n")
				w.Stop("n", 0)
				killed := 0
				for _, line := range logs() {
					if strings.Contains(line.Text, "services killed: the stop takes too long") {
						killed++
					}
				}
				if killed != 1 {
					t.Errorf("log: got %d lines about killed services, want 1:\n%v", killed, logs())
				}
			})
		})
	}
}

// TestStopInTimeKillsNobody: hooks that return in time, one after another, are not hurried.
func TestStopInTimeKillsNobody(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{
			"main.star": "def init():\n    for _ in range(10):\n        skynet.newservice('hook.star')\n",
			"hook.star": "def exit():\n    skynet.sleep('2ms')\n    log.info('tidied up')\n",
		})
		w.Node("n", "main.star")
		logs := w.LogsOf("n")
		w.Stop("n", 0)
		tidy := 0
		for _, line := range logs() {
			if strings.Contains(line.Text, "killed") {
				t.Errorf("log: got %s, want nobody killed", line.Text)
			} else if strings.Contains(line.Text, "tidied up") {
				tidy++
			}
		}
		if tidy != 10 {
			t.Errorf("log: got %d hooks that came to their end, want 10", tidy)
		}
	})
}
