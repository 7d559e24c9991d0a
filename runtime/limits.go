package runtime

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"go.starlark.net/starlark"
)

// Limits bound what a service may use.
type Limits struct {
	// Mailbox is the number of requests a mailbox holds before senders get [Overload]; default 65,536. A smaller one
	// refuses bursts sooner; a larger one keeps up to 128 bytes and the arguments of each message in memory.
	Mailbox int
	// Steps is the number of Starlark steps a handler may execute for one message before it is stopped with an error;
	// default 100,000,000, about a second.
	Steps uint64
	// Slice is the number of steps after which a handler makes way for other services; default 10,000, about 90 µs.
	// Below 1,000 the switching costs more than 3 %.
	Slice uint64
	// Call is the deadline of a call that gives none; default 5 s.
	Call time.Duration
	// Launch is the deadline of newservice; default 30 s.
	Launch time.Duration
	// Slow is how long a handler may run without blocking before the log says so; default 100 ms. Only handlers that run
	// for several slices are measured.
	Slow time.Duration
	// ReadBuffer is the number of unread bytes at which a socket stops reading; default 128 KiB.
	ReadBuffer int
}

// WithDefaults returns the limits with every zero field set to its default.
func (l Limits) WithDefaults() Limits {
	l.Mailbox = cmp.Or(l.Mailbox, 65_536)
	l.Steps = cmp.Or(l.Steps, 100_000_000)
	l.Slice = cmp.Or(l.Slice, 10_000)
	l.Call = cmp.Or(l.Call, 5*time.Second)
	l.Launch = cmp.Or(l.Launch, 30*time.Second)
	l.Slow = cmp.Or(l.Slow, 100*time.Millisecond)
	l.ReadBuffer = cmp.Or(l.ReadBuffer, 128<<10)
	return l
}

// setLimits gives the service its limits, before its first message.
func (s *Service) setLimits(l *Limits) {
	s.limits = l
	s.mail.limit = l.Mailbox
}

// parseLimits reads the limits of one service: a dict of those that differ from the node's.
func parseLimits(v starlark.Value, node *Limits) (*Limits, error) {
	l := *node
	err := eachSetting(v, func(name string, v starlark.Value) error {
		switch name {
		case "mailbox":
			return positive(v, &l.Mailbox)
		case "steps":
			var n int
			err := positive(v, &n)
			l.Steps = uint64(n)
			return err
		case "call":
			return positiveDuration(v, &l.Call)
		case "slow":
			return positiveDuration(v, &l.Slow)
		}
		return unknownSetting(name, "mailbox", "steps", "call", "slow")
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

func positive(v starlark.Value, into *int) error {
	n, err := starlark.AsInt32(v)
	if err != nil || n <= 0 {
		return fmt.Errorf("got %s, want an int from 1 to %d", v, math.MaxInt32)
	}
	*into = n
	return nil
}

func positiveDuration(v starlark.Value, into *time.Duration) error {
	d, err := Duration(v)
	if err == nil && d <= 0 {
		err = fmt.Errorf("got %v, want more than 0", v)
	}
	*into = d
	return err
}
