package workers_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"skynet/sched"
	"skynet/sched/schedtest"
	"skynet/sched/workers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	for _, o := range []workers.Options{{Threads: 1}, {Threads: 2, Budget: 1}, {Threads: 8, Seed: 7}} {
		t.Run(fmt.Sprintf("threads=%d", o.Threads), func(t *testing.T) {
			schedtest.Run(t, func(t *testing.T) schedtest.World {
				s := workers.New(o)
				return schedtest.World{
					Scheduler: s,
					Drive:     func(until func() bool) { t.Helper(); schedtest.Wait(t, until) },
					Close:     s.Close,
				}
			})
		})
	}
}

// TestLongTurnStarvesNobody blocks a worker in a turn that has made two tasks ready, one reserved to run next and one
// queued, and wants the other worker to run both; the turn ends only when they have.
func TestLongTurnStarvesNobody(t *testing.T) {
	s := workers.New(workers.Options{Threads: 2})
	defer s.Close()
	for range 20 {
		var ran sync.WaitGroup
		ran.Add(2)
		done := make(chan struct{})
		s.Ready(task(func(turn *sched.Turn) bool {
			for range 2 {
				turn.Ready(task(func(*sched.Turn) bool { ran.Done(); return false }))
			}
			ran.Wait()
			close(done)
			return false
		}))
		<-done
	}
}

// TestStuckTurnsHoldUpNobody blocks more turns than there are workers, each of which has made a task ready before: those tasks, and
// others, run all the same. When the turns end no more tasks run at the same time than there are threads.
func TestStuckTurnsHoldUpNobody(t *testing.T) {
	for _, threads := range []int{1, 2} {
		s := workers.New(workers.Options{Threads: threads})
		release := make(chan struct{})
		var ran, stuck atomic.Int32
		count := task(func(*sched.Turn) bool { ran.Add(1); return false })
		const many = 5
		block := task(func(turn *sched.Turn) bool {
			turn.Ready(count)
			stuck.Add(1)
			<-release
			stuck.Add(-1)
			return true
		})
		var lent func() // the first one is stuck in a place that is lent
		schedtest.Wait(t, func() bool { lent = s.Lend(); return lent != nil })
		s.Ready(block)
		s.Ready(count)
		returned := make(chan struct{})
		go func() { lent(); close(returned) }()
		for range many - 1 {
			s.Ready(block)
			s.Ready(count)
		}
		schedtest.Wait(t, func() bool { return stuck.Load() == many && ran.Load() == 2*many })
		close(release)
		schedtest.Wait(t, func() bool { return stuck.Load() == 0 })
		<-returned

		var at, most atomic.Int32
		crowd := func() int32 { // so many run at the same time
			most.Store(0)
			var left atomic.Int32
			left.Store(200)
			for range left.Load() {
				s.Ready(task(func(*sched.Turn) bool {
					n := at.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					for range 1000 {
						runtime.Gosched()
					}
					at.Add(-1)
					left.Add(-1)
					return false
				}))
			}
			schedtest.Wait(t, func() bool { return left.Load() == 0 })
			return most.Load()
		}
		schedtest.Wait(t, func() bool { return crowd() <= int32(threads) }) // the others retire after a turn
		s.Close()
	}
}

// TestAllWorkersTakePart has as many tasks as workers wait for each other in their turns, which ends only if each has a
// worker to itself: work from outside, and work that one turn makes ready.
func TestAllWorkersTakePart(t *testing.T) {
	const threads = 8
	s := workers.New(workers.Options{Threads: threads})
	defer s.Close()
	for _, inside := range []bool{false, true} {
		for range 20 {
			meet := make(chan struct{})
			var here, over sync.WaitGroup
			here.Add(threads)
			over.Add(threads)
			together := task(func(*sched.Turn) bool {
				here.Done()
				<-meet
				over.Done()
				return false
			})
			if inside {
				s.Ready(task(func(turn *sched.Turn) bool {
					for range threads {
						turn.Ready(together)
					}
					return false
				}))
			} else {
				for range threads {
					s.Ready(together)
				}
			}
			here.Wait()
			close(meet)
			over.Wait()
		}
	}
}

// TestTalkingPairStays wants a pair that talks to stay on one worker while others are idle: it is 2.3 times faster
// there. A turn that the machine interrupts for a tick may have its peer taken by another worker, rarely.
func TestTalkingPairStays(t *testing.T) {
	const turns = 20000
	s := workers.New(workers.Options{Threads: 4})
	defer s.Close()
	moves, last, left := 0, -1, turns
	done := make(chan struct{})
	var ping, pong *schedtest.Actor
	bounce := func(to **schedtest.Actor) func(*sched.Turn, int) {
		return func(turn *sched.Turn, mail int) {
			if turn.Worker != last {
				moves, last = moves+1, turn.Worker
			}
			if left--; left == 0 {
				close(done)
				return
			}
			(*to).Send(turn, mail)
		}
	}
	ping, pong = schedtest.NewActor(s, 1, bounce(&pong)), schedtest.NewActor(s, 2, bounce(&ping))
	ping.Send(nil, 0)
	<-done
	if moves > turns/10 {
		t.Errorf("moves from worker to worker in %d turns: got %d, want at most %d", turns, moves, turns/10)
	}
}

// TestTurnIsNotBeforeReady makes a task ready from outside while the only worker is busy with short turns, for which it
// reads the clock now and then only, and wants the task's turn not to begin before that.
func TestTurnIsNotBeforeReady(t *testing.T) {
	s := workers.New(workers.Options{Threads: 1})
	defer s.Close()
	var stop atomic.Bool
	s.Ready(task(func(turn *sched.Turn) bool { return !stop.Load() }))
	early := 0
	done := make(chan struct{})
	for range 1000 {
		ready := s.Now()
		s.Ready(task(func(turn *sched.Turn) bool {
			if turn.Now < ready {
				early++
			}
			done <- struct{}{}
			return false
		}))
		<-done
	}
	stop.Store(true)
	if early > 0 {
		t.Errorf("turns that began before their task was ready: got %d of 1000, want 0", early)
	}
}

// TestManyTasks throws balls through many actors on many workers, from outside and inside, for the race detector.
func TestManyTasks(t *testing.T) {
	const actors, balls, hops = 500, 500, 100
	s := workers.New(workers.Options{Threads: 8, Budget: 3})
	defer s.Close()
	var home sync.WaitGroup
	home.Add(balls)
	mesh := make([]*schedtest.Actor, actors)
	handled := make([]int, actors) // each written by its own actor only
	for i := range mesh {
		r := s.Rand(fmt.Sprint(i))
		mesh[i] = schedtest.NewActor(s, uint64(i), func(turn *sched.Turn, left int) {
			handled[i]++
			if left == 0 {
				home.Done()
				return
			}
			mesh[r.IntN(actors)].Send(turn, left-1)
		})
	}
	for b := range balls {
		go mesh[b%actors].Send(nil, hops)
	}
	home.Wait()
	s.Close()
	sum := 0
	for _, n := range handled {
		sum += n
	}
	if want := balls * (hops + 1); sum != want {
		t.Errorf("messages handled: got %d, want %d", sum, want)
	}
}

// TestOffloadIsBounded blocks more offloads than there are goroutines for, and wants the rest to run later.
func TestOffloadIsBounded(t *testing.T) {
	const jobs, limit = 200, 64
	s := workers.New(workers.Options{Threads: 1})
	defer s.Close()
	var mu sync.Mutex
	var done sync.WaitGroup
	done.Add(jobs)
	at, most := 0, 0
	full, release := make(chan struct{}), make(chan struct{})
	move := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		at += by
		if at == limit && most < limit {
			close(full)
		}
		most = max(most, at)
	}
	for range jobs {
		s.Offload(func() { move(1); <-release; move(-1) }, done.Done)
	}
	<-full
	close(release)
	done.Wait()
	if most != limit {
		t.Errorf("offloads at work at the same time: got %d, want %d", most, limit)
	}
}

// TestCloseWaits closes in the middle of a turn, a timer and an offload, each of which writes when it is let go.
func TestCloseWaits(t *testing.T) {
	s := workers.New(workers.Options{Threads: 2})
	begun, release := make(chan struct{}), make(chan struct{})
	var over [4]bool
	hold := func(i int) { begun <- struct{}{}; <-release; over[i] = true }
	s.Ready(task(func(*sched.Turn) bool { hold(0); return true }))
	s.NewTimer(func() { hold(1) }).Reset(0)
	s.Offload(func() { hold(2) }, func() { over[3] = true })
	for range 3 {
		<-begun
	}
	go close(release)
	s.Close()
	if over != [4]bool{true, true, true, true} {
		t.Errorf("turn, timer, offload and its done are over after Close: got %v, want all", over)
	}
}
