package stepper_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"skynet/sched"
	"skynet/sched/schedtest"
	"skynet/sched/stepper"
	"skynet/sched/trace"
)

// mesh is a world with everything in it: three nodes of which one is slow and one restarts, tasks that draw, read
// clocks, set timers and offload, and events of the world. It is run for 20 virtual milliseconds.
func mesh(seed uint64, strategy sched.Strategy, tr *trace.Trace) {
	s := stepper.New(stepper.Options{Seed: seed, Strategy: strategy, Trace: tr})
	faults := s.Stream("faults")
	for i := range int32(3) {
		start := func() *stepper.Node {
			n := s.NewNode(i, fmt.Sprintf("n%d", i), stepper.NodeOptions{Cores: 1 + int(i)%2, Epoch: 1e18})
			populate(n)
			return n
		}
		n := start()
		at := func(d time.Duration, what uint64, do func()) {
			s.At(sched.Time(d), sched.Action{Kind: trace.Fault, Node: i, A: what}, do)
		}
		at(time.Duration(faults.IntN(5))*time.Millisecond, 1, func() { n.SetSpeed(50) })
		at(6*time.Millisecond, 2, n.Pause)
		at(8*time.Millisecond, 3, n.Resume)
		at(10*time.Millisecond, 4, func() { n.Halt(); n = start() })
	}
	s.Run(sched.Time(20*time.Millisecond), nil)
}

func populate(n *stepper.Node) {
	n.SetOffloadLatency(func(r *sched.Stream) time.Duration { return time.Duration(r.IntN(1e5)) })
	r := n.Rand("work")
	actors := make([]*schedtest.Actor, 6)
	for i := range actors {
		var timer sched.Timer
		wake := func() { actors[i].Send(nil, 0) }
		timer = n.NewTimer(wake)
		actors[i] = schedtest.NewActor(n, uint64(i+1), func(turn *sched.Turn, _ int) {
			turn.Steps += r.Uint64N(500)
			switch r.IntN(4) {
			case 0:
				timer.Reset(n.Now().Add(time.Duration(n.Wall() % 1000)))
			case 1:
				n.Offload(func() {}, wake)
			default:
				actors[r.IntN(len(actors))].Send(turn, 0)
			}
		})
		wake()
	}
}

func random(seed uint64) sched.Strategy {
	return stepper.Random(sched.NewStream(seed, "schedule"))
}

// TestSameSeedSameTrace runs the same seed under several GOMAXPROCS, beside other runs, and wants the same hash.
func TestSameSeedSameTrace(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var want trace.Trace
	mesh(1, random(1), &want)
	if want.Count() < 5000 {
		t.Fatalf("events: got %d, want a run worth comparing", want.Count())
	}
	for _, procs := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(procs)
		got := make(chan *trace.Trace)
		for range 4 {
			go func() {
				var tr trace.Trace
				mesh(1, random(1), &tr)
				got <- &tr
			}()
		}
		for range 4 {
			if tr := <-got; tr.Hash() != want.Hash() || tr.Count() != want.Count() {
				t.Errorf("GOMAXPROCS %d: got %d events with hash %x, want %d with %x",
					procs, tr.Count(), tr.Hash(), want.Count(), want.Hash())
			}
		}
	}
}

// TestTraceOfKnownRun pins a hash, so that a machine or a change that makes runs differ is seen. A change of the model
// or of the trace changes it, and then every recorded seed is void.
func TestTraceOfKnownRun(t *testing.T) {
	var tr trace.Trace
	mesh(1, random(1), &tr)
	if got, want := fmt.Sprintf("%d events, %016x", tr.Count(), tr.Hash()), "26386 events, f856953ba5d63366"; got != want {
		t.Errorf("known run: got %s, want %s", got, want)
	}
}

func TestOtherSeedOrStrategyOtherTrace(t *testing.T) {
	hashes := map[uint64]string{}
	for name, run := range map[string]func(*trace.Trace){
		"seed 1 random":            func(tr *trace.Trace) { mesh(1, random(1), tr) },
		"seed 2 random":            func(tr *trace.Trace) { mesh(2, random(2), tr) },
		"seed 1 random schedule 2": func(tr *trace.Trace) { mesh(1, random(2), tr) },
		"seed 1 fifo":              func(tr *trace.Trace) { mesh(1, stepper.FIFO(), tr) },
	} {
		var tr trace.Trace
		run(&tr)
		if other, ok := hashes[tr.Hash()]; ok {
			t.Errorf("hash of %s: got that of %s, want another", name, other)
		}
		hashes[tr.Hash()] = name
	}
}

// TestTraceHasEveryKind checks that what the contract names is folded.
func TestTraceHasEveryKind(t *testing.T) {
	seen := map[trace.Kind]bool{}
	mesh(1, random(1), &trace.Trace{Sink: func(e trace.Event) { seen[e.Kind] = true }})
	for _, kind := range []trace.Kind{
		trace.Pick, trace.Timer, trace.Offload, trace.Clock, trace.Rand, trace.Choice, trace.Fault,
	} {
		if !seen[kind] {
			t.Errorf("trace of a run with everything in it: got no %v, want some", kind)
		}
	}
}

// TestTiesAreChoices sets timers for the same time and wants every order of them among the schedules.
func TestTiesAreChoices(t *testing.T) {
	orders := map[string]int{}
	for seed := range uint64(200) {
		s := stepper.New(stepper.Options{Strategy: random(seed)})
		order := ""
		for i := range int32(3) {
			n := s.NewNode(i, "n", stepper.NodeOptions{})
			n.NewTimer(func() { order += fmt.Sprint(i) }).Reset(5)
		}
		s.Run(10, nil)
		orders[order]++
	}
	if len(orders) != 6 {
		t.Errorf("orders of three equal timers over 200 seeds: got %v, want all 6", orders)
	}
}
