package weigh_test

import (
	"fmt"

	"go.starlark.net/starlark"

	"skynet/runtime/weigh"
)

// A list of a million strings is weighed by looking at a few of them.
func Example() {
	names := make([]starlark.Value, 1_000_000)
	for i := range names {
		names[i] = starlark.String("player-17")
	}
	s := weigh.New(1000)
	bytes := s.Weigh([]starlark.Value{starlark.NewList(names)})
	fmt.Println(bytes>>20, "MiB, looked at", s.Visited())
	// Output: 39 MiB, looked at 126
}
