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

// The commands of the requests that another node sends to watch a service, and to take that back; no function can have these
// names. The session of the second, which wants no reply, is that of the first. A node that does not know the second refuses
// it as it refuses every unknown command: it says so in its log, and keeps its entry until the service or the link ends.
const (
	watchCommand   = "<watch>"
	unwatchCommand = "<unwatch>"
)

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
	for to := range s.watchers.all() {
		to.answer(s.turn, why, nil)
	}
	for _, l := range s.links {
		l.peer.linkEnded(s.turn, s, s.reason, l.owns || !l.owned && s.reason.Abnormal())
	}
	s.watchers, s.links = line[replyTo, struct{}]{}, nil
}

// watch is what a service knows of another one whose end it waits for.
type watch struct {
	of      *Address
	id      waitID
	request *outgoing // the one sent to its node; nil if that is this one
}

// watch calls f in a turn of this service once the service of that address has ended; a service that has ended already, or is
// unknown, has the reason Gone.
func (s *Service) watch(of *Address, f func(Reason)) *watch {
	w := &watch{of: of}
	w.id = s.addWait(watchWait, nil, func(o outcome) {
		if o.dropped {
			s.callOff(w)
			return
		}
		f(reasonOf(o))
	}, 0)
	m := message{kind: watching, source: s, session: uint64(w.id)}
	n := s.node
	if of.node != n.name {
		w.request = &outgoing{source: s, session: m.session, deadline: s.turn.Now.Add(maxDuration), to: target{id: of.id}, command: watchCommand}
		n.cluster.submit(s.turn, of.node, w.request)
		return w
	}
	if callee := n.service(of.id); callee == nil || callee.post(s.turn, &m) == putClosed {
		s.answer(s.turn, m.session, reasonValue(Reason{Kind: Gone, Message: "no such service"}), nil)
	}
	return w
}

// unwatch undoes a watch; it reports whether the watched service had not ended yet.
func (s *Service) unwatch(w *watch) bool {
	_, pending := s.waits.take(w.id)
	if pending {
		s.callOff(w)
	}
	return pending
}

// callOff tells a watched service, wherever it is, that this one does not wait for its end any more. It comes after the watch, and
// too late if the service has ended meanwhile.
func (s *Service) callOff(w *watch) {
	if w.request != nil {
		s.node.cluster.withdraw(s.turn, w.request)
		return
	}
	if callee := s.node.service(w.of.id); callee != nil {
		callee.run(s.turn, func() { callee.forgetWatcher(s, uint64(w.id)) })
	}
}

// forgetWatcher takes off the list whoever wanted to hear of the end of this service; who is not in it is ignored.
func (s *Service) forgetWatcher(who caller, session uint64) {
	s.watchers.remove(replyTo{who, session})
}

// monitor is what skynet.monitor returns.
type monitor struct {
	svc *Service
	*watch
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
		return starlark.Bool(m.svc.unwatch(m.watch)), nil
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
	if err := s.roomForMonitor(); err != nil {
		return nil, err
	}
	return &monitor{s, s.watch(of, func(why Reason) {
		j.args = append(starlark.Tuple{of, reasonValue(why)}, j.args...)
		s.fork(j)
	})}, nil
}

// addressOf is the address that a script gives, or that has a name.
func (co *coroutine) addressOf(b *starlark.Builtin, v starlark.Value) (*Address, error) {
	if a, ok := v.(*Address); ok {
		return a, nil
	}
	s, _, err := co.resolve(v)
	if err != nil {
		return nil, of(b.Name(), err)
	}
	return s.addr, nil
}

// linkage is one side of a link: what a service knows of those that end with it.
type linkage struct {
	peer  *Service
	owns  bool // the peer is a child, which ends with this service however that ends
	owned bool // the peer is its supervisor, which does not end with this service however that ends
}

// link links two services of the node, in a turn of s. All that concerns links interrupts, so that it keeps its order.
func (s *Service) link(peer *Service) {
	if s == peer || s.linkedTo(peer) {
		return
	}
	s.links = append(s.links, linkage{peer: peer})
	gone := goCaller(func(starlark.Value, *CallError) {
		s.linkEnded(nil, peer, Reason{Kind: Gone, Message: "no such service"}, true)
	})
	m := message{kind: event, source: gone, session: 1, body: func() {
		if !peer.linkedTo(s) {
			peer.links = append(peer.links, linkage{peer: s})
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
func linking(do func(co *coroutine, peer *Service) (starlark.Value, error)) builtin {
	return func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var dest starlark.Value
		if err := starlark.UnpackArgs(b.Name(), args, kwargs, "address", &dest); err != nil {
			return nil, err
		}
		peer, err := co.mayEnd(b.Name(), dest) // whoever is linked to a service can end it
		if err != nil {
			return nil, err
		}
		return do(co, peer)
	}
}

func skynetLink(co *coroutine, peer *Service) (starlark.Value, error) {
	s := co.svc
	if peer.mail.isClosed() {
		return nil, callErrorf(Dead, false, "%s has ended", peer.label)
	}
	if !s.linkedTo(peer) {
		s.link(peer)
		co.undo(func() { s.unlink(peer) })
	}
	return starlark.None, nil
}

func skynetUnlink(co *coroutine, peer *Service) (starlark.Value, error) {
	was := co.svc.unlink(peer)
	if was {
		co.undo(func() { co.svc.link(peer) })
	}
	return starlark.Bool(was), nil
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
		return nil, of(verb, err)
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
	defer s.unwatch(watch)
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
