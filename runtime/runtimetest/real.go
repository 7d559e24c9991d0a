package runtimetest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"skynet/runtime"
	"skynet/runtime/store"
	"skynet/sched/workers"
	"skynet/vnet"
	"skynet/vnet/real"
	"skynet/vnet/virtual"
)

// patience is how long production waits for anything: far longer than any test takes on a loaded machine.
const patience = 30 * time.Second

// production is the world of the workers. It has the time of the machine, to which the determinism contract does not apply: that is for the
// other world, which runs the same test bodies.
type production struct {
	t        *testing.T
	machines map[string]*realMachine
	stores   map[string]store.Store
	ports    ports
}

type realMachine struct {
	workers *workers.Workers
	net     *real.Network
}

func newReal(t *testing.T) *production {
	return &production{t: t, machines: make(map[string]*realMachine), stores: make(map[string]store.Store)}
}

func (p *production) machine(w *World, name string) machine {
	m := &realMachine{workers: workers.New(workers.Options{Threads: 2, Seed: 1})}
	m.net = real.New(real.Options{CloseTimeout: 50 * time.Millisecond, Lend: m.workers.Lend})
	p.machines[name] = m
	if p.stores[name] == nil {
		st, err := store.OpenBolt(fmt.Sprintf("%s/%s.db", w.t.TempDir(), name))
		if err != nil {
			w.t.Fatal(err)
		}
		p.stores[name] = st
	}
	return machine{sched: m.workers, net: &named{Network: m.net, host: name, ports: &p.ports}, store: p.stores[name], heap: p.heap()}
}

// heap returns a watch of a heap that is so large that services are suspected, but not too large.
func (p *production) heap() *runtime.HeapWatch {
	const limit = 1 << 40
	return runtime.NewHeapWatch(limit, func() int64 { return limit / 2 }, func() { p.t.Error("a handler was stopped for the heap") })
}

func (p *production) wait(until func() bool) bool {
	look := time.NewTicker(200 * time.Microsecond)
	defer look.Stop()
	give := time.After(patience)
	for !until() {
		select {
		case <-look.C:
		case <-give:
			return false
		}
	}
	return true
}

func (p *production) pass(d time.Duration) { <-time.After(d) }

func (p *production) stop(name string) {
	m := p.machines[name]
	m.workers.Close()
	if err := m.net.Close(); err != nil {
		p.t.Errorf("close the network of node %s: %v", name, err)
	}
}

// crash takes the workers away, then the network, and so leaves a node that no turn runs of.
func (p *production) crash(name string, n *runtime.Node) {
	p.stop(name)
	n.Crash()
}

func (p *production) close() {
	for name, st := range p.stores {
		if err := st.Close(); err != nil {
			p.t.Errorf("close the store of node %s: %v", name, err)
		}
	}
}

func (p *production) hash() uint64 { return 0 }

func (p *production) fabric() *virtual.Fabric { return nil }

// ports lets the loopback network look like hosts with names: "n1:7000" is wherever the listener of that name has got a
// free port.
type ports struct {
	mu    sync.Mutex
	ports map[string]string // protocol/address of a test -> address of the machine
}

// named is one node's network with names.
type named struct {
	vnet.Network
	host  string
	ports *ports
}

// nobody is an address where nothing listens.
const nobody = "127.0.0.1:1"

func (n *named) Listen(protocol, address string, accept func(vnet.Conn) vnet.Handler) (vnet.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host != n.host {
		return n.Network.Listen(protocol, address, accept)
	}
	l, err := n.Network.Listen(protocol, "127.0.0.1:0", accept)
	if err != nil || port == "0" {
		return l, err
	}
	n.ports.set(protocol, address, l.Addr())
	return l, nil
}

func (n *named) Dial(protocol, address string, h vnet.Handler) (vnet.Conn, error) {
	return n.Network.Dial(protocol, n.ports.get(protocol, address), h)
}

func (p *ports) set(protocol, address, at string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ports == nil {
		p.ports = make(map[string]string)
	}
	p.ports[protocol+"/"+address] = at
}

func (p *ports) get(protocol, address string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.ports[protocol+"/"+address]; ok {
		return at
	}
	if host, _, ok := strings.Cut(address, ":"); ok && net.ParseIP(host) == nil && host != "localhost" {
		return nobody // the name of a node that does not listen
	}
	return address
}
