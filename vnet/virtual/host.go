package virtual

import (
	"fmt"
	"slices"
	"strconv"

	"skynet/sched"
	"skynet/sched/trace"
	"skynet/vnet"
)

// Host is one running node's network; after [Host.Crash] it is dead for ever and [Host.Restart] gives its successor.
type Host struct {
	site      *site
	fabric    *Fabric
	over      bool // crashed or closed
	crashed   bool
	conns     []*conn // in the order they were opened
	listeners []*listener
	sockets   []*socket
}

var _ vnet.Network = (*Host)(nil)

func newHost(s *site) *Host { return &Host{site: s, fabric: s.fabric} }

// What a trace.Net event says happened to the connection, in B.
const (
	netDialled = iota + 1
	netOpened
	netAccepted
	netClosed
	netFailed
	netCrashed
)

func (h *Host) trace(id, what uint64) {
	h.fabric.trace.Add(int64(h.fabric.timeline.Now()), trace.Net, h.site.index, id, what)
}

// Name is the host part of the addresses of this host.
func (h *Host) Name() string { return h.site.name }

// Crash ends the host at once, as a loss of power does: no handler hears of it, no peer is told. What it had sent still
// arrives, unless it is lost, since nobody sends it again. Peers learn of it by a reset when they send after the host is
// back, or by a timeout while it is down. The returned fault counts the streams broken, the bytes lost in buffers, and,
// until Restart, the packets lost because the host is down. Crashing twice counts nothing.
func (h *Host) Crash() *Fault {
	fault := &Fault{fabric: h.fabric, over: true}
	if h.site.host != h {
		return fault
	}
	h.over, h.crashed, h.site.host, h.site.crash = true, true, nil, fault
	for _, c := range h.conns {
		c.crash(&fault.effects)
	}
	h.conns, h.listeners, h.sockets = nil, nil, nil
	return fault
}

// Restart returns a fresh host of the same name, without streams, listeners and sockets. It crashes this one if it
// still runs; what a closed one has left to send is still sent.
func (h *Host) Restart() *Host {
	if h.over && h.site.host == h {
		h.site.host = nil
	}
	h.Crash()
	return h.fabric.Host(h.site.index, h.site.name)
}

// Listen implements [vnet.Network].
func (h *Host) Listen(protocol, address string, accept func(vnet.Conn) vnet.Handler) (vnet.Listener, error) {
	fail := func(err error) (vnet.Listener, error) {
		return nil, fmt.Errorf("vnet: listen %s %s: %w", protocol, address, err)
	}
	if protocol != vnet.TCP && protocol != vnet.KCP {
		return fail(fmt.Errorf("%w: got protocol %q, want %q or %q", vnet.ErrAddress, protocol, vnet.TCP, vnet.KCP))
	}
	port, err := h.bind(address, func(port int) bool { return h.listener(protocol, port) != nil })
	if err != nil {
		return fail(err)
	}
	l := &listener{host: h, protocol: protocol, port: port, addr: h.addr(port), accept: accept}
	h.listeners = append(h.listeners, l)
	return l, nil
}

// bind checks an address of this host and finds the port.
func (h *Host) bind(address string, taken func(int) bool) (int, error) {
	if h.over {
		return 0, vnet.ErrClosed
	}
	name, port, err := parseAddress(address)
	switch {
	case err != nil:
		return 0, err
	case name != "" && name != h.site.name:
		return 0, fmt.Errorf("%w: got host %q, want %q or 0.0.0.0", vnet.ErrAddress, name, h.site.name)
	case port == 0:
		return h.freePort(taken)
	case taken(port):
		return 0, fmt.Errorf("%w: port %d is in use", vnet.ErrAddress, port)
	}
	return port, nil
}

func (h *Host) freePort(taken func(int) bool) (int, error) {
	for range lastPort - firstEphemeral + 1 {
		if port := h.ephemeral(); !taken(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("%w: ports %d to %d are all in use", vnet.ErrAddress, firstEphemeral, lastPort)
}

func (h *Host) ephemeral() int {
	if h.site.port++; h.site.port > lastPort {
		h.site.port = firstEphemeral
	}
	return h.site.port
}

func (h *Host) addr(port int) string { return h.site.name + ":" + strconv.Itoa(port) }

func (h *Host) newID() uint64 {
	h.site.ids++
	return h.site.ids
}

func (h *Host) listener(protocol string, port int) *listener {
	for _, l := range h.listeners { // a node has a handful
		if l.port == port && l.protocol == protocol {
			return l
		}
	}
	return nil
}

// Dial implements [vnet.Network].
func (h *Host) Dial(protocol, address string, handler vnet.Handler) (vnet.Conn, error) {
	fail := func(err error) (vnet.Conn, error) {
		return nil, fmt.Errorf("vnet: dial %s %s: %w", protocol, address, err)
	}
	if h.over {
		return fail(vnet.ErrClosed)
	}
	if protocol != vnet.TCP && protocol != vnet.KCP {
		return fail(fmt.Errorf("%w: got protocol %q, want %q or %q", vnet.ErrAddress, protocol, vnet.TCP, vnet.KCP))
	}
	name, port, err := parseAddress(address)
	if err != nil {
		return fail(err)
	}
	if port == 0 {
		return fail(fmt.Errorf("%w: got port 0, want 1 to %d", vnet.ErrAddress, lastPort))
	}
	to := h.site
	if name != "" {
		to = h.fabric.names[name]
	}
	c := newConn(h, protocol, handler, h.addr(h.ephemeral()), address)
	h.trace(c.id, netDialled)
	if to == nil { // as with a name that does not resolve, the handler hears of it
		c.finish(fmt.Errorf("vnet: dial %s %s: %w: no host %q", protocol, address, vnet.ErrAddress, name))
		return c, nil
	}
	c.connect(to, port)
	return c, nil
}

// Close implements [vnet.Network]: what the streams have buffered is still sent, as by the kernel of a process that has
// ended. A stream closed just before may hear Closed at the same virtual time, after Close. The host stays up without
// listeners until Restart. On a crashed host Close has no effect.
func (h *Host) Close() error {
	if h.over {
		return nil
	}
	h.over = true
	h.listeners, h.sockets = nil, nil
	for _, c := range slices.Clone(h.conns) {
		c.shut()
	}
	return nil
}

type listener struct {
	host     *Host
	protocol string
	port     int
	addr     string
	accept   func(vnet.Conn) vnet.Handler
}

// Addr implements [vnet.Listener].
func (l *listener) Addr() string { return l.addr }

// Close implements [vnet.Listener].
func (l *listener) Close() error {
	l.host.listeners = slices.DeleteFunc(l.host.listeners, func(other *listener) bool { return other == l })
	return nil
}

// after calls fire later as an action on this host's node.
func (h *Host) after(t sched.Time, kind trace.Kind, a, b uint64, fire func()) sched.Timer {
	return h.fabric.timeline.At(t, sched.Action{Kind: kind, Node: h.site.index, A: a, B: b}, fire)
}
