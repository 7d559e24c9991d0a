package runtime

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/sched"
)

// This file is how services hear of each other's end. A monitor only tells; a link ends both, if one ends abnormally (the
// terms and the difference are Erlang's).

// watchCommand is the command of a request that another node sends to watch a service; no function can have that name.
const watchCommand = "<watch>"

// reasonValue is a reason as scripts see it: a struct with kind and message.
func reasonValue(r Reason) starlark.Value {
	return starlarkstruct.FromStringDict(starlark.String("reason"), starlark.StringDict{
		"kind": starlark.String(r.Kind), "message": starlark.String(r.Message),
	})
}

// reasonOf is the inverse of reasonValue, for what came from wherever the service was.
func reasonOf(o outcome) Reason {
	if o.err != nil {
		if errors.Is(o.err, &CallError{Kind: Dead}) {
			return Reason{Kind: Gone, Message: o.err.Error()}
		}
		return Reason{Kind: Lost, Message: o.err.Error()}
	}
	s, ok := o.value.(*starlarkstruct.Struct)
	if !ok {
		return Reason{Kind: Lost}
	}
	field := func(name string) string {
		v, _ := s.Attr(name)
		text, _ := starlark.AsString(v)
		return text
	}
	return Reason{Kind: Ending(field("kind")), Message: field("message")}
}

// tellWatchers tells everybody why the service has ended.
func (s *Service) tellWatchers() {
	why := reasonValue(s.reason)
	for i := range s.watchers {
		m := &s.watchers[i]
		m.source.answer(s.turn, m.session, why, nil)
	}
	for _, l := range s.links {
		if l.tell {
			l.peer.linkEnded(s.turn, s, s.reason, l.owns || s.reason.Abnormal())
		}
	}
	s.watchers, s.links = nil, nil
}

// watch calls f in a turn of this service once the service of that address has ended; a service that has ended already, or is
// unknown, has the reason Gone. The wait it returns undoes it.
func (s *Service) watch(of *Address, f func(Reason)) waitID {
	id := s.addWait(otherWait, nil, func(o outcome) { f(reasonOf(o)) }, 0)
	m := message{kind: watching, source: s, session: uint64(id)}
	n := s.node
	if of.node != n.name {
		n.cluster.submit(s.turn, of.node, &outgoing{
			source: s, session: uint64(id), deadline: s.turn.Now.Add(maxDuration), to: target{id: of.id}, command: watchCommand,
		})
		return id
	}
	if callee := n.service(of.id); callee == nil || callee.post(s.turn, &m) == putClosed {
		s.answer(s.turn, m.session, reasonValue(Reason{Kind: Gone, Message: "no such service"}), nil)
	}
	return id
}

// unwatch undoes a watch; it reports whether the watched service had not ended yet.
func (s *Service) unwatch(of *Address, id waitID) bool {
	_, pending := s.waits.take(id)
	if callee := s.node.service(of.id); pending && callee != nil && of.node == s.node.name {
		callee.run(s.turn, func() {
			callee.watchers = slices.DeleteFunc(callee.watchers, func(m message) bool { return m.session == uint64(id) && m.source == caller(s) })
		})
	}
	return pending
}

// monitor is what skynet.monitor returns.
type monitor struct {
	svc *Service
	of  *Address
	id  waitID
}

func (m *monitor) String() string        { return fmt.Sprintf("monitor(%s)", m.of) }
func (m *monitor) Type() string          { return "monitor" }
func (m *monitor) Freeze()               {}
func (m *monitor) Truth() starlark.Bool  { return true }
func (m *monitor) Hash() (uint32, error) { return uint32(m.id), nil }
func (m *monitor) AttrNames() []string   { return []string{"cancel"} }

// Attr offers cancel(), which reports whether the service had not ended yet.
func (m *monitor) Attr(name string) (starlark.Value, error) {
	if name != "cancel" {
		return nil, nil
	}
	return starlark.NewBuiltin("monitor.cancel", func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
			return nil, err
		}
		return starlark.Bool(m.svc.unwatch(m.of, m.id)), nil
	}), nil
}

// skynetMonitor runs f(address, reason, *args) once a service has ended.
func skynetMonitor(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) < 2 {
		return nil, fmt.Errorf("%s: got %d arguments, want an address and a function", b.Name(), len(args))
	}
	of, err := co.addressOf(b, args[0])
	if err != nil {
		return nil, err
	}
	j, err := callable(b, args[1:], kwargs)
	if err != nil {
		return nil, err
	}
	s := co.svc
	m := &monitor{svc: s, of: of}
	m.id = s.watch(of, func(why Reason) {
		j.args = append(starlark.Tuple{of, reasonValue(why)}, j.args...)
		s.fork(j)
	})
	return m, nil
}

// addressOf is the address that a script gives, or that has a name.
func (co *coroutine) addressOf(b *starlark.Builtin, v starlark.Value) (*Address, error) {
	if a, ok := v.(*Address); ok {
		return a, nil
	}
	s, _, err := co.resolve(v)
	if err != nil {
		if _, ok := err.(*CallError); !ok {
			err = fmt.Errorf("%s: %w", b.Name(), err)
		}
		return nil, err
	}
	return s.addr, nil
}

// linkage is one side of a link: what a service knows of those that end with it.
type linkage struct {
	peer *Service
	tell bool // tell the peer of this service's end; false on a child's side of a link to its supervisor
	owns bool // the peer is a child, which ends with this service however that ends
}

// link links two services of the node, in a turn of s. All that concerns links interrupts, so that it keeps its order.
func (s *Service) link(peer *Service) {
	if s == peer || s.linkedTo(peer) {
		return
	}
	s.links = append(s.links, linkage{peer: peer, tell: true})
	gone := goCaller(func(starlark.Value, *CallError) {
		s.linkEnded(nil, peer, Reason{Kind: Gone, Message: "no such service"}, true)
	})
	m := message{kind: event, source: gone, session: 1, body: func() {
		if !peer.linkedTo(s) {
			peer.links = append(peer.links, linkage{peer: s, tell: true})
		}
	}}
	if !peer.interrupt(s.turn, &m) {
		gone(nil, nil)
	}
}

func (s *Service) linkedTo(peer *Service) bool {
	return slices.ContainsFunc(s.links, func(l linkage) bool { return l.peer == peer })
}

func (s *Service) unlink(peer *Service) (was bool) {
	was = s.linkedTo(peer)
	drop := func(from, other *Service) {
		from.links = slices.DeleteFunc(from.links, func(l linkage) bool { return l.peer == other })
	}
	drop(s, peer)
	if was {
		peer.interrupt(s.turn, &message{kind: event, body: func() { drop(peer, s) }})
	}
	return was
}

// linkEnded tells a service that one linked to it has ended, and whether it ends, too. A link that was undone meanwhile has no
// effect.
func (s *Service) linkEnded(turn *sched.Turn, peer *Service, why Reason, ends bool) {
	s.interrupt(turn, &message{kind: event, body: func() {
		if !s.linkedTo(peer) {
			return
		}
		s.links = slices.DeleteFunc(s.links, func(l linkage) bool { return l.peer == peer })
		if ends {
			s.end(Reason{Kind: Failed, Message: fmt.Sprintf("linked service %s ended: %s", peer.label, why)})
		}
	}})
}

// linking is skynet.link and skynet.unlink.
func linking(do func(s, peer *Service) (starlark.Value, error)) builtin {
	return func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var dest starlark.Value
		if err := starlark.UnpackArgs(b.Name(), args, kwargs, "address", &dest); err != nil {
			return nil, err
		}
		peer, err := co.mayEnd(b.Name(), dest) // whoever is linked to a service can end it
		if err != nil {
			return nil, err
		}
		return do(co.svc, peer)
	}
}

func skynetLink(s, peer *Service) (starlark.Value, error) {
	if peer.mail.isClosed() {
		return nil, callErrorf(Dead, false, "%s has ended", peer.label)
	}
	s.link(peer)
	return starlark.None, nil
}

func skynetUnlink(s, peer *Service) (starlark.Value, error) {
	return starlark.Bool(s.unlink(peer)), nil
}

// skynetStop ends another service in an orderly way and waits until it has ended.
func skynetStop(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	var dest starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "address", &dest); err != nil {
		return nil, err
	}
	s, err := co.mayEnd(b.Name(), dest)
	if err != nil {
		return nil, err
	}
	why, err := co.stopService(s, co.deadlineFor(cmp.Or(timeout, co.svc.limits.Call)))
	return reasonValue(why), err
}

// owns tells whether a service is one of the runtime's own, which no script ends.
func (n *Node) owns(s *Service) bool { return s == n.system || s == n.cluster.svc }

// mayEnd finds the service that a script wants to end.
func (co *coroutine) mayEnd(verb string, dest starlark.Value) (*Service, error) {
	n := co.svc.node
	s, remote, err := co.resolve(dest)
	switch {
	case err != nil:
		return nil, err
	case remote != nil:
		return nil, callErrorf(Denied, false, "%s: %s lives on another node", verb, remote)
	case n.owns(s):
		return nil, callErrorf(Denied, false, "%s: %s belongs to the runtime", verb, s.label)
	}
	return s, co.mayKill(verb, s, dest)
}

// stopService asks a service to finish what it does and to end. At the deadline its handlers are unwound; if its exit hook has
// not returned when its time is over, too, the service is killed. It returns why it ended.
func (co *coroutine) stopService(callee *Service, deadline sched.Time) (why Reason, err error) {
	s := co.svc
	if err := co.mayBlock("stop"); err != nil {
		return Reason{}, err
	}
	if callee == s {
		s.leave(Reason{Kind: Stopped, Message: "by itself"})
		return Reason{}, errKilled
	}
	why = Reason{Kind: Stopped, Message: "by " + s.label}
	callee.run(s.turn, func() { callee.drainUntil(deadline, why) })
	var id waitID
	over := false
	watch := s.watch(callee.addr, func(r Reason) {
		why, over = r, true
		s.wake(id, starlark.True, nil)
	})
	defer s.unwatch(callee.addr, watch)
	hurry := []func(){
		func() { callee.interrupt(s.turn, &message{kind: event, body: func() { callee.leave(why) }}) },
		func() { callee.kill(s.turn, Reason{Kind: Killed, Message: "did not stop in time"}) },
	}
	for patience := deadline; !over; patience = patience.Add(2 * callee.limits.Call) {
		id = s.addWait(otherWait, co, nil, patience)
		if _, err := co.block("stop", callee.label); err != nil {
			return why, err
		}
		if !over && len(hurry) > 0 {
			hurry[0]()
			hurry = hurry[1:]
		}
	}
	return why, nil
}
