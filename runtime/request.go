package runtime

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/sched"
)

// This file is the fan-out of requests: skynet.request says what to ask, skynet.select asks all of it at the same time.

// requestValue is a request that was not sent yet: what skynet.request and cluster.request return.
type requestValue struct {
	node    string         // of another node, "" if dest says it all
	dest    starlark.Value // an address or a name
	command string
	args    starlark.Tuple
	kwargs  []starlark.Tuple
}

func (r *requestValue) String() string        { return fmt.Sprintf("request(%s, %q)", r.dest, r.command) }
func (r *requestValue) Type() string          { return "request" }
func (r *requestValue) Truth() starlark.Bool  { return true }
func (r *requestValue) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: request") }
func (r *requestValue) AttrNames() []string   { return []string{"args", "command", "dest"} }
func (r *requestValue) Freeze()               { r.args.Freeze() }

// Attr offers what is asked of whom.
func (r *requestValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "args":
		return r.args, nil
	case "command":
		return starlark.String(r.command), nil
	case "dest":
		return r.dest, nil
	}
	return nil, nil
}

func skynetRequest(_ *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	dest, command, args, err := destination(b, args)
	if err != nil {
		return nil, err
	}
	switch dest.(type) {
	case *Address, starlark.String:
	default: // what cannot be there at any time is told here, not by the select
		return nil, fmt.Errorf("%s: destination: got %s, want an address or a name", b.Name(), dest.Type())
	}
	return &requestValue{dest: dest, command: command, args: args, kwargs: kwargs}, nil
}

func clusterRequest(_ *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	node, dest, command, args, err := remoteDestination(b, args)
	if err != nil {
		return nil, err
	}
	return &requestValue{node: node, dest: dest, command: command, args: args, kwargs: kwargs}, nil
}

// whom names the service that is asked.
func (r *requestValue) whom() string {
	whom := r.dest.String()
	if name, ok := r.dest.(starlark.String); ok {
		whom = string(name)
	}
	if r.node != "" {
		whom = r.node + "/" + whom
	}
	return whom
}

// send sends the request; its outcome goes to fire.
func (r *requestValue) send(co *coroutine, b *starlark.Builtin, deadline sched.Time, fire func(outcome)) (waitID, error) {
	if r.node == "" || r.node == co.svc.node.name {
		id, _, err := co.ask(r.dest, r.command, r.args, r.kwargs, deadline, fire)
		return id, err
	}
	to, err := targetOf(b, r.node, r.dest)
	if err != nil {
		return 0, err
	}
	id, _, err := co.askRemote(r.node, to, r.command, r.args, r.kwargs, deadline, false, fire)
	return id, err
}

// selection is what skynet.select returns: the outcomes of its requests in the order in which they come. Iterating waits for
// the next one. Leaving the loop cancels what is left: late answers are dropped.
type selection struct {
	svc     *Service
	pending []waitID   // of the requests without an outcome, 0 for the others
	left    int        // how many have none
	ready   []selected // outcomes the loop has not seen
	reader  waitID     // the coroutine that waits for the next one
}

// selected is the outcome of one request.
type selected struct {
	index int
	value starlark.Value
	err   error
}

var _ starlark.Iterable = (*selection)(nil)

// skynetSelect sends requests at the same time, under one deadline.
func skynetSelect(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs); err != nil {
		return nil, err
	}
	requests, err := requestsOf(b, args)
	if err != nil {
		return nil, err
	}
	sel, err := co.selectAmong(b, requests, timeout)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return sel, nil
}

func (co *coroutine) selectAmong(b *starlark.Builtin, requests []*requestValue, timeout time.Duration) (*selection, error) {
	if err := co.mayBlock("select"); err != nil {
		return nil, err
	}
	sel := &selection{svc: co.svc, pending: make([]waitID, len(requests))}
	deadline := co.deadlineFor(cmp.Or(timeout, co.svc.limits.Call))
	for i, r := range requests {
		if err := sel.add(co, b, i, r, deadline); err != nil {
			sel.cancel()
			return nil, fmt.Errorf("request %d: %w", i+1, err)
		}
	}
	return sel, nil
}

// requestsOf takes requests as arguments, or as one sequence of them.
func requestsOf(b *starlark.Builtin, args starlark.Tuple) ([]*requestValue, error) {
	if len(args) == 1 {
		if seq, ok := args[0].(starlark.Iterable); ok {
			args = slices.Collect(starlark.Elements(seq))
		}
	}
	all := make([]*requestValue, len(args))
	for i, v := range args {
		r, ok := v.(*requestValue)
		if !ok {
			return nil, fmt.Errorf("%s: argument %d: got %s, want a request", b.Name(), i+1, v.Type())
		}
		all[i] = r
	}
	return all, nil
}

// add sends one request. A failed call is an outcome like any other; a request that cannot be sent at all is an error.
func (sel *selection) add(co *coroutine, b *starlark.Builtin, i int, r *requestValue, deadline sched.Time) error {
	id, err := r.send(co, b, deadline, func(o outcome) {
		sel.pending[i] = 0
		sel.left--
		err := o.err
		if o.late {
			err = callErrorf(Timeout, true, "no reply from %s to %q within the deadline of the select", r.whom(), r.command)
		}
		sel.arrived(i, o.value, err)
	})
	if _, failed := err.(*CallError); failed {
		sel.arrived(i, nil, err)
		return nil
	}
	if err == nil {
		sel.pending[i] = id
		sel.left++
	}
	return err
}

// arrived notes an outcome and wakes the loop.
func (sel *selection) arrived(index int, v starlark.Value, err error) {
	sel.ready = append(sel.ready, selected{index, v, err})
	if reader := sel.reader; reader != 0 {
		sel.reader = 0
		sel.svc.wake(reader, starlark.True, nil)
	}
}

// cancel forgets the requests that have no outcome; another loop that waits for one is over.
func (sel *selection) cancel() {
	for i, id := range sel.pending {
		if id != 0 {
			sel.svc.waits.take(id)
			sel.pending[i] = 0
		}
	}
	sel.left, sel.ready = 0, nil
	if reader := sel.reader; reader != 0 {
		sel.reader = 0
		sel.svc.wake(reader, starlark.False, nil)
	}
}

func (sel *selection) String() string {
	return fmt.Sprintf("select(%d of %d pending)", sel.left, len(sel.pending))
}
func (sel *selection) Type() string               { return "select" }
func (sel *selection) Freeze()                    {}
func (sel *selection) Truth() starlark.Bool       { return sel.left+len(sel.ready) > 0 }
func (sel *selection) Hash() (uint32, error)      { return 0, fmt.Errorf("unhashable: select") }
func (sel *selection) Iterate() starlark.Iterator { return sel }

// next waits for the next outcome; false says that there is none left.
func (sel *selection) next() (o selected, ok bool, err error) {
	for len(sel.ready) == 0 {
		if sel.left == 0 || sel.reader != 0 {
			return selected{}, false, nil
		}
		co := sel.svc.current // iterators are given no thread
		sel.reader = sel.svc.addWait(otherWait, co, nil, 0)
		if _, err := co.block("select", fmt.Sprintf("%d requests", sel.left)); err != nil {
			sel.reader = 0
			return selected{}, false, err
		}
	}
	o = sel.ready[0]
	sel.ready[0] = selected{}
	sel.ready = sel.ready[1:]
	return o, true, nil
}

// Next waits for the next outcome, for a loop in a script.
func (sel *selection) Next(p *starlark.Value) bool {
	o, ok, err := sel.next()
	switch {
	case err != nil:
		sel.svc.current.abandon()
		return false
	case !ok:
		return false
	}
	fields := starlark.StringDict{"index": starlark.MakeInt(o.index), "ok": starlark.True, "value": o.value, "error": starlark.None}
	if o.err != nil {
		fields["ok"], fields["value"], fields["error"] = starlark.False, starlark.None, newErrorValue(o.err)
	}
	*p = starlarkstruct.FromStringDict(starlark.String("result"), fields)
	return true
}

// Done is called when the loop is over, however it ended.
func (sel *selection) Done() { sel.cancel() }
