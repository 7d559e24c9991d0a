package runtime

import (
	"fmt"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// uniqueLaunch is the one service of a script that uniqueservice starts: callers that come while it starts share its
// launch, and those who asked for it before anybody launched it. A failed launch is forgotten, so the next caller tries
// again. It answers as the caller of the launch.
type uniqueLaunch struct {
	node     *Node
	script   string
	svc      *Service
	launched bool // somebody launches it, or has; false while it is only asked for
	ready    bool
	waiting  line[replyTo, struct{}]
}

// launchUnique answers m with the address of the script's unique service, which it launches if there is none. It returns
// the service, as far as it is there.
func (n *Node) launchUnique(turn *sched.Turn, spec launchSpec, m message) *Service {
	if err := n.mayLaunch(&spec); err != nil {
		m.source.answer(turn, m.session, nil, err)
		return nil
	}
	n.mu.Lock()
	u := n.uniqueOf(spec.script)
	svc := u.svc
	if u.ready {
		n.mu.Unlock()
		m.source.answer(turn, m.session, svc.addr, nil)
		return svc
	}
	u.waiting.add(replyTo{m.source, m.session}, struct{}{})
	first := !u.launched
	u.launched = true
	n.mu.Unlock()
	if !first {
		return svc
	}
	m.source, m.session = u, 1
	svc, err := n.launch(turn, spec, m)
	if err != nil {
		u.answer(turn, 1, nil, err)
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	u.svc = svc
	return svc
}

// serves tells whether the launch was asked for by a session of a service that still waits for it.
func (u *uniqueLaunch) serves(caller *Service, session uint64) bool {
	u.node.mu.Lock()
	defer u.node.mu.Unlock()
	_, ok := u.waiting.at[replyTo{caller, session}]
	return ok
}

// demands are the requests for a unique service that wait for its init.
func (u *uniqueLaunch) demands() []demand {
	u.node.mu.Lock()
	defer u.node.mu.Unlock()
	var all []demand
	for to := range u.waiting.all() {
		if caller, ok := to.source.(*Service); ok {
			all = append(all, demand{caller.addr.id, to.session})
		}
	}
	return all
}

// uniqueOf is the entry of a script, made if there is none. The node's lock is held.
func (n *Node) uniqueOf(script string) *uniqueLaunch {
	u := n.unique[script]
	if u == nil {
		u = &uniqueLaunch{node: n, script: script}
		n.unique[script] = u
	}
	return u
}

// answer ends the launch for everybody who waits for it.
func (u *uniqueLaunch) answer(turn *sched.Turn, _ uint64, v starlark.Value, err *CallError) {
	u.node.mu.Lock()
	waiting := u.waiting
	u.waiting, u.ready = line[replyTo, struct{}]{}, true
	if err != nil {
		if u.node.unique[u.script] == u {
			delete(u.node.unique, u.script)
		}
	} else if u.svc == nil {
		u.svc = v.(*Address).svc
	}
	u.node.mu.Unlock()
	for to := range waiting.all() {
		to.answer(turn, v, err)
	}
}

func (u *uniqueLaunch) name() string { return "uniqueservice" }

// skynetQueryService finds the unique service of a script; with a timeout it waits until somebody launches it.
func skynetQueryService(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	script, args, err := co.scriptName(b, args)
	if err != nil {
		return nil, err
	}
	if len(args) > 0 {
		return nil, fmt.Errorf("%s: got %d arguments, want one, a script", b.Name(), len(args)+1)
	}
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs); err != nil {
		return nil, err
	}
	n, s := co.svc.node, co.svc
	n.mu.Lock()
	u := n.unique[script]
	switch {
	case u != nil && u.ready:
		svc := u.svc
		n.mu.Unlock()
		return svc.addr, nil
	case timeout == 0 && u == nil:
		n.mu.Unlock()
		return starlark.None, nil
	case timeout == 0:
		timeout = s.limits.Launch // it is being launched
	}
	id := s.addWait(otherWait, co, nil, co.deadlineFor(timeout))
	u = n.uniqueOf(script)
	u.waiting.add(replyTo{s, uint64(id)}, struct{}{})
	n.mu.Unlock()
	v, err := co.block("queryservice", script)
	n.stopAsking(script, s, id)
	if v == nil && err == nil {
		v = starlark.None // the deadline came first
	}
	return v, err
}

// stopAsking forgets who waits for a unique service, and the entry if nobody else does.
func (n *Node) stopAsking(script string, s *Service, id waitID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.unique[script]
	if u == nil || u.ready {
		return
	}
	u.waiting.remove(replyTo{s, uint64(id)})
	if !u.launched && u.waiting.len() == 0 {
		delete(n.unique, script)
	}
}
