package workers_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"skynet/sched"
	"skynet/sched/schedtest"
	"skynet/sched/workers"
)

// lend waits until the workers are parked and lend a place.
func lend(t *testing.T, s *workers.Workers) (work func()) {
	t.Helper()
	schedtest.Wait(t, func() bool {
		work = s.Lend()
		return work != nil
	})
	return work
}

// bringer is a scheduler whose every Ready from outside comes from a goroutine that would run the task itself, as those
// of the network do.
type bringer struct{ *machine }

type machine = workers.Workers

func (b bringer) Ready(t sched.Task) {
	work := b.Lend()
	b.machine.Ready(t)
	if work != nil {
		work()
	}
}

func TestLendingConformance(t *testing.T) {
	for _, threads := range []int{1, 2, 8} {
		schedtest.Run(t, func(t *testing.T) schedtest.World {
			s := workers.New(workers.Options{Threads: threads})
			return schedtest.World{
				Scheduler: bringer{s},
				Drive:     func(until func() bool) { t.Helper(); schedtest.Wait(t, until) },
				Close:     s.Close,
			}
		})
	}
}

// TestLentPlaceRunsWhatIsReady wants a task, and what it makes ready, to have run when the call returns. A worker that is
// about to park, as all are in the beginning, may be faster.
func TestLentPlaceRunsWhatIsReady(t *testing.T) {
	const rounds = 200
	s := workers.New(workers.Options{Threads: 2})
	defer s.Close()
	atOnce := 0
	for range rounds {
		work := lend(t, s)
		var ran atomic.Int64
		s.Ready(task(func(turn *sched.Turn) bool {
			if turn.Worker < 0 || turn.Worker > 1 || turn.Budget != 32 {
				t.Errorf("turn: got worker %d and budget %d, want 0 or 1 and 32", turn.Worker, turn.Budget)
			}
			turn.Ready(task(func(*sched.Turn) bool { ran.Add(1); return false }))
			ran.Add(1)
			return false
		}))
		work()
		if ran.Load() == 2 {
			atOnce++
		}
		schedtest.Wait(t, func() bool { return ran.Load() == 2 })
	}
	if atOnce < rounds/2 {
		t.Errorf("tasks run when the call returned: got %d of %d, want most", atOnce, rounds)
	}
}

// TestLendingEnds brings three tasks that always have more to do, one queued, one made ready to run next, and one from
// outside: the call returns, and the workers go on with all of them.
func TestLendingEnds(t *testing.T) {
	s := workers.New(workers.Options{Threads: 2})
	defer s.Close()
	var turns [3]atomic.Int64
	var stop atomic.Bool
	busy := func(i int) task { return func(*sched.Turn) bool { turns[i].Add(1); return !stop.Load() } }
	work := lend(t, s)
	s.Ready(task(func(turn *sched.Turn) bool {
		turn.Ready(busy(0))
		turn.Ready(busy(1))
		return false
	}))
	s.Ready(busy(2))
	work()
	var then [3]int64
	for i := range turns {
		then[i] = turns[i].Load()
	}
	schedtest.Wait(t, func() bool {
		more := true
		for i := range turns {
			more = more && turns[i].Load() > then[i]+10
		}
		return more
	})
	stop.Store(true)
}

// TestLendWithoutWork gives places back unused: the workers still wake for what comes after.
func TestLendWithoutWork(t *testing.T) {
	s := workers.New(workers.Options{Threads: 2})
	defer s.Close()
	for range 1000 {
		if work := s.Lend(); work != nil {
			if again := s.Lend(); again != nil {
				t.Fatal("lent to two at a time: got a call, want nil")
			}
			work()
		}
		done := make(chan struct{})
		s.Ready(task(func(*sched.Turn) bool { close(done); return false }))
		<-done
	}
}

// TestManyBringers throws balls from many goroutines that each run what they bring, for the race detector and for wake-ups
// that are lost between two who rely on each other.
func TestManyBringers(t *testing.T) {
	const actors, bringers, balls, hops = 50, 20, 200, 5
	s := workers.New(workers.Options{Threads: 4, Budget: 3})
	defer s.Close()
	var home sync.WaitGroup
	mesh := make([]*schedtest.Actor, actors)
	for i := range mesh {
		mesh[i] = schedtest.NewActor(bringer{s}, uint64(i), func(turn *sched.Turn, left int) {
			if left == 0 {
				home.Done()
				return
			}
			mesh[(7*i+left)%actors].Send(turn, left-1)
		})
	}
	for b := range bringers {
		home.Add(balls)
		go func() {
			for i := range balls {
				mesh[(b+i)%actors].Send(nil, hops)
			}
		}()
	}
	home.Wait()
}

// TestCloseWaitsForLent closes while a goroutine runs a turn in the place of a worker.
func TestCloseWaitsForLent(t *testing.T) {
	s := workers.New(workers.Options{Threads: 2})
	begun, release, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	over := false
	work := lend(t, s)
	s.Ready(task(func(*sched.Turn) bool { close(begun); <-release; over = true; return false }))
	go func() { work(); close(left) }()
	<-begun
	go close(release)
	s.Close()
	if !over {
		t.Error("Close returned before the turn was over")
	}
	<-left
	if work := s.Lend(); work != nil {
		ran := false
		s.Ready(task(func(*sched.Turn) bool { ran = true; return false }))
		work()
		if ran {
			t.Error("a task ran after Close")
		}
	}
}
