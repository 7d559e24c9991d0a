package runtimetest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"
	"go.uber.org/goleak"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// relay sends on what it is told, and calls others for its caller.
type relay struct{ to starlark.Value }

func (r *relay) Init(_ *runtime.Context, args starlark.Tuple, _ []starlark.Tuple) error {
	if len(args) != 1 {
		return fmt.Errorf("got %d arguments, want whom to tell", len(args))
	}
	r.to = args[0]
	return nil
}

func (r *relay) Handle(ctx *runtime.Context, command string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	switch command {
	case "tell":
		return starlark.None, ctx.Send(r.to, "told", args)
	case "sleep":
		return starlark.None, ctx.Sleep(time.Hour)
	}
	return ctx.Call(r.to, command, args, 0)
}

func TestSolo(t *testing.T) {
	p := runtimetest.Solo(t, &relay{})
	if err := p.TryStart(); err == nil || !strings.Contains(err.Error(), "got 0 arguments, want whom to tell") {
		t.Errorf("start without arguments: got error %v, want that of Init", err)
	}
	log := p.Fake(".log", map[string]any{
		"told": nil, "ask": 42,
		"double": runtimetest.Answer(func(args starlark.Tuple) (starlark.Value, error) { return args, nil }),
		"fail":   runtimetest.Answer(func(starlark.Tuple) (starlark.Value, error) { return nil, errors.New("no") }),
	})
	p.Start(".log")
	p.Want("42", "ask")
	p.Want(`("a", 1)`, "double", "a", 1)
	p.Want("None", "tell", []any{"news"})
	if _, err := p.Call("fail"); !errors.Is(err, &runtime.CallError{Kind: runtime.Remote}) {
		t.Errorf("a double that fails: got error %v, want kind remote", err)
	}
	if _, err := p.Call("dobule"); err == nil || !strings.Contains(err.Error(), `the double of .log has no command "dobule"; did you mean "double"?`) {
		t.Errorf("an unknown command: got error %v, want one that names it", err)
	}
	if _, err := p.Call("sleep"); !errors.Is(err, &runtime.CallError{Kind: runtime.Timeout}) || p.Now() != time.Minute {
		t.Errorf("a service that does not answer: got error %v after %v, want a timeout after a minute", err, p.Now())
	}
	var got []string
	for _, c := range log.Calls() {
		got = append(got, fmt.Sprint(c.Command, c.Args, c.Sent))
	}
	want := `[ask() false double("a", 1) false told(["news"],) true fail() false dobule() false]`
	if fmt.Sprint(got) != want {
		t.Errorf("calls = %v, want %s", got, want)
	}
}
