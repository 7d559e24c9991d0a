package vnettest

import (
	"errors"
	"fmt"
	"testing"

	"skynet/vnet"
)

// inbox records datagrams.
type inbox struct {
	w     *World
	reply bool
	got   []string // guarded by w.mu
	from  []string
}

// Packet implements [vnet.PacketHandler].
func (i *inbox) Packet(c vnet.PacketConn, from string, p []byte) {
	i.w.mu.Lock()
	i.got = append(i.got, string(p))
	i.from = append(i.from, from)
	i.w.mu.Unlock()
	if i.reply {
		c.WriteTo(p, from)
	}
	select {
	case i.w.changed <- struct{}{}:
	default:
	}
}

// RunPackets tests the datagrams of a network without trouble.
func RunPackets(t *testing.T, open func(t *testing.T) *World) {
	w := open(t)
	w.changed = make(chan struct{}, 1)
	defer w.Server.Close()
	defer w.Client.Close()
	server, client := &inbox{w: w, reply: true}, &inbox{w: w}
	at, err := w.Server.ListenPacket(vnet.UDP, w.Address, server)
	if err != nil {
		t.Fatal(err)
	}
	from, err := w.Client.ListenPacket(vnet.UDP, ":0", client)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 { // one at a time: the machine's own network may lose what comes too fast
		want := fmt.Sprintf("datagram %d", i)
		if err := from.WriteTo([]byte(want), at.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		w.wait(t, "reply", func() bool { return len(client.got) == i+1 && client.got[i] == want })
	}
	if client.from[0] != at.LocalAddr() {
		t.Errorf("reply: got from %s, want %s", client.from[0], at.LocalAddr())
	}
	if err := from.WriteTo([]byte("x"), "nonsense"); !errors.Is(err, vnet.ErrAddress) {
		t.Errorf("write to nonsense: got %v, want %v", err, vnet.ErrAddress)
	}
	if err := from.WriteTo(make([]byte, 70_000), at.LocalAddr()); err == nil {
		t.Errorf("write 70,000 bytes: got no error")
	}
	for range 2 {
		if err := from.Close(); err != nil {
			t.Errorf("close: got %v", err)
		}
	}
	if err := from.WriteTo([]byte("x"), at.LocalAddr()); !errors.Is(err, vnet.ErrClosed) {
		t.Errorf("write after Close: got %v, want %v", err, vnet.ErrClosed)
	}
}
