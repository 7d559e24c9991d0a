// Package schedtest holds any implementation of [sched.Scheduler] to the guarantees that package sched states. The same
// test bodies run on the goroutine workers and on the stepper; an implementation passes all of them or is none.
package schedtest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skynet/sched"
)

// World is a scheduler under test and what drives it.
type World struct {
	Scheduler sched.Scheduler
	// Drive lets the scheduler work until the condition holds, and fails the test if it never does. The condition may
	// be called from another goroutine than the tasks'.
	Drive func(until func() bool)
	// Close stops the scheduler for good and waits. It may be called twice.
	Close func()
}

// Run runs the suite, each test in a new world.
func Run(t *testing.T, newWorld func(t *testing.T) World) {
	for _, test := range []struct {
		name string
		body func(t *testing.T, w World)
	}{
		{"NoLostWakeUp", testNoLostWakeUp},
		{"MutualExclusion", testMutualExclusion},
		{"MailInOrder", testMailInOrder},
		{"Turn", testTurn},
		{"Later", testLater},
		{"NoStarvation", testNoStarvation},
		{"TimerNeverEarly", testTimerNeverEarly},
		{"TimerOncePerReset", testTimerOncePerReset},
		{"TimerStop", testTimerStop},
		{"TimerPast", testTimerPast},
		{"TimerPeriodic", testTimerPeriodic},
		{"Clock", testClock},
		{"Offload", testOffload},
		{"Streams", testStreams},
		{"Close", testClose},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			defer w.Close()
			test.body(t, w)
		})
	}
}

// Patience is how long [Wait] waits: far longer than any test takes on a loaded machine.
const Patience = 30 * time.Second

// Wait is the Drive of a scheduler that works by itself: it looks at the condition until it holds.
func Wait(t testing.TB, until func() bool) {
	t.Helper()
	look := time.NewTicker(100 * time.Microsecond)
	defer look.Stop()
	give := time.After(Patience)
	for !until() {
		select {
		case <-look.C:
		case <-give:
			t.Fatalf("condition does not hold: waited %v", Patience)
		}
	}
}

// Actor is the smallest task with mail: integers, handled one at a time. Its zero value is not ready; see [NewActor].
type Actor struct {
	s      sched.Scheduler
	id     uint64
	handle func(turn *sched.Turn, mail int)

	mu     sync.Mutex
	mail   []int
	queued bool // queued or running
}

// NewActor returns an actor without mail, to be run by s.
func NewActor(s sched.Scheduler, id uint64, handle func(turn *sched.Turn, mail int)) *Actor {
	return &Actor{s: s, id: id, handle: handle}
}

// Send posts mail from within a turn, or from outside if turn is nil.
func (a *Actor) Send(turn *sched.Turn, mail int) {
	a.mu.Lock()
	a.mail = append(a.mail, mail)
	wake := !a.queued
	a.queued = true
	a.mu.Unlock()
	switch {
	case wake && turn != nil:
		turn.Ready(a)
	case wake:
		a.s.Ready(a)
	}
}

// TaskID returns the id given to NewActor.
func (a *Actor) TaskID() uint64 { return a.id }

// Run handles up to the turn's budget of mail.
func (a *Actor) Run(turn *sched.Turn) bool {
	for turn.Messages < turn.Budget {
		mail, ok := a.next()
		if !ok {
			return false
		}
		turn.Messages++
		a.handle(turn, mail)
	}
	return a.more()
}

func (a *Actor) next() (mail int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queued = len(a.mail) > 0; !a.queued {
		return 0, false
	}
	mail, a.mail = a.mail[0], a.mail[1:]
	return mail, true
}

func (a *Actor) more() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queued = len(a.mail) > 0
	return a.queued
}

// count is a counter that handlers raise and a drive reads.
type count struct{ n atomic.Int64 }

func (c *count) add()                      { c.n.Add(1) }
func (c *count) reaches(n int) func() bool { return func() bool { return c.n.Load() >= int64(n) } }
func (c *count) want(t *testing.T, n int, what string) {
	t.Helper()
	if got := c.n.Load(); got != int64(n) {
		t.Errorf("%s: got %d, want %d", what, got, n)
	}
}
