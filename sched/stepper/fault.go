package stepper

import (
	"fmt"
	"time"

	"skynet/sched"
)

// Halt ends the node as a crash does: its queued tasks, timers and offloads vanish, and later calls of its code are
// ignored. A turn in the middle of which it halts runs to its end, without effect on the scheduler. It is idempotent.
func (n *Node) Halt() {
	if n.halted {
		return
	}
	n.halted = true
	n.update()
	n.step.drop(n)
	n.queue = enabled[sched.Task]{}
	n.held = nil
	for i := range n.cores {
		n.cores[i].task = nil
	}
}

// Halted reports whether Halt was called.
func (n *Node) Halted() bool { return n.halted }

// Pause stops the node's world without its knowledge, as a stopped process or a frozen virtual machine: no turn begins,
// no turn ends, no timer fires, no offload is done and no event of [Node.At] happens until Resume. Its clocks go on. It
// is idempotent.
func (n *Node) Pause() {
	if n.paused {
		return
	}
	n.paused = true
	n.update()
	n.step.hold(n)
}

// Resume lets a paused node go on; everything that came due in the meantime is due now.
func (n *Node) Resume() {
	if !n.paused {
		return
	}
	n.paused = false
	held := n.held
	n.held = nil
	for _, e := range held {
		n.step.set(e, n.step.now)
	}
	n.update()
}

// Paused reports whether the node is paused.
func (n *Node) Paused() bool { return n.paused }

// SetSpeed sets the node's speed in percent for the work it reports from now on: 100 is nominal, 10 takes ten times as
// long. It must be positive.
func (n *Node) SetSpeed(percent int) {
	if percent <= 0 {
		panic(fmt.Sprintf("stepper: set speed of node %s: got %d percent, want more than 0", n.name, percent))
	}
	n.speed = int64(percent)
}

// MoveWall moves the wall clock by d; the monotonic clock and the timers do not notice.
func (n *Node) MoveWall(d time.Duration) { n.wall += int64(d) }
