// Package sched is the scheduler seam: everything a node needs from the world to make progress, and nothing else.
//
// A [Scheduler] runs tasks (services with mail), owns the clocks and the timers, hands out randomness and takes work
// that really blocks. Two implementations exist and no code above this package may know which one it has:
//
//   - sched/workers: N goroutines with local queues and stealing, the machine's clocks. Production.
//   - sched/stepper: one loop, a virtual clock, a strategy that picks the next enabled action. Simulation.
//
// # Guarantees
//
//   - A task is run by at most one worker at a time. What one turn of a task wrote, its next turn sees.
//   - A task that was reported ready runs, unless the scheduler is stopped first: no wake-up is lost.
//   - A timer fires once at most per Reset, never before its time; a stopped timer does not fire.
//   - The monotonic clock never goes back. The wall clock may be moved by the operator or by a fault.
//   - Every random stream is named; two streams of different names are independent of each other, and drawing from
//     one does not move another.
package sched

import (
	"math"
	"time"
)

// Time is a point on a scheduler's monotonic clock: nanoseconds since the scheduler started (in simulation since
// the simulation started, the same for all nodes). It is a plain integer so that no arithmetic on it depends on a
// machine.
type Time int64

// Add returns t moved by d. Beyond the ends of the clock it is the end, so that a wait of three hundred years is long and
// not over at once.
func (t Time) Add(d time.Duration) Time {
	sum := t + Time(d)
	if (sum < t) != (d < 0) {
		return end(d)
	}
	return sum
}

// end is the last point of the clock in the direction of d.
func end(d time.Duration) Time {
	if d < 0 {
		return math.MinInt64
	}
	return math.MaxInt64
}

// Sub returns the duration t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// String prints the time as a duration since the start, for example "1.25s".
func (t Time) String() string { return time.Duration(t).String() }

// Task is a unit that can be run: a service with mail.
//
// The task keeps one bit, "queued or running", together with its mail: it calls Ready exactly when that bit goes from
// false to true, so a task is in a scheduler at most once (the design of Skynet's skynet_mq).
type Task interface {
	// Run handles up to turn.Budget messages and reports whether the task has more to do now. It is never called
	// concurrently for the same task. When it returns true the scheduler queues the task again; when it returns
	// false the task has cleared its own bit and will report itself ready at the next message, or has kept it, to pause, and
	// will report itself ready later.
	Run(turn *Turn) (more bool)

	// TaskID identifies the task within its node; it is what traces and strategies see.
	TaskID() uint64
}

// Turn is what a worker lends a task for one Run. It is only valid during that Run.
type Turn struct {
	// Worker is the index of the worker that runs the task, from 0 to [Scheduler.Workers]-1. A runtime may use it to
	// keep free lists that need no lock.
	Worker int

	// Now is the monotonic clock when the turn began. Workers let one reading serve several short turns, because it costs
	// as much as the handling of a small message: there it may be some dozens of microseconds old. For the exact time
	// ask the scheduler.
	Now Time

	// FreeClock tells that reading the clock costs nothing, so that a task may time whatever it does: on the stepper. On
	// workers a reading takes some 20 ns.
	FreeClock bool

	// Budget is how many messages the task may handle in this turn: 1 on the stepper, so that every message is a
	// choice of the strategy; more on workers, so that one queue operation is shared by several messages.
	Budget int

	// Steps is the work the task reports: Starlark steps executed so far in this turn. The stepper turns it into
	// virtual CPU time; workers ignore it.
	Steps uint64

	// Messages is how many messages the task has begun to handle in this turn, for the fixed cost of each.
	Messages int

	// Later is what the task leaves to be done right after the turn, in this order, on the worker that ran it: what takes time
	// but not the task itself, which may be running elsewhere by then. It must not append to Later. On the stepper it happens at
	// the end of the turn's time, unless the node has halted; Close of the workers waits for it.
	Later []func()

	// Owner queues tasks that this turn made ready. It is set by the scheduler.
	Owner Readier
}

// Readier queues a task made ready from within a turn; a worker prefers to run it itself next, which is 2.3 times
// faster for a pair that talks than two workers are.
type Readier interface {
	ReadyFrom(turn *Turn, t Task)
}

// Ready queues t, which the running task has just given its first message.
func (turn *Turn) Ready(t Task) { turn.Owner.ReadyFrom(turn, t) }

// Scheduler runs the tasks of one node.
//
// On workers every method may be called from any goroutine. On the stepper all calls come from the one loop.
type Scheduler interface {
	// Ready queues a task from outside of any turn (a timer, the network, a finished offload, a caller in Go).
	Ready(t Task)

	// Workers is the number of workers, those included that only replace others; Turn.Worker is below it.
	Workers() int

	// Now reads the monotonic clock.
	Now() Time

	// Wall reads the wall clock: nanoseconds since the Unix epoch.
	Wall() int64

	// NewTimer makes a timer that is not set. fire is called at most once per Reset, not from within a turn; it must
	// not block.
	NewTimer(fire func()) Timer

	// Rand returns the stream named by path, below the scheduler's own seed. Asking twice gives two streams with equal
	// draws; the caller keeps what it got.
	Rand(path string) *Stream

	// Offload runs work, which may block, beside the workers, and then calls done, not from within a turn. On the
	// stepper, work runs when its modelled latency is over; a halted node runs neither.
	Offload(work, done func())
}

// Timer is a single cancellable alarm on the monotonic clock.
type Timer interface {
	// Reset sets the timer to fire at t, replacing any earlier setting. A time in the past fires at once.
	Reset(t Time)

	// Stop unsets the timer. After Stop returns on the stepper, fire is not called; on workers a fire that has begun
	// may still be running.
	Stop()
}

// Timeline is the world's event queue, as the virtual network and the faults see it: only simulation has one.
type Timeline interface {
	// Now is the virtual time; during a turn it is the time the turn has come to, so that what a long handler sends
	// leaves late.
	Now() Time

	// At calls fire at virtual time t, or at once if t has passed. Events of the same time are ordered by the
	// strategy, which sees what describes the event; what is also folded into the trace when it fires.
	At(t Time, what Action, fire func()) Timer
}
