package runtime_test

import (
	"slices"
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
		lost := 0
		for _, line := range w.Logs("b") {
			if strings.Contains(line.Text, "link lost") {
				lost++
			}
		}
		if w.Virtual() && lost != 1 { // the machine may take longer than a second for it
			t.Errorf("log: got %d lines about strangers within a moment, want 1 a second", lost)
		}
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

// gatekeeper launches, on the node of the callee, services that hold until the gate is open; see lib/gated.star.
const gatekeeper = `
def gated(name, **limits):
    limits["steps"] = 1 << 50
    a = skynet.newservice("lib/gated.star", launch = {"name": name, "limits": limits})
    skynet.send(a, "hold", holding = name + " holds")
    return skynet.query(name + " holds", timeout = 10) != None

def launch(name, mailbox, overflow, call):
    return gated(name, mailbox = mailbox, overflow = overflow, call = call)

def waited(name):
    return skynet.stat(name).refused.blocked

def dropped(name):
    return skynet.stat(name).refused.dropped

def end(name):
    skynet.kill(name)

def open():
    skynet.register("gate")
`

// gatedPair is pair with a service "gated" on b, which holds until "keeper" opens the gate and has a mailbox for so many requests.
func gatedPair(t *testing.T, w *runtimetest.World, mailbox int, overflow runtime.Overflow, call string) {
	t.Helper()
	pair(t, w)
	w.Scripts(map[string]string{"keeper.star": gatekeeper})
	w.Launch("b", "keeper.star")
	w.Want("True", "b", "keeper", "launch", "gated", mailbox, string(overflow), call)
}

// waited waits until so many requests have had to wait for room in the mailbox of the service that holds.
func waited(w *runtimetest.World, n int) {
	w.Until("requests that wait for room", func() bool {
		v, err := w.Call("b", "keeper", "waited", "gated")
		return err == nil && v == starlark.Value(starlark.MakeInt(n))
	})
}

// noted waits until the service that held has noted what it is sent last, and wants its notes.
func noted(t *testing.T, w *runtimetest.World, want string) {
	t.Helper()
	var got starlark.Value
	w.Until("the notes "+want, func() bool {
		v, err := w.Call("b", "gated", "notes")
		got = v
		return err == nil && v.(*starlark.List).Len() >= strings.Count(want, ",")+1
	})
	if got.String() != want {
		t.Errorf("notes: got %v, want %s", got, want)
	}
}

// TestClusterWaitsForRoom lets sends and calls of another node wait for room, which enter in their order.
func TestClusterWaitsForRoom(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		gatedPair(t, w, 4, runtime.Block, "5s")
		w.Want("None", "a", "caller", "burst", "b", "gated", "note", 5)
		waited(w, 1)
		call := w.Go("a", "caller", "call", "b", "gated", "note", "called")
		waited(w, 2)
		w.Want("None", "a", "caller", "send", "b", "gated", "note", "sent")
		waited(w, 3)
		if call.Done() {
			t.Error("call that waits for room: got an answer, want none yet")
		}
		w.Want("None", "b", "keeper", "open")
		if v, err := call.Wait(); err != nil || v != starlark.String("called") {
			t.Errorf("call that has waited for room: got %v, %v, want its result", v, err)
		}
		noted(t, w, `[0, 1, 2, 3, 4, "called", "sent"]`)
	})
}

// TestClusterRedirectWaitsForRoom lets a request of another node be handed on to a mailbox that is full.
func TestClusterRedirectWaitsForRoom(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		gatedPair(t, w, 1, runtime.Block, "5s")
		launchAs(t, w, "b", "desk", "lib/desk.star")
		gated, err := w.Call("a", "caller", "query", "b", "gated")
		if err != nil {
			t.Fatal(err)
		}
		w.Want("None", "a", "caller", "send", "b", "gated", "note", "first")
		call := w.Go("a", "caller", "call", "b", "desk", "pass_on", gated, "note", "handed on")
		waited(w, 1)
		w.Want("None", "b", "keeper", "open")
		if v, err := call.Wait(); err != nil || v != starlark.String("handed on") {
			t.Errorf("call that was handed on to a full mailbox: got %v, %v, want its result", v, err)
		}
		noted(t, w, `["first", "handed on"]`)
	})
}

// TestClusterWaitEndsAtTheDeadline: the caller's clock ends its wait, and what has found no room by then is not executed.
func TestClusterWaitEndsAtTheDeadline(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		gatedPair(t, w, 1, runtime.Block, "5s")
		w.Want("None", "a", "caller", "send", "b", "gated", "note", "first")
		v, err := w.Call("a", "caller", "taken", "b", "gated", "park", "30ms")
		if err != nil {
			t.Fatal(err)
		}
		wantParts(t, v.String(), `("timeout", 0.0`)
		w.Until("the request is dropped", func() bool {
			v, err := w.Call("b", "keeper", "dropped", "gated")
			return err == nil && v.String() == "1"
		})
		w.Want("None", "a", "caller", "send", "b", "gated", "note", "second")
		waited(w, 2)
		w.Want("None", "b", "keeper", "open")
		noted(t, w, `["first", "second"]`)
	})
}

// TestClusterSendWaitsAsLongAsACall: nobody waits for a send, so it waits as long as the limit call of its receiver says.
func TestClusterSendWaitsAsLongAsACall(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		gatedPair(t, w, 2, runtime.Block, "5ms")
		w.Want("None", "a", "caller", "burst", "b", "gated", "note", 4)
		w.Logged("b", "WARN", "messages dropped that found no room in the mailbox in time", "last=note")
		w.Until("both are dropped", func() bool {
			v, err := w.Call("b", "keeper", "dropped", "gated")
			return err == nil && v.String() == "2"
		})
		w.Want("None", "b", "keeper", "open")
		noted(t, w, "[0, 1]")
	})
}

// TestClusterWaitEndsWithTheService ends a service in whose full mailbox a request of another node waits for room.
func TestClusterWaitEndsWithTheService(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		gatedPair(t, w, 1, runtime.Block, "5s")
		w.Want("None", "a", "caller", "send", "b", "gated", "note", "first")
		call := w.Go("a", "caller", "kind", "b", "gated", "note", "second")
		waited(w, 1)
		w.Want("None", "b", "keeper", "end", "gated")
		if v, err := call.Wait(); err != nil || v.String() != `("dead", False)` {
			t.Errorf("call that waits for room in a mailbox that dies: got %v, %v, want dead, certainly not executed", v, err)
		}
	})
}

// TestClusterBoundOfWaiting floods a full mailbox from another node: it lets as many requests wait as it holds, and refuses
// the rest; what it took is handled in order.
func TestClusterBoundOfWaiting(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		gatedPair(t, w, 3, runtime.Block, "5s")
		w.Want("None", "a", "caller", "burst", "b", "gated", "note", 200)
		w.Logged("b", "WARN", "message from another node refused", "untold=0", "is full (3 messages), and 3 more wait for room")
		w.Want(`("overload", False)`, "a", "caller", "kind", "b", "gated", "note", "refused")
		if lines := slices.DeleteFunc(w.Logs("b"), func(l runtimetest.Line) bool { return !strings.Contains(l.Text, "message from another node refused") }); len(lines) > 9 {
			t.Errorf("lines about the 194 refused messages of a burst: got %d, want one a second", len(lines))
		}
		waited(w, 3)
		w.Want("None", "b", "keeper", "open")
		noted(t, w, "[0, 1, 2, 3, 4, 5]")
		w.Want(`"again"`, "a", "caller", "kind", "b", "gated", "note", "again")
	})
}

// TestClusterCutWhileWaiting cuts the link of a request that waits for room: its caller hears that it may be executed, and it
// is.
func TestClusterCutWhileWaiting(t *testing.T) {
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		gatedPair(t, w, 1, runtime.Block, "5s")
		w.Want("None", "a", "caller", "send", "b", "gated", "note", "first")
		call := w.Go("a", "caller", "kind", "b", "gated", "note", "second")
		waited(w, 1)
		w.Fabric().Reset("a", "b")
		if v, err := call.Wait(); err != nil || v.String() != `("unreachable", True)` {
			t.Errorf("call whose link is cut: got %v, %v, want unreachable, maybe executed", v, err)
		}
		w.Until("a send over a new link", func() bool {
			v, err := w.Call("a", "caller", "kind", "b", "callee", "one", 1)
			return err == nil && v.String() == "1"
		})
		w.Want("None", "a", "caller", "send", "b", "gated", "note", "third")
		w.Want(`("overload", False)`, "a", "caller", "kind", "b", "gated", "note", "fourth")
		w.Want("None", "b", "keeper", "open")
		noted(t, w, `["first", "second"]`)
	})
}

// TestClusterCallerDiesWhileWaiting ends the node whose request waits for room.
func TestClusterCallerDiesWhileWaiting(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		gatedPair(t, w, 1, runtime.Block, "5s")
		w.Want("None", "a", "caller", "send", "b", "gated", "note", "first")
		w.Go("a", "caller", "kind", "b", "gated", "note", "second")
		waited(w, 1)
		w.Crash("a")
		w.Want("None", "b", "keeper", "open")
		noted(t, w, `["first", "second"]`)
		w.Want("1", "b", "callee", "one", 1)
	})
}
