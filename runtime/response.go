package runtime

import (
	"errors"
	"fmt"

	"go.starlark.net/starlark"

	"skynet/runtime/wire"
	"skynet/sched"
)

// This file is how a request is answered other than by the handler's return: at once (skynet.ret), later from anywhere in
// the service (skynet.response), or by another service (skynet.redirect). However it is done, it is done once.

// errAnswered is what a second answer fails with.
var errAnswered = errors.New("the request was answered already, or its answer given away")

// skynetRet answers the request now, and lets the handler go on; what it returns later goes nowhere. True says that somebody
// waits for the answer.
func skynetRet(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value = starlark.None
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "value?", &v); err != nil {
		return nil, err
	}
	waits, err := co.ret(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.Bool(waits), nil
}

func (co *coroutine) ret(v starlark.Value) (waits bool, err error) {
	if err := co.mayAnswer(); err != nil {
		return false, err
	}
	sent, err := wire.Copy(v)
	if err != nil {
		return false, err
	}
	waits = co.session != 0
	co.answered = true
	co.charge()
	co.answer(sent, nil)
	return waits, nil
}

// mayAnswer tells why the handler may not answer its request, nil if it may: it has done so, or it is init, whose caller wants
// an address.
func (co *coroutine) mayAnswer() error {
	switch {
	case co.answered:
		return errAnswered
	case co.svc.starting && co.session != 0:
		return errors.New("init is answered when it returns")
	}
	return nil
}

// response is the right to answer a request, taken out of its handler. It is answered once: by the script, when the deadline
// of the request has passed, or when the service ends.
type response struct {
	svc      *Service
	source   caller
	session  uint64
	deadline sched.Time
	command  string
	timer    waitID
	place    int // in svc.closers
	given    bool
	over     bool // nobody waits any more
}

// skynetResponse takes the answer out of the handler.
func skynetResponse(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	r, err := co.takeResponse()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return r, nil
}

func (co *coroutine) takeResponse() (*response, error) {
	if err := co.mayAnswer(); err != nil {
		return nil, err
	}
	s := co.svc
	r := &response{svc: s, source: co.source, session: co.session, deadline: co.deadline, command: co.job.what, place: -1, over: co.session == 0}
	co.answered, co.session = true, 0
	if !r.over {
		s.addCloser(r)
		s.held++
		r.timer = s.addWait(otherWait, nil, func(outcome) { r.forgotten() }, r.deadline)
	}
	return r, nil
}

// give answers the request; it reports whether somebody still waited.
func (r *response) give(v starlark.Value, err *CallError) (bool, error) {
	if r.given {
		return false, errAnswered
	}
	waited := r.pending()
	r.given = true
	if !r.over {
		r.finish(v, err)
	}
	return waited, nil
}

// pending tells whether somebody still waits, as far as that is known: a caller that has given up before its deadline, but not ended, is
// not known to have.
func (r *response) pending() bool {
	caller, ok := r.source.(*Service)
	return !r.given && !r.over && !(ok && caller.mail.isClosed())
}

// finish ends the life of a response that somebody waits for.
func (r *response) finish(v starlark.Value, err *CallError) {
	s := r.svc
	r.over = true
	s.waits.take(r.timer)
	s.removeCloser(r)
	s.held--
	r.source.answer(s.turn, r.session, v, err)
}

// forgotten answers a request whose deadline has passed.
func (r *response) forgotten() {
	s := r.svc
	s.log(levelWarn, "response was never given", "command", r.command, "caller", r.source.name())
	r.finish(nil, callErrorf(Timeout, true, "%s took the response to %q and did not give it within the deadline", s.label, r.command))
}

// close answers the request because the service ends.
func (r *response) close() {
	r.finish(nil, callErrorf(Dead, true, "%s ended before it gave its response to %q", r.svc.label, r.command))
}

func (r *response) position() *int { return &r.place }

func (r *response) String() string        { return fmt.Sprintf("response(%q)", r.command) }
func (r *response) Type() string          { return "response" }
func (r *response) Freeze()               {}
func (r *response) Truth() starlark.Bool  { return true }
func (r *response) Hash() (uint32, error) { return uint32(r.session), nil }
func (r *response) AttrNames() []string   { return []string{"fail", "pending", "refuse", "reply"} }

// Attr offers reply(value), fail(*words), refuse(*words), and pending(), whether somebody still waits.
func (r *response) Attr(name string) (starlark.Value, error) {
	switch name {
	case "reply":
		return r.method(name, func(b *starlark.Builtin, args starlark.Tuple) (starlark.Value, *CallError, error) {
			var v starlark.Value = starlark.None
			if err := starlark.UnpackPositionalArgs(b.Name(), args, nil, 0, &v); err != nil {
				return nil, nil, err
			}
			sent, err := wire.Copy(v)
			return sent, nil, err
		}), nil
	case "fail":
		return r.method(name, func(_ *starlark.Builtin, args starlark.Tuple) (starlark.Value, *CallError, error) {
			return nil, callErrorf(Remote, true, "%s: %s", r.svc.label, words(args)), nil
		}), nil
	case "refuse":
		return r.method(name, func(_ *starlark.Builtin, args starlark.Tuple) (starlark.Value, *CallError, error) {
			return nil, callErrorf(Denied, false, "%s", words(args)), nil
		}), nil
	case "pending":
		return starlark.NewBuiltin("response.pending", func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return starlark.Bool(r.pending()), starlark.UnpackArgs(b.Name(), args, kwargs)
		}), nil
	}
	return nil, nil
}

// method is a way to give the response.
func (r *response) method(name string, answer func(*starlark.Builtin, starlark.Tuple) (starlark.Value, *CallError, error)) *starlark.Builtin {
	return starlark.NewBuiltin("response."+name, func(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		co, err := current(th, b)
		if err != nil {
			return nil, err
		}
		if err := starlark.UnpackArgs(b.Name(), nil, kwargs); err != nil {
			return nil, err
		}
		v, failure, err := answer(b, args)
		if err != nil {
			return nil, of(b.Name(), err)
		}
		co.charge()
		waited, err := r.give(v, failure)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name(), err)
		}
		return starlark.Bool(waited), nil
	})
}

// skynetRedirect hands the request being handled over to another service, which answers it; its caller never knows. The
// handler goes on, but what it returns goes nowhere.
func skynetRedirect(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	dest, command, args, err := destination(b, args)
	if err != nil {
		return nil, err
	}
	if err := co.redirect(dest, command, args, kwargs); err != nil {
		if _, ok := err.(*CallError); !ok {
			err = fmt.Errorf("%s: %w", b.Name(), err)
		}
		return nil, err
	}
	return starlark.None, nil
}

func (co *coroutine) redirect(dest starlark.Value, command string, args starlark.Tuple, kwargs []starlark.Tuple) error {
	if err := co.mayAnswer(); err != nil {
		return err
	}
	s := co.svc
	callee, remote, err := s.node.resolve(dest)
	if s.access != nil {
		err = co.mayCall(dest, callee, err)
	}
	if err == nil && co.session != 0 && co.deadline != 0 && co.deadline <= s.turn.Now { // else two could pass it to each other for ever
		late := callErrorf(Timeout, true, "redirect to %q: the deadline of the request being handled has passed", command)
		co.answered = true
		co.answer(nil, late) // as its own clock tells the caller
		return late
	}
	if err == nil && co.depth >= maxDepth {
		err = callErrorf(Denied, false, "redirect to %q: the request was redirected or waits for another one %d times already (in a circle?)", command, maxDepth)
	}
	if err != nil {
		return err
	}
	if remote != nil {
		if err := co.redirectRemote(remote, command, args, kwargs); err != nil {
			return err
		}
	} else {
		m := message{kind: request, command: command, source: co.source, session: co.session, deadline: co.deadline, depth: co.depth + 1}
		full, err := co.deliver(&m, callee, args, kwargs)
		if err != nil {
			return err
		}
		if full {
			if refused := callee.entrust(s.turn, &m); refused != nil {
				return refused
			}
		}
	}
	co.answered, co.session = true, 0
	return nil
}

func (co *coroutine) redirectRemote(to *Address, command string, args starlark.Tuple, kwargs []starlark.Tuple) error {
	if co.session == 0 {
		return co.sendRemote(to.node, target{id: to.id}, command, args, kwargs)
	}
	if err := co.mayReach(to.node, target{id: to.id}); err != nil {
		return err
	}
	payload, err := wire.AppendArgs(nil, args, kwargs)
	if err != nil {
		return fmt.Errorf("redirect of %q to node %s: %w", command, to.node, err)
	}
	co.svc.node.cluster.submit(co.svc.turn, to.node, &outgoing{
		source: co.source, session: co.session, deadline: co.deadline, to: target{id: to.id}, command: command, payload: payload,
		trace: co.traceID(),
	})
	return nil
}
