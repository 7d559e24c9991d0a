package sim_test

import (
	"fmt"
	"os"

	"skynet/sim"
)

// Example runs a scenario whose node answers before its disk has what it was given.
func Example() {
	s, err := sim.Load(os.ReadFile, "testdata/lost.star")
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := s.Run(sim.Options{Seed: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Failed.Name, r.Failed.Verdict)
	fmt.Println(r.Failed.Evidence[0])
	for _, f := range r.Faults {
		fmt.Println(f.Fault, "at", f.At)
	}
	// Output:
	// linearizable-register failed
	// the history is not linearizable: nothing explains c1 read() -> "c1.3"
	// crash n1 at 1s
}
