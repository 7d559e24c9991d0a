package stepper_test

import (
	"testing"
	"time"

	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sched/trace"
)

// talker hands a ball to its peer, the smallest step there is.
type talker struct {
	id   uint64
	peer *talker
}

func (t *talker) TaskID() uint64 { return t.id }

func (t *talker) Run(turn *sched.Turn) bool {
	turn.Messages++
	turn.Ready(t.peer)
	return false
}

func (t *talker) start(s sched.Scheduler, id uint64) {
	t.id, t.peer = id, &talker{id: id + 1, peer: t}
	s.Ready(t)
}

func benchmarkSteps(b *testing.B, nodes, pairs int, strategy sched.Strategy) {
	var tr trace.Trace
	s := stepper.New(stepper.Options{Seed: 1, Strategy: strategy, Trace: &tr})
	for i := range nodes {
		n := s.NewNode(int32(i), "n", stepper.NodeOptions{})
		for j := range pairs {
			new(talker).start(n, uint64(2*j+1))
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	s.Run(sched.Time(time.Hour*1e5), func() bool { return s.Steps() >= uint64(b.N) })
}

func BenchmarkStep(b *testing.B) {
	random := func() sched.Strategy { return stepper.Random(sched.NewStream(1, "schedule")) }
	b.Run("one", func(b *testing.B) { benchmarkSteps(b, 1, 1, random()) })
	b.Run("fifo-5x10", func(b *testing.B) { benchmarkSteps(b, 5, 10, stepper.FIFO()) })
	b.Run("random-5x10", func(b *testing.B) { benchmarkSteps(b, 5, 10, random()) })
	b.Run("random-5x1000", func(b *testing.B) { benchmarkSteps(b, 5, 1000, random()) })
}

func BenchmarkTimer(b *testing.B) {
	var tr trace.Trace
	s := stepper.New(stepper.Options{Trace: &tr})
	n := s.NewNode(0, "n", stepper.NodeOptions{})
	for i := range 1000 {
		var timer sched.Timer
		period := time.Duration(1000 + i)
		timer = n.NewTimer(func() { timer.Reset(n.Now().Add(period)) })
		timer.Reset(sched.Time(period))
	}
	b.ReportAllocs()
	b.ResetTimer()
	s.Run(sched.Time(time.Hour*1e5), func() bool { return s.Steps() >= uint64(b.N) })
}
