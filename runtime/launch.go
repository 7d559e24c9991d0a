package runtime

import (
	"fmt"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// launchSpec says what is launched: newservice, uniqueservice, supervisors and Go code all end in one.
type launchSpec struct {
	script string  // name of a script or of a Go handler
	name   string  // registered before the first message, unless empty
	limits *Limits // nil: the node's
	link   bool    // link the service to its launcher
	child  bool    // the launcher is its supervisor: the service ends with it, but not the reverse
	allow  *Grant  // what it may do of what its launcher may; nil: all of it

	by *Service // the launcher, to whose rights the launch is held; nil: Go code, which has all of them
}

// takeLaunch takes the keyword launch, a dict of how the service is launched, out of the keywords, which else go to init.
func (s *launchSpec) takeLaunch(node *Node, kwargs []starlark.Tuple) ([]starlark.Tuple, error) {
	for i, kw := range kwargs {
		if kw[0].(starlark.String) == "launch" {
			rest := append(kwargs[:i:i], kwargs[i+1:]...)
			if err := s.parse(node, kw[1]); err != nil {
				return nil, fmt.Errorf("launch: %w", err)
			}
			return rest, nil
		}
	}
	return kwargs, nil
}

func (s *launchSpec) parse(node *Node, v starlark.Value) error {
	return eachSetting(v, func(name string, v starlark.Value) (err error) {
		ok := true
		switch name {
		case "name":
			if s.name, ok = starlark.AsString(v); !ok {
				return fmt.Errorf("got %s, want a string", v.Type())
			}
		case "limits":
			s.limits, err = parseLimits(v, &node.limits)
		case "allow":
			s.allow, err = ParseGrant(v, node.programs.restricted)
		case "link":
			var b starlark.Bool
			if b, ok = v.(starlark.Bool); !ok {
				return fmt.Errorf("got %s, want True or False", v.Type())
			}
			s.link = bool(b)
		default:
			err = unknownSetting(name, "name", "limits", "allow", "link")
		}
		return err
	})
}

// launch makes a service from a script or a Go handler and starts it; the source of m is answered with its address once
// init has returned, or with the reason why it failed.
func (n *Node) launch(turn *sched.Turn, spec launchSpec, m message) (*Service, *CallError) {
	script := spec.script
	if n.stopped.Load() {
		return nil, callErrorf(Denied, false, "launch %s: node %s is stopping", script, n.name)
	}
	if err := n.mayLaunch(&spec); err != nil {
		return nil, err
	}
	if err := n.roomForService(script); err != nil {
		return nil, err
	}
	depth := 0
	if launcher, ok := m.source.(*Service); ok && launcher.starting {
		if depth = launcher.depth + 1; depth > maxLaunchDepth {
			return nil, callErrorf(Denied, false, "launch %s: %d services wait in init for one another already (does init launch its own script?)", script, maxLaunchDepth)
		}
	}
	s, err := n.create(script)
	if err != nil {
		return nil, asCallErrorf(err, "launch %s", script)
	}
	s.depth = depth
	if err := s.confine(&spec); err != nil {
		n.forget(s)
		return nil, err
	}
	if spec.limits != nil {
		s.setLimits(spec.limits)
	}
	if spec.name != "" {
		if err := n.register(spec.name, s); err != nil {
			n.forget(s)
			return nil, callErrorf(Remote, false, "launch %s: %v", script, err)
		}
	}
	if launcher, ok := m.source.(*Service); ok && spec.link {
		s.links = append(s.links, linkage{peer: launcher, tell: !spec.child})
		launcher.links = append(launcher.links, linkage{peer: s, tell: true, owns: spec.child})
	}
	m.kind, m.command = start, "init"
	s.post(turn, &m)
	return s, nil
}

// maxLaunchDepth bounds how many services may each wait in init for the next: a script that launches itself there would
// take all memory before the first deadline passed.
const maxLaunchDepth = 100

func (n *Node) create(script string) (*Service, error) {
	if h := n.newHandler(script); h != nil {
		s := n.newService(script, nil)
		s.handler = h
		return s, nil
	}
	prog, err := n.programs.Compile(script)
	if err != nil {
		return nil, err
	}
	return n.newService(script, prog), nil
}

// newHandler makes a handler in Go of that name, nil if there is none. Every node has supervisors.
func (n *Node) newHandler(script string) Handler {
	if h, ok := n.handlers[script]; ok {
		return h()
	}
	if script == supervisorScript {
		return new(supervisor)
	}
	return nil
}

// isHandler tells whether a name is that of a handler in Go.
func (n *Node) isHandler(script string) bool {
	_, ok := n.handlers[script]
	return ok || script == supervisorScript
}

func asCallErrorf(err error, format string, args ...any) *CallError {
	e := asCallError(err)
	e.Maybe = false
	e.Message = fmt.Sprintf(format, args...) + ": " + e.Message
	return e
}
