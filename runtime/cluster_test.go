package runtime_test

import (
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
	"skynet/vnet"
)

// pair starts two nodes that know each other, "a" with a caller and "b" with a callee.
func pair(t *testing.T, w *runtimetest.World) (a, b *runtime.Node) {
	t.Helper()
	w.Scripts(testScripts(t))
	w.Limits = testLimits
	w.Heartbeat, w.Silence = 100*time.Millisecond, 10*time.Second
	if w.Virtual() { // a machine under load may be silent for long
		w.Silence = 400 * time.Millisecond
	}
	w.Cluster("a", "b")
	a = w.Node("a")
	launchAs(t, w, "a", "caller", "lib/caller.star")
	b = w.Node("b")
	launchAs(t, w, "b", "callee", "lib/callee.star")
	return a, b
}

// launchAs launches a script under a name.
func launchAs(t *testing.T, w *runtimetest.World, node, name, script string) *runtime.Address {
	t.Helper()
	w.Scripts(map[string]string{name + ".star": testScripts(t)[script]})
	return w.Launch(node, name+".star")
}

func TestClusterCall(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		w.Want("1", "a", "caller", "call", "b", "callee", "one", 1)
		w.Want(`((1, "x", [2]), {})`, "a", "caller", "call", "b", "callee", "echo", 1, "x", []any{2})
		w.Want("b:00000003", "a", "caller", "query", "b", "callee")
		w.Want(`["a", "b"]`, "a", "caller", "nodes")
		w.Want("None", "a", "caller", "send", "b", "callee", "note", "sent")
		w.Want(`[("init", 1), "sent"]`, "a", "caller", "call", "b", "callee", "notes")
		w.Want("1048576", "a", "caller", "big", "b", "callee", 1<<20)
		w.Want("None", "a", "caller", "call", "b", "callee", "who")
	})
}

func TestClusterErrors(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		for _, c := range []struct {
			node, name, command string
			args                []any
			want                []string
		}{
			{"b", "callee", "broken", []any{"no such account"}, []string{`["remote", "callee.star:22:9: fail: no such account", "Traceback`, "callee.star:19:10: in broken", "in _deep", "True]"}},
			{"b", "calee", "one", nil, []string{`["dead", `, `node b has no service with the name`, `did you mean`, `callee`, "False]"}},
			{"b", "callee", "nots", nil, []string{`["remote", "b:00000003 callee.star has no command`, "False]"}},
			{"b", "callee", "_deep", nil, []string{`["denied", `, "is private", "False]"}},
			{"b", "callee", "leave", nil, []string{`["dead", `, "ended while handling", "True]"}},
			{"b", "callee", "one", nil, []string{`["dead", `, "False]"}},
			{"bb", "callee", "one", nil, []string{`["unreachable", "no node has the name \"bb\"; did you mean`, "False]"}},
		} {
			v, err := w.Call("a", "caller", "caught", append([]any{c.node, c.name, c.command}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			wantParts(t, v.String(), c.want...)
		}
		launchAs(t, w, "b", "other", "lib/callee.star")
		v, err := w.Call("a", "caller", "caught", "b", "other", "function")
		if err != nil {
			t.Fatal(err)
		}
		wantParts(t, v.String(), `["remote", `, "result of", "function", "True]")
	})
}

func wantParts(t *testing.T, got string, parts ...string) {
	t.Helper()
	rest := got
	for _, part := range parts {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Errorf("got %s, want %q in this order", got, parts)
			return
		}
		rest = after
	}
}

// TestClusterAddresses passes an address from node to node and calls what it names.
func TestClusterAddresses(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		b, err := w.Call("a", "caller", "query", "b", "callee")
		if err != nil {
			t.Fatal(err)
		}
		w.Want("None", "a", "caller", "keep", "b", b)
		w.Want("7", "a", "caller", "call_kept", "b", "one", 7)
		w.Want("None", "a", "caller", "send_kept", "b", "note", "by address")
		w.Want(`[("init", 1), "by address"]`, "a", "caller", "call_kept", "b", "notes")

		launchAs(t, w, "b", "callback", "lib/caller.star")
		a, err := w.Call("a", "caller", "me")
		if err != nil {
			t.Fatal(err)
		}
		w.Want("None", "a", "caller", "call", "b", "callback", "keep", "a", a)
		w.Want(`["a", "b"]`, "b", "callback", "call_kept", "a", "nodes")
		w.Want(a.String(), "b", "callback", "call_kept", "a", "me")

		_, err = w.Call("a", "caller", "call_kept", "b", "leave")
		wantKind(t, err, "remote: ", "dead: ")
		_, err = w.Call("a", "caller", "call_kept", "b", "one", 1)
		wantKind(t, err, "remote: ", "dead: b:00000003 has ended")
	})
}

// TestClusterOrder sends many requests over one link and mixes in calls.
func TestClusterOrder(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		w.Want("None", "a", "caller", "burst", "b", "callee", "note", 100)
		w.Want("-1", "a", "caller", "call", "b", "callee", "one", -1)
		w.Want("None", "a", "caller", "burst", "b", "callee", "note", 100)
		v, err := w.Call("a", "caller", "call", "b", "callee", "notes")
		if err != nil {
			t.Fatal(err)
		}
		notes := v.(*starlark.List)
		if notes.Len() != 201 {
			t.Fatalf("messages: got %d, want 200 behind the first", notes.Len()-1)
		}
		for i := range 200 {
			if got, want := notes.Index(i+1), starlark.MakeInt(i%100); got.String() != want.String() {
				t.Fatalf("message %d: got %v, want %v", i, got, want)
			}
		}
	})
}

func TestClusterDeadlineTravels(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		v, err := w.Call("a", "caller", "call", "b", "callee", "left")
		if err != nil {
			t.Fatal(err)
		}
		if left, ok := starlark.AsFloat(v); !ok || left <= 0 || left > 5 {
			t.Errorf("deadline at the callee: got %v s, want more than 0 and at most 5", v)
		}
		p := w.Go("a", "caller", "taken", "b", "callee", "park", "30ms")
		v, err = p.Wait()
		if err != nil {
			t.Fatal(err)
		}
		wantParts(t, v.String(), `("timeout", 0.0`)
	})
}

// TestClusterNodeDown calls a node that is not there, and again after it has come back.
func TestClusterNodeDown(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		w.Want("1", "a", "caller", "call", "b", "callee", "one", 1)
		w.Stop("b", 0)
		w.Until("the link is known to be lost", func() bool {
			v, err := w.Call("a", "caller", "kind", "b", "callee", "one", 1)
			return err == nil && v.String() == `("unreachable", False)`
		})
		w.Want(`("unreachable", False)`, "a", "caller", "kind", "b", "callee", "one", 1)
		w.Node("b")
		w.Launch("b", "callee.star")
		w.Until("the link is back", func() bool {
			v, err := w.Call("a", "caller", "kind", "b", "callee", "one", 2)
			return err == nil && v.String() == "2"
		})
	})
}

// TestClusterNodeKilled kills a node in the middle of a call, which fails without waiting for its deadline of a minute; an
// address from before finds nobody afterwards.
func TestClusterNodeKilled(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		old, err := w.Call("a", "caller", "query", "b", "callee")
		if err != nil {
			t.Fatal(err)
		}
		w.Want("None", "a", "caller", "keep", "old", old)
		parked := w.Go("a", "caller", "kind", "b", "callee", "nap_then_note", "50s", 1)
		w.Want("1", "a", "caller", "call", "b", "callee", "one", 1)
		w.Crash("b")
		v, err := parked.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if got := v.String(); got != `("unreachable", True)` {
			t.Errorf("call of a node that was killed: got %s, want unreachable, maybe done", got)
		}
		w.Node("b")
		w.Launch("b", "callee.star")
		w.Until("the link is back", func() bool {
			v, err := w.Call("a", "caller", "kind", "b", "callee", "one", 2)
			return err == nil && v.String() == "2"
		})
		_, err = w.Call("a", "caller", "call_kept", "old", "one", 1)
		wantKind(t, err, "remote: ", "dead: b:00000003 has ended")
	})
}

// TestClusterSilence cuts the network between two nodes in the middle of a call: the call fails once the peer has been
// silent for too long, long before its deadline.
func TestClusterSilence(t *testing.T) {
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		w.Want("1", "a", "caller", "call", "b", "callee", "one", 1)
		cut := w.Fabric().Cut(nil, nil)
		v, err := w.Call("a", "caller", "taken", "b", "callee", "notes", "50s")
		if err != nil {
			t.Fatal(err)
		}
		wantParts(t, v.String(), `("unreachable", 0.`)
		cut.End()
		w.Until("the link is back", func() bool {
			v, err := w.Call("a", "caller", "kind", "b", "callee", "one", 2)
			return err == nil && v.String() == "2"
		})
		oneWay := w.Fabric().Cut([]string{"b"}, []string{"a"})
		w.Want(`("unreachable", True)`, "a", "caller", "kind", "b", "callee", "note", "heard")
		oneWay.End()
		w.Until("the link is back", func() bool {
			v, err := w.Call("a", "caller", "kind", "b", "callee", "notes")
			return err == nil && strings.Contains(v.String(), "heard")
		})
	})
}

// TestClusterNamesEndWithTheirService registers names for other nodes, ends their service and gives one to the next.
func TestClusterNamesEndWithTheirService(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"named.star": `
def init():
    for name in ["one", "two"]:
        cluster.register(name)
        cluster.register(name)
def leave():
    skynet.exit()
`})
		n := w.Node("a")
		for range 2 {
			w.Launch("a", "named.star")
			if got := n.Exported(); got != 2 {
				t.Errorf("names of a service that lives: got %d, want 2", got)
			}
			if _, err := w.Call("a", "named", "leave"); err == nil {
				t.Error("leave: got a reply, want an error: the service has ended")
			}
			if got := n.Exported(); got != 0 {
				t.Errorf("names of a service that has ended: got %d, want 0", got)
			}
		}
	})
}

// TestClusterBeats breaks a link again and again, each time for a new one: there is still one heartbeat.
func TestClusterBeats(t *testing.T) {
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		a, b := pair(t, w)
		for range 5 {
			w.Fabric().Reset("a", "b")
			w.Until("the link is back", func() bool {
				v, err := w.Call("a", "caller", "kind", "b", "callee", "one", 2)
				return err == nil && v.String() == "2"
			})
		}
		for _, n := range []*runtime.Node{a, b} {
			if beats := n.Beats(); beats != 1 {
				t.Errorf("node %s: got %d heartbeats, want 1", n.Name(), beats)
			}
		}
	})
}

// TestClusterGarbage sends what is no cluster protocol to a node's port.
func TestClusterGarbage(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		w.Scripts(map[string]string{"intruder.star": `
def say(address, text):
    s = socket.open(address)
    socket.write(s, text)
    return socket.read(s, timeout = 5)
`})
		w.Node("c", "intruder.star")
		for _, garbage := range []string{
			"GET / HTTP/1.1\r\nHost: b\r\n\r\n",
			"skynet\r\n\x00\x00\x00\x03abc",
			"skynet\r\n\x7f\x00\x00\x00",
			"\x00\x00\x00\x00",
		} {
			w.Want("None", "c", "intruder", "say", "b:7000", garbage)
		}
		w.Logged("b", "WARN", "link lost", "reason=link: ")
		w.Want("1", "a", "caller", "call", "b", "callee", "one", 1)
	})
}

// TestClusterWrongName calls a node at whose address another one lives.
func TestClusterWrongName(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		w.Crash("a")
		w.ClusterAt("impostor", "b:7000")
		w.Node("a")
		w.Launch("a", "caller.star")
		v, err := w.Call("a", "caller", "caught", "impostor", "callee", "one", 1)
		if err != nil {
			t.Fatal(err)
		}
		wantParts(t, v.String(), `["unreachable", "node impostor (b:7000): `, `impostor`, "False]")
		w.Want("1", "a", "caller", "call", "b", "callee", "one", 1)
	})
}

// TestClusterTooBig sends more than a message may hold, one way and the other; the link lives on.
func TestClusterTooBig(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		_, err := w.Call("a", "caller", "big", "b", "callee", 17<<20)
		wantKind(t, err, "remote: caller.star:", `call of "one" on node b: `, "16777216")
		_, err = w.Call("a", "caller", "call", "b", "callee", "make", 17<<20)
		wantKind(t, err, "remote: ", "remote: ", "result", "16777216")
		w.Want("16777000", "a", "caller", "big", "b", "callee", 16_777_000)
	})
}

// TestClusterDrains stops a node that handles a call of another node.
func TestClusterDrains(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		nap := w.Go("a", "caller", "call", "b", "callee", "nap", "30ms")
		w.Want("1", "a", "caller", "call", "b", "callee", "one", 1)
		w.Stop("b", 20*time.Second)
		v, err := nap.Wait()
		if err != nil || v != starlark.String("slept") {
			t.Errorf("call in flight at the stop: got %v, %v, want its result", v, err)
		}
	})
}

// TestClusterDrainsCaller stops a node whose own Go code waits for another node.
func TestClusterDrainsCaller(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		b, err := w.Call("a", "caller", "query", "b", "callee")
		if err != nil {
			t.Fatal(err)
		}
		nap := w.Go("a", b, "nap", "30ms")
		w.Stop("a", 20*time.Second)
		v, err := nap.Wait()
		if err != nil || v != starlark.String("slept") {
			t.Errorf("call of Go code in flight at the stop: got %v, %v, want its result", v, err)
		}
	})
}

// TestClusterFlood sends more than the network takes: memory is bounded, and what is refused is known.
func TestClusterFlood(t *testing.T) {
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		pair(t, w)
		w.Want("1", "a", "caller", "call", "b", "callee", "one", 1)
		w.Scripts(map[string]string{"flood.star": `
def flood(node, name, n):
    block = "x" * 1000000
    for i in range(n):
        r = skynet.pcall(cluster.call, node, name, "one", block, timeout = 0.001)
        if r.error.kind != "timeout":
            return r.error.kind, r.error.maybe
    return "all accepted"
`})
		w.Launch("a", "flood.star")
		cut := w.Fabric().Cut(nil, nil)
		w.Want(`("overload", False)`, "a", "flood", "flood", "b", "callee", 100)
		cut.End()
	})
}

// TestClusterPortIsTaken starts a node whose address is in use.
func TestClusterPortIsTaken(t *testing.T) {
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		w.ClusterAt("a", "a:99999")
		_, err := w.TryNode("a")
		wantKind(t, err, "runtime: cluster of node a: listen on a:99999: ", vnet.ErrAddress.Error())
	})
}
