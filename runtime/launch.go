package runtime

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"skynet/runtime/wire"
	"skynet/sched"
)

// This file is how a service is launched, by whomever.

// LaunchOptions is how Go code launches a service: all of it holds for every launch, by the node and by its services. What only
// a service can ask for has methods of its own: [Context.LaunchLinked] and [Context.LaunchUnique]. Script is required.
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
	// Allow is what the service may do of what its launcher may; nil grants all of that. The node itself may do everything.
	Allow *Grant
}

// launchSpec is what is launched, once it was checked: the [LaunchOptions] of Go code, the words newservice and uniqueservice, and
// the children of supervisors all end in one.
type launchSpec struct {
	script string  // name of a script or of a Go handler
	name   string  // registered before the first message, unless empty
	limits *Limits // nil: the node's
	link   bool    // link the service to its launcher
	child  bool    // the launcher is its supervisor: the service ends with it, but not the reverse
	allow  *Grant  // what it may do of what its launcher may; nil: all of it

	by *Service // the launcher, to whose rights the launch is held; nil: Go code, which has all of them
}

// spec checks the options.
func (o *LaunchOptions) spec(n *Node, by *Service) (launchSpec, error) {
	if o.Allow != nil {
		if err := o.Allow.check(n.programs.restricted); err != nil {
			return launchSpec{}, fmt.Errorf("launch %s: allow: %w", o.Script, err)
		}
	}
	spec := launchSpec{script: o.Script, name: o.Name, allow: o.Allow, by: by}
	if o.Limits != (Limits{}) {
		limits := o.Limits.or(n.limits)
		if err := limits.check(); err != nil {
			return launchSpec{}, fmt.Errorf("launch %s: limits: %w", o.Script, err)
		}
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
	args, kwargs, err := wire.CopyArgs(o.Args, o.Kwargs)
	if err != nil {
		done(nil, fmt.Errorf("launch %s: %w", o.Script, err))
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
		m := message{source: goCaller(answer), session: 1, args: args, body: &extras{kwargs: kwargs}}
		if _, err := n.launch(n.system.turn, spec, m); err != nil {
			done(nil, err)
		}
	}, answer)
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
			if s.name == "" {
				return fmt.Errorf("got an empty string, want a name")
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
		return nil, err
	}
	if spec.limits != nil {
		s.setLimits(spec.limits)
	}
	launcher, _ := m.source.(*Service)
	if launcher != nil && spec.link {
		s.links = append(s.links, linkage{peer: launcher, owned: spec.child})
	}
	// Who finds the service puts what he has behind the start message, and leaves it to us to report it ready.
	m.kind, m.command, s.starting = start, "init", true
	s.mail.put(&m)
	if err := n.publish(s, spec.name); err != nil {
		return nil, err
	}
	if launcher != nil && spec.link {
		launcher.links = append(launcher.links, linkage{peer: s, owns: spec.child})
	}
	s.ready(turn)
	return s, nil
}

// publish lets others find a service that is being launched: by its address, and by a name unless that is empty. On an error nobody
// has found it.
func (n *Node) publish(s *Service, name string) *CallError {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped.Load() { // since launch looked
		return callErrorf(Denied, false, "launch %s: node %s is stopping", s.what, n.name)
	}
	if name != "" {
		if err := s.mayClaim(&n.names, name); err != nil {
			return callErrorf(Remote, false, "launch %s: %v", s.what, err)
		}
	}
	n.enlist(s)
	if name != "" {
		n.entitle(s, name)
	}
	return nil
}

// maxLaunchDepth bounds how many services may each wait in init for the next: a script that launches itself there would
// take all memory before the first deadline passed.
const maxLaunchDepth = 100

func (n *Node) create(script string) (*Service, error) {
	h, err := n.newHandler(script)
	if err != nil {
		return nil, err
	}
	if h != nil {
		s := n.makeService(script, nil)
		s.handler = h
		return s, nil
	}
	prog, err := n.programs.Compile(script)
	if errors.Is(err, fs.ErrNotExist) {
		if near := hint(strings.TrimSuffix(script, ".star"), slices.Sorted(maps.Keys(n.handlers))); near != "" {
			err = fmt.Errorf("%w%s", err, near)
		}
	}
	if err != nil {
		return nil, err
	}
	return n.makeService(script, prog), nil
}

// newHandler makes a handler in Go of that name, nil if there is none. Every node has supervisors.
func (n *Node) newHandler(script string) (h Handler, err error) {
	factory, ok := n.handlers[script]
	if !ok {
		if script == supervisorScript {
			h = new(supervisor)
		}
		return h, nil
	}
	defer func() {
		if p := recover(); p != nil {
			h, err = nil, fmt.Errorf("handler %s: %w", script, newPanicError(p))
		}
	}()
	if h = factory(); h == nil {
		return nil, fmt.Errorf("handler %s: its factory returned nil", script)
	}
	return h, nil
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

// skynetNewService launches a service and returns its address once init has returned.
func skynetNewService(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	script, args, err := co.scriptName(b, args)
	if err != nil {
		return nil, err
	}
	return co.launch(b, script, args, kwargs, co.launchOwn)
}

// launchOwn launches a service of one's own and waits for its address. If that is given up, it is killed: it may be in init still, and
// nobody would know of it.
func (co *coroutine) launchOwn(spec launchSpec, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	begun, v, err := co.launchOne(spec, args, kwargs)
	if begun != nil && (errors.Is(err, errKilled) || errors.Is(err, &CallError{Kind: Timeout})) { // else that is what begun has answered
		co.svc.unlink(begun) // what is given up takes nobody along
		begun.kill(co.svc.turn, Reason{Kind: Killed, Message: "its launch was given up"})
	}
	return v, err
}

// launchOne is launchOwn without the end. It also returns the service, as soon as there is one.
func (co *coroutine) launchOne(spec launchSpec, args starlark.Tuple, kwargs []starlark.Tuple) (begun *Service, v starlark.Value, err error) {
	v, err = co.launchBy(spec, args, kwargs, func(spec launchSpec, m message) (err *CallError) {
		begun, err = co.svc.node.launch(co.svc.turn, spec, m)
		co.waiting.callee = begun
		return err
	})
	return begun, v, err
}

// scriptName takes the script off the arguments: the name of a handler in Go, or of a file, whose ".star" may be left out.
func (co *coroutine) scriptName(b *starlark.Builtin, args starlark.Tuple) (string, starlark.Tuple, error) {
	if len(args) == 0 {
		return "", nil, fmt.Errorf("%s: got no arguments, want the name of a script", b.Name())
	}
	script, ok := starlark.AsString(args[0])
	if !ok {
		return "", nil, fmt.Errorf("%s: got %s, want the name of a script", b.Name(), args[0].Type())
	}
	if !co.svc.node.isHandler(script) && path.Ext(script) == "" {
		script += ".star"
	}
	return co.svc.node.canonical(script), args[1:], nil
}

// launch does a launch with what a script writes.
func (co *coroutine) launch(b *starlark.Builtin, script string, args starlark.Tuple, kwargs []starlark.Tuple, do launching) (starlark.Value, error) {
	s := co.svc
	spec := launchSpec{script: script, by: s}
	kwargs, err := spec.takeLaunch(s.node, kwargs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	v, err := do(spec, args, kwargs)
	if _, failed := err.(*CallError); err != nil && !failed && err != errKilled {
		err = fmt.Errorf("%s: %w", b.Name(), err)
	}
	return v, err
}

// launching is a way to launch: launchOwn or launchUnique.
type launching func(launchSpec, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)

// launchBy copies the arguments of init, lets start begin the launch, and waits for the address.
func (co *coroutine) launchBy(spec launchSpec, args starlark.Tuple, kwargs []starlark.Tuple, start func(launchSpec, message) *CallError) (starlark.Value, error) {
	s := co.svc
	if err := co.mayBlock("launch"); err != nil {
		return nil, err
	}
	args, kwargs, err := wire.CopyArgs(args, kwargs)
	if err != nil {
		return nil, err
	}
	if s.access != nil {
		co.charge() // a refusal is logged
	}
	m := message{source: s, trace: co.traceID(), args: args, body: &extras{kwargs: kwargs}, deadline: co.deadlineFor(s.limits.Launch), depth: co.depth}
	if err := s.roomForCall(); err != nil {
		return nil, err
	}
	id := s.addWait(callWait, co, nil, m.deadline)
	m.session = uint64(id)
	co.waiting.call = id
	if err := start(spec, m); err != nil {
		s.waits.take(id)
		return nil, err
	}
	return co.block("call", "the new service")
}

// skynetUniqueService is the address of the one service of a script, which it launches if there is none.
func skynetUniqueService(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	script, args, err := co.scriptName(b, args)
	if err != nil {
		return nil, err
	}
	return co.launch(b, script, args, kwargs, co.launchUnique)
}

func (co *coroutine) launchUnique(spec launchSpec, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if spec.link {
		return nil, callErrorf(Remote, false, "launch %s: link: a unique service belongs to no one launcher, want skynet.link of its address", spec.script)
	}
	return co.launchBy(spec, args, kwargs, func(spec launchSpec, m message) *CallError {
		co.waiting.callee = co.svc.node.launchUnique(co.svc.turn, spec, m)
		return nil
	})
}
