package sim

import (
	"fmt"
	"path"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/sched"
	"skynet/sim/history"
)

// view is the s of predicates: the state of the world between two of its actions. It must be read only.
type view struct {
	world   *world
	methods map[string]starlark.Value
	ops     []starlark.Value // the history as it was last asked for
	opsAt   int              // how many events the history had then
}

// viewMethods is constant.
var viewMethods = []struct {
	name string
	call func(v *view, th *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)
}{
	{"nodes", (*view).nodes},
	{"up", (*view).up},
	{"facts", (*view).facts},
	{"count", (*view).count},
	{"same", (*view).same},
	{"max_count", (*view).maxCount},
}

func newView(w *world) *view {
	v := &view{world: w, methods: make(map[string]starlark.Value, len(viewMethods))}
	for _, m := range viewMethods {
		v.methods[m.name] = starlark.NewBuiltin("s."+m.name,
			func(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
				return m.call(v, th, b.Name(), args, kwargs)
			})
	}
	return v
}

func (v *view) String() string        { return "s" }
func (v *view) Type() string          { return "view" }
func (v *view) Freeze()               {}
func (v *view) Truth() starlark.Bool  { return true }
func (v *view) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: view") }

func (v *view) AttrNames() []string {
	return []string{"clients", "count", "facts", "history", "max_count", "nodes", "now", "same", "up"}
}

// Attr returns a method, or now (seconds since the start), history and clients.
func (v *view) Attr(name string) (starlark.Value, error) {
	switch name {
	case "now":
		return seconds(max(v.world.latest, v.world.step.Now())), nil
	case "history":
		return v.history(), nil
	case "clients":
		return v.clients(), nil
	}
	if m, ok := v.methods[name]; ok {
		return m, nil
	}
	return nil, nil
}

func frozenList(elems []starlark.Value) starlark.Value {
	l := starlark.NewList(elems[:len(elems):len(elems)])
	l.Freeze()
	return l
}

func (v *view) matching(fn string, args starlark.Tuple, kwargs []starlark.Tuple, only func(*machine) bool) (starlark.Value, error) {
	pattern := "*"
	if err := starlark.UnpackArgs(fn, args, kwargs, "pattern?", &pattern); err != nil {
		return nil, err
	}
	var found []starlark.Value
	for _, m := range v.world.nodes {
		ok, err := path.Match(pattern, m.name)
		if err != nil {
			return nil, fmt.Errorf("%s: got %q, which is no pattern; want one such as \"n*\"", fn, pattern)
		}
		if ok && only(m) {
			found = append(found, nodeView{m})
		}
	}
	return frozenList(found), nil
}

func (v *view) nodes(_ *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return v.matching(fn, args, kwargs, func(*machine) bool { return true })
}

func (v *view) up(_ *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return v.matching(fn, args, kwargs, func(m *machine) bool { return m.ready })
}

func (v *view) facts(_ *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	if err := starlark.UnpackArgs(fn, args, kwargs, "name", &name); err != nil {
		return nil, err
	}
	return frozenList(v.world.log.facts[name].list()), nil
}

func (v *view) count(_ *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	if err := starlark.UnpackArgs(fn, args, kwargs, "name", &name); err != nil {
		return nil, err
	}
	return starlark.MakeInt(v.world.log.facts[name].count()), nil
}

// same tells whether all items are equal: by themselves, by a field, or by what a function makes of them.
func (v *view) same(th *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var items starlark.Iterable
	var by starlark.Value = starlark.None
	if err := starlark.UnpackArgs(fn, args, kwargs, "items", &items, "by?", &by); err != nil {
		return nil, err
	}
	var first starlark.Value
	for item := range starlark.Elements(items) {
		value, err := project(th, fn, item, by)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = value
			continue
		}
		if equal, err := starlark.Equal(first, value); err != nil || !equal {
			return starlark.False, err
		}
	}
	return starlark.True, nil
}

// maxCount is how many of the items, at most, have the same value of a field; with of, how many different values of that
// other field they have.
func (v *view) maxCount(th *starlark.Thread, fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var items starlark.Iterable
	var by, of starlark.Value = starlark.None, starlark.None
	if err := starlark.UnpackArgs(fn, args, kwargs, "items", &items, "by", &by, "of?", &of); err != nil {
		return nil, err
	}
	most, number := 0, 0
	var groups starlark.Dict // value -> set of what is counted
	for item := range starlark.Elements(items) {
		key, err := project(th, fn, item, by)
		if err != nil {
			return nil, err
		}
		number++
		var counted starlark.Value = starlark.MakeInt(number)
		if of != starlark.None {
			if counted, err = project(th, fn, item, of); err != nil {
				return nil, err
			}
		}
		group, found, err := groups.Get(key)
		if err != nil {
			return nil, fmt.Errorf("%s: by: %w", fn, err)
		}
		if !found {
			group = starlark.NewSet(1)
			if err := groups.SetKey(key, group); err != nil {
				return nil, fmt.Errorf("%s: by: %w", fn, err)
			}
		}
		if err := group.(*starlark.Set).Insert(counted); err != nil {
			return nil, fmt.Errorf("%s: of: %w", fn, err)
		}
		most = max(most, group.(*starlark.Set).Len())
	}
	return starlark.MakeInt(most), nil
}

// project takes from an item what by names: a field of a fact or an operation, a global of a node's main service (called, if
// it is a function), an entry of a dict; or what the function by returns for it.
func project(th *starlark.Thread, fn string, item, by starlark.Value) (starlark.Value, error) {
	if by == starlark.None {
		return item, nil
	}
	if f, ok := by.(starlark.Callable); ok {
		return starlark.Call(th, f, starlark.Tuple{item}, nil)
	}
	name, ok := starlark.AsString(by)
	if !ok {
		return nil, fmt.Errorf("%s: got %s, want the name of a field or a function", fn, by.Type())
	}
	if node, ok := item.(nodeView); ok {
		value, err := stateView(node).Attr(name)
		if f, ok := value.(*starlark.Function); ok && err == nil {
			return starlark.Call(th, f, nil, nil)
		}
		return value, err
	}
	if mapping, ok := item.(starlark.Mapping); ok {
		value, found, err := mapping.Get(by)
		if err == nil && !found {
			err = fmt.Errorf("%s: got no entry %s", fn, by)
		}
		return value, err
	}
	if attrs, ok := item.(starlark.HasAttrs); ok {
		if value, err := attrs.Attr(name); err != nil || value != nil {
			return value, err
		}
	}
	return nil, fmt.Errorf("%s: got %s without a field %q", fn, item.Type(), name)
}

// history is the list of the operations so far.
func (v *view) history() starlark.Value {
	if n := v.world.opEvents; n != v.opsAt || v.ops == nil {
		v.opsAt, v.ops = n, v.ops[:0:0]
		for _, op := range v.world.recorder.History().Operations {
			v.ops = append(v.ops, opView(op))
		}
	}
	return frozenList(v.ops)
}

func opView(op history.Operation) starlark.Value {
	args := make(starlark.Tuple, len(op.Args))
	for i, arg := range op.Args {
		args[i] = arg.Starlark()
		args[i].Freeze()
	}
	var returned starlark.Value = starlark.None
	if op.Return != history.Open {
		returned = seconds(sched.Time(op.ReturnTime))
	}
	value := op.Value.Starlark()
	value.Freeze()
	return starlarkstruct.FromStringDict(starlark.String("op"), starlark.StringDict{
		"client": starlark.String(op.Client), "op": starlark.String(op.Op), "args": args, "value": value,
		"outcome": starlark.String(op.Outcome.String()), "error": starlark.String(op.Error),
		"called": seconds(sched.Time(op.CallTime)), "returned": returned,
	})
}

// clients is the list of the clients, with name and done.
func (v *view) clients() starlark.Value {
	var all []starlark.Value
	for _, c := range v.world.clients {
		all = append(all, starlarkstruct.FromStringDict(starlark.String("client"), starlark.StringDict{
			"name": starlark.String(c.spec.Name), "done": starlark.Bool(c.done),
		}))
	}
	return frozenList(all)
}

// nodeView is a node as predicates see it.
type nodeView struct{ machine *machine }

func (n nodeView) String() string        { return n.machine.name }
func (n nodeView) Type() string          { return "node" }
func (n nodeView) Freeze()               {}
func (n nodeView) Truth() starlark.Bool  { return true }
func (n nodeView) Hash() (uint32, error) { return starlark.String(n.machine.name).Hash() }
func (n nodeView) AttrNames() []string   { return []string{"get", "name", "state", "up"} }

// Attr returns name; up: whether the node runs and its main service is initialised; state: that service's globals, each of
// them None while it has none; get(name, default): one of them, if it is there.
func (n nodeView) Attr(name string) (starlark.Value, error) {
	switch name {
	case "name":
		return starlark.String(n.machine.name), nil
	case "up":
		return starlark.Bool(n.machine.ready), nil
	case "state":
		return stateView(n), nil
	case "get":
		return starlark.NewBuiltin("get", n.get), nil
	}
	return nil, nil
}

func (n nodeView) get(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	var def starlark.Value = starlark.None
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name, "default?", &def); err != nil {
		return nil, err
	}
	if v, ok := n.machine.globals()[name]; ok {
		return v, nil
	}
	return def, nil
}

// stateView is the globals of a node's main service.
type stateView struct{ machine *machine }

func (s stateView) String() string        { return s.machine.name + ".state" }
func (s stateView) Type() string          { return "state" }
func (s stateView) Freeze()               {}
func (s stateView) Truth() starlark.Bool  { return s.machine.globals() != nil }
func (s stateView) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: state") }
func (s stateView) AttrNames() []string   { return s.machine.globals().Keys() }

// Attr returns a global.
func (s stateView) Attr(name string) (starlark.Value, error) {
	globals := s.machine.globals()
	if globals == nil {
		return starlark.None, nil
	}
	if v, ok := globals[name]; ok {
		return v, nil
	}
	return nil, starlark.NoSuchAttrError(fmt.Sprintf("%s has no global %q", s.machine.spec.Main, name))
}
