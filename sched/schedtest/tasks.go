package schedtest

import (
	"sync/atomic"
	"testing"

	"skynet/sched"
)

// testNoLostWakeUp sends balls through a mesh of actors, from outside and from offloads, and misses none.
func testNoLostWakeUp(t *testing.T, w World) {
	const actors, balls, hops = 20, 60, 200
	var home count
	mesh := make([]*Actor, actors)
	for i := range mesh {
		mesh[i] = NewActor(w.Scheduler, uint64(i), func(turn *sched.Turn, left int) {
			if left == 0 {
				home.add()
				return
			}
			mesh[(i*7+left)%actors].Send(turn, left-1)
		})
	}
	for b := range balls {
		if b%2 == 0 {
			mesh[b%actors].Send(nil, hops)
		} else {
			w.Scheduler.Offload(func() { mesh[b%actors].Send(nil, hops) }, func() {})
		}
	}
	w.Drive(home.reaches(balls))
	home.want(t, balls, "balls that came home")
}

// testMutualExclusion has many actors hit one whose state has no lock; the race detector watches too.
func testMutualExclusion(t *testing.T, w World) {
	const senders, each = 10, 100
	var inside atomic.Int32
	var handled count
	sum, overlaps := 0, 0
	victim := NewActor(w.Scheduler, 1, func(_ *sched.Turn, mail int) {
		if inside.Add(1) != 1 {
			overlaps++
		}
		sum += mail
		inside.Add(-1)
		handled.add()
	})
	for i := range senders {
		sender := NewActor(w.Scheduler, uint64(2+i), func(turn *sched.Turn, mail int) { victim.Send(turn, mail) })
		for range each {
			sender.Send(nil, 3)
		}
	}
	w.Drive(handled.reaches(senders * each))
	w.Close()
	if want := 3 * senders * each; sum != want || overlaps != 0 {
		t.Errorf("sum: got %d, want %d; overlapping turns: got %d, want 0", sum, want, overlaps)
	}
}

// testMailInOrder checks that turns do not reorder what one sender has sent, across turns and budgets.
func testMailInOrder(t *testing.T, w World) {
	const mails = 1000
	var got []int
	var handled count
	sink := NewActor(w.Scheduler, 1, func(_ *sched.Turn, mail int) {
		got = append(got, mail)
		handled.add()
	})
	source := NewActor(w.Scheduler, 2, func(turn *sched.Turn, from int) {
		for i := range 10 {
			sink.Send(turn, from+i)
		}
	})
	for i := 0; i < mails; i += 10 {
		source.Send(nil, i)
	}
	w.Drive(handled.reaches(mails))
	w.Close()
	for i, mail := range got {
		if mail != i {
			t.Fatalf("mail %d: got %d, want %d", i, mail, i)
		}
	}
}

// testLater has turns leave things to be done after them: each is done once, in order, not within the turn, and before the next
// turn of the same worker.
func testLater(t *testing.T, w World) {
	const mails, each = 200, 3
	type place struct {
		inside     bool
		left, done int // by the latest turn
	}
	places := make([]place, w.Scheduler.Workers())
	var over count
	a := NewActor(w.Scheduler, 1, func(turn *sched.Turn, _ int) {
		p := &places[turn.Worker]
		if len(turn.Later) == 0 {
			if p.done != p.left {
				t.Errorf("done when the next turn begins: got %d, want %d", p.done, p.left)
			}
			p.left, p.done = 0, 0
		}
		p.inside = true
		for range each {
			n := p.left
			p.left++
			turn.Later = append(turn.Later, func() {
				if p.inside || n != p.done {
					t.Errorf("done later: got number %d (within the turn: %v), want number %d after it", n, p.inside, p.done)
				}
				p.done++
				over.add()
			})
		}
		p.inside = false
	})
	for i := range mails {
		a.Send(nil, i)
	}
	w.Drive(over.reaches(mails * each))
	w.Close()
	over.want(t, mails*each, "things done")
}

// turnTask checks each turn it is lent.
type turnTask struct {
	t     *testing.T
	s     sched.Scheduler
	last  sched.Time
	turns int
	done  *count
}

func (k *turnTask) TaskID() uint64 { return 1 }

func (k *turnTask) Run(turn *sched.Turn) bool {
	if turn.Worker < 0 || turn.Worker >= k.s.Workers() {
		k.t.Errorf("worker: got %d, want 0 to %d", turn.Worker, k.s.Workers()-1)
	}
	if turn.Budget < 1 || turn.Steps != 0 || turn.Messages != 0 {
		k.t.Errorf("budget, steps, messages of a new turn: got %d, %d, %d, want at least 1, 0, 0",
			turn.Budget, turn.Steps, turn.Messages)
	}
	if now := k.s.Now(); turn.Now < k.last || now < turn.Now {
		k.t.Errorf("clock: got %v, then turn at %v, then %v, want them in order", k.last, turn.Now, now)
	}
	k.last = turn.Now
	turn.Messages++
	k.turns++
	k.done.add()
	return k.turns < 100
}

// testTurn checks what a turn lends, and that a task with more to do gets turn after turn.
func testTurn(t *testing.T, w World) {
	var done count
	k := &turnTask{t: t, s: w.Scheduler, done: &done}
	w.Scheduler.Ready(k)
	w.Drive(done.reaches(100))
	w.Close()
	if k.turns != 100 {
		t.Errorf("turns: got %d, want 100", k.turns)
	}
}

// greedy always has more to do until it is told to stop.
type greedy struct {
	id   uint64
	stop *atomic.Bool
}

func (g greedy) TaskID() uint64 { return g.id }

func (g greedy) Run(turn *sched.Turn) bool {
	turn.Messages += turn.Budget
	return !g.stop.Load()
}

// testNoStarvation has, for every worker, a task that never ends and a pair that talks without end, and wants a quiet
// task to be run all the same: one from outside and one made ready by a turn.
func testNoStarvation(t *testing.T, w World) {
	var stop atomic.Bool
	var served count
	quiet := NewActor(w.Scheduler, 1, func(*sched.Turn, int) { served.add() })
	quieter := NewActor(w.Scheduler, 2, func(turn *sched.Turn, mail int) { quiet.Send(turn, mail) })
	for i := range w.Scheduler.Workers() {
		w.Scheduler.Ready(greedy{uint64(100 + i), &stop})
		var ping, pong *Actor
		bounce := func(to **Actor) func(*sched.Turn, int) {
			return func(turn *sched.Turn, mail int) {
				if !stop.Load() {
					(*to).Send(turn, mail)
				}
			}
		}
		ping = NewActor(w.Scheduler, uint64(200+i), bounce(&pong))
		pong = NewActor(w.Scheduler, uint64(300+i), bounce(&ping))
		ping.Send(nil, 0)
	}
	for i := 1; i <= 10; i++ {
		quieter.Send(nil, i)
		w.Drive(served.reaches(i))
	}
	stop.Store(true)
	served.want(t, 10, "messages of the quiet task")
}
