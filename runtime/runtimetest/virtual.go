package runtimetest

import (
	"time"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sched/trace"
	"skynet/sim/disk"
	"skynet/vnet/virtual"
)

// simulated is the world of the stepper.
type simulated struct {
	trace    *trace.Trace
	step     *stepper.Stepper
	net      *virtual.Fabric
	crashes  *sched.Stream // what disks lose
	machines map[string]*simulatedMachine
	model    stepper.NodeOptions // of every machine
}

type simulatedMachine struct {
	index int32
	node  *stepper.Node
	host  *virtual.Host
	disk  *disk.Disk
}

func newVirtual(seed uint64) *simulated {
	tr := &trace.Trace{}
	step := stepper.New(stepper.Options{Seed: seed, Strategy: stepper.Random(sched.NewStream(seed, "strategy")), Trace: tr})
	return &simulated{
		trace: tr, step: step, net: virtual.New(step, virtual.Options{Seed: seed, Trace: tr}),
		crashes: sched.NewStream(seed, "crashes"), machines: make(map[string]*simulatedMachine),
	}
}

func (s *simulated) machine(_ *World, name string) machine {
	m := s.machines[name]
	if m == nil {
		m = &simulatedMachine{index: int32(len(s.machines)), disk: disk.New(disk.Options{
			LoseUnsynced: true, Trace: s.trace, Node: int32(len(s.machines)), Now: s.step.Now,
		})}
		s.machines[name] = m
	}
	m.node = s.step.NewNode(m.index, name, s.model)
	m.host = s.net.Host(m.index, name)
	return machine{sched: m.node, net: m.host, store: m.disk.Open(), trace: s.trace, index: m.index}
}

func (s *simulated) wait(until func() bool) bool {
	return s.step.Run(s.step.Now()+horizon, until) == stepper.Stopped
}

// pass moves the clock, also if nothing is due.
func (s *simulated) pass(d time.Duration) {
	until := s.step.Now().Add(d)
	s.step.At(until, sched.Action{Kind: trace.Timer, Node: -1}, func() {})
	s.step.Run(until, nil)
}

func (s *simulated) stop(name string) {
	m := s.machines[name]
	m.host.Close() // never fails
	m.host.Crash()
	m.node.Halt()
}

func (s *simulated) crash(name string, n *runtime.Node) {
	m := s.machines[name]
	m.host.Crash()
	m.node.Halt()
	n.Crash()
	m.disk.Crash(s.crashes)
}

func (s *simulated) close() {}

func (s *simulated) hash() uint64 { return s.trace.Hash() }

func (s *simulated) fabric() *virtual.Fabric { return s.net }
