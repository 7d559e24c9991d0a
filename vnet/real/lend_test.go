package real_test

import (
	"testing"

	"skynet/vnet"
	"skynet/vnet/real"
)

// lender counts: how often it was asked, and how often its call came, each time after the handler had returned.
type lender struct {
	t             *testing.T
	conn          vnet.Conn
	inside        bool
	asked, worked int
	over          chan struct{}
}

func (l *lender) lend() func() {
	if l.asked++; l.asked%2 == 0 {
		return nil // nothing is called then
	}
	return l.work
}

// work answers and ends the stream, which would be too much to ask of a caller with a lock.
func (l *lender) work() {
	if l.inside {
		l.t.Error("called before the handler has returned")
	}
	l.worked++
	if l.conn != nil {
		l.conn.Write([]byte("done"))
		l.conn.Pause()
		l.conn.Resume()
		l.conn.Close()
	}
}

func (l *lender) Opened(vnet.Conn)        {}
func (l *lender) EOF(c vnet.Conn)         { c.Close() }
func (l *lender) Writable(vnet.Conn)      {}
func (l *lender) Closed(vnet.Conn, error) { close(l.over) }
func (l *lender) Data(c vnet.Conn, _ []byte) {
	l.inside = true
	l.conn = c
	l.inside = false
}

func (l *lender) Packet(vnet.PacketConn, string, []byte) {
	l.inside = true
	defer func() { l.inside = false }()
	if l.asked == 2 {
		close(l.over)
	}
}

// reader notes what came until the end.
type reader struct {
	got  []byte
	over chan struct{}
}

func (r *reader) Opened(c vnet.Conn)         { c.Write([]byte("hello")) }
func (r *reader) Data(_ vnet.Conn, p []byte) { r.got = append(r.got, p...) }
func (r *reader) EOF(c vnet.Conn)            { c.Close() }
func (r *reader) Writable(vnet.Conn)         {}
func (r *reader) Closed(vnet.Conn, error)    { close(r.over) }

// TestLendAfterData has the goroutine that reads a stream answer and close it once the handler has returned.
func TestLendAfterData(t *testing.T) {
	for _, protocol := range []string{vnet.TCP, vnet.KCP} {
		l := &lender{t: t, over: make(chan struct{})}
		server, client := real.New(real.Options{Lend: l.lend}), real.New(real.Options{})
		at, err := server.Listen(protocol, "127.0.0.1:0", func(vnet.Conn) vnet.Handler { return l })
		if err != nil {
			t.Fatal(err)
		}
		r := &reader{over: make(chan struct{})}
		c, err := client.Dial(protocol, at.Addr(), r)
		if err != nil {
			t.Fatal(err)
		}
		<-l.over
		if protocol == vnet.KCP { // which has no end
			c.Close()
		}
		<-r.over
		if protocol == vnet.TCP && string(r.got) != "done" {
			t.Errorf("%s: the peer got %q, want %q", protocol, r.got, "done")
		}
		client.Close()
		server.Close()
		if l.asked != 1 || l.worked != 1 {
			t.Errorf("%s: asked %d times and called %d times, want 1 and 1", protocol, l.asked, l.worked)
		}
	}
}

// TestLendAfterPacket has two datagrams arrive, for the second of which nothing is lent.
func TestLendAfterPacket(t *testing.T) {
	l := &lender{t: t, over: make(chan struct{})}
	n := real.New(real.Options{Lend: l.lend})
	c, err := n.ListenPacket(vnet.UDP, "127.0.0.1:0", l)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.WriteTo([]byte("x"), c.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	<-l.over
	n.Close()
	if l.asked != 2 || l.worked != 1 {
		t.Errorf("asked %d times and called %d times, want 2 and 1", l.asked, l.worked)
	}
}
