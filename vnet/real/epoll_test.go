//go:build linux && !gopoll

package real_test

import (
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"skynet/vnet"
	"skynet/vnet/real"
)

// TestStalledHandlingKeepsNobodyFromTheSockets has what the network lends block, once for each processor and once more: the
// connections get their echoes nevertheless, those whose bytes came with it included.
func TestStalledHandlingKeepsNobodyFromTheSockets(t *testing.T) {
	stalls := runtime.GOMAXPROCS(0) + 1
	release := make(chan struct{})
	var mu sync.Mutex
	stalled := 0
	n := real.New(real.Options{Lend: func() func() {
		return func() {
			mu.Lock()
			stall := stalled < stalls
			if stall {
				stalled++
			}
			mu.Unlock()
			if stall {
				<-release
			}
		}
	}})
	l, err := n.Listen(vnet.TCP, "127.0.0.1:0", func(vnet.Conn) vnet.Handler { return echo{} })
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for range 4 * stalls {
		c, err := net.Dial("tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		running.Go(func() {
			c.SetDeadline(time.Now().Add(time.Minute))
			var word [16]byte
			for range 20 {
				if _, err := c.Write(word[:]); err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadFull(c, word[:]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	mu.Lock()
	if stalled != stalls {
		t.Errorf("%d calls have blocked, want %d", stalled, stalls)
	}
	mu.Unlock()
	close(release)
	n.Close()
}
