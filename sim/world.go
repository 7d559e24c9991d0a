package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sched/trace"
	"skynet/sim/history"
	"skynet/sim/scenario"
	"skynet/vnet/virtual"
)

// world is everything of one run.
type world struct {
	sim      *Simulation
	options  Options
	scenario *scenario.Scenario
	plan     *scenario.World
	trace    *trace.Trace
	step     *stepper.Stepper
	fabric   *virtual.Fabric
	pool     *runtime.Coroutines
	machines []*machine // the nodes, then the clients
	nodes    []*machine
	clients  []*client
	cluster  map[string]string // addresses of the nodes
	schedule *scenario.Schedule
	faults   faults
	recorder history.Recorder
	opEvents int // beginnings and ends of operations
	judge    *judge
	log      logbook
	diagram  *Diagram

	armed       sched.Timer // the next step of the schedule
	next        scenario.StepKind
	troubleOver bool // the schedule has come to its end
	working     int  // clients that have not finished
	clientsDone bool
	latest      sched.Time // of what operations and log records tell: a turn is ahead of the clock outside
	attention   bool       // the loop has to look at what happened
	closing     bool       // the run is over
	err         error      // why the scenario cannot be run at all
}

// newWorld builds the cluster; nothing has run yet.
func (s *Simulation) newWorld(o Options) (*world, error) {
	w := &world{sim: s, options: o, scenario: s.Scenario, trace: o.Trace, pool: o.Coroutines, diagram: o.Diagram}
	if w.trace == nil {
		w.trace = new(trace.Trace)
	}
	if w.pool == nil {
		w.pool = NewCoroutines()
	}
	strategy, err := newStrategy(o.Strategy, o.Seed)
	if err != nil {
		return nil, err
	}
	w.step = stepper.New(stepper.Options{Seed: o.Seed, Strategy: strategy, Trace: w.trace})
	if w.plan, err = scenario.BuildWorld(s.Scenario, sched.NewStream(o.Seed, "world")); err != nil {
		return nil, err
	}
	if err := w.expand(); err != nil {
		return nil, err
	}
	w.judge = newJudge(w)
	w.faults.world = w
	w.fabric = virtual.New(w.step, virtual.Options{Seed: o.Seed, Trace: w.trace, Observer: w.observer()})
	if err := w.populate(); err != nil {
		return nil, err
	}
	return w, w.connect()
}

func newStrategy(name string, seed uint64) (sched.Strategy, error) {
	switch name {
	case "", "random":
		return stepper.Random(sched.NewStream(seed, "schedule")), nil
	case "fifo":
		return stepper.FIFO(), nil
	}
	return nil, fmt.Errorf("sim: strategy: got %q, want \"random\" or \"fifo\"", name)
}

// expand draws the schedule of the faults, for all clients, also those that do not run.
func (w *world) expand() (err error) {
	trouble := w.scenario.Trouble
	if w.options.Plan != nil {
		trouble = scenario.Plan(w.options.Plan, time.Duration(trouble.Settle().Hi))
	}
	w.schedule, err = scenario.Expand(trouble, w.options.Seed, w.plan.Cluster(), w.scenario.Limit)
	if err != nil {
		return w.scenario.Blame("trouble", err)
	}
	return nil
}

// populate makes the machines of all nodes and of the clients that are to run. The index of a client does not depend on
// which others run.
func (w *world) populate() error {
	w.cluster = make(map[string]string, len(w.plan.Nodes))
	for i := range w.plan.Nodes {
		n := &w.plan.Nodes[i]
		if _, err := w.sim.programs.Compile(n.Main); errors.Is(err, fs.ErrNotExist) {
			return &scenario.Error{Pos: n.Pos, Msg: fmt.Sprintf("w.nodes: main: %v", err)}
		} else if err != nil {
			return err
		}
		m, err := newMachine(w, int32(i), n)
		if err != nil {
			return fmt.Errorf("%s: %w", w.scenario.File, err)
		}
		w.cluster[n.Name] = n.Name + clusterPort
		w.nodes = append(w.nodes, m)
	}
	for _, name := range w.options.Clients {
		if !slices.ContainsFunc(w.plan.Clients, func(c scenario.Client) bool { return c.Name == name }) {
			return fmt.Errorf("sim: clients: got %q, which is no client of %s", name, w.scenario.File)
		}
	}
	w.machines = slices.Clone(w.nodes)
	for i := range w.plan.Clients {
		spec := &w.plan.Clients[i]
		if w.options.Clients != nil && !slices.Contains(w.options.Clients, spec.Name) {
			continue
		}
		c := newClient(w, int32(len(w.plan.Nodes)+i), i, spec)
		w.clients = append(w.clients, c)
		w.machines = append(w.machines, c.machine)
	}
	w.working = len(w.clients)
	return nil
}

// connect configures the links between all machines: most worlds have one kind of link, which is then the default.
func (w *world) connect() error {
	for _, m := range w.machines {
		w.diagram.enter(m)
		m.host = w.fabric.Host(m.index, m.name)
	}
	base := w.plan.Link(w.machines[0].name, w.machines[len(w.machines)-1].name)
	w.fabric.SetDefault(linkOf(base))
	for _, from := range w.machines {
		for _, to := range w.machines {
			if from == to {
				continue
			}
			if l := w.plan.Link(from.name, to.name); l != base {
				if _, err := w.fabric.SetLink(from.name, to.name, linkOf(l)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// linkOf translates the scenario's words; a scenario that says nothing of latency gets the network's default.
func linkOf(l scenario.Link) virtual.Link {
	link := virtual.Link{Loss: l.Loss, Duplicate: l.Duplicate, Reorder: l.Reorder, Bandwidth: l.Bandwidth}
	switch d := l.Latency; d.Shape {
	case "":
		link.Latency = virtual.DefaultLink().Latency
	case "fixed":
		link.Latency = virtual.Constant(d.Low)
	case "uniform":
		link.Latency = virtual.Uniform(d.Low, d.High)
	case "lognormal":
		link.Latency = virtual.Lognormal(d.Low, d.High)
	case "exponential":
		link.Latency = virtual.Exponential(d.Low)
	}
	return link
}

// machine finds a machine by name, nil if it does not take part.
func (w *world) machine(name string) *machine {
	for _, m := range w.machines {
		if m.name == name {
			return m
		}
	}
	return nil
}

// machinesOf finds those of the names that take part.
func (w *world) machinesOf(names []string) []*machine {
	var found []*machine
	for _, name := range names {
		if m := w.machine(name); m != nil {
			found = append(found, m)
		}
	}
	return found
}

// fail ends the run because the scenario cannot be run.
func (w *world) fail(err error) {
	if w.err == nil {
		w.err = err
	}
	w.attention = true
}

// close unwinds every coroutine, so that the pool can be used again. That is no part of the run, and not in its trace.
func (w *world) close() {
	w.closing = true
	whole := *w.trace
	w.trace.Sink = nil
	defer func() { *w.trace = whole }()
	for _, m := range w.machines {
		m.kill()
	}
	if w.options.Coroutines == nil {
		w.pool.Close()
	}
}
