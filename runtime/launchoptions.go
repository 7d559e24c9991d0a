package runtime

import (
	"fmt"

	"go.starlark.net/starlark"
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
	// Limits are its own, where they are not 0; the others are the node's.
	Limits Limits
	// Link links it to its launcher: if one ends abnormally, so does the other. It means nothing to a launch by the node.
	Link bool
	// Unique asks for the one service of that script, which is launched if there is none, as skynet.uniqueservice does. It means
	// nothing to a launch by the node.
	Unique bool
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
	spec := launchSpec{script: o.Script, name: o.Name, link: o.Link, allow: o.Allow, by: by}
	if o.Limits != (Limits{}) {
		limits := o.Limits.or(n.limits)
		spec.limits = &limits
	}
	return spec, nil
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
