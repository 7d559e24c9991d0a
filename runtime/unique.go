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

// launchUnique answers m with the address of the script's unique service, which it launches if there is none.
func (n *Node) launchUnique(turn *sched.Turn, spec launchSpec, m message) {
	script := spec.script
	if err := n.mayLaunch(&spec); err != nil {
		m.source.answer(turn, m.session, nil, err)
		return
	}
	n.mu.Lock()
	u := n.unique[script]
	if u != nil {
		ready := u.ready
		if !ready {
			u.waiting = append(u.waiting, m)
		}
		n.mu.Unlock()
		if ready {
			m.source.answer(turn, m.session, u.svc.addr, nil)
		}
		return
	}
	u = &uniqueLaunch{node: n, script: script, waiting: []message{m}}
	n.unique[script] = u
	n.mu.Unlock()
	m.source, m.session = u, 1
	svc, err := n.launch(turn, spec, m)
	if err != nil {
		u.answer(turn, 1, nil, err)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	u.svc = svc
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
