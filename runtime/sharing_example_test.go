package runtime_test

import (
	"fmt"
	"os"
	"testing/fstest"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched/workers"
)

// prices is a service in Go that keeps a table of prices for all services of its node, and tells them when it changes.
type prices struct{}

func (prices) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (prices) Handle(ctx *runtime.Context, _ string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	version, err := ctx.Shared().Publish("prices", args[0])
	if err != nil {
		return nil, err
	}
	m := ctx.Multicast()
	told, err := m.Publish(m.Channel("news"), 0, starlark.String("prices"), starlark.MakeInt(version))
	return starlark.MakeInt(told), err
}

// A service publishes a table that all others read without a copy, and tells those who subscribed to a channel.
func ExampleShared() {
	files := fstest.MapFS{"shop.star": {Data: []byte(`
seen = []

def init():
    multicast.subscribe("news", lambda table, version: seen.append((table, version)))

def open():
    prices = skynet.newservice("prices")
    told = skynet.call(prices, "set", {"sword": 10})
    old = shared.get("prices")
    skynet.call(prices, "set", {"sword": 12})
    return told, old["sword"], shared.get("prices")["sword"], shared.version("prices")

def news():
    return seen
`)}}
	threads := workers.New(workers.Options{})
	defer threads.Close()
	node, err := runtime.NewNode(runtime.Config{
		Scheduler: threads,
		Programs:  runtime.NewPrograms(files.ReadFile),
		Handlers:  map[string]func() runtime.Handler{"prices": func() runtime.Handler { return prices{} }},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	launched := make(chan *runtime.Address)
	node.Launch("shop.star", "", nil, nil, func(a *runtime.Address, _ error) { launched <- a })
	shop := <-launched
	fmt.Println(node.Call(shop, "open", nil, 0))
	fmt.Println(node.Call(shop, "news", nil, 0))

	stopped := make(chan struct{})
	node.Stop(0, func() { close(stopped) })
	<-stopped
	// Output:
	// (1, 10, 12, 2) <nil>
	// [("prices", 1), ("prices", 2)] <nil>
}
