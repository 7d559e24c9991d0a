package stepper

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"skynet/sched"
	"skynet/sched/trace"
)

// The model of a node whose options name none: about what the goroutine workers need for a small message and for a
// Starlark step on a slow machine, and what a good disk needs.
const (
	DefaultMessageCost    = 2 * time.Microsecond
	DefaultStepCost       = 20 * time.Nanosecond
	DefaultOffloadLatency = 100 * time.Microsecond
)

// NodeOptions models the machine of one node.
type NodeOptions struct {
	// Cores is how many tasks run at the same virtual time; 0 is 1.
	Cores int
	// MessageCost is the virtual CPU time of handling a message; 0 is [DefaultMessageCost], negative is none.
	MessageCost time.Duration
	// StepCost is the virtual CPU time of one Starlark step; 0 is [DefaultStepCost], negative is none.
	StepCost time.Duration
	// Speed is the speed in percent: 50 takes twice the time. 0 is 100; it must not be negative.
	Speed int
	// Epoch is the wall clock at virtual time 0, in nanoseconds since the Unix epoch.
	Epoch int64
}

// Node is the scheduler of one simulated node, from its start to its end: a node that restarts gets a new Node with the
// same index. It implements [sched.Scheduler].
type Node struct {
	step  *Stepper
	index int32
	name  string
	life  string // how often the index was started before, as a part of the names of the streams

	messageCost, stepCost time.Duration
	speed                 int64
	wall                  int64 // the wall clock at virtual time 0
	latency               func(*sched.Stream) time.Duration
	latencies             *sched.Stream

	queue    enabled[sched.Task]
	ready    event // enabled exactly while the node can run a task
	cores    []core
	busy     int
	current  *core      // the core whose turn it is, nil outside of turns
	latest   sched.Time // the latest time the node has seen, so that its clock never goes back
	timers   uint64
	offloads uint64
	held     []*event // what came due during the pause
	paused   bool
	halted   bool
}

// core is a virtual CPU.
type core struct {
	turn  sched.Turn
	over  event      // the end of the turn's CPU time
	task  sched.Task // nil when the core is free
	again bool       // queue the task again when the turn is over
}

// NewNode starts the node of an index from 0 up, named name. Its streams are named by the name and by how often the
// index was started before, so a restarted node does not repeat its draws.
func (s *Stepper) NewNode(index int32, name string, o NodeOptions) *Node {
	for len(s.lives) <= int(index) {
		s.lives = append(s.lives, 0)
	}
	n := &Node{
		step: s, index: index, name: name, life: strconv.Itoa(s.lives[index]), wall: o.Epoch,
		messageCost: max(cmp.Or(o.MessageCost, DefaultMessageCost), 0),
		stepCost:    max(cmp.Or(o.StepCost, DefaultStepCost), 0),
		cores:       make([]core, max(o.Cores, 1)),
	}
	s.lives[index]++
	n.SetSpeed(cmp.Or(o.Speed, 100))
	n.ready = event{step: s, node: n, what: sched.Action{Kind: trace.Node, Node: index}}
	n.ready.fire = n.run
	for i := range n.cores {
		c := &n.cores[i]
		c.turn.Worker = i
		c.over = event{step: s, node: n, quiet: true, fire: func() { n.end(c) }}
	}
	return n
}

// Workers is the number of cores.
func (n *Node) Workers() int { return len(n.cores) }

// Queued is the number of tasks that wait for a core.
func (n *Node) Queued() int { return n.queue.len() }

// Now reads the node's monotonic clock: the virtual time, during a turn plus the cost of what the turn has reported so
// far. It never goes back, so what happens while a core is busy sees at least the time that core has come to.
func (n *Node) Now() sched.Time {
	now := n.clock()
	n.step.trace.Add(int64(now), trace.Clock, n.index, uint64(now), 0)
	return now
}

// Wall reads the node's wall clock.
func (n *Node) Wall() int64 {
	now := n.clock()
	wall := n.wall + int64(now)
	n.step.trace.Add(int64(now), trace.Clock, n.index, uint64(wall), 1)
	return wall
}

// clock is Now without a trace.
func (n *Node) clock() sched.Time {
	now := n.step.now
	if n.current != nil {
		now = n.current.turn.Now.Add(n.cost(&n.current.turn))
	}
	n.latest = max(n.latest, now)
	return n.latest
}

// cost is the virtual CPU time of what a turn has reported.
func (n *Node) cost(turn *sched.Turn) time.Duration {
	full := time.Duration(turn.Messages)*n.messageCost + time.Duration(turn.Steps)*n.stepCost
	if n.speed == 100 {
		return full
	}
	return full * 100 / time.Duration(n.speed)
}

// Rand returns the stream named by the seed, the node and path; its draws are folded into the trace.
func (n *Node) Rand(path string) *sched.Stream {
	return n.step.stream(n.index, "node", n.name, n.life, path)
}

// Ready queues t.
func (n *Node) Ready(t sched.Task) {
	if n.halted {
		return
	}
	for i := range n.cores {
		if c := &n.cores[i]; c.task != nil && c != n.current && c.task.TaskID() == t.TaskID() {
			c.again = true // its turn is done but its CPU time is not over
			return
		}
	}
	n.step.seq++
	n.queue.push(sched.Action{Kind: trace.Pick, Node: n.index, A: t.TaskID(), Seq: n.step.seq}, t)
	n.update()
}

// ReadyFrom queues t, which a turn made ready: at once if nobody can run it before the turn is over, else at the time the turn
// has come to, so that no message is handled before it was sent.
func (n *Node) ReadyFrom(_ *sched.Turn, t sched.Task) {
	at := n.clock()
	if len(n.cores) == 1 || at == n.step.now {
		n.Ready(t)
		return
	}
	late := &event{step: n.step, node: n, quiet: true, fire: func() { n.Ready(t) }}
	n.step.set(late, at)
}

// NewTimer makes a timer; its number in the trace is its order among the node's timers.
func (n *Node) NewTimer(fire func()) sched.Timer {
	n.timers++
	return &event{
		step: n.step, node: n, fire: fire,
		what: sched.Action{Kind: trace.Timer, Node: n.index, A: n.timers},
	}
}

// At is [Stepper.At] for an event that happens to the node, such as the arrival of a packet: it is held while the node is
// paused and vanishes when the node halts. So a node is a [sched.Timeline], too.
func (n *Node) At(t sched.Time, what sched.Action, fire func()) sched.Timer {
	e := &event{step: n.step, node: n, what: what, fire: fire}
	e.Reset(t)
	return e
}

// SetOffloadLatency sets the model of how long offloaded work takes, a function that may draw from the node's stream
// of latencies; nil is [DefaultOffloadLatency], always.
func (n *Node) SetOffloadLatency(model func(*sched.Stream) time.Duration) {
	n.latency = model
	if n.latencies == nil {
		n.latencies = n.step.stream(n.index, "offload", n.name, n.life)
	}
}

// Offload runs work and then done when the modelled latency is over.
func (n *Node) Offload(work, done func()) {
	if n.halted {
		return
	}
	latency := DefaultOffloadLatency
	if n.latency != nil {
		latency = max(n.latency(n.latencies), 0)
	}
	n.offloads++
	e := &event{step: n.step, node: n, what: sched.Action{Kind: trace.Offload, Node: n.index, A: n.offloads}}
	e.fire = func() {
		work()
		if !n.halted {
			done()
		}
	}
	n.step.set(e, n.clock().Add(latency))
}

// run gives a turn to one of the queued tasks, which the strategy chooses.
func (n *Node) run() {
	s := n.step
	t := n.queue.take(s.choose(n.queue.actions()))
	c := n.core()
	s.trace.Add(int64(s.now), trace.Pick, n.index, t.TaskID(), uint64(n.queue.len()))
	n.latest = max(n.latest, s.now)
	c.turn = sched.Turn{Worker: c.turn.Worker, Now: n.latest, FreeClock: true, Budget: 1, Later: c.turn.Later, Owner: n}
	c.task, c.again = t, false
	n.current, s.running = c, n
	again := t.Run(&c.turn)
	if !n.halted {
		for _, f := range c.turn.Later {
			f()
		}
	}
	clear(c.turn.Later)
	c.turn.Later = c.turn.Later[:0]
	n.current, s.running = nil, nil
	if n.halted {
		return
	}
	c.again = again
	n.busy++
	if cost := n.cost(&c.turn); cost > 0 {
		s.set(&c.over, s.now.Add(cost))
	} else {
		n.end(c)
	}
	n.update()
}

// end frees a core whose turn is over, and queues the turn's task again if it has got more to do.
func (n *Node) end(c *core) {
	t := c.task
	c.task = nil
	n.busy--
	if c.again {
		n.Ready(t)
	}
	n.update()
}

// core returns a free core.
func (n *Node) core() *core {
	for i := range n.cores {
		if c := &n.cores[i]; c.task == nil {
			return c
		}
	}
	panic(fmt.Sprintf("stepper: node %s runs a task: got no free core, want one of %d", n.name, len(n.cores)))
}

// update enables or disables the node's turn, as it can or cannot run a task now.
func (n *Node) update() {
	can := n.queue.len() > 0 && n.busy < len(n.cores) && n.current == nil && !n.paused && !n.halted
	switch {
	case can && n.ready.place == nowhere:
		n.step.enable(&n.ready)
	case !can && n.ready.place != nowhere:
		n.step.unset(&n.ready)
	}
}

// release takes an event out of those held by the pause.
func (n *Node) release(e *event) {
	i := slices.Index(n.held, e)
	n.held = slices.Delete(n.held, i, i+1)
}
