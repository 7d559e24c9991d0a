package unit

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/trace"
)

// words are what the file of a test sees beside the words of services. They belong to one world.
type words struct{ predeclared starlark.StringDict }

// call is a built-in of a test: what it is told and who called it.
type call struct {
	world  *world
	thread *starlark.Thread
	name   string
	args   starlark.Tuple
	kwargs []starlark.Tuple
}

// unpack reads the arguments; see [starlark.UnpackArgs].
func (c *call) unpack(pairs ...any) error {
	return starlark.UnpackArgs(c.name, c.args, c.kwargs, pairs...)
}

// context is the handler that called.
func (c *call) context() (*runtime.Context, error) {
	ctx, err := runtime.ContextOf(c.thread)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return ctx, nil
}

type member struct {
	name string
	do   func(c *call) (starlark.Value, error)
}

// newWords makes the words of a world.
func newWords(w *world) words {
	predeclared := starlark.StringDict{
		"assert": w.module("assert", []member{
			{"eq", assertEq},
			{"ne", assertNe},
			{"true", assertTrue},
			{"false", assertFalse},
			{"contains", assertContains},
			{"within", assertWithin},
			{"fails", assertFails},
		}),
		"test": w.module("test", []member{
			{"launch", testLaunch},
			{"fake", testFake},
			{"advance", testAdvance},
			{"logs", testLogs},
			{"table", testTable},
		}),
	}
	predeclared.Freeze()
	return words{predeclared}
}

func (w *world) module(name string, members []member) *starlarkstruct.Module {
	m := &starlarkstruct.Module{Name: name, Members: make(starlark.StringDict, len(members))}
	for _, word := range members {
		m.Members[word.name] = w.builtin(name+"."+word.name, word.do)
	}
	return m
}

// builtin makes a word. An assertion that fails is noted here, so that it ends the test whoever catches its error.
func (w *world) builtin(name string, do func(c *call) (starlark.Value, error)) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(th *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		v, err := do(&call{w, th, name, args, kwargs})
		if m, ok := err.(*mismatch); ok {
			m.msg = name + ": " + m.msg
			row, _ := th.Local(rowKey).(string)
			w.fail(&failure{err: placedAt(th, m.msg), diff: m.diff, row: row})
		}
		return v, err
	})
}

// testLaunch starts the service under test. What that names is looked for beside the test, and beside itself.
func testLaunch(c *call) (starlark.Value, error) {
	if len(c.args) > 0 {
		if script, ok := starlark.AsString(c.args[0]); ok {
			c.world.folder.add(script)
		}
	}
	return starlark.Call(c.thread, c.world.launcher, c.args, c.kwargs)
}

// testAdvance lets time pass, and returns when everything due by then has happened.
func testAdvance(c *call) (starlark.Value, error) {
	var v starlark.Value
	if err := c.unpack("duration", &v); err != nil {
		return nil, err
	}
	d, err := runtime.Duration(v)
	if err == nil && d < 0 {
		err = fmt.Errorf("got %v, want a duration of 0 or more", v)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	ctx, err := c.context()
	if err != nil {
		return nil, err
	}
	return starlark.None, ctx.Suspend("test.advance", func(resume func()) {
		w := c.world
		until := ctx.Now().Add(d)
		w.marks++
		// The clock has to come there even if nothing else ever happens.
		w.step.At(until, sched.Action{Kind: trace.Timer, Node: -1, A: w.marks}, func() {})
		w.advances = append(w.advances, advance{until, resume})
		w.limit = w.limit.Add(d) // the test wants it to pass
	})
}

// levels are those of log lines, by their names in scripts.
func levels() []slog.Level {
	return []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
}

func levelOf(name string) (slog.Level, bool) {
	all := levels()
	i := slices.IndexFunc(all, func(l slog.Level) bool { return strings.EqualFold(l.String(), name) })
	if i < 0 {
		return 0, false
	}
	return all[i], true
}

// testLogs returns the lines logged so far, those of a level and above.
func testLogs(c *call) (starlark.Value, error) {
	var v starlark.Value = starlark.None
	if err := c.unpack("level?", &v); err != nil {
		return nil, err
	}
	least := slog.LevelDebug
	if v != starlark.None {
		name, _ := starlark.AsString(v)
		var ok bool
		if least, ok = levelOf(name); !ok {
			return nil, fmt.Errorf("%s: level: got %v, want debug, info, warn or error", c.name, v)
		}
	}
	var found []starlark.Value
	for _, l := range c.world.lines {
		if l.fact.Level >= least {
			found = append(found, l.fact.Value())
		}
	}
	return starlark.NewList(found), nil
}

// rowKey is the thread-local that says which row of a table is being tested.
const rowKey = "row"

// testTable calls a function for each row.
func testTable(c *call) (starlark.Value, error) {
	var rows starlark.Iterable
	var f starlark.Callable
	if err := c.unpack("rows", &rows, "f", &f); err != nil {
		return nil, err
	}
	outer := c.thread.Local(rowKey)
	defer c.thread.SetLocal(rowKey, outer)
	i := 0
	for row := range starlark.Elements(rows) {
		i++
		where := fmt.Sprintf("row %d: %v", i, row)
		c.thread.SetLocal(rowKey, where)
		args, kwargs, err := rowArgs(row)
		if err == nil {
			_, err = starlark.Call(c.thread, f, args, kwargs)
		}
		if err != nil {
			c.world.broken = brokenRow{err, where}
			return nil, err
		}
	}
	return starlark.None, nil
}

// brokenRow is a row of a table for which the function failed other than by an assertion.
type brokenRow struct {
	err   error
	where string
}

// rowOf is the row that an error comes from, "" if from none.
func (w *world) rowOf(err error) string {
	if w.broken.err != nil && errors.Is(err, w.broken.err) {
		return w.broken.where
	}
	return ""
}

// rowArgs are the arguments that a row stands for: a tuple or a list for positional ones, a dict for named ones, anything
// else for itself.
func rowArgs(row starlark.Value) (starlark.Tuple, []starlark.Tuple, error) {
	switch row := row.(type) {
	case starlark.Tuple:
		return row, nil, nil
	case *starlark.List:
		return slices.Collect(row.Elements()), nil, nil
	case *starlark.Dict:
		kwargs := row.Items()
		for _, kw := range kwargs {
			if _, ok := starlark.AsString(kw[0]); !ok {
				return nil, nil, fmt.Errorf("got a key of type %s, want the name of an argument", kw[0].Type())
			}
		}
		return nil, kwargs, nil
	}
	return starlark.Tuple{row}, nil, nil
}

// tolerance is a number, or a duration in seconds.
func tolerance(v starlark.Value) (float64, error) {
	if f, ok := starlark.AsFloat(v); ok {
		return f, nil
	}
	d, err := runtime.Duration(v)
	return d.Seconds(), err
}
