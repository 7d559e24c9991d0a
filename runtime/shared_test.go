package runtime_test

import (
	"fmt"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// sharer is a service in Go that uses everything that services share.
type sharer struct {
	got []string
	sub *runtime.Subscription
}

func (h *sharer) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (h *sharer) Handle(ctx *runtime.Context, command string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	do := map[string]func(*runtime.Context, starlark.Tuple) (any, error){
		"shared": h.shared, "load": h.load, "datacenter": h.datacenter, "subscribe": h.subscribe, "publish": h.publish,
		"burst": h.burst,
		"notes": func(*runtime.Context, starlark.Tuple) (any, error) { return h.got, nil },
		"cancel": func(*runtime.Context, starlark.Tuple) (any, error) {
			return []any{h.sub.Active(), h.sub.Dropped(), h.sub.Cancel(), h.sub.Cancel(), h.sub.Active()}, nil
		},
	}[command]
	v, err := do(ctx, args)
	return starlark.String(fmt.Sprint(v)), err
}

func (h *sharer) shared(ctx *runtime.Context, _ starlark.Tuple) (any, error) {
	s := ctx.Shared()
	_, some := s.Get("t")
	if some || s.Version("t") != 0 {
		return nil, fmt.Errorf("got a table, want none")
	}
	mine := starlark.NewList([]starlark.Value{starlark.MakeInt(1)})
	version, err := s.Publish("t", mine)
	if err != nil {
		return nil, err
	}
	if err := mine.Append(starlark.MakeInt(2)); err != nil {
		return nil, err
	}
	v, _ := s.Get("t")
	ctx.Fork("publish", func(ctx *runtime.Context) error {
		_, err := ctx.Shared().Publish("t", starlark.True)
		return err
	})
	next, err := s.Wait("t", version, 0)
	if err != nil {
		return nil, err
	}
	late, err := s.Wait("t", next, time.Millisecond)
	names := s.Names()
	return []any{version, v, next, late, names, s.Remove("t"), s.Remove("t"), s.Version("t")}, err
}

func (h *sharer) load(ctx *runtime.Context, args starlark.Tuple) (any, error) {
	script, _ := starlark.AsString(args[0])
	return ctx.Shared().LoadFile("t", script)
}

func (h *sharer) datacenter(ctx *runtime.Context, _ starlark.Tuple) (any, error) {
	d := ctx.Datacenter()
	nothing := d.Get("a", "b")
	ctx.Fork("set", func(ctx *runtime.Context) error {
		_, err := ctx.Datacenter().Set(starlark.MakeInt(1), "a", "b")
		return err
	})
	v, err := d.Wait(0, "a", "b")
	if err != nil {
		return nil, err
	}
	old, err := d.Set(starlark.MakeInt(2), "a", "b")
	if err != nil {
		return nil, err
	}
	_, timeout := d.Wait(time.Millisecond, "c")
	_, conflict := d.Set(starlark.None, "a")
	tree := d.Get()
	gone, err := d.Delete("a")
	none, _ := d.Delete("a")
	return []any{nothing, v, old, timeout, conflict, tree, gone, none, d.Get()}, err
}

func (h *sharer) subscribe(ctx *runtime.Context, args starlark.Tuple) (any, error) {
	m := ctx.Multicast()
	limit, err := starlark.AsInt32(args[0])
	if err != nil {
		return nil, err
	}
	o := runtime.SubscribeOptions{Limit: limit, OnEnd: func(*runtime.Context) error {
		h.got = append(h.got, "end")
		return nil
	}}
	if len(args) > 1 {
		slow, _ := starlark.AsString(args[1])
		o.Slow = runtime.Slow(slow)
	}
	h.sub, err = m.Subscribe(m.Channel("news"), o, func(ctx *runtime.Context, values starlark.Tuple) error {
		h.got = append(h.got, values.String())
		return ctx.Sleep(time.Millisecond)
	})
	return h.sub, err
}

func (h *sharer) publish(ctx *runtime.Context, args starlark.Tuple) (any, error) {
	m := ctx.Multicast()
	nobody, err := m.Publish(m.Channel(""), 0, args...)
	if err != nil {
		return nil, err
	}
	reached, err := m.Publish(m.Channel("news"), time.Second, args...)
	return []int{nobody, reached}, err
}

// burst publishes without a pause, in which a handler of this service could run.
func (h *sharer) burst(ctx *runtime.Context, args starlark.Tuple) (any, error) {
	m := ctx.Multicast()
	var reached [3]int
	for i := range reached {
		var err error
		if reached[i], err = m.Publish(m.Channel("news"), 0); err != nil {
			return nil, err
		}
	}
	return reached, nil
}

func sharerWorld(t *testing.T, w *runtimetest.World) *runtime.Node {
	w.Handlers = map[string]func() runtime.Handler{"sharer": func() runtime.Handler { return new(sharer) }}
	w.Scripts(testScripts(t))
	n := w.Node("n")
	w.Launch("n", "sharer")
	return n
}

func TestContextShared(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		sharerWorld(t, w)
		w.Want(`"[1 [1] 2 2 [t] true false 3]"`, "n", "sharer", "shared")
		w.Want(`"4"`, "n", "sharer", "load", "lib/table.star")
		_, err := w.Call("n", "sharer", "load", "lib/table_bad.star")
		wantKind(t, err, "remote: shared.loadfile: lib/table_bad.star:3:22: floored division by zero")
	})
}

func TestContextDatacenter(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		sharerWorld(t, w)
		w.Want(`"[<nil> 1 1 timeout: datacenter.wait: nobody has set \"c\" in time `+
			`datacenter.set: \"a\" is a branch: there are values below it {\"a\": {\"b\": 2}} {\"b\": 2} <nil> {}]"`, "n", "sharer", "datacenter")
	})
}

func TestContextMulticast(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		n := sharerWorld(t, w)
		_, err := w.Call("n", "sharer", "subscribe", -1)
		wantKind(t, err, "limit: got -1, want at least 1")
		_, err = w.Call("n", "sharer", "subscribe", 1, "later")
		wantKind(t, err, `slow: got "later", want `)
		w.Want(`"subscription(channel(\"news\"), n:00000003 sharer)"`, "n", "sharer", "subscribe", 0)
		for i := range 3 {
			w.Want(`"[0 1]"`, "n", "sharer", "publish", i, "x")
		}
		w.Until("everything has come", func() bool {
			v, err := w.Call("n", "sharer", "notes")
			return err == nil && v == starlark.String(`[(0, "x") (1, "x") (2, "x")]`)
		})
		w.Want(`"[true 0 true false false]"`, "n", "sharer", "cancel")
		w.Want(`"[0 0]"`, "n", "sharer", "publish")
		w.Want(`"subscription(channel(\"news\"), n:00000003 sharer)"`, "n", "sharer", "subscribe", 1, "unsubscribe")
		w.Want(`"[1 0 0]"`, "n", "sharer", "burst")
		w.Until("it is cut off", func() bool {
			v, err := w.Call("n", "sharer", "notes")
			return err == nil && v == starlark.String(`[(0, "x") (1, "x") (2, "x") end]`)
		})
		w.Until("nothing is left", func() bool { return leftovers(n) == "" })
	})
}

// TestServicesLeaveNothingBehind kills services that wait for everything there is to wait for.
func TestServicesLeaveNothingBehind(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Limits.Call = time.Hour
		n := w.Node("n", "lib/subscriber.star")
		full := another(w, "lib/subscriber.star")
		w.Want("None", "n", full, "subscribe_with", "full", 1, "block")
		w.Want("None", "n", full, "shut")
		w.Want("1", "n", "lib/subscriber", "publish", "full", 0)
		w.Want(`[("s", 0)]`, "n", full, "notes")
		w.Want("1", "n", "lib/subscriber", "publish", "full", 1)
		for round := range 3 {
			reader, publisher := another(w, "lib/reader.star"), another(w, "lib/subscriber.star")
			w.Want("None", "n", reader, "fork_wait_version", "t")
			w.Want("None", "n", reader, "fork_wait", "a", "b", "c")
			w.Want("None", "n", reader, "fork_wait", "a", "b")
			w.Want("None", "n", publisher, "subscribe", "news")
			held := w.Go("n", publisher, "publish", "full", "x")
			want := func(topics, waits int) func() bool {
				return func() bool {
					t, w := n.Sharing()
					return t == topics && w == waits
				}
			}
			w.Until(fmt.Sprintf("everything waits, round %d", round), want(2, 3))
			n.Kill(reader)
			n.Kill(publisher)
			w.Until(fmt.Sprintf("nothing waits, round %d", round), want(1, 0))
			if _, err := held.Wait(); err == nil {
				t.Error("publish of a service that was killed: got no error, want one")
			}
		}
		n.Kill(full)
		w.Until("nothing is left", func() bool { return leftovers(n) == "" })
	})
}

// TestWatchersDoNotHoldUpAStop drains a node whose services merely wait to be told something.
func TestWatchersDoNotHoldUpAStop(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Limits.Call = time.Hour
		w.Node("n", "lib/reader.star", "lib/subscriber.star")
		w.Want("None", "n", "lib/reader", "fork_wait_version", "t")
		w.Want("None", "n", "lib/reader", "fork_wait", "a", "b")
		w.Want("None", "n", "lib/subscriber", "subscribe", "news")
		w.Want("1", "n", "lib/subscriber", "publish", "news", 1)
		w.Stop("n", time.Hour)
	})
}

// TestWaitsThatTimeOutLeaveNothingBehind ends waits by their deadlines.
func TestWaitsThatTimeOutLeaveNothingBehind(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Limits.Call = 3 * time.Millisecond
		n := w.Node("n", "lib/reader.star")
		for range 3 {
			_, err := w.Call("n", "lib/reader", "wait", "a", "b")
			wantKind(t, err, "timeout: datacenter.wait: nobody has set")
		}
		if left := leftovers(n); left != "" {
			t.Error(left)
		}
	})
}

// swap publishes tables whose parts belong together, while readers look whether they do.
var swap = map[string]string{
	"writer.star": `
def write(n):
    for i in range(n):
        shared.publish("t", {"a": i, "b": [i, i], "c": struct(x = i)})
        datacenter.set("d", str(i % 7), {"a": i, "b": [i]})
`,
	"looker.star": `
def look(n):
    last = -1
    for _ in range(n):
        t = shared.get("t")
        if t == None:
            continue
        if [t["a"]] * 2 != t["b"] or t["c"].x != t["a"] or t["a"] < last:
            fail("got a mix: %s after %d" % (t, last))
        last = t["a"]
        for v in datacenter.get("d", default = {}).values():
            if [v["a"]] != v["b"]:
                fail("got a mix: %s" % v)
    return "whole"
`,
}

// TestReadersSeeNoMix reads on one worker what another one replaces.
func TestReadersSeeNoMix(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(swap)
		w.Node("n", "looker.star")
		w.Launch("n", "writer.star")
		writing := w.Go("n", "writer", "write", 2000)
		w.Want(`"whole"`, "n", "looker", "look", 2000)
		if _, err := writing.Wait(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestWaitersOfTwoWorkersMissNothing has services that wait for every version while others publish.
func TestWaitersOfTwoWorkersMissNothing(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"watcher.star": `
def watch(until):
    version, woken = 0, 0
    while version < until:
        last = version
        version = shared.wait("t", version, timeout = "60s")
        if version <= last or shared.get("t") < version:
            fail("version %d after %d: got %s" % (version, last, shared.get("t")))
        woken += 1
    return datacenter.wait("done", timeout = "60s") + woken * 0
def publish(n):
    for i in range(n):
        shared.publish("t", i + 1)
        if random.chance(0.1):
            skynet.sleep("50us")
    datacenter.set("done", n)
`})
		n := w.Node("n", "watcher.star")
		w.Scripts(testScripts(t))
		w.Launch("n", "lib/subscriber.star")
		var calls []*runtimetest.Pending
		for range 4 {
			calls = append(calls, w.Go("n", another(w, "watcher.star"), "watch", 500))
		}
		w.Want("None", "n", "watcher", "publish", 500)
		for _, c := range calls {
			if v, err := c.Wait(); err != nil || v.String() != "500" {
				t.Errorf("watch: got %v, %v, want 500", v, err)
			}
		}
		if left := leftovers(n); left != "" {
			t.Error(left)
		}
	})
}
