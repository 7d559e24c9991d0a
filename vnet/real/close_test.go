package real_test

import (
	"net"
	"testing"
	"time"

	"skynet/vnet"
	"skynet/vnet/real"
)

// talker writes last words, many of them, when the first bytes come, and says so.
type talker struct {
	words []byte
	said  chan struct{}
}

func (k *talker) Opened(vnet.Conn)        {}
func (k *talker) EOF(vnet.Conn)           {}
func (k *talker) Writable(vnet.Conn)      {}
func (k *talker) Closed(vnet.Conn, error) {}
func (k *talker) Data(c vnet.Conn, _ []byte) {
	if k.words != nil {
		c.Write(k.words)
		k.words = nil
		close(k.said)
	}
}

// TestCloseOfTheNetworkWhilePeerWrites has a peer read the last words of a network while it goes on sending, as clients do that
// know of no end yet.
func TestCloseOfTheNetworkWhilePeerWrites(t *testing.T) {
	const size = 1 << 20
	k := &talker{words: make([]byte, size), said: make(chan struct{})}
	n := real.New(real.Options{})
	l, err := n.Listen(vnet.TCP, "127.0.0.1:0", func(vnet.Conn) vnet.Handler { return k })
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	over, closing, often := make(chan struct{}), make(chan struct{}), make(chan struct{})
	defer close(over)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for since := 0; ; {
			select {
			case <-over:
				return
			case <-tick.C:
				client.Write([]byte("more"))
			}
			select {
			case <-closing:
				if since++; since == 20 {
					close(often)
				}
			default:
			}
		}
	}()
	<-k.said
	closed := make(chan struct{})
	go func() {
		close(closing)
		n.Close()
		close(closed)
	}()
	<-often
	got := 0
	for buffer := make([]byte, 64<<10); ; {
		m, err := client.Read(buffer)
		if got += m; err != nil {
			break
		}
	}
	if got != size {
		t.Errorf("the peer got %d bytes, want the %d that were written before Close", got, size)
	}
	<-closed
}
