package real

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	"skynet/vnet"
)

// starving is a source without file descriptors for its first connections.
type starving struct {
	source
	failures int
}

func (s *starving) next() (transport, error) {
	if s.failures > 0 {
		s.failures--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return s.source.next()
}

type greeter struct{ closed chan error }

func (g greeter) Opened(vnet.Conn)                 {}
func (g greeter) Data(c vnet.Conn, p []byte)       { c.Close() }
func (g greeter) EOF(c vnet.Conn)                  { c.Close() }
func (g greeter) Writable(vnet.Conn)               {}
func (g greeter) Closed(_ vnet.Conn, reason error) { g.closed <- reason }

func TestListenerSurvivesRunningOutOfDescriptors(t *testing.T) {
	told := make(chan string, 10)
	n := New(Options{Refused: func(address string, err error) { told <- fmt.Sprintf("%s: %v", address, err) }})
	defer n.Close()
	tcp, err := listenTCP(n, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{net: n, id: 1, protocol: vnet.TCP, source: &starving{tcp, 3}, accept: func(c vnet.Conn) vnet.Handler {
		c.Write([]byte("welcome"))
		return greeter{make(chan error, 1)}
	}}
	n.open(l.id, l)
	go l.run()
	g := greeter{make(chan error, 1)}
	if _, err := n.Dial(vnet.TCP, l.Addr(), g); err != nil {
		t.Fatal(err)
	}
	if err := <-g.closed; err != nil {
		t.Errorf("got %v, want a welcome and an orderly close", err)
	}
	if got, want := <-told, fmt.Sprintf("%s: accept: %v", l.Addr(), syscall.EMFILE); got != want || len(told) > 0 {
		t.Errorf("told: got %q and %d more, want %q once", got, len(told), want)
	}
}

func TestDialFailureNamesTheAddress(t *testing.T) {
	n := New(Options{})
	defer n.Close()
	for address, want := range map[string]error{
		"no-such-host.invalid:80": nil, // what the resolver answers depends on the machine
		"127.0.0.1:1":             vnet.ErrRefused,
	} {
		g := greeter{make(chan error, 1)}
		if _, err := n.Dial(vnet.TCP, address, g); err != nil {
			t.Fatal(err)
		}
		err := <-g.closed
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("dial %s: got %v, want %v", address, err, want)
		}
		if prefix := "vnet: dial tcp " + address; err != nil && err.Error()[:len(prefix)] != prefix {
			t.Errorf("dial %s: got %q, want it to begin with %q", address, err, prefix)
		}
	}
}

func TestSilentKCPTimesOut(t *testing.T) {
	n := New(Options{IdleTimeout: 1})
	defer n.Close()
	g := greeter{make(chan error, 1)}
	if _, err := n.Dial(vnet.KCP, "127.0.0.1:1", g); err != nil {
		t.Fatal(err)
	}
	if err := <-g.closed; !errors.Is(err, vnet.ErrTimeout) {
		t.Errorf("got %v, want %v", err, vnet.ErrTimeout)
	}
}

func FuzzCheckAddress(f *testing.F) {
	for _, s := range []string{"localhost:80", ":0", "[::1]:80", "a", "a:b", "a:65536", "[x:1", ":"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, listen bool) {
		if err := checkAddress(s, listen); err != nil && !errors.Is(err, vnet.ErrAddress) {
			t.Errorf("%q: got %v, want %v", s, err, vnet.ErrAddress)
		}
		if a, err := parseAddrPort(s); err == nil && !a.IsValid() {
			t.Errorf("%q: got an invalid address without an error", s)
		}
	})
}
