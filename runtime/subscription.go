package runtime

import (
	"fmt"
	"slices"

	"go.starlark.net/starlark"

	"skynet/runtime/diag"
	"skynet/sched"
)

// Subscription is what a service holds of a channel it subscribed to. Its handlers run one after another, in the order of the
// publications, as coroutines of the service: the next begins when the one before has returned. It ends with its service.
// Its methods must be called in handlers of that service. It is a Starlark value that cannot be sent in messages.
type Subscription struct {
	svc     *Service
	channel *Channel
	topic   *topic
	options SubscribeOptions
	what    string // what logs call the handler
	handle  func(*coroutine, starlark.Tuple) error
	wake    func() // next, made once
	job     job    // begin and after, made once

	// Guarded by the topic's lock.
	queue   []starlark.Tuple // taken, and no handler has begun
	dropped int
	burst   bool // a drop was logged, and the queue has not been empty since
	awake   bool // next will be called: an event is on its way, or a handler runs
	ended   bool // nothing is taken any more
	cut     bool // it was ended for being slow, and nothing was done about that yet

	// Only touched in turns of svc.
	place     int            // in svc.closers
	values    starlark.Tuple // what the next handler gets
	cancelled bool
}

// Slow says what happens to a publication when a subscription has as many undelivered ones as it may.
type Slow string

// What can be done about slow subscribers. The first three never make a publisher wait.
const (
	SlowDropOldest  Slow = "drop_oldest" // the oldest undelivered one is dropped, counted and, once per burst, logged
	SlowDropNewest  Slow = "drop_newest" // the new one is
	SlowUnsubscribe Slow = "unsubscribe" // the subscription ends; the undelivered ones are dropped, and the log says so
	SlowBlock       Slow = "block"       // the publisher waits
)

// SubscribeOptions are how a subscription deals with more publications than its handler can.
type SubscribeOptions struct {
	// Limit is how many publications may wait for the handler, besides the one it handles; 0 means 1,000.
	Limit int
	// Slow is what happens to more; empty means [SlowDropOldest].
	Slow Slow
	// OnEnd, unless nil, is the last handler of a subscription that [SlowUnsubscribe] has ended.
	OnEnd func(*Context) error
}

// defaultLimit is how many publications a subscription lets wait.
const defaultLimit = 1000

// handlerKey is the thread-local under which publish finds the subscription whose handler it is called in.
const handlerKey = "subscription"

// Subscribe runs f for everything published to the channel from now on. The values are frozen.
func (m Multicast) Subscribe(c *Channel, o SubscribeOptions, f func(ctx *Context, values starlark.Tuple) error) (*Subscription, error) {
	return m.subscribe(c, o, "subscriber of "+c.String(), func(co *coroutine, values starlark.Tuple) error {
		return f(&Context{co: co}, values)
	})
}

func (m Multicast) subscribe(c *Channel, o SubscribeOptions, what string, handle func(*coroutine, starlark.Tuple) error) (*Subscription, error) {
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	if o.Slow == "" {
		o.Slow = SlowDropOldest
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Subscription{svc: m.co.svc, channel: c, options: o, what: what, handle: handle, place: -1}
	s.wake, s.job = s.next, job{what: what, native: s.begin, then: s.after}
	s.svc.addCloser(s)
	s.svc.node.multicast.join(c.key, s)
	return s, nil
}

// check refuses options that make no sense.
func (o *SubscribeOptions) check() error {
	if o.Limit < 1 {
		return fmt.Errorf("multicast.subscribe: limit: got %d, want at least 1", o.Limit)
	}
	all := []Slow{SlowDropOldest, SlowDropNewest, SlowUnsubscribe, SlowBlock}
	if !slices.Contains(all, o.Slow) {
		return fmt.Errorf("multicast.subscribe: slow: got %q, want %s", o.Slow, diag.Or(all))
	}
	return nil
}

// holds tells whether the subscription holds up publications. The lock is held.
func (s *Subscription) holds() bool {
	return s.options.Slow == SlowBlock && !s.ended && len(s.queue) >= s.options.Limit
}

// offer takes a publication, or does what is to be done when there is no room; began tells that it has begun to drop. The lock
// is held.
func (s *Subscription) offer(turn *sched.Turn, values starlark.Tuple) (taken, began bool) {
	if len(s.queue) < s.options.Limit {
		s.queue = append(s.queue, values)
		s.rouse(turn)
		return true, false
	}
	began, s.burst = !s.burst, true
	s.dropped++
	switch s.options.Slow {
	case SlowDropOldest:
		s.pop()
		s.queue = append(s.queue, values)
		return true, began
	case SlowUnsubscribe:
		s.dropped += len(s.queue)
		s.queue, s.ended, s.cut = nil, true, true
		s.rouse(turn)
	}
	return false, began
}

// rouse makes the service call next, unless it will anyhow. The lock is held.
func (s *Subscription) rouse(turn *sched.Turn) {
	if !s.awake {
		s.awake = true
		s.svc.run(turn, s.wake)
	}
}

// pop takes the oldest publication off the queue. The lock is held.
func (s *Subscription) pop() starlark.Tuple {
	values := s.queue[0]
	s.queue[0] = nil
	if s.queue = s.queue[1:]; len(s.queue) == 0 {
		s.queue = nil
	}
	return values
}

// complain tells the log, once per burst, that a subscriber misses publications.
func (s *Subscription) complain() {
	msg := "slow subscriber: publications are dropped"
	if s.options.Slow == SlowUnsubscribe {
		msg = "slow subscriber: unsubscribed"
	}
	s.svc.log(levelWarn, msg, "channel", s.channel.String(), "handler", s.what, "limit", s.options.Limit, "slow", string(s.options.Slow))
}

// next begins the handler of the oldest publication, in a turn of the service and while no other handler runs.
func (s *Subscription) next() {
	var some, cut bool
	s.topic.change(s.svc.turn, func() {
		if some = len(s.queue) > 0; some {
			s.values = s.pop()
			return
		}
		cut, s.cut = s.cut, false
		s.awake, s.burst = false, false
	})
	switch {
	case some:
		s.svc.fork(s.job)
	case cut:
		s.leave()
		if s.options.OnEnd != nil {
			s.svc.fork(job{what: s.what, native: func(co *coroutine) (starlark.Value, error) {
				return starlark.None, s.options.OnEnd(&Context{co: co})
			}})
		}
	}
}

// begin runs the handler, unless the subscription was cancelled since the handler was queued.
func (s *Subscription) begin(co *coroutine) (starlark.Value, error) {
	values := s.values
	s.values = nil
	if s.cancelled {
		return starlark.None, nil
	}
	th := co.thread
	th.SetLocal(handlerKey, s)
	defer th.SetLocal(handlerKey, nil)
	return starlark.None, s.handle(co, values)
}

// after is told how a handler ended. A failed one is logged, and the next begins all the same.
func (s *Subscription) after(_ starlark.Value, err error) {
	if err == errKilled && s.svc.phase > draining {
		return
	}
	if err != nil && err != errKilled {
		s.svc.logFailure(marks(0, s.svc.current.traceID()), s.what, err)
	}
	s.next()
}

// leave lets go of the service and the channel.
func (s *Subscription) leave() {
	s.svc.removeCloser(s)
	s.svc.node.multicast.tidy(s.channel.key, s.topic)
}

func (s *Subscription) position() *int { return &s.place }

func (s *Subscription) close() { s.Cancel() }

// Cancel ends the subscription and reports whether it had not ended yet. No handler begins after it; one that runs goes on.
func (s *Subscription) Cancel() (active bool) {
	if s.cancelled {
		return false
	}
	s.cancelled = true
	t := s.topic
	t.change(s.svc.turn, func() {
		active = !s.ended
		s.ended, s.cut, s.queue = true, false, nil
		t.subs.remove(s)
	})
	s.leave()
	return active
}

// Dropped is how many publications the subscription has dropped because its handler was slow.
func (s *Subscription) Dropped() int {
	s.topic.mu.Lock()
	defer s.topic.mu.Unlock()
	return s.dropped
}

// Active reports whether the subscription has not ended.
func (s *Subscription) Active() bool {
	s.topic.mu.Lock()
	defer s.topic.mu.Unlock()
	return !s.ended
}

// String names the channel and the service.
func (s *Subscription) String() string {
	return fmt.Sprintf("subscription(%s, %s)", s.channel, s.svc.label)
}

// Type returns "subscription".
func (s *Subscription) Type() string { return "subscription" }

// Freeze does nothing: a subscription is used, not changed.
func (s *Subscription) Freeze() {}

// Truth is always true.
func (s *Subscription) Truth() starlark.Bool { return true }

// Hash fails: subscriptions are no keys.
func (s *Subscription) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: subscription") }

// AttrNames lists the attributes.
func (s *Subscription) AttrNames() []string {
	return []string{"active", "cancel", "channel", "dropped"}
}

// Attr offers cancel(), dropped, active and channel.
func (s *Subscription) Attr(name string) (starlark.Value, error) {
	switch name {
	case "cancel":
		return starlark.NewBuiltin("subscription.cancel", s.cancelBuiltin), nil
	case "dropped":
		return starlark.MakeInt(s.Dropped()), nil
	case "active":
		return starlark.Bool(s.Active()), nil
	case "channel":
		return s.channel, nil
	}
	return nil, nil
}

func (s *Subscription) cancelBuiltin(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	co, err := current(th, b)
	if err != nil {
		return nil, err
	}
	co.charge()
	return starlark.Bool(s.Cancel()), nil
}

func multicastLibrary() *library {
	return newLibrary(
		"multicast",
		member{"publish", multicastPublish},
		member{"channel", multicastChannel},
		member{"subscribe", multicastSubscribe},
	)
}

func multicastChannel(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name?", &name); err != nil {
		return nil, err
	}
	if name == "" && len(args)+len(kwargs) > 0 {
		return nil, fmt.Errorf("%s: got an empty name, want none for a channel without one", b.Name())
	}
	return Multicast{co}.Channel(name), nil
}

// channelOf accepts a channel, or the name of one.
func channelOf(b *starlark.Builtin, v starlark.Value) (*Channel, error) {
	switch c := v.(type) {
	case *Channel:
		return c, nil
	case starlark.String:
		if c != "" {
			return &Channel{channelKey{name: string(c)}}, nil
		}
		return nil, fmt.Errorf("%s: channel: got an empty name, want a channel or the name of one", b.Name())
	}
	return nil, fmt.Errorf("%s: channel: got %s, want a channel or the name of one", b.Name(), v.Type())
}

func multicastPublish(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs); err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, fmt.Errorf("%s: got no arguments, want a channel and values", b.Name())
	}
	c, err := channelOf(b, args[0])
	if err != nil {
		return nil, err
	}
	reached, err := Multicast{co}.Publish(c, timeout, args[1:]...)
	if err != nil {
		return nil, err
	}
	return starlark.MakeInt(reached), nil
}

func multicastSubscribe(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var channel starlark.Value
	var f starlark.Callable
	var onEnd starlark.Value = starlark.None
	limit, slow := defaultLimit, string(SlowDropOldest)
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "channel", &channel, "f", &f, "limit?", &limit, "slow?", &slow, "on_end?", &onEnd); err != nil {
		return nil, err
	}
	c, err := channelOf(b, channel)
	if err != nil {
		return nil, err
	}
	o := SubscribeOptions{Limit: limit, Slow: Slow(slow)}
	if err := o.check(); err != nil {
		return nil, err
	}
	if end, ok := onEnd.(starlark.Callable); ok {
		o.OnEnd = func(ctx *Context) error {
			_, err := starlark.Call(ctx.Thread(), end, nil, nil)
			return err
		}
	} else if onEnd != starlark.None {
		return nil, fmt.Errorf("%s: on_end: got %s, want a function", b.Name(), onEnd.Type())
	}
	return Multicast{co}.subscribe(c, o, f.Name(), func(co *coroutine, values starlark.Tuple) error {
		_, err := starlark.Call(co.thread, f, values, nil)
		return err
	})
}
