package runtime

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.starlark.net/starlark"
)

// Limits bound what a service, and a node, may use. [LimitSettings] is the same as words of a configuration.
type Limits struct {
	// Mailbox is the number of requests a mailbox holds, besides one that it was handed while idle, before Overflow says what
	// happens; default 65,536. A smaller one refuses bursts sooner; a larger one keeps 128 bytes and the arguments of each
	// message in memory.
	Mailbox int
	// MailboxBytes bounds the estimated bytes of the requests a mailbox holds; default 64 MiB. A smaller one refuses large
	// requests that are few; a larger one lets that much memory wait at each service that is slow.
	MailboxBytes int64
	// Overflow says what happens to a request that finds the mailbox full; default [Refuse].
	Overflow Overflow
	// Steps is the number of Starlark steps a handler may execute for one message before it is stopped with an error;
	// default 100,000,000, about a second.
	Steps uint64
	// Slice is the number of steps after which a handler makes way for other services; default 10,000, about 90 µs.
	// Below 1,000 the switching costs more than 3 %.
	Slice uint64
	// CPU bounds the processor time of a service; the zero value does not. On workers not every short message is timed, so
	// what a service is charged differs from what it uses by up to about 1 µs a message.
	CPU CPU
	// Memory is how many bytes the state of a service may hold, by an estimate that is made now and then; 0 is no bound. A
	// service above it ends. Estimates take less than 2 % of the time of a service that has a bound.
	Memory int64
	// Timers is the number of pending timers of a service; default 1,000,000, which take about 200 MB.
	Timers int
	// Calls is the number of calls of a service that wait for their replies; default 100,000. Each holds its coroutine,
	// about 10 KB.
	Calls int
	// Handlers is the number of handlers of a service that are suspended; while there are as many its requests are refused
	// with [Overload]. Default 100,000. Each holds about 10 KB.
	Handlers int
	// Call is the deadline of a call that gives none; default 5 s.
	Call time.Duration
	// Launch is the deadline of newservice; default 30 s.
	Launch time.Duration
	// Slow is how long a handler may run without blocking before the log says so; default 100 ms. Only handlers that run
	// for several slices are measured.
	Slow time.Duration
	// ReadBuffer is the number of unread bytes at which a socket stops reading; default 128 KiB.
	ReadBuffer int

	// Services is the number of services of a node; default 1,000,000, which take about 4 GB. It is the node's only.
	Services int
	// Heap is how many bytes of heap the node's process should not exceed; 0 leaves it to the process. The runtime itself
	// only keeps it; see [HeapWatch].
	Heap int64
}

// Overflow is what happens to a request that finds a mailbox full.
type Overflow string

// The policies of a full mailbox.
const (
	Refuse     Overflow = "refuse"      // its sender gets the error overload
	DropOldest Overflow = "drop_oldest" // the oldest request makes room; whoever waits for that one gets overload
	Block      Overflow = "block"       // it waits for room, until its deadline, and so does its sender
)

// CPU is a share of processor time: Time in every Window. On the stepper the time is virtual, on workers it is the time
// that turns took. The zero value is no bound.
type CPU struct{ Time, Window time.Duration }

// String is "200ms/1s", and "" for no bound.
func (c CPU) String() string {
	if c == (CPU{}) {
		return ""
	}
	return c.Time.String() + "/" + c.Window.String()
}

// WithDefaults returns the limits with every zero field set to its default.
func (l Limits) WithDefaults() Limits {
	return l.or(Limits{
		Mailbox: 65_536, MailboxBytes: 64 << 20, Overflow: Refuse, Steps: 100_000_000, Slice: 10_000,
		Timers: 1_000_000, Calls: 100_000, Handlers: 100_000, Call: 5 * time.Second, Launch: 30 * time.Second, Slow: 100 * time.Millisecond,
		ReadBuffer: 128 << 10, Services: 1_000_000,
	})
}

// or returns the limits with every zero field set to that of others.
func (l Limits) or(others Limits) Limits {
	l.Mailbox = cmp.Or(l.Mailbox, others.Mailbox)
	l.MailboxBytes = cmp.Or(l.MailboxBytes, others.MailboxBytes)
	l.Overflow = cmp.Or(l.Overflow, others.Overflow)
	l.Steps = cmp.Or(l.Steps, others.Steps)
	l.Slice = cmp.Or(l.Slice, others.Slice)
	l.CPU = cmp.Or(l.CPU, others.CPU)
	l.Memory = cmp.Or(l.Memory, others.Memory)
	l.Timers = cmp.Or(l.Timers, others.Timers)
	l.Calls = cmp.Or(l.Calls, others.Calls)
	l.Handlers = cmp.Or(l.Handlers, others.Handlers)
	l.Call = cmp.Or(l.Call, others.Call)
	l.Launch = cmp.Or(l.Launch, others.Launch)
	l.Slow = cmp.Or(l.Slow, others.Slow)
	l.ReadBuffer = cmp.Or(l.ReadBuffer, others.ReadBuffer)
	l.Services = cmp.Or(l.Services, others.Services)
	l.Heap = cmp.Or(l.Heap, others.Heap)
	return l
}

// Limits returns the node's limits, with defaults in place of what was not set.
func (n *Node) Limits() Limits { return n.limits }

// setLimits gives the service its limits, before its first message.
func (s *Service) setLimits(l *Limits) {
	s.limits, s.meter = l, newMeter(l)
	s.count.sample(sampleEvery)
	if l.CPU != (CPU{}) {
		s.count.sample(1)
	}
	s.mail.bound(l.Mailbox, l.MailboxBytes)
}

// ofRuntime returns the limits of the runtime's own services, which work for all others and for Go code: the bounds of one
// service do not hold for them.
func (l Limits) ofRuntime() *Limits {
	d := Limits{}.WithDefaults()
	l.Overflow, l.CPU, l.Memory = Refuse, CPU{}, 0
	l.Timers, l.Calls, l.Handlers = max(l.Timers, d.Timers), max(l.Calls, d.Calls), max(l.Handlers, d.Handlers)
	return &l
}

// parseLimits reads the limits of one service: a dict of those that differ from the node's.
func parseLimits(v starlark.Value, node *Limits) (*Limits, error) {
	l := *node
	settings := LimitSettings()
	err := eachSetting(v, func(name string, v starlark.Value) error {
		var known []string
		for i := range settings {
			if s := &settings[i]; s.Name == name && !s.Node {
				return s.Set(&l, v)
			} else if s.Name == name {
				return errors.New("is a limit of the node, want it in the node's configuration")
			} else if !s.Node {
				known = append(known, s.Name)
			}
		}
		return unknownSetting(name, known...)
	})
	return &l, err
}

// eachSetting calls set for every item of a dict whose keys are strings; its errors are led by the key.
func eachSetting(v starlark.Value, set func(name string, v starlark.Value) error) error {
	d, ok := v.(*starlark.Dict)
	if !ok {
		return fmt.Errorf("got %s, want a dict", v.Type())
	}
	for _, item := range d.Items() {
		name, ok := starlark.AsString(item[0])
		if !ok {
			return fmt.Errorf("got the key %s, want a string", item[0])
		}
		if err := set(name, item[1]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func unknownSetting(name string, known ...string) error {
	return fmt.Errorf("unknown, want one of %s%s", strings.Join(known, ", "), hint(name, known))
}
