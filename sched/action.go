package sched

import "skynet/sched/trace"

// Action describes one enabled action to a strategy and to the trace. It is a plain value: two actions of the same
// run are the same action in a second run of the same seed exactly if their fields are equal.
type Action struct {
	// Kind says what happens: trace.Node for a node that has a task to run and a free core, trace.Pick for one of that
	// node's tasks, trace.Timer, trace.Offload, and for the events of a [Timeline] whatever their owner gave them:
	// trace.Deliver, trace.Fault, trace.Disk.
	Kind trace.Kind
	// Node is the index of the node it happens on, -1 for the world.
	Node int32
	// A and B identify it further: task id, timer number, link and packet number, path of a fault.
	A, B uint64
	// Seq is the order in which the actions became enabled; the stepper sets it.
	Seq uint64
}

// Strategy chooses what happens next among actions that are enabled at the same virtual time. All choices of a run
// come from its strategy, so a strategy and a seed are a schedule. A task's turn is two choices: first its node among
// the due events and the other nodes, then the task among those queued on the node.
type Strategy interface {
	// Pick returns the index of the chosen action; enabled has at least two elements, in ascending Seq, and is only
	// valid during the call.
	Pick(enabled []Action) int
}
