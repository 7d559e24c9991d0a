package runtime_test

import (
	"sync/atomic"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/workers"
)

// byHand is a scheduler whose turns the test gives, one after the other. It takes from real workers only what needs no
// turn: clocks, timers and random streams.
type byHand struct {
	*machine
	queue []sched.Task
	spent []sched.Turn // the turns that were given, with what was reported
}

type machine = workers.Workers

func (b *byHand) Ready(t sched.Task)                    { b.queue = append(b.queue, t) }
func (b *byHand) ReadyFrom(_ *sched.Turn, t sched.Task) { b.Ready(t) }

func (b *byHand) run() {
	for len(b.queue) > 0 {
		t := b.queue[0]
		b.queue = b.queue[1:]
		turn := sched.Turn{Now: b.Now(), Budget: 32, Owner: b}
		if t.Run(&turn) {
			b.Ready(t)
		}
		b.spent = append(b.spent, turn)
	}
}

// TestTurnEndsAfterASliceOfSteps sends messages that take almost a slice of steps each, and others that take few: the
// first have turns of at most two slices, the others share turns as before.
func TestTurnEndsAfterASliceOfSteps(t *testing.T) {
	const slice, messages = 10_000, 64
	s := &byHand{machine: workers.New(workers.Options{Threads: 1})}
	defer s.Close()
	programs := scripts{"loop.star": `
count = [0]
def spin(n):
    for _ in range(n):
        pass
    count[0] += 1
def counted():
    return count[0]
`}
	pool := runtime.NewCoroutines(1)
	defer pool.Close()
	n, err := runtime.NewNode(runtime.Config{Scheduler: s, Coroutines: pool, Programs: runtime.NewPrograms(programs.read), Limits: runtime.Limits{Slice: slice}})
	if err != nil {
		t.Fatal(err)
	}
	var at *runtime.Address
	n.Launch("loop.star", "", nil, nil, func(a *runtime.Address, err error) { at = a })
	s.run()
	handled := 0
	call := func(command string, args ...starlark.Value) {
		n.Request(at, command, args, nil, 0, func(v starlark.Value, err error) {
			if err != nil {
				t.Errorf("%s: %v", command, err)
			}
			if command == "counted" {
				handled, _ = starlark.AsInt32(v)
			}
		})
	}
	for _, c := range []struct{ loops, least, most int }{{1000, messages / 4, messages}, {1, 2, 8}} {
		for range messages {
			call("spin", starlark.MakeInt(c.loops))
		}
		s.spent = nil
		s.run()
		turns := 0
		for _, turn := range s.spent {
			if turn.Steps > 2*slice {
				t.Errorf("%d loops: a turn of %d steps, want at most %d", c.loops, turn.Steps, 2*slice)
			}
			if turn.Steps > 0 {
				turns++
			}
		}
		if turns < c.least || turns > c.most {
			t.Errorf("%d messages of %d loops: got %d turns, want %d to %d", messages, c.loops, turns, c.least, c.most)
		}
	}
	call("counted")
	s.run()
	if handled != 2*messages {
		t.Errorf("messages handled: got %d, want %d", handled, 2*messages)
	}
}

// countsOnes counts the requests "one", and says on "count" how many there were.
type countsOnes struct{ count *atomic.Int64 }

func (countsOnes) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (t countsOnes) Handle(_ *runtime.Context, command string, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	if command == "one" {
		t.count.Add(1)
	}
	return starlark.MakeInt64(t.count.Load()), nil
}

// TestTurnHasABudgetOfMessages: on one worker, a service with many short messages makes way for another after some of them.
func TestTurnHasABudgetOfMessages(t *testing.T) {
	const messages = 10 * 32
	ws := workers.New(workers.Options{Threads: 1})
	defer ws.Close()
	var count atomic.Int64
	n, err := runtime.NewNode(runtime.Config{
		Name: "n", Scheduler: ws,
		Programs: runtime.NewPrograms(scripts{"flood.star": `
def flood(busy, idle, n):
    for _ in range(n):
        skynet.send(busy, "one")
    seen = 0
    while not seen:
        seen = skynet.call(idle, "count")
    return seen
`}.read),
		Handlers: map[string]func() runtime.Handler{"tally": func() runtime.Handler { return countsOnes{&count} }},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan int64, 1)
	args := starlark.Tuple{launch(t, n, "tally"), launch(t, n, "tally"), starlark.MakeInt(messages)}
	n.Request(launch(t, n, "flood.star"), "flood", args, nil, time.Minute, func(v starlark.Value, err error) {
		if err != nil {
			t.Error(err)
			v = starlark.MakeInt(0)
		}
		seen, _ := v.(starlark.Int).Int64()
		got <- seen
	})
	if seen := <-got; seen <= 0 || seen >= messages {
		t.Errorf("messages handled when another service was asked: got %d, want some but not all %d", seen, messages)
	}
	stopped := make(chan struct{})
	n.Stop(0, func() { close(stopped) })
	<-stopped
}
