package sim

import (
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/config"
	"skynet/sched"
	"skynet/sim/scenario"
)

// syncLatency is how long a sync of the disk takes; nil is the scheduler's own model of a good disk.
func syncLatency(d scenario.Disk) func(*sched.Stream) time.Duration {
	if d.Sync == (scenario.Span{}) {
		return nil
	}
	return func(s *sched.Stream) time.Duration { return time.Duration(d.Sync.Draw(s)) }
}

// limitsOf reads the configuration of a node, which is written as that of a production node. The world provides all of it
// but the limits.
func limitsOf(n *scenario.Node) (runtime.Limits, error) {
	var limits runtime.Limits
	for _, item := range n.Config.Items() {
		if item[0] != starlark.String("limits") {
			return limits, fmt.Errorf("node %s: config: got %s, want limits only: the world provides the rest", n.Name, item[0])
		}
		file := "config of " + n.Name
		c, err := config.Parse(file, []byte("limits = "+item[1].String()), n.Name)
		if err != nil {
			return limits, err
		}
		limits = c.Limits
	}
	return limits, nil
}
