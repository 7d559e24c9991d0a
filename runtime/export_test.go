package runtime

// Beats is how many heartbeats of the node's links are set. It must be called in simulation, while no turn runs.
func (n *Node) Beats() int { return len(n.cluster.svc.waits.heap) }

// Exported is how many names of the node's services other nodes can call.
func (n *Node) Exported() (count int) {
	for range keys[string](&n.cluster.exported) {
		count++
	}
	return count
}

// CountsOf is what the limits of a service have done. It must be called in simulation, while no turn runs.
func CountsOf(a *Address) limitCounts { return a.svc.limitCounts() }

// MemoryOf is the estimated size of a service's state. It must be called in simulation, while no turn runs.
func MemoryOf(a *Address) int64 { return a.svc.memory() }
