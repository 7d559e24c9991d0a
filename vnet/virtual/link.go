package virtual

import (
	"slices"
	"time"

	"skynet/sched"
	"skynet/sched/trace"
)

// Link is how packets fare in one direction between two hosts. The zero value adds no trouble. Chances are in parts per
// million.
type Link struct {
	Latency   Distribution
	Loss      uint32 // of each packet; a stream sends again, which costs time; 1,000,000 is a cut
	Duplicate uint32 // of each datagram, which then arrives twice
	Reorder   uint32 // of each datagram, which is then delayed so that later ones may overtake it
	Bandwidth int64  // bytes per second; 0 is unlimited
	Cut       bool   // packets vanish
	Hold      bool   // packets that arrive are kept until the fault ends
	Refuse    bool   // dials are refused
}

// Effects counts what a fault did.
type Effects struct {
	Dropped    uint64 // packets lost, those sent again each time
	Held       uint64 // packets kept
	Delayed    uint64 // packets given extra latency
	Duplicated uint64 // datagrams sent twice
	Reordered  uint64 // datagrams overtaken
	Refused    uint64 // dials refused
	TimedOut   uint64 // streams that gave up because of it
	Reset      uint64 // streams broken
	BytesLost  uint64 // bytes that were accepted by Write and will never be read
}

// Any reports whether there was any effect.
func (e Effects) Any() bool { return e != Effects{} }

// Fault is trouble on some links: a handle to see what it did and to end it.
type Fault struct {
	fabric   *Fabric
	from, to []string // nil is every host
	link     Link
	over     bool
	effects  Effects
}

// Effects returns what the fault has done so far; after End, packets it had lost may still time out streams.
func (f *Fault) Effects() Effects { return f.effects }

// End removes the fault: a cut heals, a hold releases. It is idempotent.
func (f *Fault) End() {
	if f.over {
		return
	}
	f.over = true
	faults := f.fabric.faults
	f.fabric.faults = slices.Delete(faults, slices.Index(faults, f), slices.Index(faults, f)+1)
	f.fabric.update()
}

func (f *Fault) touches(from, to string) bool {
	return (f.from == nil || slices.Contains(f.from, from)) && (f.to == nil || slices.Contains(f.to, to))
}

// link is one direction between two sites.
type link struct {
	fabric   *Fabric
	id       uint64
	from, to *site
	rand     *sched.Stream
	base     *Fault   // its own configuration
	layers   []*Fault // base and the active faults that touch it; none on a loopback
	cut      *Fault   // the first layer with each switch, or nil
	hold     *Fault
	refuse   *Fault
	narrow   int64      // the smallest bandwidth, 0 for unlimited
	free     sched.Time // when the last packet has left
	number   uint64     // of the last packet sent
	newest   uint64     // highest number of a datagram delivered
	pipes    []*pipe    // with held segments
	packets  []*packet  // held
}

// update finds what troubles the link now and lets go what is held no more.
func (l *link) update() {
	l.layers, l.cut, l.hold, l.refuse, l.narrow = l.layers[:0], nil, nil, nil, 0
	if l.from == l.to {
		return
	}
	l.add(l.base)
	for _, f := range l.fabric.faults {
		if f.touches(l.from.name, l.to.name) {
			l.add(f)
		}
	}
	if l.hold == nil {
		l.release()
	}
}

func (l *link) add(f *Fault) {
	l.layers = append(l.layers, f)
	first := func(p **Fault, on bool) {
		if on && *p == nil {
			*p = f
		}
	}
	first(&l.cut, f.link.Cut || f.link.Loss >= certain)
	first(&l.hold, f.link.Hold)
	first(&l.refuse, f.link.Refuse)
	if b := f.link.Bandwidth; b > 0 && (l.narrow == 0 || b < l.narrow) {
		l.narrow = b
	}
}

// certain is a loss that lets nothing through, and so is a cut.
const certain = 1_000_000

func (l *link) release() {
	pipes, packets := l.pipes, l.packets
	l.pipes, l.packets = nil, nil
	for _, p := range pipes {
		p.release()
	}
	now := l.fabric.timeline.Now()
	for i, p := range packets {
		p.schedule(now + sched.Time(i)) // a nanosecond apart, so that they arrive in the order they were due
	}
}

// send gives a packet its number and decides when it will arrive; lost is the fault that made it vanish.
func (l *link) send(size int) (number uint64, due sched.Time, lost *Fault) {
	l.number++
	now := l.fabric.timeline.Now()
	l.note(now, trace.Send, size, l.number)
	if l.from == l.to {
		return l.number, now.Add(loopback), nil
	}
	if lost = l.loses(); lost != nil {
		l.drop(lost, size, l.number)
		return l.number, 0, lost
	}
	if l.narrow > 0 {
		l.free = max(now, l.free) + sched.Time(transmission(size, l.narrow))
		now = l.free
	}
	return l.number, now.Add(l.latency()), nil
}

// loses decides which layer, if any, loses a packet that leaves now.
func (l *link) loses() *Fault {
	if l.cut != nil {
		return l.cut
	}
	for _, f := range l.layers {
		if f.link.Loss > 0 && l.rand.Chance(f.link.Loss) {
			return f
		}
	}
	return nil
}

func (l *link) latency() time.Duration {
	delay := l.base.link.Latency.Draw(l.rand)
	for _, f := range l.layers[1:] {
		if extra := f.link.Latency.Draw(l.rand); extra > 0 {
			f.effects.Delayed++
			delay += extra
		}
	}
	return delay
}

// transmission is how long size bytes take at a bandwidth in bytes per second.
func transmission(size int, bandwidth int64) time.Duration {
	whole, rest := int64(size)/bandwidth, int64(size)%bandwidth
	return time.Duration(whole)*time.Second + time.Duration(rest*int64(time.Millisecond)/bandwidth*1000)
}

// blocks is the fault that keeps packets of this link from arriving now, or nil.
func (l *link) blocks() *Fault {
	if l.cut != nil {
		return l.cut
	}
	return l.hold
}

// drop counts a packet as lost to by, which is nil for one that no fault lost.
func (l *link) drop(by *Fault, size int, number uint64) {
	if by != nil {
		by.effects.Dropped++
	}
	l.note(l.fabric.timeline.Now(), trace.Drop, size, number)
}

// note tells the trace and the observer. Deliveries are folded into the trace by the timeline.
func (l *link) note(now sched.Time, kind trace.Kind, size int, number uint64) {
	if kind != trace.Deliver {
		l.fabric.trace.Add(int64(now), kind, l.from.index, l.id, number)
	}
	if l.fabric.options.Observer != nil {
		l.fabric.options.Observer(Packet{At: now, Kind: kind, From: l.from.index, To: l.to.index, Size: size, ID: number})
	}
}
