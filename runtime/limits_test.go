package runtime_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
	"skynet/sched/workers"
)

// TestServicesLimit: a node launches no more services than its limit, and one more when another one has ended.
func TestServicesLimit(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Limits = runtime.Limits{Services: 3}
		w.Node("n", "lib/gated.star")
		first, err := w.TryLaunch("n", "lib/callee.star")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = w.TryLaunch("n", "lib/no_init.star"); err != nil {
			t.Fatal(err)
		}
		_, err = w.TryLaunch("n", "lib/shared.star")
		wantKind(t, err, "overload", "launch lib/shared.star: got 3 services on node n and one more, want at most 3 (limit services)")
		if _, err := w.Call("n", first, "leave"); err == nil {
			t.Error("leave: got no error, want dead")
		}
		w.Until("room for a service", func() bool {
			_, err := w.TryLaunch("n", "lib/hungry.star")
			return err == nil
		})
	})
}

// TestBytesOfRemoteRequests: of the requests of other nodes that wait for room, their encoded arguments count.
func TestBytesOfRemoteRequests(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Scripts(map[string]string{
			"remote.star": `
def launch():
    a = skynet.newservice("lib/gated.star", launch = {"name": "gated", "limits": {"mailbox_bytes": "10KiB", "overflow": "block", "steps": 1 << 50}})
    skynet.send("gated", "hold")
    skynet.query("holding", timeout = 10)
    skynet.send("gated", "note", 1, "x" * 9000)
    return a
def open():
    skynet.register("gate")
def waited():
    return skynet.stat("gated").refused.blocked
def call(node, n):
    return cluster.call(node, "gated", "note", 2, "x" * n, timeout = 20)
`,
		})
		w.Cluster("a", "b")
		w.Node("a", "remote.star")
		w.Node("b", "remote.star")
		gated, err := w.Call("b", "remote", "launch")
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Call("a", "remote", "call", "b", 20_000)
		wantKind(t, err, `"note" takes 20`, "holds at most 10240 bytes (mailbox_bytes)")
		waits := w.Go("a", "remote", "call", "b", 5000)
		w.Until("a request that waits for room", func() bool {
			v, err := w.Call("b", "remote", "waited")
			return err == nil && v.String() == "1"
		})
		if w.Virtual() {
			if got := runtime.MemoryOf(gated.(*runtime.Address)); got < 14_000 {
				t.Errorf("memory of a service with 9,000 bytes in its mailbox and 5,000 that wait for room: got %d, want both", got)
			}
		}
		_, err = w.Call("a", "remote", "call", "b", 6000)
		wantKind(t, err, "the mailbox of b:", "is full (1 messages), and 1 more wait for room")
		if _, err := w.Call("b", "remote", "open"); err != nil {
			t.Fatal(err)
		}
		if v, err := waits.Wait(); err != nil || v.String() != "2" {
			t.Errorf("call that has waited for room: got %v, %v, want 2", v, err)
		}
	})
}

// TestLimitCounts: what limits do is counted, and lost messages are logged, once in a while.
func TestLimitCounts(t *testing.T) {
	w := runtimetest.NewVirtual(t, 1)
	w.Scripts(testScripts(t))
	w.Scripts(map[string]string{"main.star": `
def launch(**limits):
    return skynet.newservice("lib/gated.star", launch = {"limits": limits})
def dropping():
    a = launch(mailbox = 2, overflow = "drop_oldest", steps = 1 << 50)
    skynet.send(a, "hold", "gate 1")
    skynet.sleep("1ms")
    for i in range(12):
        skynet.send(a, "note", i)
    return a
def refusing():
    a = launch(mailbox = 2, steps = 1 << 50)
    skynet.send(a, "hold", "gate 2")
    skynet.sleep("1ms")
    for i in range(5):
        skynet.pcall(skynet.send, a, "note", i, "x" * 1000)
    return a
def exceeding():
    a = launch(timers = 2)
    for n in [2, 1, 1]:
        skynet.pcall(skynet.call, a, "timers", n)
    return a
def throttled():
    a = skynet.newservice("lib/hungry.star", launch = {"limits": {"cpu": "1ms/10ms"}})
    skynet.call(a, "burn", 100000)
    return a
def runaway():
    a = skynet.newservice("lib/runaway.star", launch = {"limits": {"memory": "1MiB"}})
    skynet.pcall(skynet.call, a, "string")
    return a
def heavy():
    a = skynet.newservice("lib/hungry.star")
    skynet.call(a, "keep", "x" * 1000000)
    return a
`})
	w.Node("n", "main.star")
	address := func(command string) *runtime.Address {
		v, err := w.Call("n", "main", command)
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		return v.(*runtime.Address)
	}
	if c := runtime.CountsOf(address("dropping")); c.Dropped != 10 || c.Requests != 2 || c.Refused != 0 {
		t.Errorf("counts of the dropping service: got %+v, want 10 dropped and 2 in the mailbox", c)
	}
	w.Until("the rest of the lost messages", func() bool { // one line at once, one about the other nine after a second
		var told []string
		for _, line := range w.Logs("n") {
			if _, counted, ok := strings.Cut(line.Text, "messages dropped from a full mailbox "); ok {
				told = append(told, counted)
			}
		}
		if len(told) > 2 {
			t.Fatalf("log: got %q about 10 dropped messages, want two lines", told)
		}
		return len(told) == 2 && strings.Contains(told[0], "count=1 ") && strings.Contains(told[1], "count=9 ")
	})
	if c := runtime.CountsOf(address("refusing")); c.Refused != 2 || c.RequestBytes < 2000 || c.RequestBytes > 3000 {
		t.Errorf("counts of the refusing service: got %+v, want 2 refused and between 2,000 and 3,000 bytes", c) // two wait, one is handed over
	}
	if c := runtime.CountsOf(address("exceeding")); c.Exceeded != 2 || c.Timers != 2 {
		t.Errorf("counts of the service with timers: got %+v, want 2 exceeded and 2 timers", c)
	}
	if c := runtime.CountsOf(address("throttled")); c.Throttled < 3 || c.Throttled > 20 {
		t.Errorf("counts of the throttled service: got %+v, want some windows", c)
	}
	if c := runtime.CountsOf(address("runaway")); c.Stopped != 1 {
		t.Errorf("counts of the runaway: got %+v, want one handler stopped", c)
	}
	if got := runtime.MemoryOf(address("heavy")); got < 1_000_000 || got > 1_100_000 {
		t.Errorf("memory of a service that keeps a string of a million bytes: got %d", got)
	}
}

// caller is a service in Go, which the heap watch does not see: it calls long and short handlers by turns.
type caller struct{ stopped *atomic.Int64 }

func (caller) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (c caller) Handle(ctx *runtime.Context, _ string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	for i := range 40 {
		_, err := ctx.Call(args[0], "long", starlark.Tuple{starlark.MakeInt(1 + i%4*100_000)}, 0)
		if err != nil && strings.Contains(err.Error(), "memory: the node's heap holds 201 MiB, limit 100 MiB, and of it this service about ") {
			c.stopped.Add(1)
		} else if err != nil {
			return nil, err
		}
		if _, err := ctx.Call(args[0], "short", starlark.Tuple{starlark.None}, 0); err != nil {
			return nil, err
		}
	}
	return starlark.None, nil
}

// TestHeapWatchStopsNobodyElse: on workers, and while the heap is too large, those that run for long are stopped, and never one that a
// coroutine took up after it. Handlers of a few steps are never meant.
func TestHeapWatchStopsNobodyElse(t *testing.T) {
	ws := workers.New(workers.Options{Threads: 2, Seed: 1})
	source := scripts{"worker.star": `
def short(x):
    return x
def long(n):
    for i in range(n):
        pass
`}
	var failed, stopped atomic.Int64
	var watch *runtime.HeapWatch
	watch = runtime.NewHeapWatch(100<<20, func() int64 { return 201 << 20 }, func() {
		stopped.Add(1)
		watch.Settle()
	})
	n, err := runtime.NewNode(runtime.Config{
		Name: "n", Scheduler: ws, Programs: runtime.NewPrograms(source.read), Heap: watch,
		Handlers: map[string]func() runtime.Handler{"caller": func() runtime.Handler { return caller{&failed} }},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for range 2 {
		n.Request(launch(t, n, "caller"), "run", starlark.Tuple{launch(t, n, "worker.star")}, nil, time.Minute, func(_ starlark.Value, err error) {
			done <- err
		})
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if failed.Load() != stopped.Load() || failed.Load() < 2*20 || failed.Load() > 2*30 {
		t.Errorf("handlers that failed: got %d, want those that were stopped, %d: half of the calls at least, and none that is short", failed.Load(), stopped.Load())
	}
	stop(n)
	ws.Close()
}

// TestStopOfAThrottledService: a node that stops does not wait for the windows of throttled services.
func TestStopOfAThrottledService(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Limits = runtime.Limits{CPU: runtime.CPU{Time: time.Millisecond, Window: time.Minute}, Steps: 1 << 60}
		w.Node("n", "lib/hungry.star")
		spin := w.Go("n", "lib/hungry", "spin")
		w.Logged("n", "throttled: processor time used up", "1ms/1m0s")
		w.Stop("n", 0)
		if !spin.Done() {
			t.Error("call of a service that has ended: got no answer, want one")
		}
	})
}

// TestHeapWatchStopsWhatLoads: the top level of a module is no handler, and grows values all the same. It is not remembered
// as broken, since the heap may have been full of what others hold.
func TestHeapWatchStopsWhatLoads(t *testing.T) {
	ws := workers.New(workers.Options{Threads: 2, Seed: 1})
	source := scripts{
		"grows.star": "d = {\"n\": 0}\nwhile d[\"n\"] < 500000:\n    d[\"n\"] += 1\n",
		"main.star":  "load(\"grows.star\", \"d\")\n",
	}
	var size atomic.Int64
	watch := runtime.NewHeapWatch(100<<20, size.Load, func() {})
	n, err := runtime.NewNode(runtime.Config{Name: "n", Scheduler: ws, Programs: runtime.NewPrograms(source.read), Heap: watch})
	if err != nil {
		t.Fatal(err)
	}
	try := func() error {
		done := make(chan error)
		n.Launch("main.star", "", nil, nil, func(_ *runtime.Address, err error) { done <- err })
		return <-done
	}
	size.Store(200 << 20)
	wantKind(t, try(), "grows.star", "the node's heap holds 200 MiB, limit 100 MiB")
	size.Store(50 << 20)
	if err := try(); err != nil {
		t.Errorf("launch when the heap is small again: got %v, want none", err)
	}
	stop(n)
	ws.Close()
}

// TestHandedOver: what an idle service is handed is counted neither by its limit nor by mqlen, which others ask, but by stat,
// which it answers itself. It is simulated, where a service certainly does not begin before its sender blocks.
func TestHandedOver(t *testing.T) {
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Scripts(map[string]string{"hands.star": `
def begin():
    a = skynet.newservice("lib/callee.star", launch = {"limits": {"mailbox": 1}})
    skynet.sleep("1ms")
    sent = [skynet.pcall(skynet.send, a, "note", i).ok for i in range(3)]
    queued = skynet.mqlen(a)
    looked = skynet.stat(a).mqlen
    skynet.sleep("1ms")
    return sent, queued, looked, skynet.call(a, "notes")[1:], skynet.stat(a).mqbytes
`})
		w.Node("n", "hands.star")
		w.Want("([True, True, False], 1, 2, [0, 1], 0)", "n", "hands", "begin")
	})
}
