package runtimetest

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/store"
	"skynet/sched"
	"skynet/sched/trace"
	"skynet/vnet"
	"skynet/vnet/virtual"
)

// Seeds is how many seeds of the stepper [Run] tries.
const Seeds = 3

// horizon bounds, in virtual time, how long a simulated world waits for anything.
const horizon = sched.Time(time.Hour)

// Run runs body as a subtest in each world: once on workers, and once for each of [Seeds] random schedules of the stepper.
func Run(t *testing.T, body func(t *testing.T, w *World)) {
	t.Run("workers", func(t *testing.T) { body(t, NewReal(t)) })
	RunVirtual(t, body)
}

// RunVirtual runs body in the simulated world only, for what production cannot be made to do: cut a network, lose a disk.
func RunVirtual(t *testing.T, body func(t *testing.T, w *World)) {
	for seed := uint64(1); seed <= Seeds; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { body(t, NewVirtual(t, seed)) })
	}
}

// NewVirtual returns the simulated world of one seed, which ends with the test.
func NewVirtual(t *testing.T, seed uint64) *World { return newWorld(t, newVirtual(seed)) }

// NewReal returns the world of the workers, which ends with the test.
func NewReal(t *testing.T) *World { return newWorld(t, newReal(t)) }

// World is a set of nodes that share scripts. Its fields are read when a node starts. It is not safe for concurrent use.
type World struct {
	// Limits of the nodes.
	Limits runtime.Limits
	// Policy of the nodes.
	Policy runtime.Policy
	// Env is what skynet.getenv returns on the nodes.
	Env *starlark.Dict
	// Handlers are the services in Go.
	Handlers map[string]func() runtime.Handler
	// Heartbeat and Silence of the cluster; zero means the runtime's defaults.
	Heartbeat, Silence time.Duration

	t        *testing.T
	backend  backend
	scripts  map[string]string
	programs *runtime.Programs
	table    map[string]string // addresses of the cluster's nodes
	nodes    map[string]*running
	lives    map[string]uint32 // how often each node was started
}

// machine is what a world lends a node: its parts of the world.
type machine struct {
	sched sched.Scheduler
	net   vnet.Network
	store store.Store
	heap  *runtime.HeapWatch
	trace *trace.Trace
	index int32
}

// backend is one of the two worlds.
type backend interface {
	// machine starts the machine of a node, again after a crash or a stop.
	machine(w *World, name string) machine
	// wait lets time pass until the condition holds; false says that it never will.
	wait(until func() bool) bool
	// pass lets time pass.
	pass(d time.Duration)
	// stop ends the machine of a stopped node in an orderly way.
	stop(name string)
	// crash ends the machine without a warning, and the node on it.
	crash(name string, n *runtime.Node)
	// close ends the world.
	close()
	fabric() *virtual.Fabric
	hash() uint64
}

// running is a node that runs.
type running struct {
	node *runtime.Node
	logs *logs
}

func newWorld(t *testing.T, b backend) *World {
	w := &World{
		t: t, backend: b, scripts: make(map[string]string), table: make(map[string]string),
		nodes: make(map[string]*running), lives: make(map[string]uint32),
	}
	w.programs = runtime.NewPrograms(w.read)
	t.Cleanup(w.close)
	return w
}

func (w *World) read(name string) ([]byte, error) {
	if src, ok := w.scripts[name]; ok {
		return []byte(src), nil
	}
	return nil, noScript{}
}

type noScript struct{}

func (noScript) Error() string        { return "no such script" }
func (noScript) Is(target error) bool { return target == fs.ErrNotExist }

// Scripts adds scripts, by name. A script must be there before it is first used, and stays as it was first used.
func (w *World) Scripts(scripts map[string]string) { maps.Copy(w.scripts, scripts) }

// Virtual reports whether this is the simulated world.
func (w *World) Virtual() bool { return w.backend.fabric() != nil }

// Fabric is the virtual network, nil in production.
func (w *World) Fabric() *virtual.Fabric { return w.backend.fabric() }

// Hash is the hash of everything that has happened, 0 in production.
func (w *World) Hash() uint64 { return w.backend.hash() }

// Cluster gives the named nodes, which have not started, an address each that all nodes know.
func (w *World) Cluster(names ...string) {
	for _, name := range names {
		w.table[name] = name + ":7000"
	}
}

// ClusterAt gives a node, which has not started, an address of the test's own.
func (w *World) ClusterAt(name, address string) { w.table[name] = address }

// Node starts a node, again if it was stopped or has crashed, and launches scripts on it, each registered under its name
// without ".star".
func (w *World) Node(name string, scripts ...string) *runtime.Node {
	w.t.Helper()
	n, err := w.TryNode(name)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, script := range scripts {
		w.Launch(name, script)
	}
	return n
}

// TryNode is Node for a node that may fail to start.
func (w *World) TryNode(name string) (*runtime.Node, error) {
	if w.nodes[name] != nil {
		return nil, fmt.Errorf("runtimetest: node %s runs already", name)
	}
	w.lives[name]++
	m, logs := w.backend.machine(w, name), &logs{}
	n, err := runtime.NewNode(runtime.Config{
		Name: name, Incarnation: w.lives[name], Scheduler: m.sched, Network: m.net, Store: m.store, Heap: m.heap,
		Programs: w.programs, Log: logs, Handlers: w.Handlers, Limits: w.Limits, Policy: w.Policy, Env: w.Env, Trace: m.trace, Index: m.index,
		Cluster: runtime.Cluster{
			Listen: w.table[name], Nodes: maps.Clone(w.table), Heartbeat: w.Heartbeat, Silence: w.Silence,
		},
	})
	if err != nil {
		w.backend.stop(name)
		return nil, err
	}
	w.nodes[name] = &running{node: n, logs: logs}
	return n, nil
}

// Launch starts a script on a node, with arguments for init, and registers it under its name without ".star".
func (w *World) Launch(node, script string, args ...any) *runtime.Address {
	w.t.Helper()
	a, err := w.TryLaunch(node, script, args...)
	if err != nil {
		w.t.Fatalf("launch %s on node %s: %v", script, node, err)
	}
	return a
}

// TryLaunch is Launch for a script that may fail.
func (w *World) TryLaunch(node, script string, args ...any) (*runtime.Address, error) {
	w.t.Helper()
	o := newOutcome()
	w.node(node).Launch(script, service(script), tuple(args), nil, func(a *runtime.Address, err error) { o.set(a, err) })
	v, err := w.await(o, "launch of "+script)
	if err != nil {
		return nil, err
	}
	return v.(*runtime.Address), nil
}

// Call calls a command of a service, named by a string or an address, and waits for the outcome. The arguments are Go
// values; see [Value].
func (w *World) Call(node string, dest any, command string, args ...any) (starlark.Value, error) {
	w.t.Helper()
	return w.Go(node, dest, command, args...).Wait()
}

// Want calls a command and fails the test unless it returns want, compared in Starlark's own notation.
func (w *World) Want(want, node string, dest any, command string, args ...any) {
	w.t.Helper()
	v, err := w.Call(node, dest, command, args...)
	if err != nil {
		w.t.Errorf("%s of %v: got error %v, want %s", command, dest, err, want)
	} else if got := v.String(); got != want {
		w.t.Errorf("%s of %v: got %s, want %s", command, dest, got, want)
	}
}

// Pending is a call that was begun.
type Pending struct {
	w    *World
	o    *outcome
	what string
}

// Go begins a call and returns at once.
func (w *World) Go(node string, dest any, command string, args ...any) *Pending {
	w.t.Helper()
	o := newOutcome()
	w.node(node).Request(Value(dest), command, tuple(args), nil, time.Minute, func(v starlark.Value, err error) { o.set(v, err) })
	return &Pending{w: w, o: o, what: fmt.Sprintf("%s of %v", command, dest)}
}

// Wait waits for the outcome.
func (p *Pending) Wait() (starlark.Value, error) {
	p.w.t.Helper()
	return p.w.await(p.o, p.what)
}

// Done reports whether the outcome is there.
func (p *Pending) Done() bool { return p.o.done() }

func (w *World) await(o *outcome, what string) (starlark.Value, error) {
	w.t.Helper()
	if !w.backend.wait(o.done) {
		w.t.Fatalf("%s: got no outcome, want one; waiting: %v", what, w.Waits())
	}
	return o.get()
}

// Eventually waits until the condition holds, and fails the test if it never does. The condition must be safe to ask
// while services run.
func (w *World) Eventually(what string, cond func() bool) {
	w.t.Helper()
	if !w.backend.wait(cond) {
		w.t.Fatalf("%s: got no such state, want it in time", what)
	}
}

// Until tries again, as time goes by, until try returns true. Unlike the condition of Eventually, it may call services.
func (w *World) Until(what string, try func() bool) {
	w.t.Helper()
	for range 500 {
		if try() {
			return
		}
		w.backend.pass(10 * time.Millisecond)
	}
	w.t.Fatalf("%s: got no such state, want it in time", what)
}

// Waits says which coroutines of the nodes wait, in simulation; production cannot be looked at from outside.
func (w *World) Waits() []runtime.Wait {
	var all []runtime.Wait
	if w.Virtual() {
		for _, name := range w.names() {
			all = append(all, w.nodes[name].node.Waits().Waits...)
		}
	}
	return all
}

// Quiet makes a node keep no more log lines, for tests that let it complain about very much.
func (w *World) Quiet(node string) { w.running(node).logs.forget() }

// Logs returns the lines that a node has logged in its present life.
func (w *World) Logs(node string) []Line { return w.running(node).logs.all() }

// LogsOf returns a function that returns the lines logged by what is now the life of a node, also when that is over.
func (w *World) LogsOf(node string) func() []Line { return w.running(node).logs.all }

// Logged waits until a node has logged a line that contains all the parts.
func (w *World) Logged(node string, parts ...string) {
	w.t.Helper()
	logs := w.running(node).logs
	if !w.backend.wait(func() bool { return logs.contain(parts) }) {
		w.t.Errorf("log of node %s: got\n%v\nwant a line with %q", node, logs.all(), parts)
	}
}

// Stop ends a node in an orderly way, and with it its machine.
func (w *World) Stop(node string, drain time.Duration) {
	w.t.Helper()
	o := newOutcome()
	w.node(node).Stop(drain, func() { o.set(starlark.None, nil) })
	if _, err := w.await(o, "stop of node "+node); err != nil {
		w.t.Fatal(err)
	}
	delete(w.nodes, node)
	w.backend.stop(node)
}

// Crash ends a node as a power cut does.
func (w *World) Crash(node string) {
	n := w.node(node)
	delete(w.nodes, node)
	w.backend.crash(node, n)
}

// Running is a node that runs, for what the methods of World do not offer.
func (w *World) Running(node string) *runtime.Node { return w.running(node).node }

func (w *World) node(name string) *runtime.Node { return w.running(name).node }

func (w *World) running(name string) *running {
	w.t.Helper()
	r := w.nodes[name]
	if r == nil {
		w.t.Fatalf("node %s does not run", name)
	}
	return r
}

func (w *World) names() []string { return slices.Sorted(maps.Keys(w.nodes)) }

func (w *World) close() {
	for _, name := range w.names() {
		w.Crash(name)
	}
	w.backend.close()
}
