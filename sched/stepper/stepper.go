// Package stepper is the scheduler of simulation: one loop, a virtual clock, and a strategy that picks what happens
// next. It runs the tasks of any number of nodes, and the events of the world (the network's, the faults') beside them.
//
// # Guarantees
//
//   - The run is a function of the seed, the strategy and the calls made: no goroutine, no clock and no randomness of
//     the machine takes part. Every pick, timer, offload, clock read, random draw and choice is folded into the trace.
//   - Virtual time advances only when nothing is enabled at the current time. What is enabled at the same time, ties
//     between equal timers included, is ordered by the strategy alone.
//   - Handling a message takes virtual CPU time. A core is busy until the time is over, and a node with no free core
//     runs no task; a task whose turn is not over is not run by another core.
//   - Memory is bounded by what is queued and set, not by the length of the run.
//
// A timer fires while its node's cores are busy (it only posts mail), and the stepper itself is not safe for
// concurrent use: all calls come from the goroutine that calls [Stepper.Run], though many steppers may run in parallel.
package stepper

import (
	"fmt"
	"slices"

	"skynet/sched"
	"skynet/sched/trace"
)

// Options configures a stepper. The zero value is seed 0, first in first out, no trace.
type Options struct {
	// Seed is the root of every random stream of the run.
	Seed uint64
	// Strategy orders what is enabled at the same time; nil is [FIFO].
	Strategy sched.Strategy
	// Trace folds every event; nil folds nothing.
	Trace *trace.Trace
}

// Stepper runs a simulated world. It implements [sched.Timeline].
type Stepper struct {
	seed     uint64
	strategy sched.Strategy
	trace    *trace.Trace

	now     sched.Time
	seq     uint64 // the last Seq given
	steps   uint64
	future  heap
	enabled enabled[*event]
	running *Node // whose turn it is, nil outside of turns
	lives   []int // how often the node of each index was started
}

// New returns a stepper at virtual time 0 with no nodes.
func New(o Options) *Stepper {
	if o.Strategy == nil {
		o.Strategy = FIFO()
	}
	return &Stepper{seed: o.Seed, strategy: o.Strategy, trace: o.Trace}
}

// Now is the virtual time; during a turn, the time the turn has come to.
func (s *Stepper) Now() sched.Time {
	if s.running != nil {
		return s.running.clock()
	}
	return s.now
}

// Steps is the number of actions done so far: turns, timers, offloads and events of the world.
func (s *Stepper) Steps() uint64 { return s.steps }

// Stream returns the stream that the seed and path name; its draws are folded into the trace.
func (s *Stepper) Stream(path ...string) *sched.Stream { return s.stream(-1, path...) }

func (s *Stepper) stream(node int32, path ...string) *sched.Stream {
	r := sched.NewStream(s.seed, path...)
	if s.trace != nil {
		r.Observe = func(draw uint64) { s.trace.Add(int64(s.Now()), trace.Rand, node, draw, 0) }
	}
	return r
}

// At calls fire at virtual time t, or at once if t has passed; what is folded into the trace just before.
func (s *Stepper) At(t sched.Time, what sched.Action, fire func()) sched.Timer {
	e := &event{step: s, what: what, fire: fire}
	e.Reset(t)
	return e
}

// Outcome says why a run returned.
type Outcome uint8

// The outcomes of [Stepper.Run].
const (
	Stopped Outcome = iota // stop said so
	TimeUp                 // the next action is later than until
	Idle                   // no action is enabled and none ever will be, unless from outside
)

// String returns "stopped", "time up" or "idle".
func (o Outcome) String() string { return [...]string{"stopped", "time up", "idle"}[o] }

// Run does one action after the other until stop returns true, which is asked before each of them (nil never stops),
// or until no action is left up to and including virtual time until. When the time is up, Now is until.
func (s *Stepper) Run(until sched.Time, stop func() bool) Outcome {
	for {
		if stop != nil && stop() {
			return Stopped
		}
		for s.enabled.len() == 0 {
			if len(s.future) == 0 {
				return Idle
			}
			if s.future[0].at > until {
				s.now = max(s.now, until)
				return TimeUp
			}
			s.advance()
		}
		s.step()
	}
}

// advance moves the clock to the next event and enables everything that is due then.
func (s *Stepper) advance() {
	s.now = s.future[0].at
	for len(s.future) > 0 && s.future[0].at == s.now {
		e := s.future.remove(0)
		s.due(e)
	}
}

// due enables e, or holds it while its node is paused, or does it if it is the stepper's own.
func (s *Stepper) due(e *event) {
	switch {
	case e.node != nil && e.node.paused:
		e.place = inHeld
		e.node.held = append(e.node.held, e)
	case e.quiet:
		e.place = nowhere
		e.fire()
	default:
		s.enable(e)
	}
}

// enable adds e to what the strategy may choose, as the youngest.
func (s *Stepper) enable(e *event) {
	s.seq++
	e.what.Seq = s.seq
	e.place = inEnabled
	s.enabled.push(e.what, e)
}

// step does one of the enabled actions.
func (s *Stepper) step() {
	e := s.enabled.take(s.choose(s.enabled.actions()))
	e.place = nowhere
	s.steps++
	if e.node == nil || e != &e.node.ready { // a turn is folded as the pick of its task
		s.trace.Add(int64(s.now), e.what.Kind, e.what.Node, e.what.A, e.what.B)
	}
	e.fire()
}

// choose asks the strategy, if there is a choice.
func (s *Stepper) choose(actions []sched.Action) int {
	if len(actions) == 1 {
		return 0
	}
	i := s.strategy.Pick(actions)
	if i < 0 || i >= len(actions) {
		panic(fmt.Sprintf("stepper: strategy picked: got %d, want 0 to %d", i, len(actions)-1))
	}
	s.trace.Add(int64(s.now), trace.Choice, -1, uint64(i), uint64(len(actions)))
	return i
}

// set puts an unset event on the timeline at t, which must not be in the past.
func (s *Stepper) set(e *event, t sched.Time) {
	if t <= s.now {
		s.due(e)
		return
	}
	s.seq++
	e.what.Seq = s.seq
	e.at = t
	e.place = inHeap
	s.future.push(e)
}

// unset takes an event from wherever it is.
func (s *Stepper) unset(e *event) {
	switch e.place {
	case inHeap:
		s.future.remove(e.pos)
	case inEnabled:
		s.enabled.take(s.enabled.find(e.what.Seq))
	case inHeld:
		e.node.release(e)
	}
	e.place = nowhere
}

// drop unsets every event of a node that halts.
func (s *Stepper) drop(n *Node) {
	s.future.drop(n)
	s.enabled.each(func(_ int, e *event) {
		if e.node == n {
			s.unset(e)
		}
	})
	for _, e := range n.held {
		e.place = nowhere
	}
}

// hold moves what is due on a node that pauses from the strategy's choice to the node.
func (s *Stepper) hold(n *Node) {
	s.enabled.each(func(i int, e *event) {
		if e.node == n {
			s.enabled.take(i)
			s.due(e)
		}
	})
	slices.Reverse(n.held) // oldest first again
}
