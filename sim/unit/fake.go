package unit

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/runtime"
	"skynet/sim/double"
)

// fake is a double as the test sees it.
type fake struct {
	double  *double.Double
	address starlark.Value // of the service, of several the youngest; None before the launch
}

// testFake makes a double: for a name at once, for a script whenever that is launched.
func testFake(c *call) (starlark.Value, error) {
	var name string
	commands := starlark.NewDict(0)
	if err := c.unpack("name_or_script", &name, "commands?", &commands); err != nil {
		return nil, err
	}
	for _, key := range commands.Keys() {
		if _, ok := starlark.AsString(key); !ok {
			return nil, fmt.Errorf("%s: commands: got a key of type %s, want the name of a command", c.name, key.Type())
		}
	}
	f := newFake(name, commands)
	if script := strings.HasSuffix(name, ".star"); script {
		return f, c.world.replace(c.name, name, f)
	}
	return f, c.launch(f, "double of "+name)
}

// replace makes every launch of a script one of its double.
func (w *world) replace(fn, script string, f *fake) error {
	if w.handlers[script] != nil {
		return fmt.Errorf("%s: got %q, which has a double already", fn, script)
	}
	w.handlers[script] = func() runtime.Handler { return &stand{fake: f} }
	return nil
}

// launch starts the double of a name. Its launch is no call.
func (c *call) launch(f *fake, label string) error {
	w := c.world
	if w.handlers[label] != nil {
		return fmt.Errorf("%s: got %q, which has a double already", c.name, f.double.Name)
	}
	w.handlers[label] = func() runtime.Handler { return &stand{fake: f, register: f.double.Name} }
	_, err := starlark.Call(c.thread, w.launcher, starlark.Tuple{starlark.String(label)}, nil)
	f.double.Calls = nil
	return err
}

func newFake(name string, commands *starlark.Dict) *fake {
	return &fake{address: starlark.None, double: &double.Double{
		Name: name,
		Answer: func(ctx *runtime.Context, command string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, bool, error) {
			v, known, err := commands.Get(starlark.String(command))
			if fn, ok := v.(starlark.Callable); ok {
				v, err = starlark.Call(ctx.Thread(), fn, args, kwargs)
			}
			return v, known, err
		},
		Commands: func() []string {
			var names []string
			for _, key := range commands.Keys() {
				if name, ok := starlark.AsString(key); ok {
					names = append(names, name)
				}
			}
			return names
		},
	}}
}

// stand is one service of a double.
type stand struct {
	*fake
	register string // a name to take, unless empty
}

// Init takes the name and records the launch.
func (s *stand) Init(ctx *runtime.Context, args starlark.Tuple, kwargs []starlark.Tuple) error {
	s.address = ctx.Self()
	if s.register != "" {
		return ctx.Register(s.register)
	}
	return s.double.Init(ctx, args, kwargs)
}

// Handle records a command and answers it.
func (s *stand) Handle(ctx *runtime.Context, command string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return s.double.Handle(ctx, command, args, kwargs)
}

var _ starlark.HasAttrs = (*fake)(nil)

func (f *fake) String() string        { return "<double of " + f.double.Name + ">" }
func (f *fake) Type() string          { return "double" }
func (f *fake) Freeze()               {}
func (f *fake) Truth() starlark.Bool  { return true }
func (f *fake) Hash() (uint32, error) { return starlark.String(f.double.Name).Hash() }
func (f *fake) AttrNames() []string   { return []string{"address", "calls", "clear", "name"} }

func (f *fake) Attr(name string) (starlark.Value, error) {
	switch name {
	case "name":
		return starlark.String(f.double.Name), nil
	case "address":
		return f.address, nil
	case "calls":
		return f.calls(), nil
	case "clear":
		return starlark.NewBuiltin("double.clear", f.clear), nil
	}
	return nil, nil
}

// calls is what the double was asked: a list of its own, of struct(command, args, kwargs).
func (f *fake) calls() starlark.Value {
	all := make([]starlark.Value, len(f.double.Calls))
	for i, c := range f.double.Calls {
		kwargs := starlark.NewDict(len(c.Kwargs))
		for _, kw := range c.Kwargs {
			kwargs.SetKey(kw[0], kw[1]) // a string as key, in a dict that nobody iterates over
		}
		kwargs.Freeze()
		all[i] = starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{
			"command": starlark.String(c.Command), "args": c.Args, "kwargs": kwargs,
		})
	}
	return starlark.NewList(all)
}

// clear forgets what the double was asked.
func (f *fake) clear(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	f.double.Calls = nil
	return starlark.None, starlark.UnpackArgs(b.Name(), args, kwargs)
}
