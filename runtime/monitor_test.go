package runtime_test

import (
	"strings"
	"testing"
	"time"

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
