package runtime

import (
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// Handler is a service written in Go. It lives behind the same mailbox as a script, is single-threaded like one, and may
// block in the methods of its [Context] like one: other messages are handled meanwhile. It must not block in any other
// way; work that does belongs into [Context.Offload].
type Handler interface {
	// Init is called once, before any command.
	Init(ctx *Context, args starlark.Tuple, kwargs []starlark.Tuple) error
	// Handle answers a command: its result or its error goes to the caller. Arguments belong to the handler; a mutable
	// result is copied.
	Handle(ctx *Context, command string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)
}

// Context is what a handler can do. It is valid until the method it was passed to returns.
type Context struct{ co *coroutine }

// Self is the service's own address.
func (c *Context) Self() *Address { return c.co.svc.addr }

// Node is the name of the node.
func (c *Context) Node() string { return c.co.svc.node.name }

// Thread is the Starlark thread of this handler, on which scripts may be run; their built-ins act for this service.
func (c *Context) Thread() *starlark.Thread {
	c.co.lent = true
	return c.co.thread
}

// Now is the node's monotonic clock.
func (c *Context) Now() sched.Time {
	c.co.charge()
	return c.co.svc.node.sched.Now()
}

// Deadline is until when the caller waits; 0 if it does not.
func (c *Context) Deadline() sched.Time { return c.co.deadline }

// Call is skynet.call: dest is an [Address] or a registered name; a timeout of 0 means the service's limit call.
func (c *Context) Call(dest starlark.Value, command string, args starlark.Tuple, timeout time.Duration) (starlark.Value, error) {
	return c.co.call(dest, command, args, nil, timeout)
}

// CallNode is cluster.call: it calls the service registered as name on another node.
func (c *Context) CallNode(node, name, command string, args starlark.Tuple, kwargs []starlark.Tuple, timeout time.Duration) (starlark.Value, error) {
	return c.co.callNode(node, name, command, args, kwargs, timeout)
}

// Send is skynet.send.
func (c *Context) Send(dest starlark.Value, command string, args starlark.Tuple) error {
	return c.co.send(dest, command, args, nil)
}

// Sleep suspends the handler.
func (c *Context) Sleep(d time.Duration) error {
	return c.co.sleep(d)
}

// Fork runs f as a coroutine of its own after this handler has blocked or returned. It is not held to the limit handlers, as forks of
// scripts are.
func (c *Context) Fork(what string, f func(*Context) error) {
	j := goJob(what, f)
	j.trace = c.co.traceID()
	c.co.svc.fork(j)
}

// Offload runs work, which may block, beside the workers, and suspends the handler until it is done.
func (c *Context) Offload(work func() error) error { return c.co.offload("offload", work) }

// Suspend suspends the handler until resume is called, once and not from within a turn of the service. start is called
// first and must not block; what names the reason in reports of who waits for whom. If the service ends before, resume does
// nothing.
func (c *Context) Suspend(what string, start func(resume func())) error {
	if err := c.co.mayBlock(what); err != nil {
		return err
	}
	s := c.co.svc
	id := s.addWait(otherWait, c.co, nil, 0)
	start(func() { s.run(nil, func() { s.wake(id, starlark.True, nil) }) })
	_, err := c.co.block(what, "")
	return err
}

// Register gives the service a name on this node.
func (c *Context) Register(name string) error {
	if err := c.co.mayRegister(name, c.co.svc); err != nil {
		return err
	}
	table, register := c.co.svc.node.naming()
	return c.co.give(c.co.svc, table, name, register)
}

// Exit ends the service once this method has returned.
func (c *Context) Exit() { c.co.svc.leave(Reason{Kind: Exited}) }

// Abort is skynet.abort: it asks the owner of the node to end it, in order.
func (c *Context) Abort(why string) error { return c.co.abort("abort", why) }

// Rand is the service's stream of random numbers.
func (c *Context) Rand() *sched.Stream { return c.co.svc.stream() }

// Log writes a log line at level info; attrs are alternating keys and values, which may be values of Starlark. To a key that the
// line has itself, such as "service" or "trace", an underscore is added.
func (c *Context) Log(msg string, attrs ...any) { c.co.log(levelInfo, msg, attributes(attrs)...) }

// offload hands work to the scheduler and suspends the coroutine until it is done.
func (co *coroutine) offload(what string, work func() error) error {
	if err := co.mayBlock(what); err != nil {
		return err
	}
	s := co.svc
	id := s.addWait(otherWait, co, nil, 0)
	var result error
	s.node.sched.Offload(func() {
		defer func() {
			if p := recover(); p != nil {
				result = newPanicError(p)
			}
		}()
		result = work()
	}, func() {
		s.run(nil, func() { s.wake(id, starlark.True, result) })
	})
	_, err := co.block(what, "")
	return err
}

// stream is the service's stream of random numbers, made when first used.
func (s *Service) stream() *sched.Stream {
	if s.random == nil {
		s.random = s.node.sched.Rand(fmt.Sprintf("service/%x", s.addr.id))
	}
	return s.random
}

// Exiter is a [Handler] that wants to be called when its service ends in an orderly way, as the function exit of a script is:
// by [Context.Exit], skynet.stop or the stop of its node, but not when it is killed or has failed. It may block for as long as
// the limit call says, and in a stop of its node until that is over, see [Node.Stop].
type Exiter interface {
	Handler
	Exit(ctx *Context, why Reason) error
}
