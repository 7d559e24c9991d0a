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

// Sharing is how many channels have subscribers, and how many coroutines wait for a table, a value or room in a subscription.
func (n *Node) Sharing() (topics, waits int) {
	n.multicast.mu.Lock()
	for _, t := range n.multicast.topics { //determinism:ok only counted
		t.mu.Lock()
		topics, waits = topics+1, waits+len(t.waiting)
		t.mu.Unlock()
	}
	n.multicast.mu.Unlock()
	n.shared.mu.Lock()
	for _, w := range n.shared.waiting { //determinism:ok only counted
		waits += len(w)
	}
	n.shared.mu.Unlock()
	n.datacenter.mu.Lock()
	defer n.datacenter.mu.Unlock()
	w := &n.datacenter.waiting
	return topics, waits + len(w.waiting) + len(w.children)
}

// Kill ends a service of the node, as skynet.kill does.
func (n *Node) Kill(a *Address) {
	if s := n.service(a.id); s != nil {
		s.kill(nil)
	}
}
