package vnettest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"skynet/vnet"
)

// Run tests the streams of a network; open makes a fresh world, whose networks Run closes.
func Run(t *testing.T, open func(t *testing.T) *World) {
	tests := []struct {
		name string
		loud bool // needs a handshake, an end or a reset
		test func(t *testing.T, w *World)
	}{
		{"echo", false, echo},
		{"bad addresses", false, badAddresses},
		{"large transfers both ways", false, largeTransfers},
		{"many connections", false, manyConnections},
		{"back-pressure", false, backPressure},
		{"pause and resume", false, pauseResume},
		{"write before opened", false, writeBeforeOpened},
		{"closed listener", false, closedListener},
		{"write after close", false, writeAfterClose},
		{"ids", false, uniqueIDs},
		{"refused", true, refusedDial},
		{"accept refuses", true, acceptRefuses},
		{"end and half-close", true, halfClose},
		{"close delivers", true, closeDelivers},
		{"close delivers while the peer writes", true, closeWhilePeerWrites},
		{"abort", true, abort},
		{"close of the network", false, closeNetwork},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			w := open(t)
			w.changed = make(chan struct{}, 1)
			defer w.Server.Close()
			defer w.Client.Close()
			if tc.loud && w.Silent {
				return
			}
			tc.test(t, w)
		})
	}
}

func echoing(p *peer) {
	p.onData = func(c vnet.Conn, b []byte) { c.Write(b) }
	p.onEOF = func(c vnet.Conn) { c.Close() }
}

func quiet(*peer) {}

func echo(t *testing.T, w *World) {
	b := w.listen(t, echoing)
	defer b.orderly()
	p := b.dial(func(p *peer) { p.onOpen = func(c vnet.Conn) { c.Write([]byte("hello")) } })
	w.wait(t, "echo", func() bool { return string(p.data) == "hello" })
	w.wait(t, "opened", func() bool { return p.opened == 1 })
	if got := p.conn.RemoteAddr(); got != b.address {
		t.Errorf("remote address: got %s, want %s", got, b.address)
	}
	if got, want := b.accepted[0].conn.RemoteAddr(), p.conn.LocalAddr(); !w.Silent && got != want {
		t.Errorf("the server's remote address: got %s, want the client's local one, %s", got, want)
	}
	p.conn.Close()
	w.wait(t, "closed", func() bool { return p.closed == 1 })
	if p.reason != nil {
		t.Errorf("closed: got %v, want nil", p.reason)
	}
	if !w.Silent {
		w.wait(t, "server closed", func() bool { return b.accepted[0].closed == 1 })
	}
}

func badAddresses(t *testing.T, w *World) {
	for _, address := range []string{"", "nowhere", "a:b", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:0", ":::1"} {
		if _, err := w.Client.Dial(w.Protocol, address, &peer{w: w}); !errors.Is(err, vnet.ErrAddress) {
			t.Errorf("dial %q: got %v, want %v", address, err, vnet.ErrAddress)
		}
	}
	if _, err := w.Client.Dial("tcpx", "127.0.0.1:1", &peer{w: w}); !errors.Is(err, vnet.ErrAddress) {
		t.Errorf("dial tcpx: got %v, want %v", err, vnet.ErrAddress)
	}
	if _, err := w.Server.Listen("tcpx", w.Address, nil); !errors.Is(err, vnet.ErrAddress) {
		t.Errorf("listen tcpx: got %v, want %v", err, vnet.ErrAddress)
	}
	b := w.listen(t, quiet)
	if _, err := w.Server.Listen(w.Protocol, b.address, nil); err == nil {
		t.Errorf("listen twice at %s: got no error", b.address)
	}
}

// pattern is n bytes in which no two neighbourhoods are alike.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i) ^ byte(i>>8)*7 ^ byte(i>>16)*13
	}
	return p
}

func largeTransfers(t *testing.T, w *World) {
	const size = 3 << 20
	want := pattern(size)
	send := func(c vnet.Conn) {
		for i := 0; i < size; {
			n := min(1+i%70_000, size-i)
			c.Write(want[i : i+n])
			i += n
		}
	}
	b := w.listen(t, func(p *peer) { send(p.conn) })
	defer b.orderly()
	p := b.dial(func(p *peer) { p.onOpen = send })
	w.wait(t, "transfers", func() bool {
		return len(b.accepted) == 1 && b.accepted[0].received >= size && p.received >= size
	})
	if !bytes.Equal(p.data, want) || !bytes.Equal(b.accepted[0].data, want) {
		t.Errorf("the bytes received are not those sent")
	}
}

func manyConnections(t *testing.T, w *World) {
	const count = 100
	b := w.listen(t, echoing)
	defer b.orderly()
	for i := range count {
		b.dial(func(p *peer) { p.onOpen = func(c vnet.Conn) { fmt.Fprintf(writer{c}, "stream %d", i) } })
	}
	w.wait(t, "echoes", func() bool {
		for i, p := range b.dialled {
			if p.received < len(fmt.Sprintf("stream %d", i)) {
				return false
			}
		}
		return true
	})
	for i, p := range b.dialled {
		if want := fmt.Sprintf("stream %d", i); string(p.data) != want {
			t.Errorf("stream %d: got %q, want %q", i, p.data, want)
		}
		p.conn.Close()
	}
	w.wait(t, "all closed", func() bool {
		for _, p := range b.dialled {
			if p.closed == 0 {
				return false
			}
		}
		return true
	})
}

type writer struct{ c vnet.Conn }

func (w writer) Write(p []byte) (int, error) {
	_, err := w.c.Write(p)
	return len(p), err
}

func backPressure(t *testing.T, w *World) {
	b := w.listen(t, quiet)
	defer b.orderly()
	client, server := b.pair()
	server.conn.Pause()
	chunk := pattern(64 << 10)
	sent, full := len("hello"), false
	for limit := 64 << 20; !full && sent < limit; sent += len(chunk) {
		var err error
		if full, err = client.conn.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if !full {
		t.Fatalf("wrote %d bytes to a paused peer: got never full", sent)
	}
	server.conn.Resume()
	w.wait(t, "writable", func() bool { return client.writable == 1 })
	w.wait(t, "all arrived", func() bool { return server.received == sent })
	if full, err := client.conn.Write(chunk); full || err != nil {
		t.Errorf("write after Writable: got full %v, error %v", full, err)
	}
}

func pauseResume(t *testing.T, w *World) {
	b := w.listen(t, quiet)
	defer b.orderly()
	client, server := b.pair()
	other := b.dial(func(p *peer) { p.onOpen = func(c vnet.Conn) { c.Write([]byte("x")) } })
	w.wait(t, "second stream", func() bool { return len(b.accepted) == 2 && b.accepted[1].received == 1 })

	server.conn.Pause()
	write(t, client.conn, "while paused")
	for i := 2; i < 8; i++ { // round trips of a second stream stand for time
		write(t, other.conn, "x")
		w.wait(t, "second stream", func() bool { return b.accepted[1].received == i })
	}
	w.wait(t, "first stream", func() bool { return true })
	if string(server.data) != "hello" {
		t.Errorf("while paused: got %q, want %q", server.data, "hello")
	}
	server.conn.Resume()
	w.wait(t, "resumed", func() bool { return string(server.data) == "hellowhile paused" })
}

func writeBeforeOpened(t *testing.T, w *World) {
	b := w.listen(t, quiet)
	defer b.orderly()
	p := b.dial(func(p *peer) { p.onOpen = func(c vnet.Conn) { c.Write([]byte("second")) } })
	if w.Run != nil { // elsewhere Opened may come first
		write(t, p.conn, "first")
		w.wait(t, "both", func() bool { return len(b.accepted) == 1 && string(b.accepted[0].data) == "firstsecond" })
		return
	}
	write(t, p.conn, "first")
	w.wait(t, "both", func() bool { return len(b.accepted) == 1 && b.accepted[0].received == 11 })
}

func closedListener(t *testing.T, w *World) {
	b := w.listen(t, echoing)
	defer b.orderly()
	client, _ := b.pair()
	w.wait(t, "echo", func() bool { return client.received == 5 })
	for range 2 {
		if err := b.listener.Close(); err != nil {
			t.Errorf("close listener: got %v", err)
		}
	}
	write(t, client.conn, "still there")
	w.wait(t, "echo", func() bool { return string(client.data) == "hellostill there" })
}

func writeAfterClose(t *testing.T, w *World) {
	b := w.listen(t, echoing)
	defer b.orderly()
	client, _ := b.pair()
	client.conn.Close()
	client.conn.Close()
	if _, err := client.conn.Write([]byte("x")); !errors.Is(err, vnet.ErrClosed) {
		t.Errorf("write after Close: got %v, want %v", err, vnet.ErrClosed)
	}
	w.wait(t, "closed", func() bool { return client.closed == 1 })
	client.conn.Abort()
	client.conn.Pause()
	client.conn.Resume()
	if _, err := client.conn.Write([]byte("x")); !errors.Is(err, vnet.ErrClosed) {
		t.Errorf("write after Closed: got %v, want %v", err, vnet.ErrClosed)
	}
}

func uniqueIDs(t *testing.T, w *World) {
	b := w.listen(t, quiet)
	defer b.orderly()
	seen := make(map[uint64]bool)
	for range 20 {
		p := b.dial(nil)
		if seen[p.conn.ID()] {
			t.Errorf("id %d: got it twice", p.conn.ID())
		}
		seen[p.conn.ID()] = true
		p.conn.Abort()
	}
	w.wait(t, "aborted", func() bool {
		for _, p := range b.dialled {
			if p.closed == 0 {
				return false
			}
		}
		return true
	})
}

func refusedDial(t *testing.T, w *World) {
	b := w.listen(t, quiet)
	defer b.orderly()
	b.listener.Close()
	p := b.dial(nil)
	w.wait(t, "refused", func() bool { return p.closed == 1 })
	if !errors.Is(p.reason, vnet.ErrRefused) || p.opened != 0 {
		t.Errorf("got reason %v, opened %d; want %v, 0", p.reason, p.opened, vnet.ErrRefused)
	}
}

func acceptRefuses(t *testing.T, w *World) {
	l, err := w.Server.Listen(w.Protocol, w.Address, func(vnet.Conn) vnet.Handler { return nil })
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{World: w, t: t, address: l.Addr()}
	defer b.orderly()
	p := b.dial(nil)
	p.onEOF = func(c vnet.Conn) { c.Close() }
	w.wait(t, "closed", func() bool { return p.closed == 1 })
	if p.reason == nil {
		t.Errorf("closed: got nil, want a reason")
	}
}

// halfClose: after the peer's end this side can still write, and the bytes arrive.
func halfClose(t *testing.T, w *World) {
	answer := pattern(200_000)
	b := w.listen(t, func(p *peer) {
		p.onEOF = func(c vnet.Conn) {
			c.Write(answer)
			c.Close()
		}
	})
	defer b.orderly()
	client, server := b.pair()
	client.conn.Close()
	w.wait(t, "server closed", func() bool { return server.closed == 1 })
	if server.eof != 1 || string(server.data) != "hello" {
		t.Errorf("server: got %d EOF after %q, want 1 after hello", server.eof, server.data)
	}
	w.wait(t, "client closed", func() bool { return client.closed == 1 })
	if client.reason != nil {
		t.Errorf("client closed: got %v, want nil", client.reason)
	}
}

func closeDelivers(t *testing.T, w *World) {
	b := w.listen(t, echoing)
	defer b.orderly()
	want := pattern(2 << 20)
	p := b.dial(nil)
	if _, err := p.conn.Write(want); err != nil {
		t.Fatal(err)
	}
	p.conn.Close()
	w.wait(t, "closed", func() bool { return p.closed == 1 && len(b.accepted) == 1 && b.accepted[0].eof == 1 })
	if p.reason != nil || !bytes.Equal(b.accepted[0].data, want) {
		t.Errorf("got reason %v and %d bytes; want nil and the %d bytes sent",
			p.reason, len(b.accepted[0].data), len(want))
	}
}

// closeWhilePeerWrites: what the peer sends meanwhile must not destroy what was sent before Close.
func closeWhilePeerWrites(t *testing.T, w *World) {
	b := w.listen(t, func(p *peer) {
		p.onData = func(c vnet.Conn, _ []byte) { c.Write([]byte("more and more")) }
		p.onEOF = func(c vnet.Conn) { c.Close() }
	})
	defer b.orderly()
	want := pattern(300_000)
	p := b.dial(nil)
	for i := 0; i < len(want); i += 1000 {
		if _, err := p.conn.Write(want[i : i+1000]); err != nil {
			t.Fatal(err)
		}
	}
	p.conn.Close()
	w.wait(t, "end", func() bool { return len(b.accepted) == 1 && b.accepted[0].closed == 1 })
	if got := b.accepted[0]; got.reason != nil || !bytes.Equal(got.data, want) {
		t.Errorf("server: got reason %v and %d bytes; want nil and the %d bytes sent",
			got.reason, len(got.data), len(want))
	}
}

func abort(t *testing.T, w *World) {
	b := w.listen(t, quiet)
	defer b.orderly()
	client, server := b.pair()
	client.conn.Abort()
	client.conn.Abort()
	w.wait(t, "aborted", func() bool { return client.closed == 1 && server.closed == 1 })
	if !errors.Is(client.reason, vnet.ErrClosed) {
		t.Errorf("this side: got %v, want %v", client.reason, vnet.ErrClosed)
	}
	if !errors.Is(server.reason, vnet.ErrReset) {
		t.Errorf("the peer: got %v, want %v", server.reason, vnet.ErrReset)
	}
}

func closeNetwork(t *testing.T, w *World) {
	b := w.listen(t, echoing)
	defer b.orderly()
	client, _ := b.pair()
	w.wait(t, "echo", func() bool { return client.received == 5 })
	for range 2 {
		if err := w.Client.Close(); err != nil {
			t.Errorf("close: got %v", err)
		}
	}
	w.mu.Lock()
	if client.closed != 1 {
		t.Errorf("after Close: got %d Closed, want 1", client.closed)
	}
	w.mu.Unlock()
	if _, err := w.Client.Dial(w.Protocol, b.address, client); !errors.Is(err, vnet.ErrClosed) {
		t.Errorf("dial after Close: got %v, want %v", err, vnet.ErrClosed)
	}
	if _, err := w.Client.Listen(w.Protocol, w.Address, nil); err == nil {
		t.Errorf("listen after Close: got no error")
	}
}
