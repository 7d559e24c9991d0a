package stepper_test

import (
	"fmt"
	"time"

	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sched/trace"
)

// Example runs two nodes of which one is slow, and a fault that pauses it.
func Example() {
	var tr trace.Trace
	s := stepper.New(stepper.Options{
		Seed:     1,
		Strategy: stepper.Random(sched.NewStream(1, "schedule")),
		Trace:    &tr,
	})
	for i, speed := range []int{100, 25} {
		n := s.NewNode(int32(i), fmt.Sprintf("n%d", i+1), stepper.NodeOptions{MessageCost: time.Millisecond, Speed: speed})
		n.Ready(&countdown{left: 3, node: n, name: fmt.Sprintf("n%d", i+1)})
		if i == 1 {
			s.At(sched.Time(2*time.Millisecond), sched.Action{Kind: trace.Fault}, n.Pause)
			s.At(sched.Time(9*time.Millisecond), sched.Action{Kind: trace.Fault}, n.Resume)
		}
	}
	fmt.Println(s.Run(sched.Time(time.Second), nil), "after", s.Steps(), "steps at", s.Now())
	// Output:
	// n1 done at 2ms
	// n2 done at 13ms
	// idle after 8 steps at 17ms
}

// countdown is a task with a fixed number of messages to handle.
type countdown struct {
	left int
	node *stepper.Node
	name string
}

func (c *countdown) TaskID() uint64 { return 1 }

func (c *countdown) Run(turn *sched.Turn) (more bool) {
	turn.Messages++
	if c.left--; c.left == 0 {
		fmt.Println(c.name, "done at", turn.Now)
	}
	return c.left > 0
}
