package sim

import (
	"fmt"
	"strings"
	"time"

	"go.starlark.net/starlark"

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

// configOf reads the configuration of a node, which is written as that of a production node. The world provides all of it
// but the limits and the policy.
func configOf(n *scenario.Node) (*config.Config, error) {
	var text strings.Builder
	for _, item := range n.Config.Items() {
		if item[0] != starlark.String("limits") && item[0] != starlark.String("policy") {
			return nil, fmt.Errorf("node %s: config: got %s, want limits and policy only: the world provides the rest", n.Name, item[0])
		}
		name, _ := starlark.AsString(item[0])
		fmt.Fprintf(&text, "%s = %s\n", name, item[1])
	}
	return config.Parse("config of "+n.Name, []byte(text.String()), n.Name)
}
