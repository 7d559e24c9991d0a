package virtual_test

import (
	"testing"
	"time"

	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sched/trace"
	"skynet/vnet"
	"skynet/vnet/virtual"
)

// BenchmarkStream is one message of a ping-pong, trace on.
func BenchmarkStream(b *testing.B) {
	var tr trace.Trace
	s := stepper.New(stepper.Options{Trace: &tr})
	f := virtual.New(s, virtual.Options{Trace: &tr})
	f.SetDefault(rough)
	var count int
	f.Host(1, "b").Listen(vnet.TCP, ":7000", func(vnet.Conn) vnet.Handler { return &pong{&count} })
	f.Host(0, "a").Dial(vnet.TCP, "b:7000", &pong{&count})
	b.ReportAllocs()
	b.ResetTimer()
	s.Run(1<<62, func() bool { return count >= b.N })
}

type pong struct{ count *int }

func (p *pong) Opened(c vnet.Conn)         { c.Write([]byte("a message of some bytes")) }
func (p *pong) Data(c vnet.Conn, b []byte) { *p.count++; c.Write(b) }
func (p *pong) EOF(vnet.Conn)              {}
func (p *pong) Writable(vnet.Conn)         {}
func (p *pong) Closed(vnet.Conn, error)    {}

// BenchmarkDatagram is one datagram, trace on.
func BenchmarkDatagram(b *testing.B) {
	var tr trace.Trace
	s := stepper.New(stepper.Options{Trace: &tr})
	f := virtual.New(s, virtual.Options{Trace: &tr})
	f.SetDefault(virtual.Link{Latency: virtual.Constant(time.Millisecond)})
	f.Host(1, "b").ListenPacket(vnet.UDP, ":53", ignore{})
	from, err := f.Host(0, "a").ListenPacket(vnet.UDP, ":0", ignore{})
	if err != nil {
		b.Fatal(err)
	}
	message := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		from.WriteTo(message, "b:53")
		s.Run(s.Now().Add(2*time.Millisecond), nil)
	}
}

type ignore struct{}

func (ignore) Packet(vnet.PacketConn, string, []byte) {}

var _ sched.Timeline = (*stepper.Stepper)(nil)
