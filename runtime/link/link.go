// Package link is the protocol between two nodes of a cluster, as a state machine without a goroutine, a clock or a
// socket: bytes and times go in, events and bytes come out. So the same code runs over the real and the virtual network.
//
// A stream begins, in each direction, with the 8 bytes of [Magic] and a hello. The dialler's comes first; the other side
// answers a good one. After it follow frames: a length in 4 bytes, big-endian, and a body, which is a MessagePack array
// of a type and its fields.
//
// # Guarantees
//
//   - Events arrive in the order they were sent in, each once, until the stream fails.
//   - How the stream is cut into pieces does not matter, neither to the events nor to an error.
//   - After the first error a link stays failed and returns that error; events before it are valid. A stream that is not
//     from a node fails at its first wrong byte.
//   - A link never holds more than one incomplete frame, and never makes memory for a frame that is longer than allowed.
package link

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"time"

	"skynet/runtime/wire"
	"skynet/sched"
)

// Magic is what a stream begins with.
const Magic = "skynet\r\n"

// Version is the version of the protocol. Nodes of different versions refuse each other.
const Version = 2

// The defaults of [Config], and the limits of names.
const (
	DefaultHeartbeat = time.Second
	DefaultSilence   = 3 * time.Second
	DefaultMaxFrame  = wire.MaxSize + 64<<10 // the largest message and room for its envelope

	MaxName  = 255 // bytes of the name of a node, a service, a command or a kind of failure
	maxHello = 1 << 10
	header   = 4
)

// Config configures a link. Self must be set; a zero duration or size means its default.
type Config struct {
	Self        string // this node's name
	Incarnation uint64 // tells this run of the node from its earlier runs
	Peer        string // the name the peer must have; empty allows any
	Dialer      bool   // this side opened the stream, and says hello first

	Heartbeat time.Duration // a ping is sent this often
	Silence   time.Duration // a peer not heard of for this long is lost; several heartbeats
	MaxFrame  int           // bytes of the longest body, in both directions
}

// Link is one side of a stream between two nodes. It is not safe for concurrent use.
type Link struct {
	config  Config
	greeted bool // our hello is in out, or was
	met     bool // the peer's hello has arrived
	magic   int  // bytes of the peer's magic seen
	peer    string

	heard  sched.Time // when bytes arrived last
	pinged sched.Time

	in     []byte // an incomplete frame, behind used
	used   int    // bytes of in that earlier events still refer to
	out    []byte
	taken  []byte // what Output returned last; its memory is used again
	events []Event
	err    error
}

// New returns a link for a stream that is open as of now.
func New(config Config, now sched.Time) *Link {
	config.Heartbeat = cmp.Or(config.Heartbeat, DefaultHeartbeat)
	config.Silence = cmp.Or(config.Silence, DefaultSilence)
	config.MaxFrame = cmp.Or(config.MaxFrame, DefaultMaxFrame)
	l := &Link{config: config, heard: now, pinged: now}
	if config.Dialer {
		l.greet()
	}
	return l
}

func (l *Link) greet() {
	l.greeted = true
	l.out = append(l.out, Magic...)
	l.out = Append(l.out, Hello{Version: Version, Node: l.config.Self, Incarnation: l.config.Incarnation})
}

// Input takes bytes of the stream, cut anywhere. The events, and the payloads in them, are only valid until the next
// Input, and only while p is. After an error the stream must be broken off.
func (l *Link) Input(now sched.Time, p []byte) ([]Event, error) {
	if l.err != nil {
		return nil, l.err
	}
	l.heard = now
	l.events = l.events[:0]
	p, l.err = l.readMagic(p)
	if l.err != nil {
		return nil, l.err
	}
	if pending := l.in[l.used:]; len(pending) > 0 {
		if l.used > 0 {
			l.in = l.in[:copy(l.in, pending)]
		}
		l.in = append(l.in, p...)
		l.used = l.frames(l.in)
	} else {
		done := l.frames(p) // most frames arrive whole and are never copied
		l.in, l.used = append(reuse(l.in), p[done:]...), 0
	}
	return l.events, l.err
}

func (l *Link) readMagic(p []byte) ([]byte, error) {
	for len(p) > 0 && l.magic < len(Magic) {
		if p[0] != Magic[l.magic] {
			return nil, fmt.Errorf("link: byte %d of the stream is %q, want %q: the peer is not a skynet node",
				l.magic, p[0], Magic[l.magic])
		}
		p = p[1:]
		l.magic++
	}
	return p, nil
}

// frames handles the complete frames at the beginning of p and returns their length.
func (l *Link) frames(p []byte) (done int) {
	for l.err == nil && len(p)-done >= header {
		size := binary.BigEndian.Uint32(p[done:])
		if l.err = l.checkSize(uint64(size)); l.err != nil {
			break
		}
		end := done + header + int(size)
		if end > len(p) {
			break
		}
		l.err = l.body(p[done+header : end])
		done = end
	}
	return done
}

func (l *Link) checkSize(size uint64) error {
	switch {
	case size == 0:
		return fmt.Errorf("link: empty frame")
	case !l.met && size > maxHello:
		return fmt.Errorf("link: hello of %d bytes, want at most %d", size, maxHello)
	case size > uint64(l.config.MaxFrame):
		return fmt.Errorf("link: frame of %d bytes, want at most %d", size, l.config.MaxFrame)
	}
	return nil
}

func (l *Link) body(p []byte) error {
	e, err := parse(p)
	if err != nil {
		return err
	}
	hello, isHello := e.(Hello)
	switch {
	case isHello && l.met:
		return fmt.Errorf("link: second hello from %q", l.peer)
	case !isHello && !l.met:
		return fmt.Errorf("link: %s before hello", e.kind())
	case isHello:
		if err := l.meet(hello); err != nil {
			return err
		}
	case e == ping{}:
		return nil
	}
	l.events = append(l.events, e)
	return nil
}

func (l *Link) meet(h Hello) error {
	switch {
	case h.Node == l.config.Self:
		return fmt.Errorf("link: the peer has this node's own name %q", h.Node)
	case l.config.Peer != "" && h.Node != l.config.Peer:
		return fmt.Errorf("link: the peer is node %q, want %q", h.Node, l.config.Peer)
	}
	l.met, l.peer = true, h.Node
	if !l.greeted {
		l.greet()
	}
	return nil
}

// Send queues an event for the peer. An event that exceeds a limit is refused with an error and the link lives on. A side
// that did not dial can send only after it got the peer's [Hello].
func (l *Link) Send(e Event) error {
	switch {
	case l.err != nil:
		return l.err
	case e.kind() == Hello{}.kind():
		return fmt.Errorf("link: send hello: New has said it")
	case !l.greeted:
		return fmt.Errorf("link: send %s before hello", e.kind())
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("link: send %s: %w", e.kind(), err)
	}
	start := len(l.out)
	l.out = Append(l.out, e)
	if size := len(l.out) - start - header; size > l.config.MaxFrame {
		l.out = l.out[:start]
		return fmt.Errorf("link: send %s: frame of %d bytes, want at most %d", e.kind(), size, l.config.MaxFrame)
	}
	return nil
}

// Output returns the bytes to write to the stream, and forgets them. They are valid until the next Output.
func (l *Link) Output() []byte {
	out := l.out
	l.out, l.taken = reuse(l.taken), out
	return out
}

// reuse returns the empty buffer in b's memory, unless that is so large that a link should not hold on to it.
func reuse(b []byte) []byte {
	if cap(b) > 1<<20 {
		return nil
	}
	return b[:0]
}

// Tick does what is due at now: it sends a ping, or fails because the peer was silent for too long. It must be called every
// Heartbeat or more often.
func (l *Link) Tick(now sched.Time) error {
	if l.err != nil {
		return l.err
	}
	if silent := now.Sub(l.heard); silent >= l.config.Silence {
		l.err = fmt.Errorf("link: nothing heard from %s for %v, want something every %v", l.who(), silent, l.config.Heartbeat)
		return l.err
	}
	if l.greeted && now.Sub(l.pinged) >= l.config.Heartbeat {
		l.out = Append(l.out, ping{})
		l.pinged = now
	}
	return nil
}

func (l *Link) who() string {
	if name := cmp.Or(l.peer, l.config.Peer); name != "" {
		return fmt.Sprintf("node %q", name)
	}
	return "the peer"
}

// End tells the link that the peer sends nothing more. It fails if that is in the middle of a frame, or before hello.
func (l *Link) End() error {
	switch pending := len(l.in) - l.used; {
	case l.err != nil:
	case pending > 0:
		l.err = fmt.Errorf("link: stream ends %d bytes into a frame", pending)
	case !l.met:
		l.err = fmt.Errorf("link: stream ends before hello")
	}
	return l.err
}
