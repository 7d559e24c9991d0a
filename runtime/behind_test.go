package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/sched"
	"skynet/sched/stepper"
)

// owner is a service whose handlers want to own one thing: "take" takes it and calls another service, whose name it is
// given; a second "take" waits behind the first.
type owner struct {
	owner  *coroutine
	queued []waitID
}

func (o *owner) Init(*Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (o *owner) Handle(ctx *Context, _ string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	co := ctx.co
	if o.owner != nil {
		id := co.svc.addWait(behindWait, co, nil, 0)
		o.queued = append(o.queued, id)
		co.waiting.behind = &o.owner
		if _, err := co.block("own", ""); err != nil {
			return nil, err
		}
	}
	o.owner = co
	v, err := ctx.Call(args[0], "take", args[1:], 3*time.Second)
	o.owner = nil
	if len(o.queued) > 0 {
		co.svc.wake(o.queued[0], starlark.None, nil)
		o.queued = o.queued[1:]
	}
	return v, err
}

// TestDeadlockBehindAnotherCoroutine has two services whose handlers own something while they call each other: the second
// request waits behind the first, which waits for it.
func TestDeadlockBehindAnotherCoroutine(t *testing.T) {
	step := stepper.New(stepper.Options{Seed: 1, Strategy: stepper.Random(sched.NewStream(1, "strategy"))})
	var lines lineLog
	n, err := NewNode(Config{
		Name: "n", Scheduler: step.NewNode(0, "n", stepper.NodeOptions{}), Programs: NewPrograms(nil), Log: &lines,
		Handlers: map[string]func() Handler{"owner": func() Handler { return new(owner) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Crash()
	ready := 0
	for _, name := range []string{".a", ".b"} {
		n.Launch("owner", name, nil, nil, func(*Address, error) { ready++ })
	}
	step.Run(sched.Time(time.Second), func() bool { return ready == 2 })
	over := false
	way := starlark.Tuple{starlark.String(".b"), starlark.String(".a"), starlark.String(".b"), starlark.String(".a")}
	n.Request(starlark.String(".a"), "take", way, nil, 10*time.Second, func(starlark.Value, error) { over = true })
	step.Run(sched.Time(2*time.Second), nil)
	const want = "deadlock: n:00000003 owner take -> n:00000004 owner take -> n:00000003 owner take -> n:00000003 owner take"
	if got := n.Waits().Lines(); !slices.Contains(got, want) {
		t.Errorf("graph: got\n%s\nwant the line %s", strings.Join(got, "\n"), want)
	}
	if step.Run(sched.Time(time.Minute), func() bool { return over }) != stepper.Stopped {
		t.Error("got a call that does not end, want its deadline to end it")
	}
	if got := fmt.Sprint(lines.cycles); got != "["+strings.TrimPrefix(want, "deadlock: ")+"]" {
		t.Errorf("log: got the circles %s, want one: %s", got, want)
	}
}

// lineLog keeps the circles of the deadlocks that are logged.
type lineLog struct {
	slog.Handler
	cycles []string
}

// Enabled implements [slog.Handler].
func (l *lineLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements [slog.Handler].
func (l *lineLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if r.Message == "deadlock" && a.Key == "cycle" {
			l.cycles = append(l.cycles, a.Value.String())
		}
		return true
	})
	return nil
}
