package virtual_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"skynet/vnet"
	"skynet/vnet/virtual"
)

// What a host had closed in order before it crashed is not sent again after the crash.
func TestCrashEndsClosedStreams(t *testing.T) {
	n := newNet(t, 1, calm)
	a, b := n.pair()
	cut := n.Cut([]string{"a"}, nil)
	write(t, a, "never acknowledged")
	a.conn.Close()
	n.run(time.Second)
	n.a.Crash()
	n.run(time.Second)
	cut.End()
	n.run(10 * time.Second)
	want(t, "received after the crash", string(b.got), "")
	want(t, "end of the stream after the crash", b.eof, 0)
}

// What is held was sent: it arrives after the release, though its sender has crashed or reset the stream meanwhile.
func TestHeldOutlivesItsSender(t *testing.T) {
	n := newNet(t, 1, calm)
	a, b := n.pair()
	hold := n.Hold([]string{"a"}, nil)
	write(t, a, "last words")
	n.run(time.Second)
	n.a.Crash()
	n.run(time.Second)
	hold.End()
	n.run(time.Second)
	want(t, "released after the crash", string(b.got), "last words")

	n = newNet(t, 1, calm)
	a, b = n.pair()
	hold = n.Hold([]string{"a"}, nil)
	a.conn.Abort()
	n.run(time.Second)
	want(t, "closed while the reset is held", b.closed, 0)
	hold.End()
	n.run(time.Second)
	if !errors.Is(b.reason, vnet.ErrReset) {
		t.Errorf("the peer of an aborted stream after the release: got %v, want %v", b.reason, vnet.ErrReset)
	}
}

// A host that knows nothing of a stream any more answers what still comes with a reset, though it had closed in order.
func TestForgottenStreamIsReset(t *testing.T) {
	n := newNet(t, 1, calm)
	a, b := n.pair()
	cut := n.Cut([]string{"a"}, []string{"b"})
	write(t, a, "lost")
	a.conn.Close()
	n.run(time.Minute)
	cut.End()
	write(t, b, "is anybody there?")
	n.run(10 * time.Second)
	if !errors.Is(b.reason, vnet.ErrReset) {
		t.Errorf("the peer of a stream whose end never arrived: got %v, want %v", b.reason, vnet.ErrReset)
	}

	n = newNet(t, 1, virtual.Link{Latency: virtual.Constant(time.Millisecond)})
	n.dial(n.a, vnet.TCP, "b:7000")
	n.run(1500 * time.Microsecond) // b has accepted, a does not know yet
	n.a.Close()
	n.run(time.Second)
	if len(n.accepted) != 1 || !errors.Is(n.accepted[0].reason, vnet.ErrReset) {
		t.Errorf("the listener's side of a dial whose host was closed: got %+v, want one reset", n.accepted)
	}
}

func TestPortsRunOut(t *testing.T) {
	n := newNet(t, 1, calm)
	var err error
	opened := 0
	for ; err == nil && opened <= 1<<16; opened++ {
		_, err = n.a.ListenPacket(vnet.UDP, ":0", inbox{new([]string)})
	}
	if !errors.Is(err, vnet.ErrAddress) || opened != 1<<14+1 {
		t.Errorf("listening at every port there is: got %v at socket %d, want %v at %d", err, opened, vnet.ErrAddress, 1<<14+1)
	}
}

// A peer that does not read cannot keep a closed stream alive.
func TestCloseGivesUp(t *testing.T) {
	n := newNet(t, 1, calm)
	a, b := n.pair()
	b.conn.Pause()
	write(t, a, strings.Repeat("x", 1<<20))
	a.conn.Close()
	n.run(2 * time.Second)
	want(t, "closed after two seconds", a.closed, 0)
	n.run(2 * time.Second)
	if !errors.Is(a.reason, vnet.ErrTimeout) {
		t.Errorf("close of a stream whose peer does not read: got %v, want %v", a.reason, vnet.ErrTimeout)
	}
	b.conn.Resume()
	n.run(time.Second)
	if !errors.Is(b.reason, vnet.ErrReset) {
		t.Errorf("the peer that reads too late: got %v, want %v", b.reason, vnet.ErrReset)
	}
	a, b = n.pair()
	b.conn.Pause()
	write(t, a, strings.Repeat("x", 1<<20))
	a.conn.Close()
	n.run(time.Second)
	b.conn.Resume()
	n.run(5 * time.Second)
	want(t, "received by a slow reader", len(b.got), 1<<20)
	want(t, "reason of an orderly close", a.reason, nil)
}

// A process that ends and starts again leaves its last words to the kernel; only a crash takes them.
func TestRestartAfterCloseSendsTheRest(t *testing.T) {
	n := newNet(t, 1, calm)
	a, b := n.pair()
	cut := n.Cut([]string{"a"}, nil)
	write(t, a, "last words")
	n.a.Close()
	n.a = n.a.Restart()
	cut.End()
	n.run(5 * time.Second)
	want(t, "received", string(b.got), "last words")
	want(t, "ends", b.eof, 1)
	n.pair()
}

// A stream gives up because of what lost its last attempts, not of the packet that happened to be lost first.
func TestTimeoutIsCountedForItsCause(t *testing.T) {
	n := newNet(t, 1, calm)
	a, _ := n.pair()
	loss := n.ExtraLoss([]string{"a"}, nil, 1_000_000)
	write(t, a, "lost")
	loss.End()
	cut := n.Cut([]string{"a"}, nil)
	n.run(time.Minute)
	want(t, "streams timed out by the loss of one packet", loss.Effects().TimedOut, 0)
	want(t, "streams timed out by the partition", cut.Effects().TimedOut, 1)
}

// A way back that loses everything ends a stream as one that is cut does.
func TestCertainLossTimesOut(t *testing.T) {
	n := newNet(t, 1, calm)
	a, b := n.pair()
	loss := n.ExtraLoss([]string{"b"}, []string{"a"}, 1_000_000)
	write(t, a, "heard, never acknowledged")
	n.run(time.Minute)
	if !errors.Is(a.reason, vnet.ErrTimeout) {
		t.Errorf("stream without acknowledgements: got %v, want %v", a.reason, vnet.ErrTimeout)
	}
	want(t, "received", string(b.got), "heard, never acknowledged")
	want(t, "streams timed out by the loss", loss.Effects().TimedOut, 1)
}

// A node that stops while it accepts a stream closes it like all others.
func TestCloseOfTheHostWithinAccept(t *testing.T) {
	n := newNet(t, 1, calm)
	accepted := &end{}
	_, err := n.c.Listen(vnet.TCP, ":7000", func(vnet.Conn) vnet.Handler {
		n.c.Close()
		return accepted
	})
	if err != nil {
		t.Fatal(err)
	}
	a := n.dial(n.a, vnet.TCP, "c:7000")
	n.run(time.Second)
	want(t, "closed on the accepting side", accepted.closed, 1)
	if !errors.Is(a.reason, vnet.ErrReset) {
		t.Errorf("the dialler: got %v, want %v", a.reason, vnet.ErrReset)
	}
}
