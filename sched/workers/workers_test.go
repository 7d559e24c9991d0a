package workers_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
			return false
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

		// Work that is brought by who is lent a place wakes no worker: those that have been replaced must have retired by themselves.
		schedtest.Wait(t, func() bool {
			return crowd(threads+1, func(t task) {
				go func() {
					work := s.Lend()
					for ; work == nil; work = s.Lend() {
						runtime.Gosched()
					}
					s.Ready(t)
					work()
				}()
			}) <= threads
		})
		schedtest.Wait(t, func() bool { return crowd(100, func(t task) { s.Ready(t) }) <= threads })
		s.Close()
	}
}

// crowd brings n tasks, and returns how many of them have run at the same time.
func crowd(n int, bring func(task)) int {
	var at, most atomic.Int32
	var over sync.WaitGroup
	for range n {
		over.Add(1)
		bring(func(*sched.Turn) bool {
			now := at.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			for range 200000 / n {
				runtime.Gosched()
			}
			at.Add(-1)
			over.Done()
			return false
		})
	}
	over.Wait()
	return int(most.Load())
}

// TestStuckTurnStarvesNobody has a turn that blocks on a worker with much to do, and no less to do elsewhere.
func TestStuckTurnStarvesNobody(t *testing.T) {
	s := workers.New(workers.Options{Threads: 1})
	defer s.Close()
	var turns [20]atomic.Int64
	var over atomic.Bool
	for i := range turns {
		s.Ready(task(func(*sched.Turn) bool { turns[i].Add(1); return !over.Load() }))
	}
	release := make(chan struct{})
	var stuck atomic.Bool
	s.Ready(task(func(*sched.Turn) bool { stuck.Store(true); <-release; return false }))
	schedtest.Wait(t, stuck.Load)
	var before [len(turns)]int64
	for i := range turns {
		before[i] = turns[i].Load()
	}
	schedtest.Wait(t, func() bool {
		for i := range turns {
			if turns[i].Load() == before[i] {
				return false
			}
		}
		return true
	})
	over.Store(true)
	close(release)
}

// TestMoreAreStuckThanCanBeReplaced: what a stuck worker has runs elsewhere, also if no spare worker is left to take its place and the
// others never run out of work of their own.
func TestMoreAreStuckThanCanBeReplaced(t *testing.T) {
	const threads = 65
	s := workers.New(workers.Options{Threads: threads})
	spares := s.Workers() - threads
	if spares >= threads {
		t.Fatalf("spare workers: got %d, want fewer than the %d that there are else", spares, threads)
	}
	var over atomic.Bool
	release := make(chan struct{})
	var stuck, ran atomic.Int32
	block := task(func(turn *sched.Turn) bool {
		for range 3 {
			turn.Ready(task(func(*sched.Turn) bool { ran.Add(1); return false }))
		}
		stuck.Add(1)
		<-release
		return false
	})
	for range spares {
		s.Ready(block)
	}
	schedtest.Wait(t, func() bool { return stuck.Load() == int32(spares) })
	meet := func(n int) { // as many workers as that have not been replaced
		var here atomic.Int32
		for range n {
			s.Ready(task(func(*sched.Turn) bool {
				for here.Add(1); here.Load() < int32(n); {
					runtime.Gosched()
				}
				return false
			}))
		}
		schedtest.Wait(t, func() bool { return here.Load() == int32(n) })
	}
	meet(threads)
	for range 4 * threads {
		s.Ready(task(func(*sched.Turn) bool { return !over.Load() }))
	}
	s.Ready(block)
	schedtest.Wait(t, func() bool { return ran.Load() == 3*int32(spares+1) })
	over.Store(true)
	close(release)
	s.Close()
}

// TestLentPlaceIsLate has a turn in a lent place take longer than the place is lent for: what it has made ready does not see a time
// from before.
func TestLentPlaceIsLate(t *testing.T) {
	s := workers.New(workers.Options{Threads: 1})
	defer s.Close()
	var work func()
	schedtest.Wait(t, func() bool { work = s.Lend(); return work != nil })
	saw := make(chan time.Duration, 1)
	s.Ready(task(func(turn *sched.Turn) bool {
		for s.Now().Sub(turn.Now) < 10*time.Millisecond {
		}
		ready := s.Now()
		turn.Ready(task(func(turn *sched.Turn) bool {
			saw <- turn.Now.Sub(ready)
			return false
		}))
		return false
	}))
	work()
	if late := <-saw; late < 0 {
		t.Errorf("turn: got a time %v before it was made ready", -late)
	}
}

// TestAllWorkersTakePart has as many tasks as workers wait for each other in their turns, which ends only if each has a
// worker to itself: work from outside, and work that one turn makes ready.
func TestAllWorkersTakePart(t *testing.T) {
	const threads = 8
	s := workers.New(workers.Options{Threads: threads})
	defer s.Close()
	var spared atomic.Int32
	for _, inside := range []bool{false, true} {
		for range 20 {
			meet := make(chan struct{})
			var here, over sync.WaitGroup
			here.Add(threads)
			over.Add(threads)
			together := task(func(turn *sched.Turn) bool {
				if turn.Worker >= threads {
					spared.Add(1)
				}
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
	if n := spared.Load(); n > 5 { // a few if the machine is halted
		t.Errorf("spare workers: got %d that took part because others were not woken, want none", n)
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
