package runtime

import (
	"cmp"
	"fmt"
	"sort"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime/diag"
	"skynet/runtime/wire"
	"skynet/sched"
	"skynet/sched/trace"
)

// This file is the way of a message out of a service: skynet.call and skynet.send, from the coroutine to the callee's
// mailbox. The way in is Service.handle, the way of the reply is coroutine.answer.

// call sends a request and suspends the coroutine until it is answered or its deadline has passed.
func (co *coroutine) call(dest starlark.Value, command string, args starlark.Tuple, kwargs []starlark.Tuple, timeout time.Duration) (starlark.Value, error) {
	if yields, v, err := co.beginCall(dest, command, args, kwargs, timeout); !yields {
		return v, err
	}
	return co.unblocked(co.yield(blocked))
}

// beginCall sends the request of a call. If it reports true the coroutine must yield, and what the call returns is then that of
// unblocked; else the call is over.
func (co *coroutine) beginCall(dest starlark.Value, command string, args starlark.Tuple, kwargs []starlark.Tuple, timeout time.Duration) (yields bool, v starlark.Value, err error) {
	if err := co.mayBlock("call"); err != nil {
		return false, nil, err
	}
	_, callee, err := co.ask(dest, command, args, kwargs, co.deadlineFor(cmp.Or(timeout, co.svc.limits.Call)), nil)
	if err != nil {
		return false, nil, err
	}
	co.what, co.target, co.asked = "call", callee, command
	return true, nil, nil
}

// ask sends a request whose outcome ends a wait of this service: it resumes the coroutine, or goes to fire if that is not nil.
// It returns the wait, and what the callee is called. A request that waits for room in a full mailbox is taken back with the wait.
func (co *coroutine) ask(dest starlark.Value, command string, args starlark.Tuple, kwargs []starlark.Tuple, deadline sched.Time, fire func(outcome)) (waitID, string, error) {
	s := co.svc
	callee, remote, err := s.node.resolve(dest)
	if s.access != nil {
		err = co.mayCall(dest, callee, err)
	}
	if err != nil {
		return 0, "", err
	}
	if remote != nil {
		return co.askRemote(remote.node, target{id: remote.id}, command, args, kwargs, deadline, false, fire)
	}
	if deadline <= s.turn.Now {
		return 0, "", callErrorf(Timeout, false, "call of %q: the deadline of the request being handled has passed", command)
	}
	if err := s.roomForCall(); err != nil {
		return 0, "", err
	}
	if co.depth >= maxDepth {
		return 0, "", callErrorf(Denied, false, "call of %q: %d calls wait for one another already (does a service call itself without end?)", command, maxDepth)
	}
	m := message{kind: request, command: command, source: s, deadline: deadline, depth: co.depth + 1}
	id := s.addWait(callWait, co.unless(fire), fire, deadline)
	m.session = uint64(id)
	full, err := co.deliver(&m, callee, args, kwargs)
	if full {
		_, err = co.waitForRoom(&m, callee)
	}
	if err != nil {
		s.waits.take(id)
		return 0, "", err
	}
	if fire == nil {
		co.waiting.callee, co.waiting.call = callee, id
	}
	return id, callee.label, nil
}

// maxDepth bounds how many calls may each wait for the next, and how often a request may be redirected, on one node: a service that calls
// itself without end would take all memory before the first deadline passed, and redirects in a circle take no time in simulation.
const maxDepth = 1000

// unless is the coroutine that a wait resumes, nil if fire is called instead.
func (co *coroutine) unless(fire func(outcome)) *coroutine {
	if fire != nil {
		return nil
	}
	return co
}

// send sends a request that wants no reply.
func (co *coroutine) send(dest starlark.Value, command string, args starlark.Tuple, kwargs []starlark.Tuple) error {
	callee, remote, err := co.svc.node.resolve(dest)
	if co.svc.access != nil {
		err = co.mayCall(dest, callee, err)
	}
	if err != nil {
		return err
	}
	if remote != nil {
		return co.sendRemote(remote.node, target{id: remote.id}, command, args, kwargs)
	}
	m := message{kind: request, command: command, source: co.svc}
	full, err := co.deliver(&m, callee, args, kwargs)
	if full {
		var waits bool
		if waits, err = co.waitForRoom(&m, callee); waits {
			_, err = co.block("send", callee.label)
		}
	}
	return err
}

// traceID is what the handler belongs to; a handler that belongs to nothing yet begins something.
func (co *coroutine) traceID() uint64 {
	if co.trace == 0 {
		co.trace = co.svc.node.nextTrace()
	}
	return co.trace
}

// deadlineFor is now + timeout, but not later than the deadline of the request being handled: a caller that has given up
// wants nothing done any more.
func (co *coroutine) deadlineFor(timeout time.Duration) sched.Time {
	at := co.svc.turn.Now.Add(timeout)
	if co.deadline != 0 && co.deadline < at {
		at = co.deadline
	}
	return at
}

// boundedBy is now + timeout or the deadline of the request being handled, whichever is first; 0, for ever, if there is
// neither.
func (co *coroutine) boundedBy(timeout time.Duration) sched.Time {
	if timeout == 0 {
		return co.deadline
	}
	return co.deadlineFor(timeout)
}

// deliver copies the arguments and puts the request into the callee's mailbox, unless that is full.
func (co *coroutine) deliver(m *message, callee *Service, args starlark.Tuple, kwargs []starlark.Tuple) (full bool, err error) {
	n := co.svc.node
	m.trace = co.traceID()
	var size int
	if m.args, kwargs, size, err = wire.CopySized(args, kwargs); err != nil {
		return false, fmt.Errorf("%s of %q: %w", m.verb(), m.command, err)
	}
	m.size = requestSize(size)
	if len(kwargs) > 0 {
		m.body = &extras{kwargs: kwargs}
	}
	if n.trace != nil {
		co.charge()
		n.trace.AddText(int64(n.sched.Now()), trace.Message, n.index, co.svc.TaskID(), callee.TaskID(), m.command)
	}
	switch callee.post(co.svc.turn, m) {
	case putFull:
		return true, nil
	case putClosed:
		return false, callErrorf(Dead, false, "%s has ended", callee.label)
	}
	return false, nil
}

func (m *message) verb() string {
	if m.session == 0 {
		return "send"
	}
	return "call"
}

// resolve finds the local service that dest names, or the remote address that dest is.
func (n *Node) resolve(dest starlark.Value) (*Service, *Address, error) {
	switch d := dest.(type) {
	case *Address:
		if d.svc != nil && d.svc.node == n {
			return d.svc, nil, nil
		}
		if d.node != n.name {
			return nil, d, nil
		}
		if s := n.service(d.id); s != nil {
			return s, nil, nil
		}
		return nil, nil, callErrorf(Dead, false, "%s has ended", d)
	case starlark.String:
		if s := n.lookup(string(d)); s != nil {
			return s, nil, nil
		}
		return nil, nil, callErrorf(Dead, false, "no service has the name %q%s", string(d), hint(string(d), n.Names()))
	}
	return nil, nil, fmt.Errorf("destination: got %s, want an address or a name", dest.Type())
}

// noCommand explains why a service does not have a command.
func (s *Service) noCommand(command string) *CallError {
	if len(command) > 0 && command[0] == '_' {
		return callErrorf(Denied, false, "%s: %q is private: its name starts with an underscore", s.label, command)
	}
	if lifeFunction(command) {
		return callErrorf(Denied, false, "%s: %s cannot be called: the runtime calls it", s.label, command)
	}
	return callErrorf(Remote, false, "%s has no command %q%s", s.label, command, hint(command, s.Commands()))
}

// Commands lists the public functions of the service, sorted. It must be called in a turn of the service, or while no
// worker runs.
func (s *Service) Commands() []string {
	var names []string
	for name, v := range s.globals { //determinism:ok sorted below
		if _, ok := v.(*starlark.Function); ok && name[0] != '_' && !lifeFunction(name) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// hint is "; did you mean …?" if one of the candidates is near.
func hint(got string, candidates []string) string {
	if near, ok := diag.Nearest(got, candidates); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
