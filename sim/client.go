package sim

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/trace"
	"skynet/sim/history"
	"skynet/sim/scenario"
)

// workService is the name under which a client's node knows the service that does the work.
const workService = "work"

// client is one process that runs work(c). Its numbers go on after a restart of its machine, which starts the work anew.
type client struct {
	machine *machine
	spec    *scenario.Client
	index   int // among all clients of the scenario
	stream  *sched.Stream
	fresh   int    // how many values fresh() has given
	sticky  string // the node it keeps to
	done    bool
}

func newClient(w *world, index int32, number int, spec *scenario.Client) *client {
	c := &client{spec: spec, index: number, stream: w.step.Stream("client", spec.Name)}
	c.machine = &machine{world: w, index: index, name: spec.Name, client: c}
	return c
}

// handler makes the service that does the work.
func (c *client) handler() runtime.Handler { return worker{c} }

type worker struct{ *client }

// Init starts the work, which goes on after it, unless it was done, or out of time, when the machine crashed.
func (w worker) Init(ctx *runtime.Context, _ starlark.Tuple, _ []starlark.Tuple) error {
	if !w.done && !w.machine.world.clientsDone {
		ctx.Fork("work", w.run)
	}
	return nil
}

// Handle refuses every command: nobody calls a client.
func (w worker) Handle(_ *runtime.Context, command string, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	return nil, fmt.Errorf("client %s: got command %q, want none: clients only call", w.spec.Name, command)
}

// run does the work in a module instance of its own.
func (c *client) run(ctx *runtime.Context) error {
	w, boot := c.machine.world, c.machine.boots
	err := c.work(ctx.Thread())
	if c.machine.node == nil || c.machine.boots != boot {
		return nil // the machine has crashed
	}
	if err != nil {
		w.judge.workFailed(c.spec.Name, err)
	}
	if !c.done {
		c.done = true
		w.working--
		w.attention = true
	}
	return nil
}

func (c *client) work(thread *starlark.Thread) error {
	s := c.machine.world.sim
	globals, err := s.Scenario.Instantiate(thread, s.predeclared)
	if err != nil {
		return err
	}
	_, err = starlark.Call(thread, globals[workService], starlark.Tuple{c.value()}, nil)
	return err
}

// value is the c of work(c).
func (c *client) value() starlark.Value {
	members := make(starlark.StringDict, len(clientWords)+2)
	members["name"] = starlark.String(c.spec.Name)
	members["index"] = starlark.MakeInt(c.index)
	for _, word := range clientWords {
		members[word.name] = starlark.NewBuiltin("c."+word.name,
			func(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
				ctx, err := runtime.ContextOf(th)
				if err != nil {
					return nil, err
				}
				return word.call(c, ctx, b.Name(), args, kwargs)
			})
	}
	return starlarkstruct.FromStringDict(starlark.String("c"), members)
}

type clientWord func(c *client, ctx *runtime.Context, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)

// clientWords is constant: the methods of c.
var clientWords = []struct {
	name string
	call clientWord
}{
	{"op", (*client).op},
	{"call", (*client).callOnly},
	{"pick", (*client).pick},
	{"chance", (*client).chance},
	{"int", (*client).between},
	{"fresh", (*client).newValue},
	{"sleep", (*client).sleep},
	{"now", (*client).now},
	{"log", (*client).log},
}

// request is what op and call are told.
type request struct {
	command string
	args    starlark.Tuple
	kwargs  []starlark.Tuple // for the service
	node    string
	timeout time.Duration
}

// parse splits the arguments of op and call, and draws the node if none is given.
func (c *client) parse(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (r request, err error) {
	if len(args) == 0 {
		return r, fmt.Errorf("%s: got no operation, want its name", fn)
	}
	command, ok := starlark.AsString(args[0])
	if !ok {
		return r, fmt.Errorf("%s: operation: got %s, want string", fn, args[0].Type())
	}
	r = request{command: command, args: args[1:], timeout: c.spec.Timeout}
	for _, kw := range kwargs {
		switch name := string(kw[0].(starlark.String)); {
		case name == "node" && kw[1] != starlark.None:
			if r.node, ok = starlark.AsString(kw[1]); !ok || !slices.Contains(c.spec.Nodes, r.node) {
				return r, fmt.Errorf("%s: node: got %s, want one of %s", fn, kw[1], strings.Join(c.spec.Nodes, ", "))
			}
		case name == "timeout" && kw[1] != starlark.None:
			if r.timeout, err = runtime.Duration(kw[1]); err == nil && r.timeout <= 0 {
				err = fmt.Errorf("got %s, want more than 0", kw[1])
			}
			if err != nil {
				return r, fmt.Errorf("%s: timeout: %w", fn, err)
			}
		case name != "node" && name != "timeout":
			r.kwargs = append(r.kwargs, kw)
		}
	}
	if r.node == "" {
		r.node = c.choose()
	}
	return r, nil
}

// choose is the node of the next operation.
func (c *client) choose() string {
	if c.spec.Sticky && c.sticky != "" {
		return c.sticky
	}
	node := c.spec.Nodes[0]
	if n := len(c.spec.Nodes); n > 1 {
		node = c.spec.Nodes[c.stream.IntN(n)]
	}
	c.sticky = node
	return node
}

// send does the request. A failed call is a result, what is wrong with the script is an error.
func (c *client) send(ctx *runtime.Context, fn string, r request) (starlark.Value, *runtime.CallError, error) {
	v, err := ctx.CallNode(r.node, c.spec.Service, r.command, r.args, r.kwargs, r.timeout)
	var failed *runtime.CallError
	if errors.As(err, &failed) {
		c.sticky = ""
		return nil, failed, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", fn, err)
	}
	return v, nil, nil
}

// op does an operation and records it: its outcome is ok with the service's result, fail if the request certainly had no
// effect, and unknown otherwise. An operation that its client did not live to see the end of stays open.
func (c *client) op(ctx *runtime.Context, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	r, err := c.parse(fn, args, kwargs)
	if err != nil {
		return nil, err
	}
	if len(r.kwargs) > 0 {
		return nil, fmt.Errorf("%s: unexpected keyword argument %s: histories have positional arguments only", fn, r.kwargs[0][0])
	}
	recorded := make([]history.Value, len(r.args))
	for i, arg := range r.args {
		if recorded[i], err = history.FromStarlark(arg); err != nil {
			return nil, fmt.Errorf("%s: argument %d of %q: %w", fn, i+1, r.command, err)
		}
	}
	w := c.machine.world
	h := w.recorder.Begin(c.spec.Name, r.command, recorded, int64(ctx.Now()))
	w.opBegins(c, h, r.command, recorded)
	v, failed, err := c.send(ctx, fn, r)
	if err != nil {
		return nil, err
	}
	outcome, result, reason := history.OK, history.Null, ""
	switch {
	case failed != nil && failed.Maybe:
		outcome, reason = history.Unknown, failed.Error()
	case failed != nil:
		outcome, reason = history.Fail, failed.Error()
	default:
		if result, err = history.FromStarlark(v); err != nil {
			return nil, fmt.Errorf("%s: result of %q: %w", fn, r.command, err)
		}
	}
	w.recorder.End(h, outcome, result, reason, int64(ctx.Now()))
	w.opEnds(c, h, outcome, result, reason)
	return newResult(v, failed), nil
}

// opBegins and opEnds tell the trace and the picture.
func (w *world) opBegins(c *client, h history.Handle, command string, args []history.Value) {
	w.opEvents++
	w.latest = max(w.latest, w.step.Now())
	var text strings.Builder
	text.WriteString(command + "(")
	for i, arg := range args {
		text.WriteString([]string{"", ", "}[min(i, 1)])
		text.WriteString(string(arg))
	}
	text.WriteString(")")
	w.trace.AddText(int64(w.step.Now()), trace.Op, c.machine.index, uint64(w.recorder.Process(h)), 0, text.String())
	w.diagram.opBegins(w.step.Now(), c.machine.index, int(h), text.String())
}

func (w *world) opEnds(c *client, h history.Handle, outcome history.Outcome, result history.Value, reason string) {
	w.opEvents++
	w.latest = max(w.latest, w.step.Now())
	text := reason
	if outcome == history.OK {
		text = string(result)
	}
	w.trace.AddText(int64(w.step.Now()), trace.Op, c.machine.index, uint64(w.recorder.Process(h)), 1, text)
	w.diagram.opEnds(w.step.Now(), int(h), outcome, text)
}

// newResult is what op and call return: result(ok, value, error).
func newResult(v starlark.Value, failed *runtime.CallError) starlark.Value {
	var reason starlark.Value = starlark.None
	if failed != nil {
		v, reason = starlark.None, runtime.NewErrorValue(failed)
	}
	return starlarkstruct.FromKeywords(starlark.String("result"), []starlark.Tuple{
		{starlark.String("ok"), starlark.Bool(failed == nil)}, {starlark.String("value"), v}, {starlark.String("error"), reason},
	})
}

// callOnly is op without a record, and with keyword arguments for the service.
func (c *client) callOnly(ctx *runtime.Context, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	r, err := c.parse(fn, args, kwargs)
	if err != nil {
		return nil, err
	}
	v, failed, err := c.send(ctx, fn, r)
	if err != nil {
		return nil, err
	}
	return newResult(v, failed), nil
}

func (c *client) pick(_ *runtime.Context, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var from starlark.Value
	if err := starlark.UnpackArgs(fn, args, kwargs, "choices", &from); err != nil {
		return nil, err
	}
	list, ok := from.(starlark.Indexable)
	if !ok || list.Len() == 0 {
		return nil, fmt.Errorf("%s: got %s, want a list or a text that is not empty", fn, from)
	}
	return list.Index(c.stream.IntN(list.Len())), nil
}

func (c *client) chance(_ *runtime.Context, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var p starlark.Value
	if err := starlark.UnpackArgs(fn, args, kwargs, "p", &p); err != nil {
		return nil, err
	}
	f, ok := starlark.AsFloat(p)
	if !ok || !(f >= 0 && f <= 1) {
		return nil, fmt.Errorf("%s: got %s, want a probability from 0 to 1", fn, p)
	}
	return starlark.Bool(c.stream.Chance(uint32(math.Round(f * 1e6)))), nil
}

func (c *client) between(_ *runtime.Context, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var lo, hi int64
	if err := starlark.UnpackArgs(fn, args, kwargs, "low", &lo, "high", &hi); err != nil {
		return nil, err
	}
	if lo > hi || hi-lo < 0 {
		return nil, fmt.Errorf("%s: got %d to %d, want the smaller first", fn, lo, hi)
	}
	return starlark.MakeInt64(c.stream.Between(lo, hi)), nil
}

// newValue is fresh(): the client's name and a number, so that no two are equal in a run, and none depends on what other
// clients do.
func (c *client) newValue(_ *runtime.Context, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c.fresh++
	return starlark.String(c.spec.Name + "." + strconv.Itoa(c.fresh)), starlark.UnpackArgs(fn, args, kwargs)
}

func (c *client) sleep(ctx *runtime.Context, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(fn, args, kwargs, "duration", &v); err != nil {
		return nil, err
	}
	d, err := runtime.Duration(v)
	if err == nil && d < 0 {
		err = fmt.Errorf("got %s, want at least 0", v)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fn, err)
	}
	return starlark.None, ctx.Sleep(d)
}

func (c *client) now(ctx *runtime.Context, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return seconds(ctx.Now()), starlark.UnpackArgs(fn, args, kwargs)
}

func (c *client) log(ctx *runtime.Context, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var message string
	if err := starlark.UnpackPositionalArgs(fn, args, nil, 1, &message); err != nil {
		return nil, err
	}
	attrs := make([]any, 0, 2*len(kwargs))
	for _, kw := range kwargs {
		attrs = append(attrs, string(kw[0].(starlark.String)), kw[1])
	}
	ctx.Log(message, attrs...)
	return starlark.None, nil
}

// seconds is how scripts see a time.
func seconds(t sched.Time) starlark.Value { return starlark.Float(time.Duration(t).Seconds()) }
