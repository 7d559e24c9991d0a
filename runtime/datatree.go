package runtime

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"
)

// This file is the two trees of the datacenter: of values, and of those who wait for them. Neither has a lock of its own.

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
	waitRef
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

// showPath prints a path as its elements are written.
func showPath(path []string) string {
	parts := make([]string, len(path))
	for i, name := range path {
		parts[i] = starlark.String(name).String()
	}
	return strings.Join(parts, ", ")
}
