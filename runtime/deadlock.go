package runtime

import (
	"strings"
	"time"

	"skynet/sched"
)

// Deadlocks are found by chasing edges (Chandy, Misra and Haas 1983, for processes that wait for one thing each): when a call
// has been blocked for probeAfter, its service sends a probe to the callee, which looks which of its coroutines handles the
// request, and sends the probe on if that one is blocked in a call itself. A probe that comes back to the coroutine it
// began at has gone round a circle. Everything happens in turns, each step in a turn of the service it looks at.
//
// Only who certainly cannot go on is followed. A service whose handler waits still takes requests, so calling back into a
// service that waits for this one is no circle; a request that waits for init to return is one.

// probeAfter is how long a call is blocked before its service looks whether it is in a circle; it looks again after twice
// that time, four times, and so on.
const probeAfter = time.Second

// maxProbes bounds the probes that a service sends at a time; the others follow a probeAfter later.
const maxProbes = 100

// probe follows who waits for whom. It belongs to the service it is at.
type probe struct {
	hops   []hop
	report bool // it goes round a circle for the second time, to collect the stacks
}

// hop is a coroutine that a probe has come by.
type hop struct {
	svc     *Service
	task    uint64
	command string
	target  string
	stack   string // if it reports
}

// begin notes that the wait for another coroutine begins.
func (w *waiting) begin(now sched.Time) {
	w.probeAt, w.probes, w.told = now+sched.Time(probeAfter), 0, false
}

// chase sends the probes that are due, and returns when it is to be called again; 0 if nothing that is waited for can be
// followed.
func (s *Service) chase(now sched.Time) (again sched.Time) {
	if s.waits.count[callWait]+s.waits.count[behindWait] == 0 || s.phase == ending {
		return 0
	}
	sent := 0
	for _, co := range s.live {
		w := &co.waiting
		if !s.follows(co) {
			continue
		}
		if w.probeAt <= now {
			if sent == maxProbes {
				return now + sched.Time(probeAfter)
			}
			sent++
			w.probes = min(w.probes+1, 10)
			w.probeAt = now + sched.Time(probeAfter)<<(w.probes-1)
			s.pursue(&probe{}, co)
		}
		if again == 0 || w.probeAt < again {
			again = w.probeAt
		}
	}
	return again
}

// follows tells whether it is known for which coroutine or service co waits.
func (s *Service) follows(co *coroutine) bool {
	return co.waiting.owner() != nil || s.callee(co) != nil
}

// pursue takes a probe that has come to co, a coroutine of this service, to whom that one waits for.
func (s *Service) pursue(p *probe, co *coroutine) {
	for s.follows(co) {
		switch p.find(s, co.id) {
		case 0:
			s.closeCircle(p, co)
			return
		case -1:
		default:
			return // it goes round a circle that it did not begin in; who is in it finds out itself
		}
		h := hop{svc: s, task: co.id, command: co.job.what, target: co.target}
		if p.report {
			h.stack = co.stack()
		}
		p.hops = append(p.hops, h)
		if owner := co.waiting.owner(); owner != nil {
			if owner.svc != s || owner.live < 0 {
				return
			}
			co = owner
			continue
		}
		callee, session := s.callee(co), uint64(co.waiting.call)
		callee.run(s.turn, func() { callee.receive(p, s, session) })
		return
	}
}

// find returns the index of a coroutine among the hops, or -1.
func (p *probe) find(s *Service, task uint64) int {
	for i := range p.hops {
		if p.hops[i].svc == s && p.hops[i].task == task {
			return i
		}
	}
	return -1
}

// receive takes a probe further that follows a request of another service.
func (s *Service) receive(p *probe, caller *Service, session uint64) {
	if s.waits.count[callWait]+s.waits.count[behindWait] == 0 {
		return // nobody here waits for anybody
	}
	if co := s.handlerOf(caller, session); co != nil {
		s.pursue(p, co)
	}
}

// handlerOf is the coroutine that has to go on before a request is answered; nil if the request waits for nobody.
func (s *Service) handlerOf(caller *Service, session uint64) *coroutine {
	if s.initial != nil && s.defers(caller, session) {
		return s.initial
	}
	for _, co := range s.live {
		if co.session == session && co.source == caller {
			return co
		}
	}
	return nil
}

// defers tells whether a request waits for init to return.
func (s *Service) defers(caller *Service, session uint64) bool {
	for i := range s.deferred {
		if m := &s.deferred[i]; m.session == session && m.source == caller {
			return true
		}
	}
	u, ok := s.initial.source.(*uniqueLaunch)
	return ok && u.serves(caller, session)
}

// closeCircle is told that a probe has come back to co, where it began. The oldest on the circle reports, once, after a second
// round with which it collects the stacks; any other one asks it to.
func (s *Service) closeCircle(p *probe, co *coroutine) {
	oldest := p.oldest()
	switch {
	case oldest.svc != s || oldest.task != co.id:
		oldest.svc.run(s.turn, func() { oldest.svc.confirm(oldest.task) })
	case co.waiting.told:
	case p.report:
		co.waiting.told = true
		p.log(co)
	default:
		s.pursue(&probe{report: true}, co)
	}
}

func (p *probe) oldest() hop {
	first := p.hops[0]
	for _, h := range p.hops[1:] {
		if a, b := h.svc.addr.id, first.svc.addr.id; a < b || a == b && h.task < first.task {
			first = h
		}
	}
	return first
}

// confirm sends a reporting probe round the circle that a coroutine of this service is said to be in.
func (s *Service) confirm(task uint64) {
	for _, co := range s.live {
		if co.id == task && !co.waiting.told {
			s.pursue(&probe{report: true}, co)
			return
		}
	}
}

// log reports the circle. Its calls end with their deadlines.
func (p *probe) log(co *coroutine) {
	var cycle, stacks strings.Builder
	for _, h := range p.hops {
		who := h.svc.label + " " + h.command
		cycle.WriteString(who + " -> ")
		stacks.WriteString("\n  " + who + ":")
		if h.stack != "" {
			stacks.WriteString("\n  " + strings.ReplaceAll(indent(h.stack), "\n", "\n  "))
		}
	}
	cycle.WriteString(p.hops[0].svc.label + " " + p.hops[0].command)
	co.log(levelError, "deadlock", "cycle", endsOf(cycle.String()), "stacks", endsOf(stacks.String()))
}
