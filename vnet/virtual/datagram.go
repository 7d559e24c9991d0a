package virtual

import (
	"fmt"
	"slices"
	"time"

	"skynet/sched"
	"skynet/sched/trace"
	"skynet/vnet"
)

// maxDatagram is the largest payload of a UDP datagram over IPv4.
const maxDatagram = 65507

// socket is a datagram socket.
type socket struct {
	host    *Host
	id      uint64
	port    int
	addr    string
	handler vnet.PacketHandler
	closed  bool
}

// ListenPacket implements [vnet.Network].
func (h *Host) ListenPacket(protocol, address string, handler vnet.PacketHandler) (vnet.PacketConn, error) {
	if protocol != vnet.UDP {
		return nil, fmt.Errorf("vnet: listen %s: %w: got protocol %q, want %q",
			address, vnet.ErrAddress, protocol, vnet.UDP)
	}
	port, err := h.bind(address, func(port int) bool { return h.socket(port) != nil })
	if err != nil {
		return nil, fmt.Errorf("vnet: listen udp %s: %w", address, err)
	}
	s := &socket{host: h, id: h.newID(), port: port, addr: h.addr(port), handler: handler}
	h.sockets = append(h.sockets, s)
	return s, nil
}

func (h *Host) socket(port int) *socket {
	for _, s := range h.sockets {
		if s.port == port {
			return s
		}
	}
	return nil
}

// ID implements [vnet.PacketConn].
func (s *socket) ID() uint64 { return s.id }

// LocalAddr implements [vnet.PacketConn].
func (s *socket) LocalAddr() string { return s.addr }

// Close implements [vnet.PacketConn].
func (s *socket) Close() error {
	s.closed = true
	s.host.sockets = slices.DeleteFunc(s.host.sockets, func(other *socket) bool { return other == s })
	return nil
}

// WriteTo implements [vnet.PacketConn].
func (s *socket) WriteTo(p []byte, to string) error {
	if s.closed || s.host.over {
		return fmt.Errorf("vnet: write udp %s: %w", to, vnet.ErrClosed)
	}
	name, port, err := parseAddress(to)
	target := s.host.site
	if err == nil && name != "" {
		target = s.host.fabric.names[name]
	}
	switch {
	case err != nil:
		return fmt.Errorf("vnet: write udp: %w", err)
	case target == nil:
		return fmt.Errorf("vnet: write udp %s: %w: no host %q", to, vnet.ErrAddress, name)
	case len(p) > maxDatagram:
		return fmt.Errorf("vnet: write udp %s: got %d bytes, want at most %d", to, len(p), maxDatagram)
	}
	s.host.site.to(target).datagram(p, s.addr, port)
	return nil
}

// packet is a datagram under way. Packets are used again, so that a datagram costs no memory.
type packet struct {
	link   *link
	number uint64
	from   string
	port   int
	data   []byte
	late   *Fault // delayed it so that others may overtake it
	fire   func() // arrive, bound once
}

func (f *Fabric) newPacket() *packet {
	if n := len(f.free); n > 0 {
		p := f.free[n-1]
		f.free = f.free[:n-1]
		return p
	}
	p := &packet{}
	p.fire = p.arrive
	return p
}

// datagram sends one.
func (l *link) datagram(b []byte, from string, port int) {
	number, due, lost := l.send(len(b))
	if lost != nil {
		return
	}
	p := l.fabric.newPacket()
	p.link, p.number, p.from, p.port, p.late = l, number, from, port, nil
	p.data = append(p.data[:0], b...)
	twice := false
	for _, f := range l.layers {
		if l.rand.Chance(f.link.Reorder) {
			p.late = f
			due = due.Add(time.Duration(l.rand.Between(1, int64(2*max(due.Sub(l.fabric.timeline.Now()), time.Millisecond)))))
		}
		if l.rand.Chance(f.link.Duplicate) {
			f.effects.Duplicated++
			twice = true
		}
	}
	p.schedule(due)
	if twice {
		l.again(p)
	}
}

// again sends a copy of p, with its number but a latency of its own.
func (l *link) again(p *packet) {
	q := l.fabric.newPacket()
	q.link, q.number, q.from, q.port, q.late = l, p.number, p.from, p.port, p.late
	q.data = append(q.data[:0], p.data...)
	q.schedule(l.fabric.timeline.Now().Add(l.latency()))
}

func (p *packet) schedule(due sched.Time) {
	what := sched.Action{Kind: trace.Deliver, Node: p.link.to.index, A: p.link.id, B: p.number}
	p.link.fabric.timeline.At(due, what, p.fire)
}

// arrive brings the datagram to the socket, if nothing is in its way.
func (p *packet) arrive() {
	l := p.link
	switch {
	case l.cut != nil:
		l.drop(l.cut, len(p.data), p.number)
	case l.to.host == nil:
		l.drop(l.to.crash, len(p.data), p.number)
	case l.hold != nil:
		l.hold.effects.Held++
		l.packets = append(l.packets, p)
		return
	default:
		p.deliver()
	}
	l.fabric.free = append(l.fabric.free, p)
}

func (p *packet) deliver() {
	l := p.link
	if p.number < l.newest { // overtaken
		late := p.late
		if late == nil {
			late = l.base
		}
		late.effects.Reordered++
	}
	l.newest = max(l.newest, p.number)
	s := l.to.host.socket(p.port)
	if s == nil {
		l.drop(nil, len(p.data), p.number)
		return
	}
	l.note(l.fabric.timeline.Now(), trace.Deliver, len(p.data), p.number)
	s.handler.Packet(s, p.from, p.data)
}
