package schedtest

import (
	"sync/atomic"
	"testing"
	"time"

	"skynet/sched"
)

const ms = time.Millisecond

// after sets a new timer to fire d from now.
func after(s sched.Scheduler, d time.Duration, fire func()) sched.Timer {
	timer := s.NewTimer(fire)
	timer.Reset(s.Now().Add(d))
	return timer
}

func testTimerNeverEarly(t *testing.T, w World) {
	const timers = 200
	var fired, early count
	r := w.Scheduler.Rand("delays")
	for range timers {
		at := w.Scheduler.Now().Add(time.Duration(r.Between(0, int64(5*ms))))
		w.Scheduler.NewTimer(func() {
			if w.Scheduler.Now() < at {
				early.add()
			}
			fired.add()
		}).Reset(at)
	}
	w.Drive(fired.reaches(timers))
	early.want(t, 0, "timers that fired early")
}

// testTimerOncePerReset sets timers again and again, earlier and later, and wants one firing of each, not before the
// last setting.
func testTimerOncePerReset(t *testing.T, w World) {
	const timers = 50
	var fired, early, end count
	for i := range timers {
		var last atomic.Int64
		timer := w.Scheduler.NewTimer(func() {
			if w.Scheduler.Now() < sched.Time(last.Load()) {
				early.add()
			}
			fired.add()
		})
		// All but the last are so far away that none fires between two settings.
		for _, d := range []time.Duration{time.Hour, 5 * time.Second, 2 * time.Hour, time.Duration(i) * ms / 10} {
			at := w.Scheduler.Now().Add(d)
			last.Store(int64(at))
			timer.Reset(at)
		}
	}
	after(w.Scheduler, 20*ms, end.add)
	w.Drive(end.reaches(1))
	w.Drive(fired.reaches(timers))
	fired.want(t, timers, "firings")
	early.want(t, 0, "timers that fired before their last setting")
}

func testTimerStop(t *testing.T, w World) {
	var fired, again, end count
	for range 50 {
		after(w.Scheduler, 200*ms, fired.add).Stop()
	}
	timer := after(w.Scheduler, 200*ms, again.add)
	timer.Stop()
	timer.Stop()
	timer.Reset(w.Scheduler.Now().Add(ms))
	w.Scheduler.NewTimer(fired.add).Stop() // never set
	after(w.Scheduler, 250*ms, end.add)
	w.Drive(end.reaches(1))
	w.Drive(again.reaches(1))
	fired.want(t, 0, "firings of stopped timers")
	again.want(t, 1, "firings of a timer stopped and set again")
}

func testTimerPast(t *testing.T, w World) {
	var fired, end count
	after(w.Scheduler, ms, end.add)
	w.Drive(end.reaches(1))
	for _, at := range []sched.Time{w.Scheduler.Now(), w.Scheduler.Now() - 1, 0, -5} {
		w.Scheduler.NewTimer(fired.add).Reset(at)
	}
	w.Drive(fired.reaches(4))
	fired.want(t, 4, "firings of timers set in the past")
}

// testTimerPeriodic sets a timer from its own fire and has it wake a task.
func testTimerPeriodic(t *testing.T, w World) {
	const rounds = 20
	var handled count
	a := NewActor(w.Scheduler, 1, func(*sched.Turn, int) { handled.add() })
	var timer sched.Timer
	left := rounds
	timer = w.Scheduler.NewTimer(func() {
		a.Send(nil, left)
		if left--; left > 0 {
			timer.Reset(w.Scheduler.Now().Add(ms / 2))
		}
	})
	timer.Reset(w.Scheduler.Now())
	w.Drive(handled.reaches(rounds))
	handled.want(t, rounds, "messages of a periodic timer")
}

// testClock checks that no turn, timer or offload sees the monotonic clock go back.
func testClock(t *testing.T, w World) {
	const rounds = 100
	var done, back count
	var last atomic.Int64
	look := func() {
		seen := last.Load()
		if now := int64(w.Scheduler.Now()); now < seen {
			back.add()
		} else {
			last.CompareAndSwap(seen, now)
		}
		done.add()
	}
	a := NewActor(w.Scheduler, 1, func(turn *sched.Turn, _ int) {
		look()
		turn.Steps += 1000
		look()
	})
	for i := range rounds {
		a.Send(nil, i)
		after(w.Scheduler, time.Duration(i)*ms/100, look)
		w.Scheduler.Offload(look, look)
	}
	w.Drive(done.reaches(5 * rounds))
	back.want(t, 0, "times the clock went back")
}

func testOffload(t *testing.T, w World) {
	const jobs = 200
	var done, wrong count
	for i := range jobs {
		result := -1
		w.Scheduler.Offload(func() { result = i }, func() {
			if result != i {
				wrong.add()
			}
			done.add()
		})
	}
	w.Drive(done.reaches(jobs))
	w.Close()
	done.want(t, jobs, "offloads done")
	wrong.want(t, 0, "offloads done before their work")
}

func testStreams(t *testing.T, w World) {
	draws := func(name string, other *sched.Stream) (d [8]uint64) {
		r := w.Scheduler.Rand(name)
		for i := range d {
			d[i] = r.Uint64()
			if other != nil {
				other.Uint64()
			}
		}
		return d
	}
	alone := draws("a", nil)
	if beside := draws("a", w.Scheduler.Rand("b")); beside != alone {
		t.Errorf("draws of a beside draws of b: got %x, want %x", beside, alone)
	}
	if b := draws("b", nil); b == alone {
		t.Errorf("draws of b: got %x, want others than those of a", b)
	}
}

// testClose closes a scheduler that is busy with everything; the state it leaves is read without a lock, so the race
// detector sees what still runs.
func testClose(t *testing.T, w World) {
	var never atomic.Bool
	var started count
	turns, fires, works := 0, 0, 0
	a := NewActor(w.Scheduler, 1, nil)
	a.handle = func(turn *sched.Turn, _ int) {
		turns++
		started.add()
		a.Send(turn, 0)
	}
	a.Send(nil, 0)
	w.Scheduler.Ready(greedy{2, &never})
	var timer sched.Timer
	timer = w.Scheduler.NewTimer(func() {
		fires++
		started.add()
		timer.Reset(w.Scheduler.Now().Add(ms))
	})
	timer.Reset(w.Scheduler.Now())
	var again func()
	again = func() { w.Scheduler.Offload(func() { works++; started.add() }, again) }
	again()
	w.Drive(started.reaches(1000))
	w.Close()
	w.Close()
	before := turns + fires + works
	w.Scheduler.Ready(greedy{3, &never})
	timer.Reset(0)
	w.Scheduler.Offload(func() { works++ }, func() {})
	if after := turns + fires + works; after != before {
		t.Errorf("actions after Close: got %d, want 0", after-before)
	}
}
