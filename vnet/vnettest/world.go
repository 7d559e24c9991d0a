// Package vnettest holds every network to the promises of package vnet: one body of tests for the real network and the
// virtual one.
package vnettest

import (
	"sync"
	"testing"
	"time"

	"skynet/vnet"
)

// World is two nodes of a network under test.
type World struct {
	Protocol       string // of the streams
	Server, Client vnet.Network
	Address        string // where the server can listen, with port 0
	// Run makes progress until stop is true, or reports false when nothing more will happen. nil is a world that runs
	// by itself, in real time.
	Run func(stop func() bool) bool
	// Silent is a protocol without handshake, end and reset (KCP): the tests of those are not run.
	Silent bool

	mu      sync.Mutex
	changed chan struct{}
}

// deadline is far above what any test needs; only a failing test waits for it.
const deadline = 30 * time.Second

// wait makes progress until cond, which is called with the world's lock held.
func (w *World) wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	locked := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return cond()
	}
	if w.Run != nil {
		if !w.Run(locked) {
			t.Fatalf("%s: nothing more happens", what)
		}
		return
	}
	late := time.NewTimer(deadline)
	defer late.Stop()
	for !locked() {
		select {
		case <-w.changed:
		case <-late.C:
			t.Fatalf("%s: not within %v", what, deadline)
		}
	}
}

// peer is a handler that records what it is told and checks its order.
type peer struct {
	w       *World
	conn    vnet.Conn
	onData  func(c vnet.Conn, p []byte)
	onEOF   func(c vnet.Conn)
	onOpen  func(c vnet.Conn)
	dialled bool

	// Guarded by w.mu.
	data     []byte
	received int
	keep     bool // data is kept
	opened   int
	eof      int
	writable int
	closed   int
	reason   error
	wrong    []string // violations of the order of events
}

var _ vnet.Handler = (*peer)(nil)

func (p *peer) record(event string, f func()) {
	p.w.mu.Lock()
	switch {
	case p.closed > 0:
		p.wrong = append(p.wrong, event+" after Closed")
	case p.dialled && p.opened == 0 && event != "Opened" && event != "Closed":
		p.wrong = append(p.wrong, event+" before Opened")
	case p.eof > 0 && event == "Data":
		p.wrong = append(p.wrong, "Data after EOF")
	}
	f()
	p.w.mu.Unlock()
	select {
	case p.w.changed <- struct{}{}:
	default:
	}
}

// Opened implements [vnet.Handler].
func (p *peer) Opened(c vnet.Conn) {
	p.record("Opened", func() { p.opened++ })
	if p.onOpen != nil {
		p.onOpen(c)
	}
}

// Data implements [vnet.Handler].
func (p *peer) Data(c vnet.Conn, b []byte) {
	p.record("Data", func() {
		p.received += len(b)
		if p.keep {
			p.data = append(p.data, b...)
		}
	})
	if p.onData != nil {
		p.onData(c, b)
	}
}

// EOF implements [vnet.Handler].
func (p *peer) EOF(c vnet.Conn) {
	p.record("EOF", func() { p.eof++ })
	if p.onEOF != nil {
		p.onEOF(c)
	}
}

// Writable implements [vnet.Handler].
func (p *peer) Writable(vnet.Conn) { p.record("Writable", func() { p.writable++ }) }

// Closed implements [vnet.Handler].
func (p *peer) Closed(_ vnet.Conn, reason error) {
	p.record("Closed", func() {
		p.closed++
		p.reason = reason
	})
}

// bench is a listening server and what it has accepted.
type bench struct {
	*World
	t        *testing.T
	address  string
	listener vnet.Listener
	accepted []*peer // guarded by mu
	dialled  []*peer
}

// listen starts a server whose streams are set up by prepare.
func (w *World) listen(t *testing.T, prepare func(p *peer)) *bench {
	t.Helper()
	b := &bench{World: w, t: t}
	l, err := w.Server.Listen(w.Protocol, w.Address, func(c vnet.Conn) vnet.Handler {
		p := &peer{w: w, conn: c, keep: true}
		prepare(p)
		w.mu.Lock()
		defer w.mu.Unlock()
		b.accepted = append(b.accepted, p)
		return p
	})
	if err != nil {
		t.Fatal(err)
	}
	b.listener, b.address = l, l.Addr()
	return b
}

func (b *bench) dial(prepare func(p *peer)) *peer {
	b.t.Helper()
	p := &peer{w: b.World, keep: true, dialled: true}
	if prepare != nil {
		prepare(p)
	}
	c, err := b.Client.Dial(b.Protocol, b.address, p)
	if err != nil {
		b.t.Fatal(err)
	}
	p.conn = c
	b.dialled = append(b.dialled, p)
	return p
}

// pair connects one stream; hello gets a silent protocol's stream accepted.
func (b *bench) pair() (client, server *peer) {
	b.t.Helper()
	client = b.dial(nil)
	write(b.t, client.conn, "hello")
	b.wait(b.t, "connect", func() bool { return len(b.accepted) == 1 && b.accepted[0].received == 5 })
	return client, b.accepted[0]
}

// orderly checks what every test must leave behind.
func (b *bench) orderly() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range append(b.accepted, b.dialled...) {
		for _, wrong := range p.wrong {
			b.t.Errorf("order of events: got %s", wrong)
		}
		if p.closed > 1 {
			b.t.Errorf("got %d Closed, want 1", p.closed)
		}
	}
}

func write(t *testing.T, c vnet.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}
