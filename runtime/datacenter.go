package runtime

import (
	"cmp"
	"fmt"
	"slices"
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
	id := co.svc.addWait(otherWait, co, nil, co.deadlineFor(cmp.Or(timeout, co.svc.limits.Call)))
	w := &dataWait{waitRef: waitRef{co.svc, id}, order: t.order}
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
	if err == nil {
		if err = checkPath(path, 0); err != nil {
			err = fmt.Errorf("%s: %w", b.Name(), err)
		}
	}
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
