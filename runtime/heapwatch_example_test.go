package runtime_test

import (
	"fmt"
	"os"
	goruntime "runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing/fstest"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched/workers"
)

// A node whose process should not take much more than 64 MiB stops a handler that doubles a string without end; the service goes on.
func ExampleHeapWatch() {
	files := fstest.MapFS{"greedy.star": {Data: []byte(`
kept = {}

def grow():
    kept["s"] = "x"
    while True:
        kept["s"] += kept["s"]

def forget():
    kept.clear()
    return "forgotten"
`)}}
	const limit = 64 << 20
	var collecting sync.WaitGroup
	var heap *runtime.HeapWatch
	heap = runtime.NewHeapWatch(limit, func() int64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return int64(sample[0].Value.Uint64())
	}, func() {
		collecting.Go(func() {
			goruntime.GC()
			heap.Settle()
		})
	})
	threads := workers.New(workers.Options{})
	node, err := runtime.NewNode(runtime.Config{Scheduler: threads, Programs: runtime.NewPrograms(files.ReadFile), Heap: heap})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	launched := make(chan error)
	node.Launch("greedy.star", "greedy", nil, nil, func(_ *runtime.Address, err error) { launched <- err })
	if err := <-launched; err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	_, err = node.Call(starlark.String("greedy"), "grow", nil, 0)
	fmt.Println(err != nil && strings.Contains(err.Error(), "memory: the node's heap holds"))
	fmt.Println(node.Call(starlark.String("greedy"), "forget", nil, 0))

	stopped := make(chan struct{})
	node.Stop(0, func() { close(stopped) })
	<-stopped
	threads.Close()
	collecting.Wait()
	// Output:
	// true
	// "forgotten" <nil>
}
