package workers_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"skynet/sched"
	"skynet/sched/workers"
)

// player returns a ball to its peer until the game is over.
type player struct {
	id   uint64
	peer *player
	left *int64 // turns left in the pair's game; only the one with the ball touches it
	over *sync.WaitGroup
}

func (p *player) TaskID() uint64 { return p.id }

func (p *player) Run(turn *sched.Turn) bool {
	if *p.left--; *p.left < 0 {
		p.over.Done()
		return false
	}
	turn.Ready(p.peer)
	return false
}

// play has pairs of tasks exchange balls, balls round trips in all, and waits for the end.
func play(s sched.Scheduler, pairs int, balls int) {
	var over sync.WaitGroup
	over.Add(pairs)
	for i := range pairs {
		left := int64(2 * balls / pairs)
		a := &player{id: uint64(2 * i), left: &left, over: &over}
		a.peer = &player{id: uint64(2*i + 1), peer: a, left: &left, over: &over}
		s.Ready(a)
	}
	over.Wait()
}

// BenchmarkPingPong compares a round trip of two tasks (two turns) with one of two goroutines over unbuffered
// channels, on the same machine at the same time.
func BenchmarkPingPong(b *testing.B) {
	b.Run("channels", func(b *testing.B) {
		ping, pong := make(chan int), make(chan int)
		go func() {
			for v := range ping {
				pong <- v
			}
			close(pong)
		}()
		for range b.N {
			ping <- 1
			<-pong
		}
		close(ping)
		<-pong
	})
	for _, c := range []struct{ pairs, threads int }{{1, 1}, {1, 2}, {100, 1}, {100, 2}} {
		b.Run(fmt.Sprintf("pairs=%d/workers=%d", c.pairs, c.threads), func(b *testing.B) {
			s := workers.New(workers.Options{Threads: c.threads})
			defer s.Close()
			b.ReportAllocs()
			b.ResetTimer()
			play(s, c.pairs, b.N)
		})
	}
}

// BenchmarkOutside measures Ready from outside of any turn, with the workers' wake-up.
func BenchmarkOutside(b *testing.B) {
	s := workers.New(workers.Options{})
	defer s.Close()
	b.ReportAllocs()
	done := make(chan struct{})
	t := task(func(*sched.Turn) bool { done <- struct{}{}; return false })
	for range b.N {
		s.Ready(t)
		<-done
	}
}

func BenchmarkTimer(b *testing.B) {
	s := workers.New(workers.Options{})
	defer s.Close()
	b.ReportAllocs()
	var fired atomic.Int64
	done := make(chan struct{})
	for range b.N {
		s.NewTimer(func() {
			if fired.Add(1) == int64(b.N) {
				close(done)
			}
		}).Reset(s.Now())
	}
	<-done
}

// task is a function that runs as a task without mail.
type task func(*sched.Turn) bool

func (task) TaskID() uint64              { return 1 }
func (t task) Run(turn *sched.Turn) bool { return t(turn) }
