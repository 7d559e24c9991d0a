package runtime

// Beats is how many heartbeats of the node's links are set. It must be called in simulation, while no turn runs.
func (n *Node) Beats() int { return len(n.cluster.svc.waits.heap) }
