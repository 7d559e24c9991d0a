package runtime

import (
	"time"

	"skynet/sched"
)

// drainPoll is how often a draining node looks whether it is idle.
const drainPoll = 10 * time.Millisecond

// Stop ends the node in an orderly way: no service is launched any more and no stream accepted; what is in flight may
// finish within the drain time; then the services end, the youngest first, and the coroutines go back. done is called
// once, outside of a turn of any service of the node; a second Stop does nothing. The scheduler, the network and the
// store are the caller's to close.
func (n *Node) Stop(drain time.Duration, done func()) {
	if n.stopped.Swap(true) {
		return
	}
	n.system.run(nil, func() {
		deadline := max(n.system.turn.Now.Add(drain), 1)
		n.drain(deadline, done)
	})
}

// drain asks every service, in a turn of its own, whether it is busy, and comes again until none is or time is up.
func (n *Node) drain(deadline sched.Time, done func()) {
	s := n.system
	all := n.Services()
	left, busy := 1, false
	settle := func(b bool) { // in turns of the system service
		left--
		busy = busy || b
		if left > 0 {
			return
		}
		if (busy || s.busy()) && s.turn.Now < deadline {
			s.addWait(otherWait, nil, func(outcome) { n.drain(deadline, done) }, s.turn.Now.Add(drainPoll))
			return
		}
		n.endAll(n.Services(), done)
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
// of all.
func (n *Node) endAll(all []*Service, done func()) {
	s := n.system
	for len(all) > 0 {
		svc := all[len(all)-1]
		all = all[:len(all)-1]
		if svc == s {
			continue
		}
		goOn := func() { n.endAll(all, done) }
		asked := s.urge(svc, func() {
			svc.onDeath = func() { s.run(svc.turn, goOn) }
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
			n.sched.Offload(func() {}, func() { n.coroutines.Close(); done() })
			return
		}
		n.sched.Offload(func() {}, done)
	}
	s.end(Reason{Kind: Stopped})
}

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
