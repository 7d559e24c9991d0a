package runtime_test

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// modelChannel is what a channel should be: lists of numbers. At most one subscriber may hold up publishers, so that the order
// in which services run cannot be seen.
type modelChannel struct {
	subs    []*modelSub
	waiting []int
	reached map[int]int // publication -> subscribers
}

// modelSub is a subscriber whose handler waits until it is released.
type modelSub struct {
	slow    runtime.Slow
	limit   int
	queue   []int
	running bool
	ended   bool // nothing more comes
	cut     bool // the handler of its end is still to come
	dropped int
	got     []string
}

func (c *modelChannel) holder() bool {
	return slices.ContainsFunc(c.subs, func(s *modelSub) bool {
		return s.slow == runtime.SlowBlock && !s.ended && len(s.queue) >= s.limit
	})
}

// settle delivers what can be and then begins what can be.
func (c *modelChannel) settle() {
	for len(c.waiting) > 0 && !c.holder() {
		v := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.reached[v] = 0
		for _, s := range c.subs {
			if s.take(v) {
				c.reached[v]++
			}
		}
	}
	for _, s := range c.subs {
		if s.running {
			continue
		}
		if s.cut {
			s.cut, s.got = false, append(s.got, `("s", "end")`)
		}
		if len(s.queue) > 0 {
			s.got = append(s.got, fmt.Sprintf(`("s", %d)`, s.queue[0]))
			s.queue, s.running = s.queue[1:], true
			c.settle()
		}
	}
}

func (s *modelSub) take(v int) bool {
	switch {
	case s.ended:
		return false
	case len(s.queue) < s.limit:
		s.queue = append(s.queue, v)
		return true
	}
	s.dropped++
	switch s.slow {
	case runtime.SlowDropOldest:
		s.queue = append(slices.Clone(s.queue[1:]), v)
		return true
	case runtime.SlowUnsubscribe:
		s.dropped += len(s.queue)
		s.queue, s.ended, s.cut = nil, true, true
	}
	return false
}

// channelRun does the same to a channel and to its model.
type channelRun struct {
	w       *runtimetest.World
	model   modelChannel
	seats   [4]*modelSub // nil for a service that is gone
	service [4]*runtime.Address
	calls   map[int]*runtimetest.Pending
}

var slowPolicies = [...]runtime.Slow{runtime.SlowDropOldest, runtime.SlowDropNewest, runtime.SlowUnsubscribe, runtime.SlowBlock}

func (r *channelRun) do(op, seat, arg int) {
	s := r.seats[seat]
	switch {
	case s == nil:
		r.subscribe(seat, slowPolicies[arg%4], 1+arg%3)
	case op < 6:
		v := len(r.calls)
		r.calls[v] = r.w.Go("n", "lib/subscriber", "publish", "news", v)
		r.model.waiting = append(r.model.waiting, v)
	case op < 9:
		r.call(seat, "release")
		s.running = false
	case op < 10:
		r.call(seat, "cancel")
		s.ended, s.cut, s.queue = true, false, nil
	default:
		_, _ = r.w.Call("n", r.service[seat], "end") // fails: it ends
		r.seats[seat] = nil
		r.model.subs = slices.DeleteFunc(r.model.subs, func(other *modelSub) bool { return other == s })
	}
	r.model.settle()
}

func (r *channelRun) subscribe(seat int, slow runtime.Slow, limit int) {
	blocks := func(s *modelSub) bool { return s.slow == runtime.SlowBlock }
	if slow == runtime.SlowBlock && slices.ContainsFunc(r.model.subs, blocks) {
		slow = runtime.SlowDropNewest
	}
	r.service[seat] = another(r.w, "lib/subscriber.star")
	r.call(seat, "shut")
	r.call(seat, "subscribe_with", "news", limit, string(slow))
	r.seats[seat] = &modelSub{slow: slow, limit: limit}
	r.model.subs = append(r.model.subs, r.seats[seat])
}

func (r *channelRun) call(seat int, command string, args ...any) string {
	v, err := r.w.Call("n", r.service[seat], command, args...)
	if err != nil {
		return err.Error()
	}
	return v.String()
}

// settle lets everybody come to rest: a call of a service is answered after what the service had to do before.
func (r *channelRun) settle() {
	r.w.Want("[]", "n", "lib/subscriber", "notes")
	for seat, s := range r.seats {
		if s != nil {
			r.call(seat, "notes")
		}
	}
	r.w.Want("[]", "n", "lib/subscriber", "notes")
}

// difference looks at everything that can be seen.
func (r *channelRun) difference() string {
	r.settle()
	for seat, s := range r.seats {
		if s == nil {
			continue
		}
		for command, want := range map[string]any{ // the order is of no account
			"notes": s.got, "dropped": s.dropped, "active": map[bool]string{true: "True", false: "False"}[!s.ended],
		} {
			text := fmt.Sprint(want)
			if command == "notes" {
				text = list(s.got)
			}
			if got := r.call(seat, command); got != text {
				return fmt.Sprintf("%s (%s, limit %d): %s: got %s, want %s", r.service[seat], s.slow, s.limit, command, got, text)
			}
		}
	}
	for _, v := range slices.Sorted(maps.Keys(r.calls)) {
		reached, over := r.model.reached[v]
		if got := r.calls[v].Done(); got != over {
			return fmt.Sprintf("publication %d: got over = %v, want %v", v, got, over)
		}
		if !over {
			continue
		}
		if got, err := r.calls[v].Wait(); err != nil || got.String() != fmt.Sprint(reached) {
			return fmt.Sprintf("publication %d: got %v, %v, want %d subscribers reached", v, got, err, reached)
		}
	}
	return ""
}

// another starts one more service of a script.
func another(w *runtimetest.World, script string) *runtime.Address {
	v, err := w.Call("n", "lib/subscriber", "launch", script)
	if err != nil {
		panic(err)
	}
	return v.(*runtime.Address)
}

func list(items []string) string {
	text := "["
	for i, item := range items {
		if i > 0 {
			text += ", "
		}
		text += item
	}
	return text + "]"
}

// TestAChannelIsItsModel does random things to a channel: publish, let handlers go on, cancel, kill, subscribe.
func TestAChannelIsItsModel(t *testing.T) {
	scripts := testScripts(t)
	cases := 0
	run := func(ops []int) (difference string) {
		cases++
		t.Run(fmt.Sprintf("case=%d", cases), func(t *testing.T) {
			w := runtimetest.NewVirtual(t, uint64(cases))
			w.Scripts(scripts)
			n := w.Node("n", "lib/subscriber.star")
			r := &channelRun{w: w, model: modelChannel{reached: make(map[int]int)}, calls: make(map[int]*runtimetest.Pending)}
			for i, op := range ops {
				r.do(op%11, op/11%4, op/44)
				if difference = r.difference(); difference != "" {
					difference = fmt.Sprintf("after operation %d: %s", i, difference)
					return
				}
			}
			for seat, s := range r.seats {
				if s != nil {
					r.do(10, seat, 0)
				}
			}
			if difference = r.difference(); difference == "" {
				difference = leftovers(n)
			}
		})
		return difference
	}
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 60
	properties := gopter.NewProperties(parameters)
	properties.Property("a channel does what its model does", prop.ForAll(run, gen.SliceOfN(40, gen.IntRange(0, 11*4*12-1))))
	properties.TestingRun(t)
}

// leftovers says what services have left behind in what their node's services share.
func leftovers(n *runtime.Node) string {
	if topics, waits := n.Sharing(); topics+waits > 0 {
		return fmt.Sprintf("node: got %d channels with subscribers and %d waits, want none", topics, waits)
	}
	return ""
}

// TestSlowSubscribersAreLogged wants one line for each burst.
func TestSlowSubscribersAreLogged(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Node("n", "lib/subscriber.star")
		a := another(w, "lib/subscriber.star")
		w.Want("None", "n", a, "subscribe_with", "news", 1, "drop_oldest")
		for range 2 {
			w.Want("None", "n", a, "shut")
			for i := range 5 {
				w.Want("1", "n", "lib/subscriber", "publish", "news", i)
				if _, err := w.Call("n", a, "notes"); err != nil {
					t.Fatal(err)
				}
			}
			w.Want("True", "n", a, "open")
			w.Until("it has caught up", func() bool {
				v, err := w.Call("n", a, "release")
				return err == nil && v == starlark.False
			})
		}
		w.Want("6", "n", a, "dropped")
		var lines []runtimetest.Line
		for _, line := range w.Logs("n") {
			if line.Level == slog.LevelWarn {
				lines = append(lines, line)
			}
		}
		if len(lines) != 2 {
			t.Fatalf("log: got %d warnings, want one for each of 2 bursts:\n%v", len(lines), lines)
		}
		wantParts(t, lines[1].String(), `slow subscriber: publications are dropped`, a.String(), `channel=channel("news")`, "limit=1", "slow=drop_oldest")
	})
}

// TestUnsubscribingIsLogged wants to know who was cut off.
func TestUnsubscribingIsLogged(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Node("n", "lib/subscriber.star")
		w.Want("None", "n", "lib/subscriber", "subscribe_with", "news", 1, "unsubscribe")
		w.Want("None", "n", "lib/subscriber", "shut")
		a := another(w, "lib/subscriber.star")
		for i := range 4 {
			if _, err := w.Call("n", a, "publish", "news", i); err != nil {
				t.Fatal(err)
			}
		}
		w.Logged("n", "WARN slow subscriber: unsubscribed", `channel=channel("news")`, "limit=1", "slow=unsubscribe")
	})
}
