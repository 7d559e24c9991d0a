package runtime_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// careless is a service in Go that does what it should not.
type careless struct {
	held   func() // resume of a Suspend whose start has panicked
	handed *starlark.List
}

func (c *careless) Init(ctx *runtime.Context, args starlark.Tuple, _ []starlark.Tuple) error {
	if len(args) > 0 {
		if c.handed, _ = args[0].(*starlark.List); c.handed == nil {
			ctx.Exit()
		}
	}
	return nil
}

func (c *careless) Handle(ctx *runtime.Context, command string, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	switch command {
	case "suspend":
		return nil, ctx.Suspend("nothing", func(resume func()) {
			c.held = resume
			panic("in start")
		})
	case "offload":
		return nil, ctx.Offload(func() error { panic("in work") })
	case "resume":
		held := c.held
		return nil, ctx.Suspend("the other one", func(resume func()) {
			held() // of a wait that is over
			resume()
		})
	case "nil":
		return ctx.Call(ctx.Self(), "handed", starlark.Tuple{ctx.Getenv("unset")}, 20*time.Millisecond)
	case "panics":
		id := ctx.Suspend("something", func(func()) {
			ctx.Fork("late", func(*runtime.Context) error { return nil })
			panic("on purpose")
		})
		return nil, id
	case "monitor nobody":
		nobody, err := ctx.Query("nobody", 0)
		if err != nil {
			return nil, err
		}
		heard := make(chan runtime.Reason, 1)
		cancel := ctx.Monitor(nobody, func(_ *runtime.Context, why runtime.Reason) { heard <- why })
		if err := ctx.Sleep(time.Millisecond); err != nil {
			return nil, err
		}
		return starlark.Tuple{starlark.String((<-heard).Kind), starlark.Bool(cancel())}, nil
	case "kill oneself":
		err := ctx.Kill(ctx.Self())
		return starlark.String("goes on"), err
	case "thread":
		ctx.Thread().Print = func(*starlark.Thread, string) { panic("not this service's") }
		ctx.Thread().SetLocal("left", starlark.True)
		ctx.Thread().Cancel("for ever")
		return nil, nil
	case "handed":
		return c.handed, nil
	}
	return nil, errors.New("asked for " + command)
}

// TestCarelessHandlers: what one service in Go does wrong is that one's failure, and leaves nothing behind.
func TestCarelessHandlers(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Handlers = map[string]func() runtime.Handler{
			"careless": func() runtime.Handler { return new(careless) },
			"panics":   func() runtime.Handler { panic("in the factory") },
			"none":     func() runtime.Handler { return nil },
			"missing":  nil,
		}
		w.Scripts(map[string]string{"prints.star": "def say():\n    print('said')\n    return 'said'\ndef nap():\n    skynet.sleep('50ms')\n"})
		n := w.Node("n", "prints.star")
		fails := func(command string, parts ...string) {
			t.Helper()
			_, err := w.Call("n", "careless", command)
			wantKind(t, err, parts...)
		}
		w.Launch("n", "careless")
		for range 3 {
			fails("suspend", "remote: panic: in start")
			fails("offload", "remote: panic: in work")
			w.Want("None", "n", "careless", "resume")
			fails("nil", "remote: ", "argument 1: nil cannot be sent")
			fails("panics", "remote: panic: on purpose")
			w.Want(`("gone", False)`, "n", "careless", "monitor nobody")
			w.Want("None", "n", "careless", "thread")
			w.Want(`"said"`, "n", "prints", "say")
		}
		w.Logged("n", "INFO", "said")
		fails("other", "remote: ", "asked for other")
		w.Want("None", "n", "prints", "nap") // longer than the deadline of the call with nil
		fails("kill oneself", "dead: ")

		for script, want := range map[string]string{
			"panics": "panic: in the factory", "none": "its factory returned nil", "missing": "panic: runtime error: invalid memory address",
		} {
			_, err := w.TryLaunch("n", script)
			wantKind(t, err, "launch "+script+": handler "+script+": "+want)
		}

		_, err := w.TryLaunch("n", "careless", "exit")
		wantKind(t, err, "dead: n:", " careless ended in init")

		list := starlark.NewList([]starlark.Value{starlark.MakeInt(1)})
		ended := make(chan error, 1)
		n.Launch("careless", "handed", starlark.Tuple{list}, nil, func(_ *runtime.Address, err error) { ended <- err })
		w.Eventually("launch", func() bool { return len(ended) > 0 })
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if err := list.Append(starlark.MakeInt(2)); err != nil {
			t.Fatal(err)
		}
		w.Want("[1]", "n", "handed", "handed")
		n.Launch("careless", "", starlark.Tuple{starlark.NewBuiltin("f", nil)}, nil, func(_ *runtime.Address, err error) { ended <- err })
		w.Eventually("launch", func() bool { return len(ended) > 0 })
		wantKind(t, <-ended, "launch careless: argument 1: builtin_function_or_method cannot be sent")
	})
}

// TestImpossibleLimits: what no configuration could say, Go code cannot either.
func TestImpossibleLimits(t *testing.T) {
	for _, c := range []struct {
		limits runtime.Limits
		want   string
	}{
		{runtime.Limits{Mailbox: -1}, "mailbox: got -1, want 1 to "},
		{runtime.Limits{Call: -time.Second}, "call: "},
		{runtime.Limits{Overflow: "panic"}, `overflow: got "panic", want `},
		{runtime.Limits{CPU: runtime.CPU{Time: time.Second, Window: -1}}, "cpu: "},
	} {
		runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
			w.Limits = c.limits
			if _, err := w.TryNode("n"); err == nil || !strings.Contains(err.Error(), "runtime: NewNode: limits: "+c.want) {
				t.Errorf("NewNode with %+v: got %v, want an error with %q", c.limits, err, c.want)
			}
			w.Limits = runtime.Limits{}
			w.Handlers = map[string]func() runtime.Handler{"careless": func() runtime.Handler { return new(careless) }}
			n := w.Node("m")
			told := 0
			n.LaunchWith(runtime.LaunchOptions{Script: "careless", Limits: c.limits}, func(_ *runtime.Address, err error) {
				told++
				if err == nil || !strings.Contains(err.Error(), "launch careless: limits: "+c.want) {
					t.Errorf("launch with %+v: got %v, want an error with %q", c.limits, err, c.want)
				}
			})
			if told != 1 {
				t.Errorf("launch with %+v: told of %d outcomes, want 1", c.limits, told)
			}
		})
	}
}
