package runtime

import (
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

type Cluster struct{ Listen string }
type cluster struct{ svc *Service }
type target struct {
	id   uint64
	name string
}

func (n *Node) openCluster(c Cluster) error { n.cluster = &cluster{}; return nil }
func (c *cluster) send(co *coroutine, m *message, node string, to target, args starlark.Tuple, kwargs []starlark.Tuple) error {
	return nil
}
func (co *coroutine) callNode(node, name, command string, args starlark.Tuple, kwargs []starlark.Tuple, timeout time.Duration) (starlark.Value, error) {
	return nil, nil
}
func clusterModule() *starlarkstruct.Module { return newModule("cluster", nil, nil) }
