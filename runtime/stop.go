package runtime

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"skynet/sched"
)

// drainPoll is how often a draining node looks whether it is idle.
const drainPoll = 10 * time.Millisecond

// Stop ends the node in an orderly way: no service is launched any more and no stream accepted; what is in flight may
// finish within the drain time; then the services end, the youngest first, and the coroutines go back. Altogether it takes the
// drain time and the node's limit call at the most: services that have not ended by then are killed. Only what cannot be interrupted can
// make it longer: a handler in Go that blocks its worker, work of Offload that does not end, and one step of a script that does not.
// done is called once, outside of a turn of any service of the node; a second Stop does nothing, and its done is not called. The
// scheduler, the network and the store are the caller's to close.
func (n *Node) Stop(drain time.Duration, done func()) {
	n.mu.Lock() // what is published before is found below, nothing is afterwards
	already := n.stopped.Swap(true)
	n.mu.Unlock()
	if already {
		return
	}
	m := message{kind: event, body: func() {
		drain = min(max(drain, 0), maxDuration)
		p := &stopping{node: n, limit: drain + n.limits.Call, done: done}
		p.drainBy = max(n.system.turn.Now.Add(drain), 1)
		p.endBy = p.drainBy.Add(n.limits.Call)
		p.drain()
	}}
	if n.system.post(nil, &m) == putClosed {
		done() // it has crashed
	}
}

// stopping is the stop of a node. What it does happens in turns of the system service.
type stopping struct {
	node    *Node
	drainBy sched.Time    // what is in flight may finish until then
	endBy   sched.Time    // who lives then is killed
	limit   time.Duration // that is so long after the stop was asked for
	over    bool          // it has come to that
	done    func()
}

// drain asks every service, in a turn of its own, whether it is busy, and comes again until none is or time is up.
func (p *stopping) drain() {
	n, s := p.node, p.node.system
	all := n.Services()
	left, busy := 1, false
	settle := func(b bool) { // in turns of the system service
		left--
		busy = busy || b
		if left > 0 {
			return
		}
		if (busy || s.busy()) && s.turn.Now < p.drainBy {
			s.addWait(otherWait, nil, func(outcome) { p.drain() }, s.turn.Now.Add(drainPoll))
			return
		}
		s.addWait(otherWait, nil, func(outcome) { p.killAll() }, p.endBy)
		p.endAll(n.Services())
	}
	for _, svc := range all {
		if svc == s {
			continue
		}
		left++
		asked := s.urge(svc, func() {
			svc.stopAccepting()
			b := svc.busy()
			s.run(svc.turn, func() { settle(b) })
		}, func() { settle(false) })
		if !asked {
			left--
		}
	}
	settle(false)
}

// busy tells whether something is in flight: a request, or a handler that is not merely waiting for its next input.
func (s *Service) busy() bool {
	if s.starting || s.held > 0 || s.preempted != nil || s.mail.given || len(s.deferred)+s.runq.len() > 0 || s.mail.length() > 0 {
		return true
	}
	for _, co := range s.live {
		if co.session != 0 || co.what != "read" && co.what != "sleep" && co.what != "wait" {
			return true
		}
	}
	return false
}

func (s *Service) stopAccepting() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		if l, ok := s.closers[i].(*listener); ok {
			l.close()
		}
	}
}

// endAll ends the services, the last of the list first and each after the one before it is dead, the system service last
// of all. That of the cluster is the last but one, when all others have told it what they have to say to other nodes: who has
// ended by itself, or was killed, may still be about to.
func (p *stopping) endAll(all []*Service) {
	n, s := p.node, p.node.system
	killed := p.over
	for len(all) > 0 {
		svc := all[len(all)-1]
		if svc == n.cluster.svc && n.dying.Load() > 0 { // on another worker
			s.addWait(otherWait, nil, func(outcome) { p.endAll(all) }, s.turn.Now.Add(drainPoll))
			return
		}
		all = all[:len(all)-1]
		if svc == s {
			continue
		}
		goOn := func() { p.endAll(all) }
		asked := s.urge(svc, func() {
			svc.onDeath = func() { s.run(svc.turn, goOn) }
			if killed && !n.owns(svc) {
				return // it is told already
			}
			leave := func() { svc.leave(Reason{Kind: Stopped, Message: "the node stops"}) }
			if svc.preempted != nil {
				leave()
			} else {
				svc.run(svc.turn, leave) // after what it has been sent already
			}
		}, goOn)
		if asked {
			return
		}
	}
	s.onDeath = func() {
		if n.ownPool {
			n.sched.Offload(func() {}, func() { n.coroutines.Close(); p.done() })
			return
		}
		n.sched.Offload(func() {}, p.done)
	}
	s.end(Reason{Kind: Stopped})
}

// killAll kills the services that live when the time of the stop is over. endAll goes on from one to the next of them as before.
func (p *stopping) killAll() {
	p.over = true
	n := p.node
	var late []string
	for _, svc := range slices.Backward(n.Services()) {
		if !n.owns(svc) {
			late = append(late, svc.label)
			svc.kill(n.system.turn, Reason{Kind: Killed, Message: fmt.Sprintf("its node stops, and after %v waits no longer", p.limit)})
		}
	}
	if len(late) == 0 {
		return
	}
	names := strings.Join(late[:min(len(late), maxLate)], ", ")
	if len(late) > maxLate {
		names += ", …"
	}
	n.log(levelWarn, "services killed: the stop takes too long", "limit", p.limit, "count", len(late), "services", names)
}

// maxLate is how many of the services that are killed by a stop the log names: the first is the one that all others waited for.
const maxLate = 20

// Crash ends the node at once, as a power cut does: nothing is sent, nobody is told, and suspended coroutines are unwound
// so that they can be used again. It is for simulation: no turn may be running.
func (n *Node) Crash() {
	n.stopped.Store(true)
	turn := &sched.Turn{Now: n.sched.Now(), Owner: discard{}}
	for _, s := range n.Services() {
		s.turn = turn
		s.end(Reason{Kind: Stopped})
		s.die()
	}
	if n.ownPool {
		n.coroutines.Close()
	}
}

// discard is a Readier that forgets: nothing runs any more.
type discard struct{}

func (discard) ReadyFrom(*sched.Turn, sched.Task) {}
