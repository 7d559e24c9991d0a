package runtime

import (
	"go.starlark.net/starlark"
)

// skynetAbort asks for the end of the node. It returns: the node stops in order, and what is in flight may finish.
func skynetAbort(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var why string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "why?", &why); err != nil {
		return nil, err
	}
	return starlark.None, co.abort(b.Name(), why)
}

// abort tells the owner of the node, once, that a service wants it to end.
func (co *coroutine) abort(word, why string) error {
	n := co.svc.node
	if err := co.mayUse("abort"); err != nil {
		return err
	}
	if n.abort == nil {
		return callErrorf(Denied, false, "%s: node %s is not to be ended by its services", word, n.name)
	}
	if n.stopped.Load() || n.aborted.Swap(true) {
		return nil // it ends already
	}
	co.charge()
	co.log(levelWarn, "abort: the node is to end", "why", headOf(why))
	n.abort(why)
	return nil
}
