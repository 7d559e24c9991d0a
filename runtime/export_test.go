package runtime

import (
	"go.starlark.net/starlark"

	"skynet/runtime/weigh"
	"skynet/sched"
)

// Beats is how many heartbeats of the node's links are set. It must be called in simulation, while no turn runs.
func (n *Node) Beats() int { return n.cluster.svc.waits.timed }

// Exported is how many names of the node's services other nodes can call.
func (n *Node) Exported() (count int) {
	for range keys[string](&n.cluster.exported) {
		count++
	}
	return count
}

// Ask posts a request whose every answer goes to answer, in whatever turn it is given: what a caller with a wait table would
// drop, the second answer to one request, is seen. A full mailbox that refuses and a service that has ended answer at once, as for any
// caller.
func (c *Context) Ask(dest *Address, command string, args starlark.Tuple, deadline sched.Time, answer func(*CallError)) {
	n, turn := c.co.svc.node, c.co.svc.turn
	caller := goCaller(func(_ starlark.Value, err *CallError) { answer(err) })
	m := message{kind: request, command: command, args: args, source: caller, session: 1, deadline: deadline, trace: n.nextTrace()}
	s := n.service(dest.id)
	if s == nil {
		answer(callErrorf(Dead, false, "%s has ended", dest))
		return
	}
	switch s.post(turn, &m) {
	case putFull:
		if refused := s.entrust(turn, &m); refused != nil {
			answer(refused)
		}
	case putClosed:
		answer(callErrorf(Dead, false, "%s has ended", dest))
	}
}

// Sharing is how many channels have subscribers, and how many coroutines wait for a table, a value or room in a subscription.
func (n *Node) Sharing() (topics, waits int) {
	n.multicast.mu.Lock()
	for _, t := range n.multicast.topics { //determinism:ok only counted
		t.mu.Lock()
		topics, waits = topics+1, waits+t.waiting.len()
		t.mu.Unlock()
	}
	n.multicast.mu.Unlock()
	n.shared.mu.Lock()
	for _, w := range n.shared.waiting { //determinism:ok only counted
		waits += len(w)
	}
	n.shared.mu.Unlock()
	n.datacenter.mu.Lock()
	defer n.datacenter.mu.Unlock()
	w := &n.datacenter.waiting
	return topics, waits + len(w.waiting) + len(w.children)
}

// Kill ends a service of the node, as skynet.kill does.
func (n *Node) Kill(a *Address) {
	if s := n.service(a.id); s != nil {
		s.kill(nil, Reason{Kind: Killed})
	}
}

// LimitCounts is what the limits of a service have done, and how near it is to them.
type LimitCounts struct {
	Refused, Dropped, Exceeded, Throttled, Stopped uint64

	RequestBytes     int64
	Requests, Timers int
}

// CountsOf must be called in simulation, while no turn runs.
func CountsOf(a *Address) LimitCounts {
	st := a.svc.stat(nil)
	r := &st.Refused
	return LimitCounts{
		Refused: r.Overload, Dropped: r.Dropped, Exceeded: r.Exceeded, Throttled: r.Throttled, Stopped: r.Stopped,
		RequestBytes: st.QueuedBytes, Requests: a.svc.mail.requests, Timers: st.Timers,
	}
}

// MemoryOf is the estimated size of a service's state. It must be called in simulation, while no turn runs.
func MemoryOf(a *Address) int64 { return a.svc.weigh(weigh.New(thorough)) }

// Watchers asks a service, in a turn of its own, how many wait for its end: -1 if it has ended.
func (n *Node) Watchers(a *Address, done func(int)) {
	gone := func() { done(-1) }
	n.enter("watchers", func() {
		s := n.service(a.id)
		if s == nil || !n.system.urge(s, func() { done(s.watchers.len()) }, gone) {
			gone()
		}
	}, func(starlark.Value, *CallError) { gone() })
}

// Links is how many services a service is linked to. It must be called in simulation, while no turn runs.
func Links(a *Address) int { return len(a.svc.links) }
