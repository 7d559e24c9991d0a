package runtime

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime/diag"
)

// LimitSetting is one word of the limits: in the configuration of a node, and in the launch of a service.
type LimitSetting struct {
	Name string
	Unit string // what a value is: "requests", "bytes", "steps", "time", …
	Doc  string // what it means, and what the two extremes cost
	Node bool   // it bounds the node: a launch cannot give it

	// Set takes a value into the limits; its error says what it got and what it wants.
	Set func(l *Limits, v starlark.Value) error
	// Get is the value that Set would take.
	Get func(l *Limits) starlark.Value
}

// Default is the default as it is written, for example `"64MiB"`.
func (s *LimitSetting) Default() string {
	l := Limits{}.WithDefaults()
	return s.Get(&l).String()
}

// LimitSettings lists the words of the limits: the one table that configurations, launches and the manual share.
func LimitSettings() []LimitSetting {
	return []LimitSetting{
		countSetting("mailbox", "requests", "A mailbox that holds so many, besides one that an idle service is handed at once, is full; `overflow` says what then happens. Small: bursts are refused. Large: each waiting request takes 128 bytes and its arguments.",
			1, 1<<30, func(l *Limits) *int { return &l.Mailbox }),
		sizeSetting("mailbox_bytes", "The same for the estimated bytes of the waiting requests. Small: large requests are refused though they are few. Large: so much memory may wait at every slow service.",
			1, func(l *Limits) *int64 { return &l.MailboxBytes }),
		overflowSetting(),
		countSetting("steps", "steps", "A handler that executes more for one message, without blocking, is stopped with an error. Small: long work must be cut in pieces. Large: an endless loop takes a processor for long.",
			1000, 1<<60, func(l *Limits) *uint64 { return &l.Steps }),
		countSetting("slice", "steps", "A handler makes way for other services after so many. Small: below 1,000 the switching costs more than 3 %. Large: the others wait longer.",
			100, 1<<30, func(l *Limits) *uint64 { return &l.Slice }),
		cpuSetting(),
		sizeSetting("memory", "A service whose state is estimated to hold more ends, and all who wait for it are answered; 0 is no bound. Small: it ends at a burst. Large: it may take the memory of the others.",
			0, func(l *Limits) *int64 { return &l.Memory }),
		countSetting("timers", "timers", "Pending `timeout`s and `every`s of a service, in Go too; one more is an error. Small: work cannot be put off. Large: a leak takes 130 bytes and its arguments for each.",
			1, 1<<30, func(l *Limits) *int { return &l.Timers }),
		countSetting("calls", "calls", "Calls of a service that wait for a reply, and as many monitors; one more is an error. Small: few requests at a time. Large: each takes some 10 KB while it waits.",
			1, 1<<30, func(l *Limits) *int { return &l.Calls }),
		countSetting("handlers", "handlers", "Suspended handlers of a service; while there are as many its requests are refused with `overload`. As many more may wait to run; one more `fork` is an error. Small: few requests at a time. Large: each takes some 10 KB.",
			1, 1<<30, func(l *Limits) *int { return &l.Handlers }),
		spanSetting("call", "The deadline of a call that gives none. Small: slow callees fail. Large: callers wait long for what is lost.",
			func(l *Limits) *time.Duration { return &l.Call }),
		spanSetting("launch", "The deadline of `newservice`. Small: services that load much do not start. Large: a launcher waits long for an `init` that hangs.",
			func(l *Limits) *time.Duration { return &l.Launch }),
		spanSetting("slow", "How long a handler may run without blocking before the log says so. Small: many lines. Large: what makes others wait stays unseen.",
			func(l *Limits) *time.Duration { return &l.Slow }),
		countSetting("read_buffer", "bytes", "A socket stops reading at so many unread bytes. Small: more system calls. Large: so much memory for each slow reader.",
			1024, 1<<30, func(l *Limits) *int { return &l.ReadBuffer }),
		onNode(countSetting("services", "services", "Services of the node; one more is not launched. Small: launches fail. Large: a leak takes 4 KB for each.",
			1, 1<<30, func(l *Limits) *int { return &l.Services })),
		onNode(sizeSetting("heap", "While the heap of the process is larger, handlers that run for long of services that hold much are stopped, and those that are about to make it so; 0 is three quarters of the memory of machine, cgroup or `GOMEMLIMIT`, whichever is the least. Small: the garbage collector works hard, handlers are stopped early. Large: the system may end the process.",
			0, func(l *Limits) *int64 { return &l.Heap })),
	}
}

// check tells which limit has a value that makes no sense. Go code, such as tests, may go below what a setting takes.
func (l *Limits) check() error {
	for _, s := range LimitSettings() {
		v := s.Get(l)
		if n, ok := v.(starlark.Int); ok && n.Sign() > 0 {
			continue
		}
		if err := s.Set(new(Limits), v); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// onNode makes a setting one that only nodes have.
func onNode(s LimitSetting) LimitSetting {
	s.Node = true
	return s
}

// countSetting is a setting that is a whole number, or a size where its unit is bytes.
func countSetting[T int | uint64](name, unit, doc string, lo, hi int64, field func(*Limits) *T) LimitSetting {
	s := LimitSetting{Name: name, Unit: unit, Doc: doc}
	s.Set = func(l *Limits, v starlark.Value) error {
		n, err := whole(v, lo, hi, unit == "bytes")
		if err == nil {
			*field(l) = T(n)
		}
		return err
	}
	s.Get = func(l *Limits) starlark.Value {
		if unit == "bytes" {
			return sizeValue(int64(*field(l)))
		}
		return starlark.MakeInt64(int64(*field(l)))
	}
	return s
}

// maxSize bounds sizes: a million gigabytes.
const maxSize = 1 << 50

// sizeSetting is a setting that is a number of bytes.
func sizeSetting(name, doc string, lo int64, field func(*Limits) *int64) LimitSetting {
	s := LimitSetting{Name: name, Unit: "bytes", Doc: doc}
	s.Set = func(l *Limits, v starlark.Value) error {
		n, err := whole(v, lo, maxSize, true)
		if err == nil {
			*field(l) = n
		}
		return err
	}
	s.Get = func(l *Limits) starlark.Value { return sizeValue(*field(l)) }
	return s
}

// spanSetting is a setting that is a duration.
func spanSetting(name, doc string, field func(*Limits) *time.Duration) LimitSetting {
	s := LimitSetting{Name: name, Unit: "time", Doc: doc}
	s.Set = func(l *Limits, v starlark.Value) error {
		d, err := positiveDuration(v)
		if err == nil {
			*field(l) = d
		}
		return err
	}
	s.Get = func(l *Limits) starlark.Value { return starlark.String(field(l).String()) }
	return s
}

func overflowSetting() LimitSetting {
	return LimitSetting{
		Name: "overflow", Unit: "policy",
		Doc: "What a full mailbox does with one more request: `\"refuse\"` fails it with `overload`; `\"drop_oldest\"` makes room by dropping the oldest request, whose caller gets `overload`; " +
			"`\"block\"` lets it wait for room until its deadline, and its sender with it; of those from other nodes and redirected ones as many may wait as the mailbox holds.",
		Set: func(l *Limits, v starlark.Value) error {
			word, _ := starlark.AsString(v)
			all := []Overflow{Refuse, DropOldest, Block}
			if !slices.Contains(all, Overflow(word)) {
				return fmt.Errorf("got %s, want %s", v, diag.Or(all))
			}
			l.Overflow = Overflow(word)
			return nil
		},
		Get: func(l *Limits) starlark.Value { return starlark.String(l.Overflow) },
	}
}

func cpuSetting() LimitSetting {
	return LimitSetting{
		Name: "cpu", Unit: "time in a window",
		Doc: "Processor time of a service in every window, as `\"200ms/1s\"` or `{\"time\": \"200ms\", \"window\": \"1s\"}`; once it is used up the service waits for the next window. None is no bound. " +
			"Small: the service is slow. Large: it may starve others. What is used is measured to about 1 µs a message.",
		Set: func(l *Limits, v starlark.Value) (err error) {
			l.CPU, err = parseCPU(v)
			return err
		},
		Get: func(l *Limits) starlark.Value {
			if l.CPU == (CPU{}) {
				return starlark.None
			}
			return starlark.String(l.CPU.String())
		},
	}
}

// maxWindow bounds the window of a CPU limit, for which a throttled service may have to wait.
const maxWindow = time.Minute

// parseCPU reads None, "200ms/1s" or {"time": "200ms", "window": "1s"}; a window that is not given is 1 s.
func parseCPU(v starlark.Value) (c CPU, err error) {
	c.Window = time.Second
	switch v := v.(type) {
	case starlark.NoneType:
		return CPU{}, nil
	case starlark.String:
		used, window, both := strings.Cut(string(v), "/")
		if c.Time, err = positiveDuration(starlark.String(used)); err == nil && both {
			c.Window, err = positiveDuration(starlark.String(window))
		}
	case *starlark.Dict:
		err = eachSetting(v, func(name string, v starlark.Value) (err error) {
			switch name {
			case "time":
				c.Time, err = positiveDuration(v)
			case "window":
				c.Window, err = positiveDuration(v)
			default:
				err = unknownSetting(name, "time", "window")
			}
			return err
		})
	default:
		return c, fmt.Errorf(`got %s, want "time/window", such as "200ms/1s"`, v.Type())
	}
	switch {
	case err != nil:
		return c, err
	case c.Time == 0:
		return c, fmt.Errorf("got %s without a time, want one", v)
	case c.Time > c.Window:
		return c, fmt.Errorf("got %v in a window of %v, want at most the window: a service runs on one processor at a time", c.Time, c.Window)
	case c.Window > maxWindow:
		return c, fmt.Errorf("window: got %v, want at most %v", c.Window, maxWindow)
	}
	return c, nil
}

func positiveDuration(v starlark.Value) (time.Duration, error) {
	d, err := Duration(v)
	if err == nil && d <= 0 {
		err = fmt.Errorf("got %v, want more than 0", v)
	}
	return d, err
}

// whole reads a whole number from lo to hi; a size may be written as a string such as "64KiB".
func whole(v starlark.Value, lo, hi int64, bytes bool) (int64, error) {
	if bytes {
		n, err := Size(v)
		if err == nil && (n < lo || n > hi) {
			err = fmt.Errorf("got %v, want %d to %d bytes", v, lo, hi)
		}
		return n, err
	}
	i, ok := v.(starlark.Int)
	if !ok {
		return 0, fmt.Errorf("got %s, want int", v.Type())
	}
	n, ok := i.Int64()
	if !ok || n < lo || n > hi {
		return 0, fmt.Errorf("got %v, want %d to %d", i, lo, hi)
	}
	return n, nil
}

type sizeUnit struct {
	suffix string
	bytes  int64
}

// sizeUnits are the units of sizes, the longer suffixes first.
func sizeUnits() []sizeUnit {
	return []sizeUnit{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}
}

// Size converts what scripts write for a size: bytes as an int, or a string such as "64KiB", "1.5MB" or "100B".
func Size(v starlark.Value) (int64, error) {
	bad := func() (int64, error) { return 0, fmt.Errorf(`got %v, want bytes, such as 65536 or "64KiB"`, v) }
	switch v := v.(type) {
	case starlark.Int:
		if n, ok := v.Int64(); ok {
			return n, nil
		}
		return bad()
	case starlark.String:
		text, unit := string(v), int64(1)
		for _, u := range sizeUnits() {
			if number, ok := strings.CutSuffix(text, u.suffix); ok {
				text, unit = number, u.bytes
				break
			}
		}
		if text == "" || len(text) > 40 || strings.Trim(text, "0123456789.") != "" {
			return bad()
		}
		r, ok := new(big.Rat).SetString(text) // exact, so that 0.1 is the same on every machine
		if !ok {
			return bad()
		}
		r.Mul(r, new(big.Rat).SetInt64(unit))
		n, ok := new(big.Int).SetString(r.FloatString(0), 10)
		if !ok || !n.IsInt64() {
			return bad()
		}
		return n.Int64(), nil
	}
	return 0, fmt.Errorf(`got %s, want bytes, such as 65536 or "64KiB"`, v.Type())
}

// sizeValue is a size as Size reads it: in the largest unit that divides it.
func sizeValue(n int64) starlark.Value {
	for _, u := range []sizeUnit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n > 0 && n%u.bytes == 0 {
			return starlark.String(fmt.Sprintf("%d%s", n/u.bytes, u.suffix))
		}
	}
	return starlark.MakeInt64(n)
}

// megabytes prints a size for people.
func megabytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%d MiB", (n+1<<19)>>20)
}
