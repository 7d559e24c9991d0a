package runtime

import (
	"cmp"
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime/wire"
)

// This file holds the rest of what a [Context] can do: every word of the skynet module of scripts, for services in Go.

// Source is the address of the local service whose request is being handled, nil if it came from another node or if there is
// none, as in a fork. Requests of [Node.Call] come from a service of the node's own.
func (c *Context) Source() *Address {
	if s, ok := c.co.source.(*Service); ok {
		return s.addr
	}
	return nil
}

// Launch starts a service and returns its address once its init has returned. The service that launches is held to its own
// rights.
func (c *Context) Launch(o LaunchOptions) (*Address, error) {
	return c.launch(o, false, c.co.launchOwn)
}

// LaunchLinked is [Context.Launch] of a service that is linked to this one before its first message: if one ends abnormally, so
// does the other.
func (c *Context) LaunchLinked(o LaunchOptions) (*Address, error) {
	return c.launch(o, true, c.co.launchOwn)
}

// LaunchUnique is skynet.uniqueservice: the address of the one service of that script, which is launched if there is none. If it
// runs already, the other options are not looked at.
func (c *Context) LaunchUnique(o LaunchOptions) (*Address, error) {
	return c.launch(o, false, c.co.launchUnique)
}

func (c *Context) launch(o LaunchOptions, link bool, do launching) (*Address, error) {
	spec, err := o.spec(c.co.svc.node, c.co.svc)
	if err != nil {
		return nil, err
	}
	spec.link = link
	return asAddress(do(spec, o.Args, o.Kwargs))
}

func asAddress(v starlark.Value, err error) (*Address, error) {
	a, _ := v.(*Address)
	return a, err
}

// Query is skynet.query: the address behind a name, nil if nobody has it by the timeout (0: now).
func (c *Context) Query(name string, timeout time.Duration) (*Address, error) {
	return asAddress(c.co.query(name, timeout))
}

// Kill ends another service of this node, given by address or name, at once.
func (c *Context) Kill(dest starlark.Value) error {
	s, err := c.co.mayEnd("kill", dest)
	if err != nil {
		return err
	}
	return c.co.kill(s)
}

// Stop is skynet.stop: it lets another service finish what it does until the timeout (0: the limit call) and waits for its end.
func (c *Context) Stop(dest starlark.Value, timeout time.Duration) (Reason, error) {
	s, err := c.co.mayEnd("stop", dest)
	if err != nil {
		return Reason{}, err
	}
	return c.co.stopService(s, c.co.deadlineFor(cmp.Or(timeout, c.co.svc.limits.Call)))
}

// Upgrade is skynet.upgrade: it exchanges the code of another service for that of a script or Go handler.
func (c *Context) Upgrade(dest starlark.Value, script string, timeout time.Duration) error {
	s, err := c.co.mayEnd("upgrade", dest)
	if err == nil {
		err = c.co.mayUse("upgrade")
	}
	if err != nil {
		return err
	}
	return c.co.upgrade(s, script, timeout)
}

// Monitor calls f, as a coroutine of this service, once the service of an address has ended, on whatever node it is; nil is a service
// that has ended. It is not held to the limit calls, as monitors of scripts are. What it
// returns undoes it and reports whether that came in time.
func (c *Context) Monitor(of *Address, f func(*Context, Reason)) (cancel func() bool) {
	s := c.co.svc
	hear := func(why Reason) {
		s.fork(goJob("monitor", func(ctx *Context) error { f(ctx, why); return nil }))
	}
	if of == nil { // what Query returns when nobody has the name
		hear(Reason{Kind: Gone, Message: "no such service"})
		return func() bool { return false }
	}
	w := s.watch(of, hear)
	return func() bool { return s.unwatch(w) }
}

// Link links this service to another one of the node: if one ends abnormally, so does the other.
func (c *Context) Link(dest starlark.Value) error {
	_, err := c.linking("link", dest, skynetLink)
	return err
}

// Unlink undoes [Context.Link]; it reports whether the two were linked.
func (c *Context) Unlink(dest starlark.Value) (bool, error) {
	v, err := c.linking("unlink", dest, skynetUnlink)
	return v == starlark.True, err
}

func (c *Context) linking(verb string, dest starlark.Value, do func(co *coroutine, peer *Service) (starlark.Value, error)) (starlark.Value, error) {
	s, err := c.co.mayEnd(verb, dest)
	if err != nil {
		return nil, err
	}
	return do(c.co, s)
}

// goJob is a job in Go.
func goJob(what string, f func(*Context) error) job {
	return job{what: what, native: func(co *coroutine) (starlark.Value, error) {
		return starlark.None, f(&Context{co: co})
	}}
}

// After runs f, as a coroutine of this service, when d is over. What it returns cancels it and reports whether that came in
// time; it may be called in any later turn of the service. It fails, with [Overload] and without a timer, if the service has
// as many as its limit timers.
func (c *Context) After(d time.Duration, what string, f func(*Context) error) (cancel func() bool, err error) {
	s, t := c.co.svc, &timerValue{more: &moreTimer{job: goJob(what, f)}}
	if err := c.co.after(d, t); err != nil {
		return nil, err
	}
	return func() bool { return t.cancel(s) }, nil
}

// Every is skynet.every: it runs f each period (at least 1 ms), the first time after one period, unless it still runs. A failure
// of f is logged and does not end it. What it returns ends it and reports whether it was still going to run; f may call it. It
// fails as [Context.After] does.
func (c *Context) Every(period time.Duration, what string, f func(*Context) error) (cancel func() bool, err error) {
	s := c.co.svc
	t, err := c.co.every(max(period, time.Millisecond), goJob(what, f))
	if err != nil {
		return nil, err
	}
	return func() bool { return t.cancel(s) }, nil
}

// GiveWay lets the service handle what is queued already.
func (c *Context) GiveWay() error { return c.co.giveWay() }

// Wait suspends the handler until [Context.Wakeup] of the token, which may be any hashable value; false says that the timeout
// (0: none) came first.
func (c *Context) Wait(token starlark.Value, timeout time.Duration) (bool, error) {
	return c.co.park(token, timeout)
}

// Wakeup resumes the handler of this service that waits for the token; false says that none does.
func (c *Context) Wakeup(token starlark.Value) (bool, error) { return c.co.svc.unpark(token) }

// Request is a call to be made by [Context.Select].
type Request struct {
	// Dest is an address or a registered name.
	Dest starlark.Value
	// Command is a public function of the callee.
	Command string
	// Args and Kwargs are its arguments. They are copied.
	Args   starlark.Tuple
	Kwargs []starlark.Tuple
}

// Select makes calls at the same time and gives f their outcomes in the order in which they come, until f returns false or all
// have one: at the latest when the timeout (0: the limit call) is over. What is left then is cancelled.
func (c *Context) Select(timeout time.Duration, requests []Request, f func(index int, v starlark.Value, err error) bool) error {
	all := make([]*requestValue, len(requests))
	for i, r := range requests {
		all[i] = &requestValue{dest: r.Dest, command: r.Command, args: r.Args, kwargs: r.Kwargs}
	}
	sel, err := c.co.selectAmong(nil, all, timeout)
	if err != nil {
		return err
	}
	defer sel.cancel()
	for {
		o, ok, err := sel.next()
		if err != nil || !ok || !f(o.index, o.value, o.err) {
			return err
		}
	}
}

// Ret answers the request being handled now; what Handle returns later goes nowhere. It reports whether somebody waits.
func (c *Context) Ret(v starlark.Value) (bool, error) {
	return c.co.ret(v)
}

// Redirect hands the request being handled over to another service, which answers it.
func (c *Context) Redirect(dest starlark.Value, command string, args starlark.Tuple, kwargs []starlark.Tuple) error {
	return c.co.redirect(dest, command, args, kwargs)
}

// Response is the right to answer a request, taken out of its handler. It is used in turns of its service.
type Response struct{ r *response }

// Response takes the answer out of the handler: what Handle returns goes nowhere.
func (c *Context) Response() (*Response, error) {
	r, err := c.co.takeResponse()
	if err != nil {
		return nil, err
	}
	return &Response{r}, nil
}

// Reply answers with a value; it reports whether the caller still waited. A second answer is an error.
func (r *Response) Reply(v starlark.Value) (bool, error) {
	sent, err := wire.Copy(v)
	if err != nil {
		return false, err
	}
	return r.r.give(sent, nil)
}

// Fail answers with an error.
func (r *Response) Fail(err error) (bool, error) { return r.r.give(nil, asCallError(err)) }

// Pending tells whether the caller still waits, as far as that is known: one that gave up before its deadline, but has not ended, is not
// known to have.
func (r *Response) Pending() bool { return r.r.pending() }

// Queue is a critical section of one service, as skynet.queue is. The zero value is free.
type Queue struct{ section criticalSection }

// Do runs f inside, when everybody who came before has left; who is inside may enter again. The timeout bounds the waiting (0:
// the deadline of the request being handled). It fails at once if the wait would never end.
func (q *Queue) Do(ctx *Context, timeout time.Duration, f func() error) error {
	switch q.section.svc {
	case nil:
		q.section.svc = ctx.co.svc
	case ctx.co.svc:
	default:
		return fmt.Errorf("queue: got a queue of %s, want one of this service", q.section.svc.label)
	}
	if err := q.section.enter(ctx.co, ctx.co.job.what, ctx.co.boundedBy(timeout)); err != nil {
		return err
	}
	defer q.section.leave(ctx.co)
	return f()
}

// GenID returns a number that this service was not given before.
func (c *Context) GenID() int64 {
	c.co.svc.genid++
	return c.co.svc.genid
}

// Getenv reads a setting of the node, nil if there is none of that key.
func (c *Context) Getenv(key string) starlark.Value {
	if v, ok := c.co.svc.node.env.Load(key); ok {
		return v.(starlark.Value)
	}
	return nil
}

// Setenv sets a key that has not been set.
func (c *Context) Setenv(key string, v starlark.Value) error {
	if err := c.co.mayUse("setenv"); err != nil {
		return err
	}
	if err := c.co.svc.node.setenv(key, v); err != nil {
		return fmt.Errorf("setenv: %w", err)
	}
	return nil
}
