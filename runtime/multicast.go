package runtime

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"skynet/runtime/wire"
	"skynet/sched"
)

// multicasts are the channels of a node that have subscribers. A channel is a name, whoever holds it; what nobody subscribes to
// takes no memory.
type multicasts struct {
	mu     sync.RWMutex // taken before the lock of a topic
	topics map[channelKey]*topic
	made   atomic.Uint64 // channels without a name
}

// channelKey is a name or, for a channel that has none, a number from 1.
type channelKey struct {
	name   string
	number uint64
}

// topic is a channel with subscribers. Its lock makes one order of all publications: each is put into the queues of all
// subscribers under it. While it is held, services are posted to, and nothing else.
type topic struct {
	mu      sync.Mutex
	subs    line[*Subscription, struct{}]
	waiting line[*publication, struct{}] // held up by a subscriber that must not miss any, first come first served
}

// publication is what one publish hands over.
type publication struct {
	values starlark.Tuple // frozen, shared by all subscribers
	inside *Subscription  // of this topic, in whose handler it is published; nil if there is none

	// Guarded by the topic's lock.
	who     waitRef // whose coroutine waits; no id before it does
	over    bool
	reached int
	err     error
}

func (m *multicasts) find(key channelKey) *topic {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.topics[key]
}

// join adds a subscription to the topic of a channel.
func (m *multicasts) join(key channelKey, s *Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.topic = m.topics[key]; s.topic == nil {
		if m.topics == nil {
			m.topics = make(map[channelKey]*topic)
		}
		s.topic = &topic{}
		m.topics[key] = s.topic
	}
	s.topic.mu.Lock()
	defer s.topic.mu.Unlock()
	s.topic.subs.add(s, struct{}{})
}

// tidy forgets a topic that has no subscribers any more.
func (m *multicasts) tidy(key channelKey, t *topic) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.subs.len() == 0 && m.topics[key] == t {
		delete(m.topics, key)
	}
}

// change does f and what becomes possible by it, in one step, and then tells the log which subscribers began to miss
// publications.
func (t *topic) change(turn *sched.Turn, f func()) {
	t.mu.Lock()
	f()
	var slow []*Subscription
	t.settle(turn, &slow)
	t.mu.Unlock()
	for _, s := range slow {
		s.complain()
	}
}

// settle hands over what waits, in its order, until a subscriber holds it up. A publication out of the very handler that would
// have to make room for it, or for one before it, would wait for itself: it fails.
func (t *topic) settle(turn *sched.Turn, slow *[]*Subscription) {
	for {
		p, _, ok := t.waiting.first()
		if ok && t.holder() != nil {
			if p, ok = t.selfish(); ok {
				p.err = callErrorf(Overload, false, "multicast.publish: %s is full, and what its own handler publishes would wait for itself", p.inside)
			}
		}
		if !ok {
			return
		}
		t.waiting.remove(p)
		if p.err == nil {
			t.deliver(turn, p, slow)
		}
		p.over = true
		if p.who.id != 0 {
			p.who.svc.answer(turn, uint64(p.who.id), starlark.True, nil)
		}
	}
}

// selfish is the first publication that waits for the subscription in whose handler it is published.
func (t *topic) selfish() (p *publication, ok bool) {
	for p := range t.waiting.all() {
		if p.inside != nil && p.inside.holds() {
			return p, true
		}
	}
	return nil, false
}

// holder is the first subscriber that holds up publications, or nil.
func (t *topic) holder() *Subscription {
	for s := range t.subs.all() {
		if s.holds() {
			return s
		}
	}
	return nil
}

// deliver puts a publication into the queues of all subscribers, none of which holds it up.
func (t *topic) deliver(turn *sched.Turn, p *publication, slow *[]*Subscription) {
	var ended []*Subscription
	for s := range t.subs.all() {
		taken, began := s.offer(turn, p.values)
		if taken {
			p.reached++
		}
		if began {
			*slow = append(*slow, s)
		}
		if s.ended {
			ended = append(ended, s)
		}
	}
	for _, s := range ended {
		t.subs.remove(s)
	}
}

// give hands a publication over, or begins to wait until that is possible.
func (t *topic) give(co *coroutine, p *publication, timeout time.Duration) (over bool) {
	t.change(co.svc.turn, func() { t.waiting.add(p, struct{}{}) })
	t.mu.Lock()
	defer t.mu.Unlock()
	if !p.over {
		p.who = waitRef{co.svc, co.svc.addWait(otherWait, co, nil, co.deadlineFor(cmp.Or(timeout, co.svc.limits.Call)))}
	}
	return p.over
}

// giveUp ends the wait of a publication, unless it was handed over meanwhile.
func (t *topic) giveUp(p *publication) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !p.over {
		t.waiting.remove(p)
		p.err = callErrorf(Timeout, false, "multicast.publish: %s has no room in time", t.holder())
	}
}

// Channel names a channel of a node. It is an immutable Starlark value, equal to every other channel of the same name, and can be
// sent to services of its node.
type Channel struct{ key channelKey }

var (
	_ starlark.Comparable = (*Channel)(nil)
	_ wire.Sendable       = (*Channel)(nil)
)

// String prints the channel as channel("name"), or channel(1) if it has none.
func (c *Channel) String() string {
	if c.key.number != 0 {
		return fmt.Sprintf("channel(%d)", c.key.number)
	}
	return fmt.Sprintf("channel(%q)", c.key.name)
}

// Type returns "channel".
func (c *Channel) Type() string { return "channel" }

// Freeze does nothing: channels are immutable.
func (c *Channel) Freeze() {}

// Truth is always true.
func (c *Channel) Truth() starlark.Bool { return true }

// Hash makes channels usable as keys.
func (c *Channel) Hash() (uint32, error) { return starlark.String(c.String()).Hash() }

// CompareSameType compares two channels for equality; they have no order.
func (c *Channel) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	same := c.key == y.(*Channel).key
	switch op {
	case syntax.EQL:
		return same, nil
	case syntax.NEQ:
		return !same, nil
	}
	return false, fmt.Errorf("channel %s channel: channels have no order", op)
}

// CopyForSend lets channels pass in messages of their node by reference.
func (c *Channel) CopyForSend() (starlark.Value, error) { return c, nil }

// Multicast is publishing to many: the module multicast of scripts, for the handler whose [Context] it was asked of.
type Multicast struct{ co *coroutine }

// Multicast gives access to the node's channels.
func (c *Context) Multicast() Multicast { return Multicast{c.co} }

// Channel returns the node's channel of that name, or for an empty name a new one that has none.
func (m Multicast) Channel(name string) *Channel {
	if name != "" {
		return &Channel{channelKey{name: name}}
	}
	return &Channel{channelKey{number: m.co.svc.node.multicast.made.Add(1)}}
}

// Publish hands a copy of the values, one for all, to every subscriber of the channel and returns how many have taken it. All
// subscribers of a channel get what was published in the same order. It suspends the handler only while a full subscription
// of policy [SlowBlock] holds it up, and fails with [Timeout] if that lasts longer than the timeout (0 means the node's default
// for calls); then nobody got it. In a handler of that very subscription it fails with [Overload] at once.
func (m Multicast) Publish(c *Channel, timeout time.Duration, values ...starlark.Value) (reached int, err error) {
	copied, _, err := wire.CopyArgs(values, nil)
	if err != nil {
		return 0, fmt.Errorf("multicast.publish: %w", err)
	}
	t := m.co.svc.node.multicast.find(c.key)
	if t == nil {
		return 0, nil
	}
	copied.Freeze()
	p := &publication{values: copied}
	if s, ok := m.co.thread.Local(handlerKey).(*Subscription); ok && s.topic == t {
		p.inside = s
	}
	m.co.charge()
	if !t.give(m.co, p, timeout) {
		_, err := m.co.block("publish", c.String())
		t.giveUp(p)
		if err != nil {
			return 0, err
		}
	}
	return p.reached, p.err
}
