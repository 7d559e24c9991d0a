package runtime_test

import (
	"errors"
	"fmt"
	"os"
	"testing/fstest"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched/workers"
)

// A node runs scripts as services; Go code calls them by name or address.
func ExampleNode() {
	files := fstest.MapFS{"counter.star": {Data: []byte(`
counts = {}

def incr(key, by = 1):
    counts[key] = counts.get(key, 0) + by
    return counts[key]
`)}}
	threads := workers.New(workers.Options{})
	defer threads.Close()
	node, err := runtime.NewNode(runtime.Config{
		Scheduler: threads,
		Programs:  runtime.NewPrograms(files.ReadFile),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	launched := make(chan error)
	node.Launch("counter.star", "counter", nil, nil, func(_ *runtime.Address, err error) { launched <- err })
	if err := <-launched; err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for range 2 {
		fmt.Println(node.Call(starlark.String("counter"), "incr", starlark.Tuple{starlark.String("hits")}, 0))
	}
	_, err = node.Call(starlark.String("countr"), "incr", nil, 0)
	fmt.Println(err, errors.Is(err, &runtime.CallError{Kind: runtime.Dead}))

	stopped := make(chan struct{})
	node.Stop(0, func() { close(stopped) })
	<-stopped
	// Output:
	// 1 <nil>
	// 2 <nil>
	// dead: no service has the name "countr"; did you mean "counter"? true
}

// clock is a service in Go: scripts launch it and call it like one of their own.
type clock struct{}

func (clock) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (clock) Handle(ctx *runtime.Context, command string, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	if command != "uptime" {
		return nil, fmt.Errorf("clock has no command %q", command)
	}
	return starlark.Bool(ctx.Now() > 0), nil
}

func ExampleHandler() {
	files := fstest.MapFS{"main.star": {Data: []byte(`
def ask():
    clock = skynet.newservice("clock")
    r = skynet.pcall(skynet.call, clock, "date")
    return skynet.call(clock, "uptime"), r.error.message
`)}}
	threads := workers.New(workers.Options{})
	defer threads.Close()
	node, err := runtime.NewNode(runtime.Config{
		Scheduler: threads,
		Programs:  runtime.NewPrograms(files.ReadFile),
		Handlers:  map[string]func() runtime.Handler{"clock": func() runtime.Handler { return clock{} }},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	launched := make(chan *runtime.Address)
	node.Launch("main.star", "", nil, nil, func(a *runtime.Address, _ error) { launched <- a })
	fmt.Println(node.Call(<-launched, "ask", nil, 0))

	stopped := make(chan struct{})
	node.Stop(0, func() { close(stopped) })
	<-stopped
	// Output: (True, "clock has no command \"date\"") <nil>
}
