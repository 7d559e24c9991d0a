package runtime

import (
	"fmt"

	"go.starlark.net/starlark"

	"skynet/runtime/wire"
)

// LaunchOptions is how Go code launches a service. Script is required.
type LaunchOptions struct {
	// Script is the name of a script or of a Go handler.
	Script string
	// Name, unless empty, is registered for the service before its first message.
	Name string
	// Args and Kwargs are for init.
	Args   starlark.Tuple
	Kwargs []starlark.Tuple
	// Allow is what the service may do of what its launcher may; nil grants all of that. The node itself may do everything.
	Allow *Grant
}

// spec checks the options.
func (o *LaunchOptions) spec(n *Node, by *Service) (launchSpec, error) {
	if o.Allow != nil {
		if err := o.Allow.check(n.programs.restricted); err != nil {
			return launchSpec{}, fmt.Errorf("launch %s: allow: %w", o.Script, err)
		}
	}
	return launchSpec{script: o.Script, name: o.Name, allow: o.Allow, by: by}, nil
}

// LaunchWith is [Node.Launch] with all its options, of which a wrong grant is told to done at once.
func (n *Node) LaunchWith(o LaunchOptions, done func(*Address, error)) {
	spec, err := o.spec(n, nil)
	if err != nil {
		done(nil, err)
		return
	}
	answer := func(v starlark.Value, err *CallError) {
		if err != nil {
			done(nil, err)
			return
		}
		done(v.(*Address), nil)
	}
	n.enter("launch of "+o.Script, func() {
		m := message{source: goCaller(answer), session: 1, args: o.Args, body: &extras{kwargs: o.Kwargs}}
		if _, err := n.launch(n.system.turn, spec, m); err != nil {
			done(nil, err)
		}
	}, answer)
}

// Launch is skynet.newservice: it returns the address once init of the new service has returned. The service that launches is held
// to its own rights.
func (c *Context) Launch(o LaunchOptions) (*Address, error) {
	co := c.co
	spec, err := o.spec(co.svc.node, co.svc)
	if err != nil {
		return nil, err
	}
	args, kwargs, err := wire.CopyArgs(o.Args, o.Kwargs)
	if err != nil {
		return nil, fmt.Errorf("launch %s: %w", o.Script, err)
	}
	v, err := co.start(spec, args, kwargs, co.launchOne)
	if err != nil {
		return nil, err
	}
	return v.(*Address), nil
}
