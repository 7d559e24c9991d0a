package runtimetest_test

import (
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// cache is a service in Go: it asks the service ".db" for what it does not know, and forgets everything after a minute.
type cache struct{ known map[string]starlark.Value }

func (c *cache) Init(ctx *runtime.Context, _ starlark.Tuple, _ []starlark.Tuple) error {
	c.known = make(map[string]starlark.Value)
	ctx.Fork("forget", func(ctx *runtime.Context) error {
		for {
			if err := ctx.Sleep(time.Minute); err != nil {
				return err
			}
			clear(c.known)
			ctx.Log("forgot everything")
		}
	})
	return nil
}

func (c *cache) Handle(ctx *runtime.Context, command string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var key string
	if err := starlark.UnpackArgs(command, args, kwargs, "key", &key); err != nil {
		return nil, err
	}
	if v, ok := c.known[key]; ok {
		return v, nil
	}
	v, err := ctx.Call(starlark.String(".db"), "get", args, time.Second)
	if err == nil {
		c.known[key] = v
	}
	return v, err
}

// testT stands for the *testing.T of a test function.
type testT struct{ cleanup []func() }

func (t *testT) Helper()                           {}
func (t *testT) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (t *testT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (t *testT) Cleanup(f func())                  { t.cleanup = append(t.cleanup, f) }

func (t *testT) end() {
	for _, f := range t.cleanup {
		f()
	}
}

// A probe tests a service in Go without a node: the clock goes on when the test says so, and doubles stand in for the
// services it calls.
func ExampleSolo() {
	t := &testT{} // the argument of TestCache(t *testing.T)
	defer t.end()

	p := runtimetest.Solo(t, &cache{})
	db := p.Fake(".db", map[string]any{"get": "green"})
	p.Want(`"green"`, "get", "colour")
	p.Want(`"green"`, "get", "colour")
	fmt.Println(len(db.Calls()), "call of", db.Calls()[0].Command, db.Calls()[0].Args)

	p.Advance(time.Minute)
	p.Want(`"green"`, "get", "colour")
	fmt.Println(len(db.Calls()), "calls after", p.Now())
	fmt.Println(p.Logs()[0].Plain)
	// Output:
	// 1 call of get ("colour",)
	// 2 calls after 1m0s
	// forgot everything node=solo service=solo:00000004 solo
}
