// Package virtual is the simulated network: streams and datagrams between the hosts of one [Fabric], on a virtual clock.
//
// # Guarantees
//
//   - A run is a function of the seed, the timeline and the calls made. Every directed link draws from a stream of its
//     own, so that a fault on one link does not shift the choices of another.
//   - Everything arrives through the timeline; no handler is called from within a method of this package, but for
//     [Host.Close], which calls Closed.
//   - A TCP stream stays a reliable ordered byte stream: a lost packet is sent again after a retransmission timeout that
//     doubles up to [maxRTO], writes are cut and joined at seeded places, a cut link delays until after it heals, and a
//     stream that gets nothing acknowledged for [Options.StreamTimeout] is closed with vnet.ErrTimeout.
//   - A packet is lost if its link is cut when it leaves or when it arrives, so nothing crosses a cut.
//   - Every effect is counted for the [Fault] that caused it.
//
// # What is simpler than the real thing
//
// Acknowledgements are no packets: they are known at once, but only while nothing blocks the way back, so that a stream
// whose way back is cut times out as it would. There is no congestion control and no handshake on close. KCP streams
// behave as vnet/real documents: no refusal, no end, no reset, only silence and a timeout.
package virtual

import (
	"fmt"
	"slices"
	"time"

	"skynet/sched"
	"skynet/sched/trace"
)

// Options configure a [Fabric]. The zero value is ready for use.
type Options struct {
	// Seed is the root of the links' random streams.
	Seed uint64
	// Trace folds sends, drops and changes of connections; nil folds nothing.
	Trace *trace.Trace
	// Observer is told of every packet, for pictures; nil costs nothing.
	Observer Observer
	// StreamTimeout is how long a stream lives without getting anything acknowledged that it has sent; 0 means 20 s.
	StreamTimeout time.Duration
	// DialTimeout bounds connecting; 0 means 3 s.
	DialTimeout time.Duration
	// IdleTimeout is how long a KCP stream may hear nothing; 0 means 30 s.
	IdleTimeout time.Duration
	// CloseTimeout bounds how long Close goes on sending what is buffered; 0 means 3 s. What has not left by then, because
	// the peer does not read, is lost and the reason of Closed is vnet.ErrTimeout.
	CloseTimeout time.Duration
	// RTO is the first retransmission timeout; 0 means 200 ms.
	RTO time.Duration
	// Window is how many bytes of one direction of a stream may be under way or unread; 0 means 256 KiB.
	Window int
}

const (
	// maxRTO bounds the doubling: how long after a heal the last stream stirs again.
	maxRTO = 3 * time.Second
	// maxSegment is the most that travels as one packet of a stream.
	maxSegment = 16 << 10
	// loopback is the latency from a host to itself, which no fault touches.
	loopback = 10 * time.Microsecond
)

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.StreamTimeout, 20*time.Second)
	def(&o.DialTimeout, 3*time.Second)
	def(&o.IdleTimeout, 30*time.Second)
	def(&o.CloseTimeout, 3*time.Second)
	def(&o.RTO, 200*time.Millisecond)
	if o.Window <= 0 {
		o.Window = 256 << 10
	}
	return o
}

// Observer is told of the packets of a network as they are sent, delivered and dropped.
type Observer func(Packet)

// Packet is what an [Observer] sees.
type Packet struct {
	At       sched.Time
	Kind     trace.Kind // Send, Deliver or Drop
	From, To int32      // indices of the hosts
	Size     int        // bytes of payload; 0 for a packet that opens or ends a stream
	ID       uint64     // number of the packet on the link from From to To; a duplicate has its original's
}

// Fabric is a simulated network. It is not safe for concurrent use: all calls come from the timeline's one loop.
type Fabric struct {
	timeline sched.Timeline
	options  Options
	trace    *trace.Trace
	sites    []*site
	names    map[string]*site // for look-up only
	base     *Fault           // the default configuration
	faults   []*Fault         // active, in the order they began
	free     []*packet
}

// DefaultLink is how every link is until SetDefault or SetLink: a constant latency of 500 µs and no trouble.
func DefaultLink() Link { return Link{Latency: Constant(500 * time.Microsecond)} }

// New makes a network without hosts.
func New(timeline sched.Timeline, o Options) *Fabric {
	f := &Fabric{timeline: timeline, options: o.withDefaults(), trace: o.Trace, names: make(map[string]*site)}
	f.base = &Fault{fabric: f, link: DefaultLink()}
	return f
}

// site is a place for hosts: what survives a crash.
type site struct {
	fabric   *Fabric
	position int // in fabric.sites
	index    int32
	name     string
	host     *Host   // the running host, nil after a crash
	crash    *Fault  // counts what was lost because the host is down
	links    []*link // to the site of each position; nil until used
	ids      uint64
	port     int // the last ephemeral port given
}

// Host returns the network of the host with this name; index is how traces and actions call its node. Asking twice
// gives the same host, unless it has crashed, when it gives what [Host.Restart] does. Index and name must be unique.
func (f *Fabric) Host(index int32, name string) *Host {
	s := f.names[name]
	if s == nil {
		s = &site{fabric: f, position: len(f.sites), index: index, name: name, port: firstEphemeral - 1}
		f.sites = append(f.sites, s)
		f.names[name] = s
	}
	if s.host == nil {
		s.host = newHost(s)
	}
	return s.host
}

// to is the link between two sites.
func (s *site) to(d *site) *link {
	for len(s.links) <= d.position {
		s.links = append(s.links, nil)
	}
	if s.links[d.position] == nil {
		l := &link{
			fabric: s.fabric, from: s, to: d, base: s.fabric.base,
			id:   uint64(uint32(s.index))<<32 | uint64(uint32(d.index)),
			rand: sched.NewStream(s.fabric.options.Seed, "link", s.name, d.name),
		}
		l.update()
		s.links[d.position] = l
	}
	return s.links[d.position]
}

// SetDefault configures all links that SetLink has not configured. The returned fault counts the effects of the
// configuration; ending it has no effect.
func (f *Fabric) SetDefault(l Link) *Fault {
	old := f.base
	f.base = &Fault{fabric: f, link: l, over: true}
	f.each(func(k *link) {
		if k.base == old {
			k.base = f.base
		}
	})
	f.update()
	return f.base
}

// SetLink configures the directed link between two hosts, which must exist, in place of the default. The returned fault
// counts the effects of the configuration; ending it has no effect.
func (f *Fabric) SetLink(from, to string, l Link) (*Fault, error) {
	a, b := f.names[from], f.names[to]
	if a == nil || b == nil {
		return nil, fmt.Errorf("virtual: set link %s to %s: got a host that does not exist", from, to)
	}
	k := a.to(b)
	k.base = &Fault{fabric: f, link: l, over: true}
	k.update()
	return k.base, nil
}

// Impair adds l to what already troubles the links from each host of from to each host of to: latencies and chances add
// up, the smallest bandwidth counts, and a switch is on while any fault sets it. A nil list means every host, also those
// that come later. The fault lasts until its End.
func (f *Fabric) Impair(from, to []string, l Link) *Fault {
	fault := &Fault{fabric: f, from: slices.Clone(from), to: slices.Clone(to), link: l}
	f.faults = append(f.faults, fault)
	f.update()
	return fault
}

// Cut makes packets from each host of from to each host of to vanish: a one-way partition; see [Fabric.Impair]. A link
// heals when the last cut upon it has ended.
func (f *Fabric) Cut(from, to []string) *Fault { return f.Impair(from, to, Link{Cut: true}) }

// Hold keeps packets that arrive until the fault ends, when they arrive in the order they were due.
func (f *Fabric) Hold(from, to []string) *Fault { return f.Impair(from, to, Link{Hold: true}) }

// Refuse makes dials fail with vnet.ErrRefused, as if nobody listened.
func (f *Fabric) Refuse(from, to []string) *Fault { return f.Impair(from, to, Link{Refuse: true}) }

// ExtraLatency delays packets further.
func (f *Fabric) ExtraLatency(from, to []string, d Distribution) *Fault {
	return f.Impair(from, to, Link{Latency: d})
}

// ExtraLoss loses further packets: ppm in a million.
func (f *Fabric) ExtraLoss(from, to []string, ppm uint32) *Fault {
	return f.Impair(from, to, Link{Loss: ppm})
}

// Reset breaks all streams between two hosts at both ends with vnet.ErrReset and returns what that did. A KCP stream
// knows no reset: its ends notice nothing until they time out.
func (f *Fabric) Reset(a, b string) Effects {
	var effects Effects
	from, to := f.names[a], f.names[b]
	if from == nil || to == nil || from.host == nil {
		return effects
	}
	for _, c := range slices.Clone(from.host.conns) {
		if c.out.link.to == to && !c.dead {
			c.broken(&effects)
		}
	}
	return effects
}

func (f *Fabric) update() { f.each((*link).update) }

// each visits the links in the order of their hosts.
func (f *Fabric) each(visit func(*link)) {
	for _, s := range f.sites {
		for _, l := range s.links {
			if l != nil {
				visit(l)
			}
		}
	}
}
