package runtime

import (
	"go.starlark.net/starlark"

	"skynet/sched"
)

// uniqueLaunch is the one service of a script that uniqueservice starts: callers that come while it starts share its
// launch. A failed launch is forgotten, so the next caller tries again. It answers as the caller of the launch.
type uniqueLaunch struct {
	node    *Node
	script  string
	svc     *Service
	ready   bool
	waiting []message // the start messages of those who wait
}

// launchUnique answers m with the address of the script's unique service, which it launches if there is none. It returns
// the service, as far as it is there.
func (n *Node) launchUnique(turn *sched.Turn, spec launchSpec, m message) *Service {
	script := spec.script
	n.mu.Lock()
	u := n.unique[script]
	if u != nil {
		ready, svc := u.ready, u.svc
		if !ready {
			u.waiting = append(u.waiting, m)
		}
		n.mu.Unlock()
		if ready {
			m.source.answer(turn, m.session, svc.addr, nil)
		}
		return svc
	}
	u = &uniqueLaunch{node: n, script: script, waiting: []message{m}}
	n.unique[script] = u
	n.mu.Unlock()
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
	for i := range u.waiting {
		if u.waiting[i].session == session && u.waiting[i].source == caller {
			return true
		}
	}
	return false
}

// answer ends the launch for everybody who waits for it.
func (u *uniqueLaunch) answer(turn *sched.Turn, _ uint64, v starlark.Value, err *CallError) {
	u.node.mu.Lock()
	waiting := u.waiting
	u.waiting, u.ready = nil, true
	if err != nil {
		if u.node.unique[u.script] == u {
			delete(u.node.unique, u.script)
		}
	} else if u.svc == nil {
		u.svc = v.(*Address).svc
	}
	u.node.mu.Unlock()
	for _, m := range waiting {
		m.source.answer(turn, m.session, v, err)
	}
}

func (u *uniqueLaunch) name() string { return "uniqueservice" }
