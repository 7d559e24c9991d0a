package sim

import (
	"errors"
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/config"
	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sched/trace"
	"skynet/sim/disk"
	"skynet/sim/scenario"
	"skynet/vnet/virtual"
)

const (
	clusterPort = ":7000"
	mainService = ".main"
	// epoch is the wall clock at the start of every run: the first second of 2025.
	epoch int64 = 1_735_689_600_000_000_000
)

// What the A of a trace.Node event of the world says.
const (
	nodeBoots uint64 = iota + 1<<32 // above what nodes use for their services
	nodeCrashes
	nodeExits
	nodeRestarts
)

// restartAfter is how long a node is down that has ended itself: its process manager starts it again.
const restartAfter = time.Second

// machine is what a node or a client runs on. It outlives the node, which is a new one after each restart.
type machine struct {
	world    *world
	index    int32
	name     string
	spec     *scenario.Node // nil for a client
	client   *client        // nil for a node
	disk     *disk.Disk     // nil for a client
	settings *config.Config // limits and policy; nil for a client

	boots uint32
	lost  error // why the main service could not start after the last crash
	sched *stepper.Node
	host  *virtual.Host
	node  *runtime.Node // nil while the machine is down
	ready bool          // the main service has been initialised

	exited bool // the node has ended by itself; the machine runs on

	down, paused int           // how many faults keep it so
	slowed       []int64       // percentages of the faults that slow it
	diskFaults   []*fault      // that make its disk fail
	wall         time.Duration // by how much its wall clock is wrong
}

func newMachine(w *world, index int32, spec *scenario.Node) (*machine, error) {
	c, err := configOf(spec)
	if err != nil {
		return nil, err
	}
	m := &machine{world: w, index: index, name: spec.Name, spec: spec, wall: spec.Skew, settings: c}
	m.disk = disk.New(disk.Options{LoseUnsynced: spec.Disk.LoseUnsynced, Trace: w.trace, Node: index, Now: w.step.Now})
	return m, nil
}

// boot starts the machine, for the first time or after a crash.
func (m *machine) boot() error {
	w := m.world
	m.boots++
	m.sched = w.step.NewNode(m.index, m.name, m.model())
	if m.host != nil {
		m.host = m.host.Restart()
	} else {
		m.host = w.fabric.Host(m.index, m.name)
	}
	w.trace.AddText(int64(w.step.Now()), trace.Node, m.index, nodeBoots, uint64(m.boots), m.name)
	w.diagram.node(w.step.Now(), m.index, true)
	node, err := runtime.NewNode(m.config())
	if err != nil {
		return err
	}
	m.node, m.ready, m.exited, m.lost = node, false, false, nil
	if m.paused > 0 {
		m.sched.Pause()
	}
	m.setSpeed()
	m.launch()
	return nil
}

// model is the hardware.
func (m *machine) model() stepper.NodeOptions {
	o := stepper.NodeOptions{Epoch: epoch + int64(m.wall)}
	if m.spec != nil {
		o.Cores, o.Speed = m.spec.Cores, m.spec.Speed
	}
	return o
}

// config is the software.
func (m *machine) config() runtime.Config {
	w := m.world
	c := runtime.Config{
		Name: m.name, Incarnation: m.boots, Scheduler: m.sched, Network: m.host, Programs: w.sim.programs, Coroutines: w.pool,
		Log: &logHandler{machine: m}, Cluster: runtime.Cluster{Nodes: w.cluster}, Trace: w.trace, Index: m.index,
	}
	if m.client != nil {
		c.Handlers = map[string]func() runtime.Handler{workService: m.client.handler}
		return c
	}
	c.Cluster.Listen = m.name + clusterPort
	c.Store = &drive{machine: m, Store: m.disk.Open()}
	c.Abort = func(string) { m.abort() }
	c.Limits, c.Policy, c.Env = m.settings.Limits, m.settings.Policy, m.settings.Env
	if latency := syncLatency(m.spec.Disk); latency != nil {
		m.sched.SetOffloadLatency(latency)
	}
	return c
}

// launch starts the machine's main service.
func (m *machine) launch() {
	if m.client != nil {
		m.node.Launch(workService, mainService, nil, nil, m.launched())
		return
	}
	m.node.Launch(m.spec.Main, mainService, m.spec.Args, m.spec.Kwargs, m.launched())
}

// launched is told how the launch ended. A node that cannot be initialised at its first start, before any fault, is a
// scenario that cannot be run; later, it is what faults may do to it, and its log says so.
func (m *machine) launched() func(*runtime.Address, error) {
	boot := m.boots
	return func(_ *runtime.Address, err error) {
		switch {
		case m.node == nil || m.boots != boot: // it has crashed before
		case err == nil || m.client == nil && errors.Is(err, &runtime.CallError{Kind: runtime.Dead}): // it called exit
			m.ready = true
			m.world.attention = true
		case boot == 1 && len(m.world.faults.all) == 0:
			m.world.fail(&BootError{Node: m.name, Err: err})
		default:
			m.lost = err
		}
	}
}

// up reports whether the machine runs.
func (m *machine) up() bool { return m.node != nil }

// crash stops the machine as a power cut does and returns what the network made of it, and how many writes the disk lost.
func (m *machine) crash() (*virtual.Fault, int) {
	w := m.world
	w.trace.AddText(int64(w.step.Now()), trace.Node, m.index, nodeCrashes, uint64(m.boots), m.name)
	w.diagram.node(w.step.Now(), m.index, false)
	effects := m.host.Crash()
	m.kill()
	m.exited = false
	lost := 0
	if m.disk != nil {
		// The stream is named by the moment, not by the fault, so that a shrunk plan loses the same writes.
		lost = m.disk.Crash(w.step.Stream("disk", m.name, w.step.Now().String()))
	}
	return effects, lost
}

// abort ends the node as its process ends when a service has called skynet.abort: in order, and with its streams and store. Then it is
// started again, unless a fault keeps the machine down.
func (m *machine) abort() {
	w, node, boot := m.world, m.node, m.boots
	at := func(t sched.Time, what uint64, do func()) {
		w.step.At(t, sched.Action{Kind: trace.Node, Node: -1, A: what, B: uint64(m.index)}, do)
	}
	node.Stop(m.settings.Drain, func() {
		at(w.step.Now(), nodeExits, func() { // no turn of the node's own
			if m.node != node {
				return // it has crashed meanwhile
			}
			m.exit()
			at(w.step.Now().Add(restartAfter), nodeRestarts, func() {
				if m.boots != boot || m.down > 0 { // a fault has been there, and starts it, or has
					return
				}
				if err := m.boot(); err != nil {
					w.fail(fmt.Errorf("node %s: restart: %w", m.name, err))
				}
			})
		})
	})
}

// exit is the end of the process of a node that has stopped.
func (m *machine) exit() {
	w := m.world
	w.trace.AddText(int64(w.step.Now()), trace.Node, m.index, nodeExits, uint64(m.boots), m.name)
	w.diagram.node(w.step.Now(), m.index, false)
	if len(m.diskFaults) == 0 {
		_ = m.disk.Open().Sync() // only a crash makes it fail
	}
	_ = m.host.Close() // has no error
	m.kill()
	m.exited = true
}

// kill ends the machine's node without a trace in the world.
func (m *machine) kill() {
	node := m.node
	if node == nil {
		return
	}
	m.node, m.ready = nil, false
	m.sched.Halt()
	node.Crash()
}

// setSpeed applies what slows the machine.
func (m *machine) setSpeed() {
	speed := int64(100)
	if m.spec != nil {
		speed = int64(m.spec.Speed)
	}
	for _, percent := range m.slowed {
		speed = speed * percent / 100
	}
	m.sched.SetSpeed(int(max(speed, 1)))
}

// globals is the state of the main service, nil while there is none.
func (m *machine) globals() starlark.StringDict {
	if m.node == nil || m.client != nil {
		return nil
	}
	return m.node.Globals(mainService)
}
