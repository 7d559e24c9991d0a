package stepper_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"skynet/sched"
	"skynet/sched/schedtest"
	"skynet/sched/stepper"
)

// bench is one node whose turns and timers leave a line each: what, and when.
type bench struct {
	s     *stepper.Stepper
	n     *stepper.Node
	lines []string
}

func newBench(o stepper.NodeOptions) *bench {
	s := stepper.New(stepper.Options{})
	return &bench{s: s, n: s.NewNode(0, "n", o)}
}

func (b *bench) log(what any) { b.lines = append(b.lines, fmt.Sprintf("%v@%v", what, b.s.Now())) }

// actor returns an actor that logs its mail and executes steps Starlark steps for each.
func (b *bench) actor(id uint64, steps uint64) *schedtest.Actor {
	return schedtest.NewActor(b.n, id, func(turn *sched.Turn, mail int) {
		b.lines = append(b.lines, fmt.Sprintf("%d.%d@%v", id, mail, turn.Now))
		turn.Steps += steps
	})
}

// at does something at a virtual time.
func (b *bench) at(d time.Duration, do func()) { b.s.At(sched.Time(d), sched.Action{Node: -1}, do) }

func (b *bench) want(t *testing.T, until time.Duration, want ...string) {
	t.Helper()
	b.s.Run(sched.Time(until), nil)
	if !slices.Equal(b.lines, want) {
		t.Errorf("run until %v: got %v, want %v", until, b.lines, want)
	}
}

const us = time.Microsecond

func TestMessagesTakeVirtualTime(t *testing.T) {
	b := newBench(stepper.NodeOptions{})
	a, c := b.actor(1, 0), b.actor(2, 100) // 2 µs, and 2 µs more for 100 steps
	for i := range 2 {
		a.Send(nil, i)
		c.Send(nil, i)
	}
	b.want(t, time.Second, "1.0@0s", "2.0@2µs", "1.1@6µs", "2.1@8µs")
}

func TestSpeed(t *testing.T) {
	b := newBench(stepper.NodeOptions{Speed: 50})
	a := b.actor(1, 0)
	for i := range 4 {
		a.Send(nil, i)
	}
	b.at(5*us, func() { b.n.SetSpeed(200) }) // the second turn has begun and keeps its pace
	b.want(t, time.Second, "1.0@0s", "1.1@4µs", "1.2@8µs", "1.3@9µs")
}

func TestCores(t *testing.T) {
	b := newBench(stepper.NodeOptions{Cores: 2, MessageCost: 10 * us})
	for id := range uint64(3) {
		a := b.actor(id, 0)
		a.Send(nil, 0)
		a.Send(nil, 1) // waits for the end of the first although a core is free
	}
	b.want(t, time.Second, "0.0@0s", "1.0@0s", "2.0@10µs", "0.1@10µs", "1.1@20µs", "2.1@20µs")
}

// TestLongHandlerIsLate sets a timer and tells the world the time after 1000 steps, and has another core handle what it
// has sent not before it was sent.
func TestLongHandlerIsLate(t *testing.T) {
	b := newBench(stepper.NodeOptions{Cores: 2, MessageCost: -1, StepCost: us})
	sink := schedtest.NewActor(b.n, 2, func(*sched.Turn, int) { b.log("mail") })
	schedtest.NewActor(b.n, 1, func(turn *sched.Turn, _ int) {
		b.n.NewTimer(func() { b.log("early") }).Reset(b.n.Now().Add(ms(1)))
		turn.Steps += 1000
		b.log("world")
		sink.Send(turn, 0)
		b.n.NewTimer(func() { b.log("late") }).Reset(b.n.Now().Add(ms(1)))
	}).Send(nil, 0)
	b.want(t, time.Second, "world@1ms", "early@1ms", "mail@1ms", "late@2ms")
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestPause(t *testing.T) {
	b := newBench(stepper.NodeOptions{MessageCost: ms(4)})
	a := b.actor(1, 0)
	a.Send(nil, 0)
	a.Send(nil, 1)
	b.n.NewTimer(func() { b.log("timer") }).Reset(sched.Time(ms(3)))
	b.n.NewTimer(func() { b.log("timer2") }).Reset(sched.Time(ms(9)))
	stopped := b.n.NewTimer(func() { b.log("stopped") })
	stopped.Reset(sched.Time(ms(3)))
	b.n.Offload(func() { b.log("work") }, func() { b.log("done") })
	b.at(50*us, b.n.Pause)
	b.at(ms(5), func() { stopped.Stop(); b.log("resume"); b.n.Resume() })
	b.want(t, time.Second, "1.0@0s", "resume@5ms", "work@5ms", "done@5ms", "timer@5ms", "1.1@5ms", "timer2@9ms")
}

func TestPauseHoldsWhatIsEnabled(t *testing.T) {
	b := newBench(stepper.NodeOptions{})
	b.at(ms(1), b.n.Pause)
	for _, name := range []string{"a", "b"} {
		b.n.NewTimer(func() { b.log(name) }).Reset(sched.Time(ms(1)))
	}
	b.at(ms(2), b.n.Resume)
	b.want(t, time.Second, "a@2ms", "b@2ms")
}

func TestHalt(t *testing.T) {
	b := newBench(stepper.NodeOptions{})
	old := b.n
	a := b.actor(1, 0)
	a.Send(nil, 0)
	timer := old.NewTimer(func() { b.log("old timer") })
	timer.Reset(sched.Time(ms(2)))
	old.Offload(func() { b.log("old work") }, func() { b.log("old done") })
	b.at(us, func() { a.Send(nil, 1); old.Halt() })
	b.at(2*us, func() {
		a.Send(nil, 2)
		timer.Reset(0)
		timer.Stop()
		old.Ready(a)
		old.Offload(func() { b.log("stale work") }, func() {})
		old.Resume()
		b.n = b.s.NewNode(0, "n", stepper.NodeOptions{})
		b.actor(2, 0).Send(nil, 0)
	})
	b.want(t, time.Second, "1.0@0s", "2.0@2µs")
	if queued := old.Queued(); queued != 0 {
		t.Errorf("tasks queued on a halted node: got %d, want 0", queued)
	}
}

// TestHaltInTurn halts a node from within its own turn, which then ends without effect.
func TestHaltInTurn(t *testing.T) {
	b := newBench(stepper.NodeOptions{})
	other := b.actor(2, 0)
	schedtest.NewActor(b.n, 1, func(turn *sched.Turn, mail int) {
		b.log(mail)
		b.n.Halt()
		other.Send(turn, 0)
		b.n.NewTimer(func() { b.log("timer") }).Reset(0)
	}).Send(nil, 1)
	b.want(t, time.Second, "1@2µs")
}

func TestRestartDrawsAnew(t *testing.T) {
	draw := func(times int) (draws []uint64) {
		s := stepper.New(stepper.Options{Seed: 1})
		for range times {
			n := s.NewNode(0, "n", stepper.NodeOptions{})
			draws = append(draws, n.Rand("x").Uint64())
			n.Halt()
		}
		return draws
	}
	two := draw(2)
	if two[0] == two[1] {
		t.Errorf("first draws of two lives: got %x twice, want two numbers", two[0])
	}
	if again := draw(2); !slices.Equal(again, two) {
		t.Errorf("draws of the same seed: got %x, want %x", again, two)
	}
}

// TestNodeEvents has packets arrive at a node that is paused, resumed and halted.
func TestNodeEvents(t *testing.T) {
	b := newBench(stepper.NodeOptions{})
	var tl sched.Timeline = b.n
	for i := range 4 {
		tl.At(sched.Time(ms(i)), sched.Action{}, func() { b.log(i) })
	}
	b.at(500*us, b.n.Pause)
	b.at(1500*us, b.n.Resume)
	b.at(2500*us, b.n.Halt)
	b.at(ms(3), func() { tl.At(0, sched.Action{}, func() { b.log("stale") }) })
	b.want(t, time.Second, "0@0s", "1@1.5ms", "2@2ms")
}

func TestMoveWall(t *testing.T) {
	b := newBench(stepper.NodeOptions{Epoch: 1_000_000_000})
	b.n.NewTimer(func() { b.log(b.n.Wall()) }).Reset(sched.Time(ms(2)))
	b.at(ms(1), func() { b.n.MoveWall(-time.Second) })
	b.want(t, time.Second, "2000000@2ms")
}

// TestClockNeverGoesBack fires a timer in the middle of a turn's virtual time.
func TestClockNeverGoesBack(t *testing.T) {
	b := newBench(stepper.NodeOptions{MessageCost: ms(10)})
	schedtest.NewActor(b.n, 1, func(*sched.Turn, int) { b.n.Now() }).Send(nil, 0)
	var got sched.Time
	b.n.NewTimer(func() { b.log("timer"); got = b.n.Now() }).Reset(sched.Time(ms(1)))
	b.want(t, time.Second, "timer@1ms")
	if want := sched.Time(ms(10)); got != want {
		t.Errorf("clock after a turn that saw %v: got %v, want %v", want, got, want)
	}
}

func TestOutcomes(t *testing.T) {
	b := newBench(stepper.NodeOptions{})
	b.n.NewTimer(func() {}).Reset(sched.Time(ms(5)))
	for _, step := range []struct {
		until time.Duration
		stop  func() bool
		want  stepper.Outcome
		now   time.Duration
	}{
		{ms(9), func() bool { return true }, stepper.Stopped, 0},
		{ms(4), nil, stepper.TimeUp, ms(4)},
		{ms(2), nil, stepper.TimeUp, ms(4)},
		{ms(5), nil, stepper.Idle, ms(5)},
		{ms(9), nil, stepper.Idle, ms(5)},
	} {
		if got := b.s.Run(sched.Time(step.until), step.stop); got != step.want || b.s.Now() != sched.Time(step.now) {
			t.Errorf("Run(%v): got %v at %v, want %v at %v", step.until, got, b.s.Now(), step.want, step.now)
		}
	}
	if b.s.Steps() != 1 {
		t.Errorf("steps: got %d, want 1", b.s.Steps())
	}
}

func TestStrategyOutOfRange(t *testing.T) {
	s := stepper.New(stepper.Options{Strategy: wild{}})
	for range 2 {
		s.At(0, sched.Action{}, func() {})
	}
	defer func() {
		if got, want := fmt.Sprint(recover()), "stepper: strategy picked: got 2, want 0 to 1"; got != want {
			t.Errorf("panic: got %q, want %q", got, want)
		}
	}()
	s.Run(1, nil)
}

// wild picks what is not there.
type wild struct{}

func (wild) Pick(enabled []sched.Action) int { return len(enabled) }
