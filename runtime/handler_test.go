package runtime_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// worker is a service in Go that does what it is told.
type worker struct {
	notes []string
}

func (h *worker) Init(ctx *runtime.Context, args starlark.Tuple, kwargs []starlark.Tuple) error {
	if len(args) > 0 {
		return fmt.Errorf("init: got %d arguments, want none", len(args))
	}
	return ctx.Register("worker")
}

func (h *worker) Handle(ctx *runtime.Context, command string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	switch command {
	case "echo":
		return starlark.Tuple{args, starlark.MakeInt(len(kwargs))}, nil
	case "fail":
		return nil, errors.New("worker: no such thing")
	case "panic":
		return args[len(args)], nil
	case "nap":
		err := ctx.Sleep(5 * time.Millisecond)
		h.notes = append(h.notes, "nap over")
		return starlark.None, err
	case "offload":
		var result string
		err := ctx.Offload(func() error { result = "worked"; return nil })
		return starlark.String(result), err
	case "offload_fails":
		return nil, ctx.Offload(func() error { return errors.New("disk: on fire") })
	case "relay":
		return ctx.Call(args[0], string(args[1].(starlark.String)), args[2:], time.Second)
	case "send":
		return starlark.None, ctx.Send(args[0], string(args[1].(starlark.String)), args[2:])
	case "relay_node":
		return ctx.CallNode(ctx.Node(), "worker", "notes", nil, nil, 0)
	case "fork":
		ctx.Fork("note", func(ctx *runtime.Context) error {
			h.notes = append(h.notes, "forked "+ctx.Node())
			return nil
		})
	case "notes":
		out := starlark.NewList(nil)
		for _, n := range h.notes {
			out.Append(starlark.String(n))
		}
		return out, nil
	case "facts":
		return starlark.Tuple{
			ctx.Self(), starlark.Bool(ctx.Deadline() > ctx.Now()), starlark.Bool(ctx.Rand() != nil),
			starlark.Bool(ctx.Thread() != nil),
		}, nil
	case "log":
		ctx.Log("from go", "x", 1)
	case "exit":
		ctx.Exit()
		return starlark.String("bye"), nil
	case "unsendable":
		return starlark.NewBuiltin("f", nil), nil
	}
	return starlark.None, nil
}

func goWorld(w *runtimetest.World) {
	w.Handlers = map[string]func() runtime.Handler{"worker": func() runtime.Handler { return new(worker) }}
	w.Scripts(map[string]string{"client.star": `
def call(command, *args, **kwargs):
    return skynet.call("worker", command, *args, **kwargs)
def error_of(command, *args):
    e = skynet.pcall(skynet.call, "worker", command, *args).error
    return [e.kind, e.message, e.backtrace, e.maybe]
def launch(*args):
    return skynet.newservice("worker", *args)
def unique():
    return skynet.uniqueservice("worker")
def misspelt():
    return skynet.newservice("wroker")
def answer(x):
    return x
def me():
    return skynet.self()
`})
	w.Node("n", "client.star")
}

func TestHandler(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		goWorld(w)
		me, err := w.Call("n", "client", "me")
		if err != nil {
			t.Fatal(err)
		}
		w.Want("n:00000004", "n", "client", "launch")
		w.Want(`((1, "x"), 0)`, "n", "client", "call", "echo", 1, "x")
		w.Want("None", "n", "client", "call", "nap")
		w.Want(`["nap over"]`, "n", "client", "call", "notes")
		w.Want(`"worked"`, "n", "client", "call", "offload")
		w.Want("5", "n", "client", "call", "relay", me, "answer", 5)
		w.Want("None", "n", "client", "call", "send", me, "answer", 5)
		w.Want(`["nap over"]`, "n", "client", "call", "relay_node")
		w.Want("None", "n", "client", "call", "fork")
		w.Want(`["nap over", "forked n"]`, "n", "client", "call", "notes")
		w.Want("(n:00000004, True, True, True)", "n", "client", "call", "facts")
		w.Want("None", "n", "client", "call", "log")
		w.Logged("n", "INFO from go", "service=n:00000004 worker", "x=1")
	})
}

func TestHandlerFailures(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		goWorld(w)
		_, err := w.Call("n", "client", "launch", 1)
		wantKind(t, err, "remote: client.star:", "init: got 1 arguments, want none")
		_, err = w.Call("n", "client", "misspelt")
		wantKind(t, err, "remote: client.star:", `did you mean "worker"?`)
		w.Want("n:00000005", "n", "client", "launch")
		for _, c := range []struct {
			command string
			want    []string
		}{
			{"fail", []string{`["remote", "worker: no such thing", "", True]`}},
			{"offload_fails", []string{`["remote", "disk: on fire", "", True]`}},
			{"unsendable", []string{`["remote", "n:00000005 worker: result of \"unsendable\": `, "builtin"}},
			{"panic", []string{`["remote", "panic: runtime error: index out of range [0] with length 0", "`, "runtime_test.(*worker).Handle (handler_test.go:", `(*coroutine).run (coroutine.go:`}},
		} {
			v, err := w.Call("n", "client", "error_of", c.command)
			if err != nil {
				t.Fatal(err)
			}
			wantParts(t, v.String(), c.want...)
		}
		w.Logged("n", "ERROR handler failed", "command=panic", "panic: runtime error: index out of range", "(*worker).Handle")
		w.Want("None", "n", "client", "call", "nap")
		w.Want(`"bye"`, "n", "client", "call", "exit")
		w.Until("the worker is gone", func() bool {
			v, err := w.Call("n", "client", "error_of", "notes")
			return err == nil && v.(*starlark.List).Index(0) == starlark.String("dead")
		})
	})
}

// TestHandlerUnique launches a unique service in Go again after it has ended.
func TestHandlerUnique(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		goWorld(w)
		w.Want("n:00000004", "n", "client", "unique")
		w.Want("n:00000004", "n", "client", "unique")
		w.Want(`"bye"`, "n", "client", "call", "exit")
		w.Until("a new worker serves", func() bool {
			v, err := w.Call("n", "client", "unique")
			return err == nil && v.String() == "n:00000005"
		})
	})
}
