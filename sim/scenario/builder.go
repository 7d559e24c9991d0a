package scenario

import (
	"fmt"
	"path"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// method is one method of w. The thread is that of the script, for the place of the call.
type method func(b *builder, thread *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)

// methods is constant: what w offers.
var methods = []struct {
	name string
	call method
}{
	{"nodes", (*builder).addNodes},
	{"clients", (*builder).addClients},
	{"net", (*builder).addNet},
	{"clock", (*builder).addClock},
	{"pick", (*builder).pick},
	{"chance", (*builder).chance},
	{"between", (*builder).between},
}

// value is w itself.
func (b *builder) value() starlark.Value {
	members := starlark.StringDict{}
	for _, m := range methods {
		members[m.name] = starlark.NewBuiltin("w."+m.name,
			func(thread *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
				return m.call(b, thread, fn.Name(), args, kwargs)
			})
	}
	return &starlarkstruct.Module{Name: "w", Members: members}
}

func (b *builder) addNodes(thread *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	count, speed, cores := 1, quantity{unit: speeds, n: 100}, 1
	n := Node{Config: new(starlark.Dict), Pos: callerPos(thread)}
	var initArgs starlark.Value
	disk := diskArg{&n.Disk}
	if err := unpack(fn, args, kwargs, "name", &n.Group, "count?", &count, "main", &n.Main, "args?", &initArgs,
		"disk?", &disk, "speed?", &speed, "cores?", &cores, "config?", &n.Config); err != nil {
		return nil, err
	}
	n.Speed, n.Cores = int(speed.n), cores
	if n.Main == "" {
		return nil, fmt.Errorf(`%s: got no main, want the script of the first service such as main = "node.star"`, fn)
	}
	if cores < 1 || cores > maxGroup {
		return nil, fmt.Errorf("%s: got cores = %d, want 1 to %d", fn, cores, maxGroup)
	}
	n.Main = relative(n.Pos.Filename(), n.Main)
	n.Config.Freeze()
	var err error
	if n.Args, n.Kwargs, err = splitArgs(initArgs); err != nil {
		return nil, fmt.Errorf("%s: for parameter args: %w", fn, err)
	}
	names, tuple, err := b.claim(n.Group, count)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fn, err)
	}
	for _, n.Name = range names {
		b.world.Nodes = append(b.world.Nodes, n)
	}
	return tuple, nil
}

// speeds are constant: a node may be up to a hundred times faster than normal.
var speeds = &unit{want: "percent of the normal speed, from 1 to 10000", text: parsePercent, scale: 1, min: 1, max: 10_000, format: formatInt}

// splitArgs reads the arguments of a node's init: a dict of keyword arguments, or a list of positional ones.
func splitArgs(v starlark.Value) (starlark.Tuple, []starlark.Tuple, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil, nil
	case *starlark.Dict:
		v.Freeze()
		for _, pair := range v.Items() {
			if _, ok := starlark.AsString(pair[0]); !ok {
				return nil, nil, fmt.Errorf("got a key of type %s, want names", pair[0].Type())
			}
		}
		return nil, v.Items(), nil
	case *starlark.List:
		v.Freeze()
		args := make(starlark.Tuple, v.Len())
		for i := range args {
			args[i] = v.Index(i)
		}
		return args, nil, nil
	case starlark.Tuple:
		v.Freeze()
		return v, nil, nil
	}
	return nil, nil, fmt.Errorf("got %s, want a dict of keyword arguments or a list", v.Type())
}

// relative resolves a file name written in a script. Names that begin with "/" or "@" stay as they are.
func relative(script, name string) string {
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "@") {
		return name
	}
	return path.Join(path.Dir(script), name)
}

func (b *builder) addClients(_ *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := Client{Service: ".main"}
	count, where, pick := 1, patterns{"*"}, "random"
	timeout := quantity{unit: period, n: int64(2 * time.Second)}
	if err := unpack(fn, args, kwargs, "name", &c.Group, "count?", &count, "service?", &c.Service,
		"nodes?", &where, "timeout?", &timeout, "pick?", &pick); err != nil {
		return nil, err
	}
	if err := choose(pick, "random", "sticky"); err != nil {
		return nil, fmt.Errorf("%s: for parameter pick: %w", fn, err)
	}
	c.Timeout, c.Sticky = time.Duration(timeout.n), pick == "sticky"
	names, tuple, err := b.claim(c.Group, count)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fn, err)
	}
	for _, c.Name = range names {
		b.world.Clients = append(b.world.Clients, c)
		b.nodes = append(b.nodes, where)
	}
	return tuple, nil
}

func (b *builder) addNet(_ *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	r := netRule{
		from: patterns{"*"}, to: patterns{"*"}, loss: quantity{unit: rate}, duplicate: quantity{unit: rate},
		reorder: quantity{unit: rate}, bandwidth: quantity{unit: size},
	}
	var latency distArg
	if err := unpack(fn, args, kwargs, "nodes?", &r.from, "to?", &r.to, "latency?", &latency, "loss?", &r.loss,
		"duplicate?", &r.duplicate, "reorder?", &r.reorder, "bandwidth?", &r.bandwidth, "one_way?", &r.oneWay); err != nil {
		return nil, err
	}
	r.latency = latency.dist
	b.world.rules = append(b.world.rules, r)
	return starlark.None, nil
}

func (b *builder) addClock(_ *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var rule clockRule
	skew := spanOf{unit: signedSeconds}
	if err := unpack(fn, args, kwargs, "nodes", &rule.match, "skew", &skew); err != nil {
		return nil, err
	}
	rule.skew = skew.Span
	b.clocks = append(b.clocks, rule)
	return starlark.None, nil
}

func (b *builder) pick(_ *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var from starlark.Value
	if err := unpack(fn, args, kwargs, "choices", &from); err != nil {
		return nil, err
	}
	list, ok := from.(starlark.Indexable)
	if !ok || list.Len() == 0 {
		return nil, fmt.Errorf("%s: got %s, want a list or a text that is not empty", fn, from)
	}
	return list.Index(b.stream.IntN(list.Len())), nil
}

func (b *builder) chance(_ *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	p := quantity{unit: rate}
	if err := unpack(fn, args, kwargs, "p", &p); err != nil {
		return nil, err
	}
	return starlark.Bool(b.stream.Chance(uint32(p.n))), nil
}

func (b *builder) between(_ *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var lo, hi int
	if err := unpack(fn, args, kwargs, "low", &lo, "high", &hi); err != nil {
		return nil, err
	}
	if lo > hi {
		return nil, fmt.Errorf("%s: got %d and %d, want the smaller first", fn, lo, hi)
	}
	return starlark.MakeInt64(b.stream.Between(int64(lo), int64(hi))), nil
}

// newDisk is disk(…).
func newDisk(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	sync := spanOf{unit: seconds}
	var d Disk
	if err := unpack(fn, args, kwargs, "lose_unsynced?", &d.LoseUnsynced, "sync?", &sync); err != nil {
		return nil, err
	}
	d.Sync = sync.Span
	return &word{"disk", printDisk(d), d}, nil
}

func printDisk(d Disk) string {
	var args []string
	if d.LoseUnsynced {
		args = append(args, "lose_unsynced = True")
	}
	if d.Sync != (Span{}) {
		args = append(args, "sync = "+seconds.print(d.Sync))
	}
	return "disk(" + strings.Join(args, ", ") + ")"
}

type diskArg struct{ *Disk }

// Unpack reads the argument.
func (d *diskArg) Unpack(v starlark.Value) (err error) {
	plain, ok := unwrap[Disk](v)
	if !ok {
		return fmt.Errorf("got %s, want disk(...)", v.Type())
	}
	*d.Disk = plain
	return nil
}

// newDist is uniform(low, high), lognormal(median, p99) and exponential(mean).
func newDist(low, high string) builtin {
	return func(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		a, b := quantity{unit: seconds}, quantity{unit: seconds}
		params := []any{low, &a}
		if high != "" {
			params = append(params, high, &b)
		}
		if err := unpack(fn, args, kwargs, params...); err != nil {
			return nil, err
		}
		text := fmt.Sprintf("%s(%s)", fn, formatDuration(a.n))
		if high != "" {
			if b.n < a.n {
				return nil, fmt.Errorf("%s: got %s %s below %s %s", fn, high, formatDuration(b.n), low, formatDuration(a.n))
			}
			text = fmt.Sprintf("%s(%s, %s = %s)", fn, formatDuration(a.n), high, formatDuration(b.n))
		}
		return &word{"distribution", text, Dist{fn, time.Duration(a.n), time.Duration(b.n)}}, nil
	}
}

type distArg struct{ dist *Dist }

// Unpack reads a distribution, a duration, or a range, which is uniform.
func (d *distArg) Unpack(v starlark.Value) error {
	if plain, ok := unwrap[Dist](v); ok {
		d.dist = &plain
		return nil
	}
	s, err := seconds.span(v)
	d.dist = &Dist{"fixed", time.Duration(s.Lo), time.Duration(s.Hi)}
	if s.Lo != s.Hi {
		d.dist.Shape = "uniform"
	}
	return err
}
