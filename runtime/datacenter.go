package runtime

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime/wire"
	"skynet/sched"
)

// datacenter is a node's tree of values, and who waits for them. Reading takes the lock too: a branch must be of one moment.
type datacenter struct {
	mu      sync.Mutex
	root    dataNode
	waiting waitNode
	order   uint64 // of waits
}

// dataNode is a leaf, which has a value, or a branch, which has children. Only the root may have neither.
type dataNode struct {
	value    starlark.Value // frozen
	children map[string]*dataNode
}

// find goes down a path as far as there is something; it returns where it came to, and how many steps it went.
func (d *dataNode) find(path []string) (at *dataNode, steps int) {
	for at = d; steps < len(path); steps++ {
		next := at.children[path[steps]]
		if next == nil {
			break
		}
		at = next
	}
	return at, steps
}

// get returns what is at a path: a value, or a dict of what is below; nil if there is nothing.
func (d *dataNode) get(path []string) starlark.Value {
	at, steps := d.find(path)
	if steps < len(path) {
		return nil
	}
	v := at.export()
	v.Freeze()
	return v
}

// export is a leaf's value, or a dict of a branch, in the order of the names.
func (d *dataNode) export() starlark.Value {
	if d.value != nil {
		return d.value
	}
	out := starlark.NewDict(len(d.children))
	for _, name := range slices.Sorted(maps.Keys(d.children)) {
		_ = out.SetKey(starlark.String(name), d.children[name].export()) // a string is hashable, the dict is ours
	}
	return out
}

// obstacle says why there can be no value at a path.
func (d *dataNode) obstacle(path []string) error {
	at, steps := d.find(path)
	switch {
	case steps < len(path) && at.value != nil:
		return belowValue(path[:steps])
	case steps == len(path) && at.value == nil:
		return isBranch(path)
	}
	return nil
}

func belowValue(leaf []string) error {
	return fmt.Errorf("%s is a value: nothing can be below it", showPath(leaf))
}

func isBranch(path []string) error {
	return fmt.Errorf("%s is a branch: there are values below it", showPath(path))
}

// set puts a value where no obstacle is and returns the one before, or nil.
func (d *dataNode) set(path []string, v starlark.Value) (old starlark.Value) {
	at := d
	for _, name := range path {
		next := at.children[name]
		if next == nil {
			next = &dataNode{}
			if at.children == nil {
				at.children = make(map[string]*dataNode)
			}
			at.children[name] = next
		}
		at = next
	}
	old, at.value = at.value, v
	return old
}

// delete removes what is at a path, and the branches that have nothing left, and returns it; nil if there is nothing.
func (d *dataNode) delete(path []string) (gone *dataNode) {
	child := d.children[path[0]]
	switch {
	case child == nil:
		return nil
	case len(path) == 1:
		gone = child
	default:
		if gone = child.delete(path[1:]); gone == nil || len(child.children) > 0 {
			return gone
		}
	}
	delete(d.children, path[0])
	return gone
}

// waitNode is who waits for a path, and for those below it.
type waitNode struct {
	waiting  []*dataWait
	children map[string]*waitNode
}

// dataWait is a coroutine that waits for a value. Value and err are set, under the lock, before it is woken.
type dataWait struct {
	query
	order uint64
	value starlark.Value
	err   error
}

func (n *waitNode) add(path []string, w *dataWait) {
	for _, name := range path {
		next := n.children[name]
		if next == nil {
			next = &waitNode{}
			if n.children == nil {
				n.children = make(map[string]*waitNode)
			}
			n.children[name] = next
		}
		n = next
	}
	n.waiting = append(n.waiting, w)
}

// forget removes a wait, unless it has been taken, and what is empty on its path.
func (n *waitNode) forget(path []string, w *dataWait) {
	if len(path) == 0 {
		n.waiting = slices.DeleteFunc(n.waiting, func(other *dataWait) bool { return other == w })
		return
	}
	child := n.children[path[0]]
	if child == nil {
		return
	}
	child.forget(path[1:], w)
	if len(child.waiting)+len(child.children) == 0 {
		delete(n.children, path[0])
	}
}

// take removes the waits of one path.
func (n *waitNode) take() (taken []*dataWait) {
	taken, n.waiting = n.waiting, nil
	return taken
}

// takeBelow removes the waits of all paths below.
func (n *waitNode) takeBelow() (taken []*dataWait) {
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		child := n.children[name]
		taken = append(append(taken, child.take()...), child.takeBelow()...)
	}
	return taken
}

// wake tells those whom a new value concerns, in the order of their coming: who waits for it, and who waits for a path above
// or below, where no value can come any more.
func (d *datacenter) wake(turn *sched.Turn, path []string, v starlark.Value) {
	var woken []*dataWait
	at, steps := &d.waiting, 0
	for ; at != nil && steps < len(path); steps++ {
		for _, w := range at.take() {
			w.err = isBranch(path[:steps])
			woken = append(woken, w)
		}
		at = at.children[path[steps]]
	}
	if at != nil {
		for _, w := range at.take() {
			w.value = v
			woken = append(woken, w)
		}
		for _, w := range at.takeBelow() {
			w.err = belowValue(path)
			woken = append(woken, w)
		}
	}
	slices.SortFunc(woken, func(a, b *dataWait) int { return cmp.Compare(a.order, b.order) })
	for _, w := range woken {
		w.svc.answer(turn, uint64(w.id), starlark.True, nil)
	}
}

// showPath prints a path as its elements are written.
func showPath(path []string) string {
	parts := make([]string, len(path))
	for i, name := range path {
		parts[i] = starlark.String(name).String()
	}
	return strings.Join(parts, ", ")
}

// maxPath bounds how deep the tree is: a branch must be sendable.
const maxPath = wire.MaxDepth / 2

// checkPath refuses paths that nothing can be at.
func checkPath(path []string, least int) error {
	switch {
	case len(path) < least:
		return fmt.Errorf("got no path, want at least one name")
	case len(path) > maxPath:
		return fmt.Errorf("got a path of %d names, want at most %d", len(path), maxPath)
	}
	if i := slices.Index(path, ""); i >= 0 {
		return fmt.Errorf("name %d of the path is empty", i+1)
	}
	return nil
}

// Datacenter is the tree of values that all services of a node share: the module datacenter of scripts, for the handler whose
// [Context] it was asked of. A path leads to a value or to a branch, never to both.
type Datacenter struct{ co *coroutine }

// Datacenter gives access to the node's tree of values.
func (c *Context) Datacenter() Datacenter { return Datacenter{c.co} }

func (d Datacenter) tree() *datacenter { return &d.co.svc.node.datacenter }

// Set puts a copy of the value at a path, wakes those who wait for it, and returns the value before, or nil. It fails if the
// path leads to a branch or through a value, and if the value cannot be sent in a message.
func (d Datacenter) Set(value starlark.Value, path ...string) (old starlark.Value, err error) {
	const word = "datacenter.set"
	if err := checkPath(path, 1); err != nil {
		return nil, fmt.Errorf("%s: %w", word, err)
	}
	copied, err := wire.Copy(value)
	if err != nil {
		return nil, fmt.Errorf("%s: value of %s: %w", word, showPath(path), err)
	}
	copied.Freeze()
	d.co.charge()
	t := d.tree()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.root.obstacle(path); err != nil {
		return nil, fmt.Errorf("%s: %w", word, err)
	}
	old = t.root.set(path, copied)
	t.wake(d.co.svc.turn, path, copied)
	return old, nil
}

// Get returns the value at a path, or a dict of the branch there; nil if there is nothing. It is frozen. Without a path it is
// the whole tree. A value costs as many steps as its path has names, a branch its size.
func (d Datacenter) Get(path ...string) starlark.Value {
	t := d.tree()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.root.get(path)
}

// Delete removes the value or the branch at a path and returns it as Get does. Who waits there goes on waiting.
func (d Datacenter) Delete(path ...string) (old starlark.Value, err error) {
	if err := checkPath(path, 1); err != nil {
		return nil, fmt.Errorf("datacenter.delete: %w", err)
	}
	t := d.tree()
	t.mu.Lock()
	defer t.mu.Unlock()
	gone := t.root.delete(path)
	if gone == nil {
		return nil, nil
	}
	return gone.get(nil), nil
}

// Wait returns the value at a path; if there is none it suspends the handler until somebody sets one, and fails with [Timeout]
// at the latest when the timeout (0 means the node's default for calls) is over. It fails if the path is or becomes a
// branch, or leads through a value.
func (d Datacenter) Wait(timeout time.Duration, path ...string) (starlark.Value, error) {
	const word = "datacenter.wait"
	if err := checkPath(path, 1); err != nil {
		return nil, fmt.Errorf("%s: %w", word, err)
	}
	w, v, err := d.await(timeout, path)
	if w != nil {
		_, err = d.co.block("wait", "datacenter "+showPath(path))
		d.forget(path, w) // from here on nobody writes to it
		if v = w.value; err == nil {
			err = w.err
		}
	}
	switch {
	case err == errKilled:
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%s: %w", word, err)
	case v == nil:
		return nil, callErrorf(Timeout, false, "%s: nobody has set %s in time", word, showPath(path))
	}
	return v, nil
}

// await returns the value at a path or, if there is none, a wait that has begun.
func (d Datacenter) await(timeout time.Duration, path []string) (*dataWait, starlark.Value, error) {
	co, t := d.co, d.tree()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.root.obstacle(path); err != nil {
		return nil, nil, err
	}
	if v := t.root.get(path); v != nil {
		return nil, v, nil
	}
	t.order++
	id := co.svc.addWait(co, nil, co.deadlineFor(cmp.Or(timeout, co.svc.node.limits.Call)))
	w := &dataWait{query: query{co.svc, id}, order: t.order}
	t.waiting.add(path, w)
	return w, nil, nil
}

// forget ends a wait.
func (d Datacenter) forget(path []string, w *dataWait) {
	t := d.tree()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting.forget(path, w)
}

func datacenterLibrary() *library {
	return newLibrary(
		"datacenter",
		member{"get", datacenterGet},
		member{"set", datacenterSet},
		member{"wait", datacenterWait},
		member{"delete", datacenterDelete},
	)
}

// pathOf makes a path of arguments.
func pathOf(b *starlark.Builtin, args starlark.Tuple) ([]string, error) {
	path := make([]string, len(args))
	for i, v := range args {
		name, ok := starlark.AsString(v)
		if !ok {
			return nil, fmt.Errorf("%s: name %d of the path: got %s, want string", b.Name(), i+1, v.Type())
		}
		path[i] = name
	}
	return path, nil
}

// orNone is how scripts see a missing value.
func orNone(v starlark.Value, err error) (starlark.Value, error) {
	if v == nil && err == nil {
		v = starlark.None
	}
	return v, err
}

func datacenterGet(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var otherwise starlark.Value = starlark.None
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs, "default?", &otherwise); err != nil {
		return nil, err
	}
	path, err := pathOf(b, args)
	if err != nil {
		return nil, err
	}
	if v := (Datacenter{co}).Get(path...); v != nil {
		return v, nil
	}
	return otherwise, nil
}

func datacenterSet(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs); err != nil {
		return nil, err
	}
	if len(args) < 2 {
		return nil, fmt.Errorf("%s: got %d arguments, want a path and a value", b.Name(), len(args))
	}
	last := len(args) - 1
	path, err := pathOf(b, args[:last])
	if err != nil {
		return nil, err
	}
	return orNone(Datacenter{co}.Set(args[last], path...))
}

func datacenterWait(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs); err != nil {
		return nil, err
	}
	path, err := pathOf(b, args)
	if err != nil {
		return nil, err
	}
	return Datacenter{co}.Wait(timeout, path...)
}

func datacenterDelete(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs); err != nil {
		return nil, err
	}
	path, err := pathOf(b, args)
	if err != nil {
		return nil, err
	}
	return orNone(Datacenter{co}.Delete(path...))
}
