package real_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"skynet/vnet"
	"skynet/vnet/real"
)

// BenchmarkEcho compares an echo server behind vnet with a bare one, for the same clients on the same cores.
func BenchmarkEcho(b *testing.B) {
	for _, connections := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("bare/%d", connections), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go serveBare(l)
			clients(b, l.Addr().String(), connections)
		})
		b.Run(fmt.Sprintf("vnet/%d", connections), func(b *testing.B) {
			n := real.New(real.Options{})
			defer n.Close()
			l, err := n.Listen(vnet.TCP, "127.0.0.1:0", func(vnet.Conn) vnet.Handler { return echo{} })
			if err != nil {
				b.Fatal(err)
			}
			clients(b, l.Addr(), connections)
		})
	}
}

func serveBare(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buffer := make([]byte, 32<<10)
			for {
				n, err := c.Read(buffer)
				if err != nil {
					return
				}
				if _, err := c.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
	}
}

type echo struct{}

func (echo) Opened(vnet.Conn)           {}
func (echo) Data(c vnet.Conn, p []byte) { c.Write(p) }
func (echo) EOF(c vnet.Conn)            { c.Close() }
func (echo) Writable(vnet.Conn)         {}
func (echo) Closed(vnet.Conn, error)    {}

// clients share b.N round trips of 64 bytes.
func clients(b *testing.B, address string, connections int) {
	var group sync.WaitGroup
	conns := make([]net.Conn, connections)
	for i := range conns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i, c := range conns {
		rounds := b.N / connections
		if i < b.N%connections {
			rounds++
		}
		group.Go(func() {
			message := make([]byte, 64)
			for range rounds {
				if _, err := c.Write(message); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(c, message); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
}
