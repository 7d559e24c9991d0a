package runtime

import (
	"errors"
	"fmt"

	"go.starlark.net/starlark"

	"skynet/runtime/wire"
)

// skynetGetenv reads a setting of the node: what its configuration or a service has set.
func skynetGetenv(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var key string
	var def starlark.Value = starlark.None
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "key", &key, "default?", &def); err != nil {
		return nil, err
	}
	if v, ok := co.svc.node.env.Load(key); ok {
		return v.(starlark.Value), nil
	}
	return def, nil
}

// skynetSetenv sets a key that has not been set, as in Skynet: what one service has read, no other changes behind its back.
func skynetSetenv(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var key string
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "key", &key, "value", &v); err != nil {
		return nil, err
	}
	if err := co.mayUse("setenv"); err != nil {
		return nil, err
	}
	if err := co.svc.node.setenv(key, v); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.None, nil
}

func (n *Node) setenv(key string, v starlark.Value) error {
	if key == "" {
		return errors.New("key: got an empty string, want a name")
	}
	v, err := wire.Copy(v)
	if err != nil {
		return err
	}
	v.Freeze()
	if old, taken := n.env.LoadOrStore(key, v); taken {
		return fmt.Errorf("%q is set already, to %s", key, old)
	}
	return nil
}

// skynetGenid returns a number that this service was not given before.
func skynetGenid(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	co.svc.genid++
	return starlark.MakeInt64(co.svc.genid), starlark.UnpackArgs(b.Name(), args, kwargs)
}

// skynetUnregister takes a name from whoever has it; it reports whether somebody had.
func skynetUnregister(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name); err != nil {
		return nil, err
	}
	n := co.svc.node
	if s := n.lookup(name); s != nil {
		if err := co.mayRegister(name, s); err != nil {
			return nil, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.lookup(name)
	if s == nil {
		return starlark.False, nil
	}
	s.disclaim(claim{&n.names, name})
	co.named(s, claim{&n.names, name}, false)
	return starlark.True, nil
}
