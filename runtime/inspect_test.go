package runtime_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// TestInspection looks at a simulated node from outside.
func TestInspection(t *testing.T) {
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		n := w.Node("n", "lib/callee.star", "lib/caller.star")
		w.Scripts(map[string]string{"waits.star": `
def init():
    skynet.fork(skynet.wait, "token")
    skynet.fork(skynet.sleep, 3600)
    skynet.fork(skynet.call, "lib/callee", "park", timeout = 3600)
`})
		w.Launch("n", "waits.star")
		w.Want("1", "n", "lib/callee", "one", 1)
		want := []string{
			"n:00000003 lib/callee.star park waits in wait for \"for ever\"",
			"n:00000005 waits.star skynet.wait waits in wait for \"token\"",
			"n:00000005 waits.star skynet.sleep waits in sleep",
			"n:00000005 waits.star skynet.call waits in call for n:00000003 lib/callee.star, which is up to n:00000003 lib/callee.star park",
		}
		var got []string
		w.Until("everything waits", func() bool { got = n.Waits().Lines(); return len(got) == len(want) })
		if !slices.Equal(got, want) {
			t.Errorf("waits: got\n%q, want\n%q", got, want)
		}
		if got, want := n.Names(), []string{"lib/callee", "lib/caller", "waits"}; !slices.Equal(got, want) {
			t.Errorf("names: got %q, want %q", got, want)
		}
		services := n.Services()
		if len(services) != 5 || services[2].Address().String() != "n:00000003" || services[2].Address().ID() != 1<<32|3 {
			t.Errorf("services: got %d, the third %v, want 5, n:00000003", len(services), services[2].Address())
		}
		if got, want := services[3].Commands(), []string{"big", "burst", "call", "call_kept", "caught", "keep", "kind", "me", "nodes", "query", "send", "send_kept", "taken"}; !slices.Equal(got, want) {
			t.Errorf("commands: got %q, want %q", got, want)
		}
		if got := n.Globals("lib/callee")["seen"].String(); got != `[("init", 1)]` {
			t.Errorf("globals: got seen = %s", got)
		}
		if got := n.Globals("nobody"); got != nil {
			t.Errorf("globals of nobody: got %v, want none", got)
		}
	})
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		in   starlark.Value
		want string
	}{
		{starlark.MakeInt(2), "2s"},
		{starlark.MakeInt(-1), "-1s"},
		{starlark.Float(0.25), "250ms"},
		{starlark.Float(1e-9), "1ns"},
		{starlark.String("1m30s"), "1m30s"},
		{starlark.String("soon"), `error: got "soon", want a duration such as "250ms" or a number of seconds`},
		{starlark.MakeInt64(1 << 62), "error: got 4611686018427387904 seconds, want at most 3153600000"},
		{starlark.Float(1e300), "error: got 1e+300 seconds, want at most 3153600000"},
		{starlark.MakeInt(3153600000), "876000h0m0s"},
		{starlark.MakeInt(3153600001), "error: got 3153600001 seconds, want at most 3153600000"},
		{starlark.String("876001h"), `error: got "876001h", want at most 3153600000 seconds`},
		{starlark.String("-876001h"), "-876000h0m0s"},
		{starlark.MakeInt(-3153600001), "-876000h0m0s"},
		{starlark.Float(-1e300), "-876000h0m0s"},
		{starlark.Float(math.Inf(-1)), "-876000h0m0s"},
		{starlark.Float(math.NaN()), "error: got nan seconds, want at most 3153600000"},
		{starlark.None, `error: got NoneType, want a duration such as "250ms" or a number of seconds`},
	} {
		d, err := runtime.Duration(c.in)
		got := d.String()
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want {
			t.Errorf("duration of %v: got %s, want %s", c.in, got, c.want)
		}
	}
}

func TestCallErrorIs(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &runtime.CallError{Kind: runtime.Timeout, Message: "no reply"})
	if !errors.Is(err, &runtime.CallError{Kind: runtime.Timeout}) || errors.Is(err, &runtime.CallError{Kind: runtime.Dead}) {
		t.Errorf("errors.Is of %v: want it to be a timeout and nothing else", err)
	}
}

func TestCheck(t *testing.T) {
	p := runtime.NewPrograms(scripts(testScripts(t)).read)
	for _, c := range []struct{ script, want string }{
		{"lib/callee.star", ""},
		{"api/call.star", ""},
		{"lib/bad_syntax.star", "lib/bad_syntax.star:5:11: not an identifier"},
		{"lib/load_missing.star", `lib/load_missing.star:1:6: cannot load missing_module.star: script "missing_module.star": no such script`},
		{"missing.star", `script "missing.star": no such script`},
	} {
		got := ""
		if err := p.Check(c.script); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("check of %s: got %q, want %q", c.script, got, c.want)
		}
	}
}

// TestPreemption serves calls while another service is in an endless loop, and another loop waits behind it.
func TestPreemption(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Limits = runtime.Limits{Steps: 3_000_000, Slice: 5_000}
		w.Node("n", "lib/callee.star")
		w.Scripts(map[string]string{"busy.star": testScripts(t)["lib/callee.star"]})
		w.Launch("n", "busy.star")
		spins := []*runtimetest.Pending{w.Go("n", "busy", "spin"), w.Go("n", "busy", "spin")}
		for i := range 20 {
			w.Want(fmt.Sprint(i), "n", "lib/callee", "one", i)
		}
		if w.Virtual() && spins[1].Done() {
			t.Error("two endless loops of 3,000,000 steps: got them over before 20 calls")
		}
		for _, p := range spins {
			_, err := p.Wait()
			wantKind(t, err, "remote: busy.star:40:11: ", "step budget of 3000000 exceeded")
		}
	})
}

// TestLimitsDefault wants the zero value of each limit to mean its default.
func TestLimitsDefault(t *testing.T) {
	want := runtime.Limits{
		Mailbox: 65_536, MailboxBytes: 64 << 20, Overflow: runtime.Refuse, Steps: 100_000_000, Slice: 10_000,
		Timers: 1_000_000, Calls: 100_000, Handlers: 100_000, Call: 5 * time.Second, Launch: 30 * time.Second, Slow: 100 * time.Millisecond,
		ReadBuffer: 128 << 10, Services: 1_000_000,
	}
	if got := (runtime.Limits{}).WithDefaults(); got != want {
		t.Errorf("defaults: got %+v, want %+v", got, want)
	}
	if got := want.WithDefaults(); got != want {
		t.Errorf("defaults of set limits: got %+v, want %+v", got, want)
	}
}
