package runtime_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

const mourner = `
out = []

def watch(node, name):
    skynet.monitor(cluster.query(node, name), _heard)

def _heard(addr, why):
    out.append((addr.node if hasattr(addr, "node") else str(addr), why.kind))
    log.info("heard", kind = why.kind)
`

// TestMonitorOfAnotherNode watches services of another node end with their reasons, and their node vanish.
func TestMonitorOfAnotherNode(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Scripts(map[string]string{"mourner.star": mourner, "mortal.star": "load('lib/assert.star', 'eq')\ndef leave():\n    skynet.exit()\n"})
		w.Heartbeat, w.Silence = 20*time.Millisecond, 200*time.Millisecond
		w.Cluster("a", "b")
		w.Node("a", "mourner.star")
		w.Node("b", "mortal.star")
		w.Launch("b", "lib/mortal.star")
		w.Want("None", "a", "mourner", "watch", "b", "mortal")
		w.Want("None", "a", "mourner", "watch", "b", "lib/mortal")
		if _, err := w.Call("b", "mortal", "leave"); err == nil {
			t.Error("leave: got no error, want dead")
		}
		w.Logged("a", "heard", "kind=exit")
		w.Crash("b")
		w.Logged("a", "heard", "kind=lost")
	})
}

const fickle = `
monitors = []
heard = []

def watch(addr, times):
    for _ in range(times):
        monitors.append(skynet.monitor(addr, _heard))
    return len(monitors)

def cancel(times):
    return len([m for m in [monitors.pop(0) for _ in range(times)] if m.cancel()])

def brief(addr):                             # the request may still wait for the other node's hello
    m = skynet.monitor(addr, _heard)
    return m.cancel(), m.cancel()

def _heard(addr, why):
    heard.append(why.kind)

def said():
    return heard
`

// wantWatchers waits until so many wait for the end of a service.
func wantWatchers(t *testing.T, w *runtimetest.World, a *runtime.Address, want int) {
	t.Helper()
	var got atomic.Int64
	for range 500 {
		got.Store(-2)
		w.Running(a.Node()).Watchers(a, func(n int) { got.Store(int64(n)) })
		w.Eventually("answer about the watchers", func() bool { return got.Load() != -2 })
		if got.Load() == int64(want) {
			return
		}
		w.Want("None", a.Node(), "clock", "nap")
	}
	t.Errorf("watchers of %v: got %d, want %d", a, got.Load(), want)
}

// TestCancelledMonitorIsForgotten cancels monitors of services of the same node and of another one: the tables of what they
// watched are as long as the monitors that are left, also when the watching service ends.
func TestCancelledMonitorIsForgotten(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{
			"fickle.star": fickle, "mortal.star": "def leave():\n    skynet.exit()\n", "clock.star": "def nap():\n    skynet.sleep('5ms')\n",
		})
		w.Heartbeat, w.Silence = 20*time.Millisecond, 200*time.Millisecond
		w.Cluster("a", "b")
		w.Node("a", "fickle.star", "clock.star")
		w.Node("b", "clock.star")
		for _, node := range []string{"a", "b"} {
			watched := w.Launch(node, "mortal.star")
			w.Want("(True, False)", "a", "fickle", "brief", watched)
			wantWatchers(t, w, watched, 0)
			w.Want("20", "a", "fickle", "watch", watched, 20)
			wantWatchers(t, w, watched, 20)
			w.Want("15", "a", "fickle", "cancel", 15)
			wantWatchers(t, w, watched, 5)
			w.Want("(True, False)", "a", "fickle", "brief", watched)
			if _, err := w.Call(node, "mortal", "leave"); err == nil {
				t.Error("leave: got no error, want dead")
			}
			w.Until("five have heard", func() bool {
				v, err := w.Call("a", "fickle", "said")
				return err == nil && strings.Count(v.String(), "exit") == 5*(1+strings.Count(node, "b"))
			})
			w.Want("0", "a", "fickle", "cancel", 5) // too late

			watched = w.Launch(node, "mortal.star")
			w.Scripts(map[string]string{"brief.star": fickle})
			watching := w.Launch("a", "brief.star")
			w.Want("7", "a", "brief", "watch", watched, 7)
			wantWatchers(t, w, watched, 7)
			w.Running("a").Kill(watching)
			wantWatchers(t, w, watched, 0)
			w.Running(node).Kill(watched)
		}

		w.Scripts(map[string]string{"eternal.star": "", "last.star": fickle})
		watched := w.Launch("b", "eternal.star")
		w.Want("3", "a", w.Launch("a", "last.star"), "watch", watched, 3)
		wantWatchers(t, w, watched, 3)
		w.Crash("a")
		wantWatchers(t, w, watched, 0)
	})
}

// TestEndedChildIsForgotten lets children of a supervisor end in every way: it is linked to those that run, and to no others.
func TestEndedChildIsForgotten(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		if !w.Virtual() {
			return // Links looks between two turns
		}
		w.Scripts(map[string]string{"child.star": "def init(fails):\n    if fails:\n        fail('no')\ndef leave():\n    skynet.exit()\n", "boss.star": `
def init():
    skynet.register(".sup", skynet.supervise([], intensity = 100, backoff = 0))
def add(i):
    a = skynet.call(".sup", "start", skynet.child("child.star", False, id = str(i), restart = "temporary" if i % 2 else "permanent"))
    if i % 3 == 0:
        skynet.kill(a)
    elif i % 3 == 1:
        skynet.call(".sup", "stop", str(i))
    else:
        skynet.pcall(skynet.call, a, "leave")
    skynet.pcall(skynet.call, ".sup", "start", skynet.child("child.star", True, id = "fails"))
    skynet.sleep("1ms")
    return skynet.query(".sup")
`})
		w.Node("n", "boss.star")
		var sup *runtime.Address
		for i := range 30 {
			v, err := w.Call("n", "boss", "add", i)
			if err != nil {
				t.Fatal(err)
			}
			sup = v.(*runtime.Address)
		}
		v, err := w.Call("n", sup, "children")
		if err != nil {
			t.Fatal(err)
		}
		running := strings.Count(v.String(), "address = n:")
		if got := runtime.Links(sup); got != running || running == 0 {
			t.Errorf("links of the supervisor: got %d, want one for each of the children that run: %d, and some", got, running)
		}
	})
}

// TestExitInTheExitHook: that is no failure.
func TestExitInTheExitHook(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{
			"ends.star": "def leave():\n    skynet.exit()\ndef exit():\n    skynet.fork(skynet.exit)\n    skynet.sleep('1ms')\n    log.info('hook')\n    skynet.exit()\n",
		})
		w.Node("n", "ends.star")
		if _, err := w.Call("n", "ends", "leave"); err == nil {
			t.Error("leave: got no error, want dead")
		}
		w.Logged("n", "hook")
		untilDead(w, "ends")
		for _, line := range w.Logs("n") {
			if strings.HasPrefix(line.String(), "ERROR") {
				t.Errorf("log: got %s, want no error", line)
			}
		}
	})
}

// TestSendsLostWithTheirService ends a service with messages in its mailbox that nobody waits for: the log tells how many.
func TestSendsLostWithTheirService(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{
			"slow.star":  "def nap():\n    pass\ndef leave():\n    skynet.exit()\n",
			"sends.star": "def go(a):\n    skynet.send(a, 'leave')\n    for _ in range(5):\n        skynet.send(a, 'nap')\n    return skynet.pcall(skynet.call, a, 'nap').error.kind\n",
		})
		w.Node("n", "sends.star")
		w.Want(`"dead"`, "n", "sends", "go", w.Launch("n", "slow.star"))
		w.Logged("n", "messages lost: the service has ended", "last=nap")
	})
}

// TestStopRunsExitHooksInReverseOrder stops a node whose services say so when they end, the youngest first, and may still call
// the older ones.
func TestStopRunsExitHooksInReverseOrder(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"main.star": `
def init():
    skynet.register(".main")
    for i in range(3):
        skynet.newservice("hook.star", i)
def hear(i):
    log.info("heard", i = i)
def exit():
    log.info("main ends")
`, "hook.star": `
me = []
def init(i):
    me.append(i)
def exit(why):
    skynet.sleep("1ms")
    skynet.call(".main", "hear", me[0])
    log.info("ended", i = me[0], why = why.kind)
`})
		w.Node("n", "main.star")
		logs := w.LogsOf("n")
		w.Stop("n", time.Second)
		var got []string
		for _, line := range logs() {
			text := line.Plain
			got = append(got, text[:strings.Index(text, " node=")]+text[strings.LastIndex(text, ".star")+len(".star"):])
		}
		want := "heard i=2|ended i=2 why=stopped|heard i=1|ended i=1 why=stopped|heard i=0|ended i=0 why=stopped|main ends"
		if text := strings.Join(got, "|"); text != want {
			t.Errorf("log: got %s, want %s", text, want)
		}
	})
}
