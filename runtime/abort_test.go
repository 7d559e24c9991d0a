package runtime_test

import (
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
	"skynet/sched/workers"
)

// aborts is a service in Go that ends its node.
type aborts struct{}

func (aborts) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (aborts) Handle(ctx *runtime.Context, _ string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	return starlark.String("goes on"), ctx.Abort(string(args[0].(starlark.String)))
}

// TestAbort has several services ask for the end of their node at the same time: its owner is told once, and they go on.
func TestAbort(t *testing.T) {
	told := make(chan string, 100)
	ws := workers.New(workers.Options{Threads: 2, Seed: 1})
	files := scripts{"s.star": "def end(why):\n    skynet.abort(why)\n    return 'goes on'\n"}
	n, err := runtime.NewNode(runtime.Config{
		Name: "n", Scheduler: ws, Programs: runtime.NewPrograms(files.read), Abort: func(why string) { told <- why },
		Handlers: map[string]func() runtime.Handler{"aborts": func() runtime.Handler { return aborts{} }},
	})
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan string, 100)
	for range 10 {
		for _, script := range []string{"s.star", "aborts"} {
			n.Request(launch(t, n, script), "end", starlark.Tuple{starlark.String("enough")}, nil, time.Minute, func(v starlark.Value, err error) {
				if err != nil {
					answers <- err.Error()
				} else {
					answers <- string(v.(starlark.String))
				}
			})
		}
	}
	for range 20 {
		if got := <-answers; got != "goes on" {
			t.Errorf("end: got %s, want that it goes on", got)
		}
	}
	if got := <-told; got != "enough" || len(told) > 0 {
		t.Errorf("told: got %q, and %d more, want it once", got, len(told))
	}
	stop(n)
	ws.Close()
}

// TestAbortOfANodeThatIsNotToEnd: whoever owns the node decides whether its services can end it.
func TestAbortOfANodeThatIsNotToEnd(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"s.star": "def end():\n    return skynet.pcall(skynet.abort, 'enough').error.message\n"})
		w.Node("n", "s.star")
		v, err := w.Call("n", "s", "end")
		if err != nil || !strings.Contains(v.String(), "not to be ended by its services") {
			t.Errorf("abort of a node whose owner does not want that: got %v, %v, want an error", v, err)
		}
	})
}
