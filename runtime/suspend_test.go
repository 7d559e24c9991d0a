package runtime_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// sleeper suspends itself until somebody outside resumes it.
type sleeper struct{ resume *atomic.Pointer[func()] }

func (sleeper) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (s sleeper) Handle(ctx *runtime.Context, command string, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	switch command {
	case "suspend":
		return starlark.String("resumed"), ctx.Suspend("a test", func(resume func()) { s.resume.Store(&resume) })
	case "exit":
		ctx.Exit()
	}
	return starlark.String("handled"), nil
}

// A suspended handler lets others run, goes on when it is resumed, and dies with its service.
func TestSuspend(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		var resume atomic.Pointer[func()]
		w.Handlers = map[string]func() runtime.Handler{"sleeper": func() runtime.Handler { return sleeper{&resume} }}
		w.Node("n")
		a := w.Launch("n", "sleeper")
		suspended := func() bool { return resume.Load() != nil }

		p := w.Go("n", a, "suspend")
		w.Eventually("suspended", suspended)
		w.Want(`"handled"`, "n", a, "other")
		(*resume.Swap(nil))()
		if v, err := p.Wait(); err != nil || v != starlark.String("resumed") {
			t.Errorf("suspend: got %v, %v, want \"resumed\"", v, err)
		}

		p = w.Go("n", a, "suspend")
		w.Eventually("suspended", suspended)
		w.Want(`"handled"`, "n", a, "exit")
		if _, err := p.Wait(); !errors.Is(err, &runtime.CallError{Kind: runtime.Dead}) {
			t.Errorf("suspend in a service that ends: got error %v, want kind dead", err)
		}
		(*resume.Load())()
	})
}
