package runtime

import (
	"fmt"

	"go.starlark.net/starlark"
)

func clusterLibrary() *library {
	return newLibrary(
		"cluster",
		member{"call", clusterCall},
		member{"send", clusterSend},
		member{"request", clusterRequest},
		member{"register", registration((*Node).exporting)},
		member{"query", clusterQuery},
		member{"nodes", clusterNodes},
	)
}

// remoteDestination splits the arguments of cluster.call and cluster.send: a node, a service of it (a name or an address) and
// a command.
func remoteDestination(b *starlark.Builtin, args starlark.Tuple) (node string, dest starlark.Value, command string, rest starlark.Tuple, err error) {
	if len(args) < 3 {
		return "", nil, "", nil, fmt.Errorf("%s: got %d arguments, want a node, a service and a command", b.Name(), len(args))
	}
	name, ok := args[0].(starlark.String)
	if !ok {
		return "", nil, "", nil, fmt.Errorf("%s: node: got %s, want string", b.Name(), args[0].Type())
	}
	dest, command, rest, err = destination(b, args[1:])
	return string(name), dest, command, rest, err
}

func targetOf(b *starlark.Builtin, node string, dest starlark.Value) (target, error) {
	switch d := dest.(type) {
	case starlark.String:
		return target{name: string(d)}, nil
	case *Address:
		if d.node != node {
			return target{}, fmt.Errorf("%s: service: got %s, want an address of node %s", b.Name(), d, node)
		}
		return target{id: d.id}, nil
	}
	return target{}, fmt.Errorf("%s: service: got %s, want a name or an address", b.Name(), dest.Type())
}

func clusterCall(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	node, dest, command, rest, err := remoteDestination(b, args)
	if err != nil {
		return nil, err
	}
	if node == co.svc.node.name {
		return co.call(dest, command, rest, kwargs, timeout)
	}
	to, err := targetOf(b, node, dest)
	if err != nil {
		return nil, err
	}
	return co.callRemote(node, to, command, rest, kwargs, timeout, false)
}

func clusterSend(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	node, dest, command, rest, err := remoteDestination(b, args)
	if err != nil {
		return nil, err
	}
	if node == co.svc.node.name {
		return starlark.None, co.send(dest, command, rest, kwargs)
	}
	to, err := targetOf(b, node, dest)
	if err != nil {
		return nil, err
	}
	return starlark.None, co.sendRemote(node, to, command, rest, kwargs)
}

// clusterQuery returns the address of a service of another node.
func clusterQuery(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	var node, name string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "node", &node, "name", &name); err != nil {
		return nil, err
	}
	if node == co.svc.node.name {
		s, _, err := co.resolve(starlark.String(name))
		if err != nil {
			return nil, err
		}
		return s.addr, nil
	}
	return co.callRemote(node, target{name: name}, "query", nil, nil, timeout, true)
}

// clusterNodes lists the names of the cluster's nodes, sorted.
func clusterNodes(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var names []starlark.Value
	for _, name := range co.svc.node.cluster.nodeNames() {
		names = append(names, starlark.String(name))
	}
	return starlark.NewList(names), starlark.UnpackArgs(b.Name(), args, kwargs)
}
