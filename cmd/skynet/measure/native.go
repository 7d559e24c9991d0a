package measure

import (
	"fmt"

	"go.starlark.net/starlark"

	"skynet/runtime"
)

// goServices are the services in Go that every node of a measurement can launch: what caller.star and echo.star do, without
// the interpreter.
func goServices() map[string]func() runtime.Handler {
	return map[string]func() runtime.Handler{
		"go-echo":   func() runtime.Handler { return goEcho{} },
		"go-caller": func() runtime.Handler { return &goCaller{} },
	}
}

// goEcho is the far side.
type goEcho struct{}

func (goEcho) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (goEcho) Handle(_ *runtime.Context, command string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	switch command {
	case "ping":
		return args[0], nil
	case "sink":
		return starlark.None, nil
	case "read":
		return readPlayer(args[0].(*starlark.Dict))
	}
	return nil, fmt.Errorf("go-echo: got command %q, want ping, sink or read", command)
}

// goCaller calls and sends to an echo of its own.
type goCaller struct {
	echo   starlark.Value
	player *starlark.Dict
}

// Init launches the echo.
func (c *goCaller) Init(ctx *runtime.Context, _ starlark.Tuple, _ []starlark.Tuple) (err error) {
	c.player = newPlayer()
	c.echo, err = ctx.Launch(runtime.LaunchOptions{Script: "go-echo"})
	return err
}

func (c *goCaller) Handle(ctx *runtime.Context, command string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	n, err := starlark.AsInt32(args[0])
	if err != nil {
		return nil, err
	}
	switch command {
	case "calls":
		err = c.calls(ctx, n)
	case "sends":
		err = c.sends(ctx, n)
	case "call_dicts":
		err = c.callDicts(ctx, n)
	default:
		err = fmt.Errorf("go-caller: got command %q, want calls, sends or call_dicts", command)
	}
	return starlark.None, err
}

func (c *goCaller) calls(ctx *runtime.Context, n int) (err error) {
	for i := 0; i < n && err == nil; i++ {
		_, err = ctx.Call(c.echo, "ping", starlark.Tuple{starlark.MakeInt(i)}, 0)
	}
	return err
}

// sends calls after each thousand, which keeps the mailbox short.
func (c *goCaller) sends(ctx *runtime.Context, n int) (err error) {
	for ; n > 0 && err == nil; n -= 1000 {
		for i := 0; i < min(n, 1000) && err == nil; i++ {
			err = ctx.Send(c.echo, "sink", starlark.Tuple{starlark.MakeInt(i)})
		}
		if err == nil {
			_, err = ctx.Call(c.echo, "ping", starlark.Tuple{starlark.MakeInt(n)}, 0)
		}
	}
	return err
}

func (c *goCaller) callDicts(ctx *runtime.Context, n int) (err error) {
	for i := 0; i < n && err == nil; i++ {
		_, err = ctx.Call(c.echo, "read", starlark.Tuple{c.player}, 0)
	}
	return err
}

// newPlayer is the dict that caller.star has under that name.
func newPlayer() *starlark.Dict {
	d := starlark.NewDict(10)
	for _, item := range []struct {
		key   starlark.String
		value starlark.Value
	}{
		{"id", starlark.MakeInt(12345678)}, {"name", starlark.String("Ashoka")}, {"level", starlark.MakeInt(42)},
		{"x", starlark.Float(103.25)}, {"y", starlark.Float(-7.5)}, {"hp", starlark.MakeInt(870)}, {"rate", starlark.Float(0.125)},
		{"guild", starlark.String("northern lights")}, {"gold", starlark.MakeInt(1300250)}, {"zone", starlark.String("harbour")},
	} {
		// The key is hashable and the dict new.
		_ = d.SetKey(item.key, item.value)
	}
	return d
}

// playerKeys are the keys of a player, in the order in which they are read.
var playerKeys = []starlark.Value{
	starlark.String("id"), starlark.String("level"), starlark.String("hp"), starlark.String("gold"), starlark.String("x"),
	starlark.String("y"), starlark.String("rate"), starlark.String("name"), starlark.String("guild"), starlark.String("zone"),
}

// readPlayer looks every key up, as echo.star does.
func readPlayer(d *starlark.Dict) (starlark.Value, error) {
	sum, letters := 0.0, 0
	for _, key := range playerKeys {
		v, found, err := d.Get(key)
		if err != nil || !found {
			return nil, fmt.Errorf("go-echo: key %v: found %t, error %v", key, found, err)
		}
		if text, ok := v.(starlark.String); ok {
			letters += len(text)
			continue
		}
		f, _ := starlark.AsFloat(v)
		sum += f
	}
	return starlark.Float(sum) + starlark.Float(letters), nil
}
