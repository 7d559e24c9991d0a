package runtime_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// agents starts nodes with the agent of testdata/lib and a host that launches others with grants.
func agents(t *testing.T, w *runtimetest.World, nodes ...string) {
	t.Helper()
	w.Scripts(testScripts(t))
	w.Scripts(map[string]string{"host.star": `
def launch(script, allow, *args):
    return skynet.newservice(script, launch = {"allow": eval(allow)}, *args)
def eval(allow):
    return json.decode(allow)
def answer(x = 42):
    return x
def nap(seconds):
    skynet.sleep(seconds)
`})
	w.Cluster(nodes...)
	for _, node := range nodes {
		w.Node(node, "host.star")
	}
}

// does has an agent do something and wants the outcome to contain the parts.
func does(t *testing.T, w *runtimetest.World, node string, agent any, want string, args ...any) {
	t.Helper()
	v, err := w.Call(node, agent, "do", args...)
	if err != nil {
		t.Errorf("%v: got %v, want it done", args, err)
	} else if !strings.Contains(v.String(), want) {
		t.Errorf("%v: got %s, want %s", args, v, want)
	}
}

func launched(t *testing.T, w *runtimetest.World, node, script, allow string, args ...any) *runtime.Address {
	t.Helper()
	v, err := w.Call(node, "host", "launch", append([]any{script, allow}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return v.(*runtime.Address)
}

func TestGrantsAcrossNodes(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		agents(t, w, "a", "b")
		db := launched(t, w, "b", "lib/agent.star", `{}`, ".db")
		bank := launched(t, w, "b", "lib/agent.star", `{}`, ".bank")
		byName := launched(t, w, "a", "lib/agent.star", `{"call": ["b/.d*"]}`)
		does(t, w, "a", byName, "(42, None", "cluster.call", "b", ".db", "secret_command")
		does(t, w, "a", byName, "(None, None", "cluster.send", "b", ".db", "secret_command")
		does(t, w, "a", byName, `"denied", "a:00000004 lib/agent.star may not call \"b/.bank\"`, "cluster.call", "b", ".bank", "secret_command")
		does(t, w, "a", byName, bank.String(), "cluster.query", "b", ".bank")
		for _, dest := range []*runtime.Address{db, bank} { // which of them has the name is not known here
			for _, word := range []string{"call", "send"} {
				does(t, w, "a", byName, `may not call \"b/:`, word, dest, "secret_command")
				does(t, w, "a", byName, `may not call \"b/:`, "cluster."+word, "b", dest, "secret_command")
			}
		}
		all := launched(t, w, "a", "lib/agent.star", `{"call": ["b/*"]}`)
		does(t, w, "a", all, "(42, None", "call", bank, "secret_command")
		does(t, w, "a", all, "(42, None", "cluster.call", "b", bank, "secret_command")
		alone := launched(t, w, "a", "lib/agent.star", `{"modules": ["store"]}`)
		does(t, w, "a", alone, "may not use cluster", "call", bank, "secret_command")
		does(t, w, "a", alone, "may not use cluster", "send", bank, "secret_command")
		// What comes from the other node is held to the rights of who handles it only.
		does(t, w, "b", db, "(42, None", "call", byName, "secret_command")
		does(t, w, "b", db, "may not call", "call", byName, "do", "call", bank, "secret_command")
	})
}

func TestPolicy(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Policy = runtime.Policy{
			{Script: "*", Grant: runtime.Grant{Launch: []string{"lib/*"}}},
			{Script: "lib/[a-b]*", Grant: runtime.Grant{Modules: []string{"store"}, Call: []string{".db"}}},
			{Script: "lib/agent.star", Grant: runtime.Grant{Modules: []string{"store", "cluster"}}},
		}
		w.Scripts(map[string]string{"lib/bee.star": testScripts(t)["lib/agent.star"], "lib/cat.star": testScripts(t)["lib/agent.star"]})
		agents(t, w, "n")
		agent, bee, cat := launched(t, w, "n", "lib/agent.star", `{}`, ".db"), launched(t, w, "n", "lib/bee.star", `{}`, ".bee"), launched(t, w, "n", "lib/cat.star", `{}`)
		does(t, w, "n", agent, "([\"n\"], None", "nodes")
		does(t, w, "n", agent, `may not use socket (policy[\"lib/agent.star\"]: modules = [\"store\", \"cluster\"])`, "open", "x:1")
		does(t, w, "n", agent, "(42, None", "call", ".bee", "secret_command")
		does(t, w, "n", bee, "may not use cluster", "nodes")
		does(t, w, "n", bee, "(42, None", "call", ".db", "secret_command")
		does(t, w, "n", bee, "may not call", "call", cat, "secret_command")
		does(t, w, "n", cat, "([\"n\"], None", "nodes")
		does(t, w, "n", cat, `may not launch \"host.star\" (policy[\"*\"]: launch`, "newservice", "host.star")
		does(t, w, "n", launched(t, w, "n", "lib/./bee.star", `{}`), "may not use cluster", "nodes")
		both := launched(t, w, "n", "lib/agent.star", `{"modules": ["cluster", "socket"]}`)
		does(t, w, "n", both, "([\"n\"], None", "nodes")
		does(t, w, "n", both, "may not use store", "available")
		does(t, w, "n", both, "may not use socket", "open", "x:1")
		_, err := w.Call("n", "host", "launch", "host.star", `{}`)
		wantKind(t, err, `denied: n:00000003 host.star may not launch "host.star"`)
	})
}

// TestPolicyOfMain: Go code names a main script by its path, which the policy need not know.
func TestPolicyOfMain(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Policy = runtime.Policy{
			{Script: "*", Grant: runtime.Grant{}},
			{Script: "agent.star", Grant: runtime.Grant{Modules: []string{}}},
		}
		agents(t, w, "n")
		a := w.Launch("n", "lib/agent.star")
		does(t, w, "n", a, `may not use cluster (policy[\"agent.star\"]: modules = [])`, "nodes")
	})
}

func TestWrongPolicy(t *testing.T) {
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		for _, test := range []struct {
			entry runtime.PolicyEntry
			want  string
		}{
			{runtime.PolicyEntry{Script: "[x"}, `policy: [x: got the pattern "[x"`},
			{runtime.PolicyEntry{Script: "x", Grant: runtime.Grant{Modules: []string{"soket"}}}, `policy: x: modules: no module is called "soket"`},
			{runtime.PolicyEntry{Script: "x", Grant: runtime.Grant{Register: []string{"a["}}}, `policy: x: register: got the pattern "a["`},
		} {
			w.Policy = runtime.Policy{test.entry}
			_, err := w.TryNode("n")
			wantKind(t, err, "runtime: NewNode: "+test.want)
		}
	})
}

// TestRefusalsAreLogged: the first of each second and rule, the others by their number.
func TestRefusalsAreLogged(t *testing.T) {
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		agents(t, w, "n")
		bank := launched(t, w, "n", "lib/agent.star", `{}`, ".bank")
		a := launched(t, w, "n", "lib/agent.star", `{"call": [".db"], "modules": []}`)
		want := []string{`WARN denied`, `service=n:00000005 lib/agent.star`, `wanted=call ".bank", n:00000004 lib/agent.star`, `rule=allow of n:00000003 host.star: call = [".db"]`}
		for range 3 {
			does(t, w, "n", a, `"denied"`, "call", ".bank", "secret_command")
			does(t, w, "n", a, `"denied"`, "send", bank, "secret_command")
			does(t, w, "n", a, `"denied"`, "nodes")
		}
		w.Logged("n", want...)
		w.Logged("n", "WARN denied", "wanted=use cluster", "modules = []")
		w.Want("None", "n", "host", "nap", 1)
		does(t, w, "n", a, `"denied"`, "call", ".bank", "secret_command")
		w.Logged("n", append(want, "unlogged=5")...)
		if got := refusals(w.Logs("n")); got != 3 {
			t.Errorf("lines of refusals: got %d, want 3", got)
		}
		for _, s := range w.Running("n").Services() {
			if got, want := s.Denied(), map[bool]uint64{true: 10}[s.Address() == a]; got != want {
				t.Errorf("%v: got %d refusals, want %d", s.Address(), got, want)
			}
		}
	})
}

func refusals(lines []runtimetest.Line) (n int) {
	for _, l := range lines {
		if strings.HasPrefix(l.String(), "WARN denied") {
			n++
		}
	}
	return n
}

// clerk is a service in Go that does what it is told.
type clerk struct{}

func (clerk) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (clerk) Handle(ctx *runtime.Context, command string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	text := func(i int) string { s, _ := starlark.AsString(args[i]); return s }
	switch command {
	case "call":
		return ctx.Call(args[0], "secret_command", nil, time.Second)
	case "send":
		return starlark.None, ctx.Send(args[0], "secret_command", nil)
	case "call_node":
		return ctx.CallNode(text(0), text(1), "secret_command", nil, nil, 0)
	case "register":
		return starlark.None, ctx.Register(text(0))
	case "launch":
		a, err := ctx.Launch(runtime.LaunchOptions{Script: text(0), Name: text(1), Allow: &runtime.Grant{Call: []string{}}})
		if err != nil {
			return nil, err
		}
		return a, nil
	case "wrong":
		_, err := ctx.Launch(runtime.LaunchOptions{Script: "clerk", Allow: &runtime.Grant{Call: []string{"[x"}}})
		return starlark.None, err
	case "fork":
		done := make(chan error, 1)
		ctx.Fork("call", func(ctx *runtime.Context) error {
			_, err := ctx.Call(args[0], "secret_command", nil, 0)
			done <- err
			return nil
		})
		for len(done) == 0 {
			if err := ctx.Sleep(time.Millisecond); err != nil {
				return nil, err
			}
		}
		return starlark.None, <-done
	}
	return nil, fmt.Errorf("clerk: no command %q", command)
}

// TestGoServicesAreHeldToGrants: by the launch of a script, of Go code, and of another service in Go.
func TestGoServicesAreHeldToGrants(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Handlers = map[string]func() runtime.Handler{"clerk": func() runtime.Handler { return clerk{} }}
		agents(t, w, "a", "b")
		for _, node := range []string{"a", "b"} {
			launched(t, w, node, "lib/agent.star", `{}`, ".db")
			launched(t, w, node, "lib/agent.star", `{}`, ".bank")
		}
		const grant = `{"modules": ["cluster"], "call": [".db", "b/.db"], "launch": ["clerk", "lib/agent.star"], "register": [".c*"]}`
		byScript := launched(t, w, "a", "clerk", grant)
		inGo := runtime.Grant{Modules: []string{"cluster"}, Call: []string{".db", "b/.db"}, Launch: []string{"clerk", "lib/agent.star"}, Register: []string{".c*"}}
		byGo, err := launchWith(w, "a", runtime.LaunchOptions{Script: "clerk", Allow: &inGo})
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range []*runtime.Address{byScript, byGo} {
			w.Want("42", "a", c, "call", ".db")
			w.Want("None", "a", c, "send", ".db")
			w.Want("42", "a", c, "call_node", "b", ".db")
			w.Want("None", "a", c, "register", fmt.Sprintf(".clerk%d", i))
			for _, wrong := range [][]any{
				{"call", ".bank"}, {"send", ".bank"}, {"fork", ".bank"}, {"call_node", "b", ".bank"}, {"call_node", "a", ".bank"}, {"register", ".db2"},
				{"launch", "host.star", ""}, {"launch", "clerk", ".db2"},
			} {
				_, err := w.Call("a", c, wrong[0].(string), wrong[1:]...)
				wantKind(t, err, "denied: "+c.String(), "may not")
			}
			_, err := w.Call("a", c, "wrong")
			wantKind(t, err, `launch clerk: allow: call: got the pattern "[x"`)
			_, err = w.Call("a", c, "launch", "lib/agent.star", fmt.Sprintf(".kid%d", i))
			wantKind(t, err, `may not register ".kid`)
			child, err := w.Call("a", c, "launch", "lib/agent.star", fmt.Sprintf(".c%d", i))
			if err != nil {
				t.Fatal(err)
			}
			does(t, w, "a", child, "may not call", "call", ".db", "secret_command")
			w.Want("42", "a", c, "call", child)
		}
		_, err = launchWith(w, "a", runtime.LaunchOptions{Script: "clerk", Allow: &runtime.Grant{Modules: []string{"x"}}})
		wantKind(t, err, `launch clerk: allow: modules: no module is called "x"`)
	})
}

// launchWith is Node.LaunchWith for tests.
func launchWith(w *runtimetest.World, node string, o runtime.LaunchOptions) (*runtime.Address, error) {
	type outcome struct {
		a   *runtime.Address
		err error
	}
	ch := make(chan outcome, 1)
	w.Running(node).LaunchWith(o, func(a *runtime.Address, err error) { ch <- outcome{a, err} })
	w.Eventually("the launch is over", func() bool { return len(ch) > 0 })
	got := <-ch
	return got.a, got.err
}

// TestUncaughtRefusal: a handler that does not catch it has failed, as with any other call error.
func TestUncaughtRefusal(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		agents(t, w, "n")
		a := launched(t, w, "n", "lib/agent.star", `{"call": []}`)
		bank := launched(t, w, "n", "lib/agent.star", `{}`)
		_, err := w.Call("n", a, "relay", bank, "secret_command")
		wantKind(t, err, "remote: lib/agent.star:", "denied: ", "may not call n:")
		var call *runtime.CallError
		if !errors.As(err, &call) || !call.Maybe {
			t.Errorf("got %#v, want a failure of the callee that may have had effects", err)
		}
	})
}
