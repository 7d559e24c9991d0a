package runtime_test

import (
	"fmt"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched/workers"
)

// scripts is a set of scripts in memory.
type scripts map[string]string

func (s scripts) read(name string) ([]byte, error) {
	if src, ok := s[name]; ok {
		return []byte(src), nil
	}
	return nil, fmt.Errorf("no such script")
}

var benchScripts = scripts{
	"echo.star": `
def init():
    pass
def ping(x):
    return x
def sink(x):
    pass
`,
	"caller.star": `
def run(n):
    echo = skynet.newservice("echo.star")
    for i in range(n):
        skynet.call(echo, "ping", i)
def loop(n):
    for i in range(n // 1000 + 1):
        for j in range(1000):
            pass
def flood(n):
    echo = skynet.newservice("echo.star")
    for i in range(n):
        skynet.send(echo, "sink", i)
        if i % 1000 == 999:
            skynet.call(echo, "ping", i)
`,
	// The same with a callee that is not its own, so that rules are asked; many: of many callees in turn.
	"stranger.star": `
def run(n, callees):
    echo = callees[0]
    for i in range(n):
        skynet.call(echo, "ping", i)
def many(n, callees):
    for i in range(n):
        skynet.call(callees[i % len(callees)], "ping", i)
`,
	"sharing.star": `
got = state(n = 0)
def _take(v):
    got.n += 1
def sink(v):
    got.n += 1
def subscribe():
    multicast.subscribe("news", _take, slow = "block")
def taken():
    return got.n
def read(n):
    shared.publish("t", list(range(1000)))
    for i in range(n):
        shared.get("t")
def own(n):
    table = {"t": list(range(1000))}
    for i in range(n):
        table.get("t")
def tell(n):
    for i in range(n):
        multicast.publish("news", [i] * 100)
def each(n):
    others = [skynet.newservice("sharing.star") for _ in range(10)]
    for i in range(n):
        v = [i] * 100
        for o in others:
            skynet.send(o, "sink", v)
        if i % 1000 == 999:
            for o in others:
                skynet.call(o, "taken")
def told(n):
    others = [skynet.newservice("sharing.star") for _ in range(10)]
    for o in others:
        skynet.call(o, "subscribe")
    tell(n)
    for o in others:
        while skynet.call(o, "taken") < n:
            pass
`,
}

func benchNode(b *testing.B, threads int) *runtime.Node {
	return limitedNode(b, threads, runtime.Limits{Steps: 1 << 60, Call: time.Minute})
}

func limitedNode(b *testing.B, threads int, limits runtime.Limits) *runtime.Node {
	return watchedNode(b, threads, limits, nil)
}

func watchedNode(b *testing.B, threads int, limits runtime.Limits, heap *runtime.HeapWatch) *runtime.Node {
	w := workers.New(workers.Options{Threads: threads})
	n, err := runtime.NewNode(runtime.Config{
		Name: "b", Scheduler: w, Programs: runtime.NewPrograms(benchScripts.read), Limits: limits, Heap: heap,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		done := make(chan struct{})
		n.Stop(0, func() { close(done) })
		<-done
		w.Close()
	})
	return n
}

func launch(b testing.TB, n *runtime.Node, script string) *runtime.Address {
	type outcome struct {
		a   *runtime.Address
		err error
	}
	ch := make(chan outcome, 1)
	n.Launch(script, "", nil, nil, func(a *runtime.Address, err error) { ch <- outcome{a, err} })
	o := <-ch
	if o.err != nil {
		b.Fatal(o.err)
	}
	return o.a
}

func benchCommand(b *testing.B, command string, threads, pairs int) {
	benchPairs(b, benchNode(b, threads), command, pairs)
}

func benchPairs(b *testing.B, n *runtime.Node, command string, pairs int) {
	b.ReportAllocs()
	callers := make([]*runtime.Address, pairs)
	for i := range callers {
		callers[i] = launch(b, n, "caller.star")
	}
	b.ResetTimer()
	errs := make(chan error, pairs)
	for _, c := range callers {
		n.Request(c, command, starlark.Tuple{starlark.MakeInt(b.N/pairs + 1)}, nil, time.Hour, func(_ starlark.Value, err error) { errs <- err })
	}
	for range callers {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCall1Pair1Worker(b *testing.B)     { benchCommand(b, "run", 1, 1) }
func BenchmarkCall1Pair2Workers(b *testing.B)    { benchCommand(b, "run", 2, 1) }
func BenchmarkCall100Pairs1Worker(b *testing.B)  { benchCommand(b, "run", 1, 100) }
func BenchmarkCall100Pairs2Workers(b *testing.B) { benchCommand(b, "run", 2, 100) }
func BenchmarkSend1Worker(b *testing.B)          { benchCommand(b, "flood", 1, 1) }
func BenchmarkSend2Workers(b *testing.B)         { benchCommand(b, "flood", 2, 1) }

// Loop is a turn of a loop that does nothing.
func BenchmarkLoop(b *testing.B)                    { benchCommand(b, "loop", 1, 1) }
func BenchmarkLoopWatched(b *testing.B)             { benchWatched(b, "loop") }
func BenchmarkCall1Pair1WorkerWatched(b *testing.B) { benchWatched(b, "run") }

// benchWatched is benchCommand with a heap watch that stops nobody.
func benchWatched(b *testing.B, command string) {
	heap := runtime.NewHeapWatch(1<<40, func() int64 { return 1 << 20 }, func() { b.Error("a handler was stopped") })
	benchPairs(b, watchedNode(b, 1, runtime.Limits{Steps: 1 << 60, Call: time.Minute}, heap), command, 1)
}

func BenchmarkCall1Pair1WorkerMetered(b *testing.B) { benchMetered(b, "run") }
func BenchmarkSend1WorkerMetered(b *testing.B)      { benchMetered(b, "flood") }

// benchMetered is benchCommand with bounds for the processor time.
func benchMetered(b *testing.B, command string) {
	limits := runtime.Limits{Steps: 1 << 60, Call: time.Minute, CPU: runtime.CPU{Time: time.Minute, Window: time.Minute}}
	benchPairs(b, limitedNode(b, 1, limits), command, 1)
}

// benchStranger times calls of services that the caller has not launched, under a grant.
func benchStranger(b *testing.B, command string, callees int, allow *runtime.Grant) {
	n := benchNode(b, 1)
	b.ReportAllocs()
	list := starlark.NewList(nil)
	for i := range callees {
		a := launchAllowed(b, n, runtime.LaunchOptions{Script: "echo.star", Name: fmt.Sprintf(".echo%d", i)})
		_ = list.Append(a) // the list is not frozen
	}
	c := launchAllowed(b, n, runtime.LaunchOptions{Script: "stranger.star", Allow: allow})
	b.ResetTimer()
	if _, err := n.Call(c, command, starlark.Tuple{starlark.MakeInt(b.N), list}, time.Hour); err != nil {
		b.Fatal(err)
	}
}

// benchSharing runs a command of sharing.star, which takes how often, on one worker.
func benchSharing(b *testing.B, command string) {
	n := benchNode(b, 1)
	a := launch(b, n, "sharing.star")
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := n.Call(a, command, starlark.Tuple{starlark.MakeInt(b.N)}, time.Hour); err != nil {
		b.Fatal(err)
	}
}

func launchAllowed(b *testing.B, n *runtime.Node, o runtime.LaunchOptions) *runtime.Address {
	ch := make(chan *runtime.Address, 1)
	n.LaunchWith(o, func(a *runtime.Address, err error) {
		if err != nil {
			b.Error(err)
		}
		ch <- a
	})
	return <-ch
}

func echoes() *runtime.Grant { return &runtime.Grant{Call: []string{".db", ".bank", ".echo*"}} }

func BenchmarkCall1Pair1WorkerStranger(b *testing.B) { benchStranger(b, "run", 1, nil) }
func BenchmarkCall1Pair1WorkerAllowed(b *testing.B)  { benchStranger(b, "run", 1, echoes()) }
func BenchmarkCall100Callees(b *testing.B)           { benchStranger(b, "many", 100, nil) }
func BenchmarkCall100CalleesAllowed(b *testing.B)    { benchStranger(b, "many", 100, echoes()) }
func BenchmarkCall2000Callees(b *testing.B)          { benchStranger(b, "many", 2000, nil) }
func BenchmarkCall2000CalleesAllowed(b *testing.B)   { benchStranger(b, "many", 2000, echoes()) }

func BenchmarkSharedGet(b *testing.B)     { benchSharing(b, "read") }
func BenchmarkOwnDictGet(b *testing.B)    { benchSharing(b, "own") }
func BenchmarkMulticastTo10(b *testing.B) { benchSharing(b, "told") }
func BenchmarkSendTo10(b *testing.B)      { benchSharing(b, "each") }

func BenchmarkChannelPingPong(b *testing.B) {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for v := range ping {
			pong <- v
		}
	}()
	for i := range b.N {
		ping <- i
		<-pong
	}
	close(ping)
}
