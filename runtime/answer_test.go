package runtime_test

import (
	"testing"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// TestAnswersOverNodes answers requests of another node in every way, and hands them on to a third service here, there and
// nowhere.
func TestAnswersOverNodes(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		launchAs(t, w, "b", "desk", "lib/desk.star")
		near := launchAs(t, w, "b", "near", "lib/callee.star")
		far := launchAs(t, w, "a", "far", "lib/callee.star")
		w.Want("5", "a", "caller", "call", "b", "desk", "early", 5)
		w.Want("1", "a", "caller", "call", "b", "desk", "twice")
		w.Want(`"later"`, "a", "caller", "call", "b", "desk", "keep_and_answer")
		w.Want(`("denied", False)`, "a", "caller", "kind", "b", "desk", "keep_and_refuse")
		w.Want(`("remote", True)`, "a", "caller", "kind", "b", "desk", "keep_and_fail")
		for _, to := range []*runtime.Address{near, far} {
			w.Want(`((7, "x"), {})`, "a", "caller", "call", "b", "desk", "pass_on", to, "echo", 7, "x")
			w.Want(`("remote", True)`, "a", "caller", "kind", "b", "desk", "pass_on", to, "broken", "boom")
			w.Want("None", "a", "caller", "send", "b", "desk", "pass_on", to, "note", "sent")
			w.Until("the note is there", func() bool {
				v, err := w.Call(to.Node(), to, "notes")
				return err == nil && v.String() == `[("init", 1), "sent"]`
			})
		}
		if _, err := w.Call("a", far, "leave"); err == nil {
			t.Error("leave: got no error, want dead")
		}
		w.Want(`("dead", False)`, "a", "caller", "kind", "b", "desk", "pass_on", far, "one", 1)
		launchAs(t, w, "b", "owing", "lib/desk.star")
		kept := w.Go("a", "caller", "kind", "b", "owing", "keep")
		w.Until("the response is taken", func() bool {
			v, err := w.Call("b", "owing", "pending", 0)
			return err == nil && v == starlark.True
		})
		if _, err := w.Call("b", "owing", "leave"); err == nil {
			t.Error("leave: got no error, want dead")
		}
		if v, err := kept.Wait(); err != nil || v.String() != `("dead", True)` {
			t.Errorf("response of a service that ends: got %v, %v, want dead, maybe", v, err)
		}
	})
}

// TestRedirectKeepsItsTrace hands a request on to a service of the same and of another node: what it sets off there belongs to
// the request.
func TestRedirectKeepsItsTrace(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		w.Scripts(map[string]string{
			"traced.star": "def look():\n    return skynet.trace()\n",
			"passes.star": "def begin(front, to):\n    return skynet.call(front, 'on', to) == skynet.trace()\ndef on(to):\n    skynet.redirect(to, 'look')\n",
		})
		begin, front := w.Launch("a", "passes.star"), w.Launch("b", "passes.star")
		for _, node := range []string{"a", "b"} {
			w.Want("True", "a", begin, "begin", front, w.Launch(node, "traced.star"))
		}
	})
}

const selector = `
def select(timeout, *requests):
    sel = skynet.select([cluster.request(*r) for r in requests], timeout = timeout)
    return sorted([(r.index, r.value if r.ok else r.error.kind) for r in sel])

def refused(addr):
    out = []
    for f in [skynet.kill, skynet.stop, skynet.link, skynet.unlink, skynet.upgrade]:
        e = skynet.pcall(f, addr).error
        out.append((e.kind, "node" in e.message))
    return out
`

// TestSelectOverNodes asks several nodes at once.
func TestSelectOverNodes(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		w.Scripts(map[string]string{"selector.star": selector})
		w.Launch("a", "selector.star")
		w.Want(`[(0, 1), (1, "remote"), (2, "timeout"), (3, "unreachable"), (4, a:00000003)]`, "a", "selector", "select", "50ms",
			[]any{"b", "callee", "one", 1}, []any{"b", "callee", "broken", "x"}, []any{"b", "callee", "park"},
			[]any{"c", "callee", "one", 1}, []any{"a", "caller", "me"})
	})
}

// TestOnlyMonitorsCrossNodes tries to end, link and upgrade services of another node.
func TestOnlyMonitorsCrossNodes(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		w.Scripts(map[string]string{"selector.star": selector})
		w.Launch("a", "selector.star")
		callee, err := w.Call("a", "caller", "query", "b", "callee")
		if err != nil {
			t.Fatal(err)
		}
		w.Want(`[("denied", True), ("denied", True), ("denied", True), ("denied", True), ("denied", True)]`, "a", "selector", "refused", callee)
		w.Want("1", "b", "callee", "one", 1)
	})
}
