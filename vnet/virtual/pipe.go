package virtual

import (
	"skynet/sched"
	"skynet/sched/trace"
	"skynet/vnet"
)

// kind is what a segment carries.
type kind uint8

const (
	data     kind = iota // size bytes of the buffer
	opening              // the request for a stream
	accepted             // the answers to it
	refused
	ending   // no more bytes will follow
	breaking // the stream is gone
)

// segment is one packet of a stream.
type segment struct {
	number uint64
	due    sched.Time
	size   int
	kind   kind
	parked bool // lost: sent again at the retransmission timeout
	held   bool // kept by a Hold
}

// pipe is one direction of a stream: bytes on their way from src to dst. At most one event is set for it at a time,
// because the bytes arrive in order whatever the latencies of their packets are.
type pipe struct {
	link     *link
	back     *pipe
	src, dst *conn

	buffer []byte // buffer[offset:] is, in order: ready, under way, unsent
	offset int
	ready  int // arrived, not read because the receiver is paused
	flight int
	unsent int

	segments []segment // segments[first:] are under way
	first    int
	latest   sched.Time // when the last segment is due: none overtakes another
	number   uint64     // of the last segment that arrived
	event    sched.Timer
	at       sched.Time // of event
	arrived  func()     // arrive and retry, bound once
	retried  func()

	stalled  bool   // something was lost and nothing got through since
	by       *Fault // that lost the last attempt, if a fault did
	since    sched.Time
	rto      sched.Time
	retrying bool // a retry is set
	unacked  bool // arrived, but the way back is blocked
	mute     bool // nothing is sent any more
	full     bool // Writable is owed
	noticing bool // and under way
	last     bool // ending was sent
	finished bool // ending has arrived
}

func newPipe(l *link, src, dst *conn) *pipe {
	p := &pipe{link: l, src: src, dst: dst}
	p.arrived, p.retried = p.arrive, p.retry
	return p
}

func (p *pipe) now() sched.Time   { return p.link.fabric.timeline.Now() }
func (p *pipe) options() *Options { return &p.link.fabric.options }

// silent reports that nothing is sent any more: the stream is broken or its sender's host has crashed.
func (p *pipe) silent() bool { return p.mute || p.src.host != nil && p.src.host.crashed }

// level is the sender's output buffer.
func (p *pipe) level() int { return p.flight + p.unsent }

func (p *pipe) write(b []byte) (full bool) {
	p.buffer = append(p.buffer, b...)
	p.unsent += len(b)
	if p.level() > vnet.HighWater {
		p.full = true
	}
	if p.src.open {
		p.pump()
	}
	return p.full
}

// pump sends what the receiver's window allows, cut at seeded places, and the end after it.
func (p *pipe) pump() {
	if p.silent() {
		return
	}
	for p.unsent > 0 {
		size := min(p.unsent, maxSegment, p.options().Window-p.flight-p.ready)
		if size <= 0 {
			return
		}
		if cut := p.link.rand.Uint64(); size > 1 && cut%8 == 0 {
			size = 1 + int(cut>>8%uint64(size-1))
		}
		p.unsent -= size
		p.flight += size
		p.push(data, size)
	}
	if p.src.closing && !p.last {
		p.last = true
		if p.src.protocol != vnet.KCP {
			p.push(ending, 0)
		}
		p.src.flushed()
	}
}

// push sends a segment.
func (p *pipe) push(k kind, size int) {
	p.segments = append(p.segments, segment{kind: k, size: size})
	p.transmit(&p.segments[len(p.segments)-1])
	p.arm()
}

// transmit sends a segment for the first time or again.
func (p *pipe) transmit(s *segment) {
	number, due, lost := p.link.send(s.size)
	s.number, s.parked = number, lost != nil
	if lost != nil {
		p.stall(lost)
		return
	}
	p.latest = max(p.latest, due)
	s.due = p.latest
}

// arm sets the event for the first segment, which may have come to be due earlier than the event that is set.
func (p *pipe) arm() {
	if p.first == len(p.segments) {
		return
	}
	s := &p.segments[p.first]
	if s.parked || s.held || p.event != nil && p.at <= s.due {
		return
	}
	if p.event != nil {
		p.event.Stop()
	}
	p.at = s.due
	what := sched.Action{Kind: trace.Deliver, Node: p.link.to.index, A: p.link.id, B: s.number}
	p.event = p.link.fabric.timeline.At(s.due, what, p.arrived)
}

// arrive brings the segments that are due to the receiver, in order, and all their bytes in one piece.
func (p *pipe) arrive() {
	p.event = nil
	for now := p.now(); p.first < len(p.segments); {
		s := p.segments[p.first]
		if s.parked || s.held || s.due > now {
			break
		}
		if p.stop(now) {
			break
		}
		p.first++
		p.number = s.number
		p.link.note(now, trace.Deliver, s.size, s.number)
		p.progress()
		p.take(s)
	}
	p.trim()
	p.flush()
	p.arm()
}

// trim gives back the room of segments that have arrived.
func (p *pipe) trim() {
	if p.first == len(p.segments) || p.first >= 64 && p.first > len(p.segments)/2 {
		p.segments = p.segments[:copy(p.segments, p.segments[p.first:])]
		p.first = 0
	}
}

// stop keeps all segments that are due from arriving, if something does.
func (p *pipe) stop(now sched.Time) bool {
	l := p.link
	down := l.to.host == nil
	if !down && l.cut == nil && l.hold == nil && !p.unheard() {
		return false
	}
	held := !down && l.cut == nil && l.hold != nil
	for i := p.first; i < len(p.segments) && p.segments[i].due <= now; i++ {
		s := &p.segments[i]
		switch {
		case s.parked || s.held:
		case held:
			p.hold(s)
		default:
			p.lose(s)
		}
	}
	if p.silent() && !held { // nobody will send again what a crashed host had sent: what comes after the gap is lost too
		p.clear()
	}
	return true
}

// unheard reports that the receiving end of a KCP stream is not there: the packet vanishes, as in UDP.
func (p *pipe) unheard() bool {
	if p.src.protocol != vnet.KCP {
		return false
	}
	if p.dst.handler == nil && !p.dst.dead && p.dst.admit(p.link.to.host) {
		p.back.pump()
	}
	return p.dst.dead || p.dst.handler == nil
}

func (p *pipe) hold(s *segment) {
	s.held = true
	p.link.hold.effects.Held++
	if n := len(p.link.pipes); n == 0 || p.link.pipes[n-1] != p {
		p.link.pipes = append(p.link.pipes, p)
	}
	p.stall(p.link.hold)
}

func (p *pipe) lose(s *segment) {
	s.parked = true
	by := p.link.cut
	if by == nil && p.link.to.host == nil {
		by = p.link.to.crash
	}
	p.link.drop(by, s.size, s.number)
	p.stall(by)
}

// release lets held segments arrive now.
func (p *pipe) release() {
	now := p.now()
	for i := p.first; i < len(p.segments); i++ {
		if s := &p.segments[i]; s.held {
			s.held, s.due = false, now
		}
	}
	p.latest = max(p.latest, now)
	p.arm()
}

// progress notes that a segment got through and, if the way back is free, that its sender knows.
func (p *pipe) progress() {
	if by := p.back.link.blocks(); by != nil {
		p.unacked = true
		p.stall(by)
		return
	}
	p.stalled = false
}

// take acts upon a segment that has arrived.
func (p *pipe) take(s segment) {
	c := p.dst
	switch s.kind {
	case data:
		p.flight -= s.size
		p.ready += s.size
		if c.dead {
			p.discard()
			p.answerDead()
		} else {
			c.heard = p.now()
		}
	case opening:
		p.knock()
	case accepted:
		if c.dead && !c.orderly {
			p.answerDead()
			return
		}
		c.opened()
	case refused:
		c.fail(vnet.ErrRefused)
	case ending:
		p.finished = true
		if c.dead && !c.orderly {
			p.answerDead()
		}
	case breaking:
		if c.host == nil { // the dialler gave up before its opening had got here
			c.dead = true
			return
		}
		c.fail(vnet.ErrReset)
	}
}

// knock asks the host for a listener.
func (p *pipe) knock() {
	if by := p.link.refuse; by != nil {
		by.effects.Refused++
		p.dst.dead = true
	} else if p.dst.admit(p.link.to.host) {
		if !p.dst.dead { // aborted by accept
			p.back.push(accepted, 0)
			p.back.pump()
		}
		return
	}
	p.dst.dead = true
	p.back.push(refused, 0)
}

// answerDead resets the sender, unless this side has closed in order and its end is still on its way to the sender.
func (p *pipe) answerDead() {
	if !p.dst.orderly || p.back.finished {
		p.back.reset()
	}
}

// flush gives the receiver what has arrived.
func (p *pipe) flush() {
	c := p.dst
	for p.ready > 0 && !c.paused && !c.dead && !c.closing {
		b := p.buffer[p.offset : p.offset+p.ready]
		p.offset += p.ready
		p.ready = 0
		c.handler.Data(c, b)
	}
	if c.dead || c.closing {
		p.discard()
	}
	p.compact()
	if p.finished && p.ready == 0 && !c.paused && !c.dead && !c.closing && !c.ended {
		c.ended = true
		c.handler.EOF(c)
	}
	if p.src.open {
		p.pump()
		p.notice()
	}
}

// compact gives back the room of bytes that were read.
func (p *pipe) compact() {
	const small = 64 << 10
	switch {
	case p.offset == len(p.buffer):
		p.offset = 0
		if p.buffer = p.buffer[:0]; cap(p.buffer) > small {
			p.buffer = nil
		}
	case p.offset > small && p.offset > len(p.buffer)/2:
		p.buffer = p.buffer[:copy(p.buffer, p.buffer[p.offset:])]
		p.offset = 0
	}
}

// discard throws away what has arrived and returns how many bytes that were.
func (p *pipe) discard() int {
	n := p.ready
	p.offset += n
	p.ready = 0
	return n
}

// notice tells the sender, by a packet on the way back, that its buffer is low.
func (p *pipe) notice() {
	if !p.full || p.noticing || p.src.dead || p.level() >= vnet.LowWater {
		return
	}
	number, due, lost := p.back.link.send(0)
	if lost != nil {
		p.unacked = true
		p.stall(lost)
		return
	}
	p.noticing = true
	p.src.host.after(due, trace.Deliver, p.back.link.id, number, func() {
		p.noticing = false
		if p.full && !p.src.dead && !p.src.closing {
			p.full = false
			p.src.handler.Writable(p.src)
		}
	})
}

// stall starts the retransmission timeout.
func (p *pipe) stall(by *Fault) {
	if !p.stalled {
		p.stalled, p.since, p.rto = true, p.now(), sched.Time(p.options().RTO)
	}
	p.by = by
	if !p.retrying && !p.silent() {
		p.retrying = true
		what := sched.Action{Kind: trace.Timer, Node: p.link.from.index, A: p.link.id, B: p.src.id}
		at := min(p.now()+p.rto, p.since.Add(p.options().StreamTimeout))
		p.link.fabric.timeline.At(at, what, p.retried)
	}
}

// retry sends again what was lost, or gives up.
func (p *pipe) retry() {
	p.retrying = false
	if p.silent() {
		return
	}
	if p.stalled && p.now() >= p.since.Add(p.options().StreamTimeout) {
		p.giveUp()
		return
	}
	p.rto = min(2*p.rto, sched.Time(maxRTO))
	if p.unacked && p.back.link.blocks() == nil && p.link.to.host != nil {
		p.unacked, p.stalled = false, false
		p.notice()
	}
	waiting := p.unacked
	for i := p.first; i < len(p.segments); i++ {
		if s := &p.segments[i]; s.parked {
			p.transmit(s)
		}
		waiting = waiting || p.segments[i].held
	}
	if waiting {
		p.stall(p.by)
	}
	p.arm()
}

func (p *pipe) giveUp() {
	if p.by != nil {
		p.by.effects.TimedOut++
	}
	p.clear()
	p.src.orderly = false // its end will never arrive
	p.src.fail(vnet.ErrTimeout)
}

// clear forgets everything under way and sends nothing more; it returns how many bytes are lost.
func (p *pipe) clear() int {
	lost := p.ready + p.flight + p.unsent
	p.mute, p.stalled, p.unacked = true, false, false
	p.buffer, p.offset, p.ready, p.flight, p.unsent = nil, 0, 0, 0, 0
	p.segments, p.first = nil, 0
	if p.event != nil {
		p.event.Stop()
		p.event = nil
	}
	return lost
}

// halt is what a crash of the sender leaves: what is under way arrives, nothing is sent again. It returns how many bytes
// are lost.
func (p *pipe) halt() int {
	lost := p.unsent
	p.mute, p.unsent = true, 0
	for i := p.first; i < len(p.segments); i++ {
		if !p.segments[i].parked {
			continue
		}
		for _, s := range p.segments[i:] {
			lost += s.size
			p.flight -= s.size
		}
		p.segments = p.segments[:i]
	}
	p.buffer = p.buffer[:p.offset+p.ready+p.flight]
	return lost
}

// reset breaks the stream: the receiver is told by one packet, which nobody sends again.
func (p *pipe) reset() {
	if p.src.protocol == vnet.KCP {
		p.clear()
		return
	}
	if p.first < len(p.segments) && p.segments[p.first].kind == breaking {
		return
	}
	p.clear()
	p.latest = 0
	p.push(breaking, 0)
	if p.segments[0].parked {
		p.segments, p.first = nil, 0
	}
}
