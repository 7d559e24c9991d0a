package runtime

import (
	"cmp"
	"slices"
	"time"

	"go.starlark.net/starlark"
)

// surveyTime is how long all services together have to answer [Node.Inspect]. A service that runs a script answers at the
// end of its slice; what takes longer is a single built-in that works long.
const surveyTime = time.Second

// Inspect asks every service of the node what it is doing, each in a turn of its own, between two slices of a handler if one
// runs, and calls done, in a turn, with the answers in order of the launches. A service that ends meanwhile, or does not
// answer within a second, is not among them. If the node has ended, or ends meanwhile, done gets the error [Dead]. done
// must not block.
func (n *Node) Inspect(done func([]ServiceInfo, error)) {
	n.enter("inspection", func() {
		var services []ServiceInfo
		n.system.fork(job{
			what: "inspection",
			native: func(co *coroutine) (v starlark.Value, err error) {
				services, err = co.survey()
				return starlark.None, err
			},
			then: func(_ starlark.Value, err error) {
				if err == errKilled {
					err = callErrorf(Dead, false, "inspection: node %s has ended", n.name)
				}
				done(services, err)
			},
		})
	}, func(_ starlark.Value, err *CallError) { done(nil, err) })
}

// survey asks all services that this one may look into, and itself.
func (co *coroutine) survey() ([]ServiceInfo, error) {
	s := co.svc
	co.charge()
	answers := []ServiceInfo{s.info(co)}
	left := 0
	id := s.addWait(otherWait, co, nil, co.deadlineFor(surveyTime))
	settle := func(answer *ServiceInfo) { // in turns of this service
		if answer != nil {
			s.veil(answer.Tasks)
			answers = append(answers, *answer)
		}
		if left--; left == 0 {
			s.wake(id, starlark.None, nil)
		}
	}
	for _, other := range s.node.Services() {
		if other == s || !s.sees(other) {
			continue
		}
		asked := s.urge(other, func() {
			answer := other.info(nil)
			s.run(other.turn, func() { settle(&answer) })
		}, func() { settle(nil) })
		if asked {
			left++
		}
	}
	if left == 0 {
		s.waits.take(id)
		return answers, nil
	}
	if _, err := co.block("inspection", ""); err != nil {
		return nil, err
	}
	found := answers
	settle = func(*ServiceInfo) {} // whoever answers later is not heard
	slices.SortFunc(found, func(a, b ServiceInfo) int { return cmp.Compare(a.Address.id, b.Address.id) })
	return found, nil
}

// veil takes out of what the handlers of a service do whom they wait for, and who asked, as far as this one may not look into those.
func (s *Service) veil(tasks []Task) {
	if s.access == nil {
		return
	}
	hidden := func(id uint64) bool {
		other := s.node.service(id)
		return other == nil || !s.sees(other)
	}
	for i := range tasks {
		t := &tasks[i]
		switch t.What {
		case "call", "send", "stop", "query", "queryservice":
			if hidden(t.callee) {
				t.Target = ""
			}
		}
		if t.Source != "" && (t.source == nil || hidden(t.source.id)) {
			t.Source, t.source = "", nil
		}
	}
}

// examine makes a service of this node call look in one of its turns, between two slices of a handler if one runs, and
// waits for the result. look gets the coroutine that runs, which is nil in another service.
func (co *coroutine) examine(what string, dest starlark.Value, look func(s *Service, self *coroutine) starlark.Value) (starlark.Value, error) {
	subject, err := co.subject(what, dest)
	if err != nil {
		return nil, err
	}
	if subject == co.svc {
		co.charge()
		return look(subject, co), nil
	}
	return co.interrupt(what, subject, func(answer func(starlark.Value, *CallError)) {
		answer(look(subject, nil), nil)
	})
}

// interrupt makes another service do something in one of its turns, and waits until that has called answer, in a turn of
// that service.
func (co *coroutine) interrupt(what string, subject *Service, do func(answer func(starlark.Value, *CallError))) (starlark.Value, error) {
	s := co.svc
	deadline := co.deadlineFor(s.limits.Call)
	if deadline <= s.turn.Now {
		return nil, callErrorf(Timeout, false, "%s: the deadline of the request being handled has passed", what)
	}
	if err := s.roomForCall(); err != nil {
		return nil, err
	}
	id := s.addWait(callWait, co, nil, deadline)
	m := message{kind: event, command: what, source: s, session: uint64(id)}
	m.body = func() {
		do(func(v starlark.Value, err *CallError) { s.answer(subject.turn, uint64(id), v, err) })
	}
	if !subject.interrupt(s.turn, &m) {
		s.waits.take(id)
		return nil, callErrorf(Dead, false, "%s: %s has ended", what, subject.label)
	}
	return co.block("call", subject.label)
}

// subject is the service of this node that dest names; nil means this one. A service with restrictions looks into those only
// that it may call.
func (co *coroutine) subject(what string, dest starlark.Value) (*Service, error) {
	if dest == nil {
		return co.svc, nil
	}
	s, remote, err := co.resolve(dest)
	if err != nil {
		return nil, of(what, err)
	}
	if remote != nil {
		return nil, callErrorf(Denied, false, "%s: %s lives on another node", what, remote)
	}
	if co.svc.access != nil {
		if err := co.mayCall(dest, s, nil); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// allNames are the names of the service, local ones and those for other nodes, sorted.
func (s *Service) allNames() []string {
	s.node.mu.Lock()
	names := make([]string, 0, len(s.names))
	for _, c := range s.names {
		names = append(names, c.name)
	}
	s.node.mu.Unlock()
	slices.Sort(names)
	return slices.Compact(names)
}
