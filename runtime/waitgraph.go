package runtime

import "strings"

// Wait is one coroutine that waits.
type Wait struct {
	Service string // who
	Task    uint64 // the number of the handler within its service
	Command string // what it handles
	What    string // "call", "sleep", "wait", "read", …
	Target  string // for what, if it is known
	On      string // the handler that has to go on first, if it is known: "n:00000002 b.star init"

	next int // the index of that handler in its graph, -1 if it does not wait itself or is not known
}

// who names the handler.
func (w Wait) who() string { return w.Service + " " + w.Command }

// String returns one line: who waits in what, for whom.
func (w Wait) String() string {
	line := w.who() + " waits in " + w.What
	if w.Target != "" {
		line += " for " + w.Target
	}
	if w.On != "" {
		line += ", which is up to " + w.On
	}
	return line
}

// WaitGraph is who waits for whom on a node: the services were asked one after another, so it is exact only for what did
// not change meanwhile.
type WaitGraph struct {
	Waits []Wait // in order of the services, then of the beginning of the handlers
}

// Lines has a line for each wait, then one for each circle, which begins with "deadlock: ".
func (g WaitGraph) Lines() []string {
	var lines []string
	for _, w := range g.Waits {
		lines = append(lines, w.String())
	}
	for _, cycle := range g.Cycles() {
		lines = append(lines, "deadlock: "+cycleText(cycle))
	}
	return lines
}

// String joins the lines, and is "nobody waits" if there are none.
func (g WaitGraph) String() string {
	if len(g.Waits) == 0 {
		return "nobody waits"
	}
	return strings.Join(g.Lines(), "\n")
}

func cycleText(cycle []Wait) string {
	var b strings.Builder
	for _, w := range cycle {
		b.WriteString(w.who() + " -> ")
	}
	return b.String() + cycle[0].who()
}

// Cycles lists the circles of those that wait for one another. Each begins with the service that is the oldest.
func (g WaitGraph) Cycles() [][]Wait {
	var all [][]Wait
	seen := make([]int, len(g.Waits)) // 1 + the start of the walk that came by
	for start := range g.Waits {
		i := start
		for i >= 0 && seen[i] == 0 {
			seen[i] = start + 1
			i = g.Waits[i].next
		}
		if i >= 0 && seen[i] == start+1 {
			all = append(all, g.cycle(i))
		}
	}
	return all
}

// cycle walks the circle that i is on, from its least index.
func (g WaitGraph) cycle(i int) []Wait {
	first := i
	for j := g.Waits[i].next; j != i; j = g.Waits[j].next {
		first = min(first, j)
	}
	cycle := []Wait{g.Waits[first]}
	for j := g.Waits[first].next; j != first; j = g.Waits[j].next {
		cycle = append(cycle, g.Waits[j])
	}
	return cycle
}

// place is where a task is: the service and the task's number.
type place struct{ service, task uint64 }

// waitGraph connects what the services have said.
func waitGraph(services []ServiceInfo) WaitGraph {
	g := graph{handles: make(map[demand]place), who: make(map[place]string), index: make(map[place]int)}
	for _, s := range services {
		g.add(s)
	}
	for _, s := range services {
		for _, t := range s.Tasks {
			if i, waits := g.index[place{s.Address.id, t.ID}]; waits {
				g.connect(&g.Waits[i], s, t)
			}
		}
	}
	return g.WaitGraph
}

// graph is a graph in the making.
type graph struct {
	WaitGraph
	handles map[demand]place // a request, and the handler that has to answer it
	who     map[place]string
	index   map[place]int // of those that wait
}

// add makes a node of every handler of a service that waits.
func (g *graph) add(s ServiceInfo) {
	id := s.Address.id
	for _, d := range s.deferred {
		g.handles[d] = place{id, s.initial}
	}
	for _, t := range s.Tasks {
		at := place{id, t.ID}
		if t.answers != (demand{}) {
			g.handles[t.answers] = at
		}
		g.who[at] = s.label() + " " + t.Command
		if t.What != "running" && t.What != "ready" {
			g.index[at] = len(g.Waits)
			g.Waits = append(g.Waits, Wait{Service: s.label(), Task: t.ID, Command: t.Command, What: t.What, Target: t.Target, next: -1})
		}
	}
}

// connect finds out on whom w, the wait of a task, depends.
func (g *graph) connect(w *Wait, s ServiceInfo, t Task) {
	on, known := g.handles[t.awaits]
	switch {
	case t.behind != 0:
		on = place{s.Address.id, t.behind}
	case !known || on.service != t.callee:
		return
	}
	w.On = g.who[on]
	if j, waits := g.index[on]; waits {
		w.next = j
	}
}

func (i ServiceInfo) label() string { return i.Address.String() + " " + i.Script }

// WaitGraph asks all services who waits for whom, as [Node.Inspect] does, and calls done with the answer.
func (n *Node) WaitGraph(done func(WaitGraph, error)) {
	n.Inspect(func(services []ServiceInfo, err error) { done(waitGraph(services), err) })
}

// Waits is who waits for whom. It must be called in simulation, while no turn runs; elsewhere [Node.WaitGraph] asks.
func (n *Node) Waits() WaitGraph {
	var services []ServiceInfo
	for _, s := range n.Services() {
		services = append(services, s.info(nil))
	}
	return waitGraph(services)
}
