package workers_test

import (
	"fmt"

	"skynet/sched"
	"skynet/sched/workers"
)

func Example() {
	s := workers.New(workers.Options{Threads: 2})
	done := make(chan struct{})
	s.NewTimer(func() {
		s.Ready(task(func(turn *sched.Turn) bool {
			fmt.Println("a turn for up to", turn.Budget, "messages")
			close(done)
			return false
		}))
	}).Reset(s.Now())
	<-done
	s.Close()
	// Output: a turn for up to 32 messages
}
