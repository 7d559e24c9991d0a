package virtual_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sched/trace"
	"skynet/vnet"
	"skynet/vnet/virtual"
)

// end is a handler that keeps what it hears.
type end struct {
	conn   vnet.Conn
	got    []byte
	opened int
	eof    int
	closed int
	reason error
	echo   bool
}

func (e *end) Opened(vnet.Conn) { e.opened++ }
func (e *end) EOF(c vnet.Conn)  { e.eof++; c.Close() }
func (e *end) Writable(vnet.Conn) {
}
func (e *end) Closed(_ vnet.Conn, reason error) { e.closed++; e.reason = reason }
func (e *end) Data(c vnet.Conn, p []byte) {
	e.got = append(e.got, p...)
	if e.echo {
		c.Write(p)
	}
}

// net is hosts a, b and c, of which b listens at port 7000.
type net struct {
	*virtual.Fabric
	t        testing.TB
	step     *stepper.Stepper
	trace    *trace.Trace
	a, b, c  *virtual.Host
	accepted []*end
}

func newNet(t testing.TB, seed uint64, link virtual.Link) *net {
	n := &net{t: t, trace: &trace.Trace{}}
	n.step = stepper.New(stepper.Options{
		Seed: seed, Strategy: stepper.Random(sched.NewStream(seed, "strategy")), Trace: n.trace,
	})
	n.Fabric = virtual.New(n.step, virtual.Options{Seed: seed, Trace: n.trace})
	n.SetDefault(link)
	n.a, n.b, n.c = n.Host(0, "a"), n.Host(1, "b"), n.Host(2, "c")
	n.listen(n.b, vnet.TCP)
	return n
}

func (n *net) listen(h *virtual.Host, protocol string) {
	_, err := h.Listen(protocol, ":7000", func(c vnet.Conn) vnet.Handler {
		e := &end{conn: c}
		n.accepted = append(n.accepted, e)
		return e
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *net) dial(h *virtual.Host, protocol, address string) *end {
	e := &end{}
	c, err := h.Dial(protocol, address, e)
	if err != nil {
		n.t.Fatal(err)
	}
	e.conn = c
	return e
}

// pair connects a to b.
func (n *net) pair() (a, b *end) {
	e := n.dial(n.a, vnet.TCP, "b:7000")
	n.run(10 * time.Second)
	if e.opened != 1 || len(n.accepted) == 0 {
		n.t.Fatalf("connect: got opened %d, accepted %d", e.opened, len(n.accepted))
	}
	return e, n.accepted[len(n.accepted)-1]
}

// run lets d pass, also when nothing happens.
func (n *net) run(d time.Duration) {
	until := n.step.Now().Add(d)
	n.step.At(until, sched.Action{Kind: trace.Timer, Node: -1}, func() {})
	n.step.Run(until, nil)
}

func write(t testing.TB, e *end, s string) {
	t.Helper()
	if _, err := e.conn.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

func want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestCutDelaysUntilItHeals(t *testing.T) {
	n := newNet(t, 1, calm)
	a, b := n.pair()
	first := n.Cut([]string{"a"}, []string{"b"})
	second := n.Cut(nil, []string{"b"})
	write(t, a, "x")
	write(t, b, "y")
	n.run(3 * time.Second)
	want(t, "the other direction", string(a.got), "y")
	first.End()
	first.End()
	n.run(4 * time.Second)
	want(t, "under the second cut", string(b.got), "")
	second.End()
	n.run(4 * time.Second)
	want(t, "after both", string(b.got), "x")
	for i, f := range []*virtual.Fault{first, second} {
		if f.Effects().Dropped == 0 {
			t.Errorf("cut %d: got no packet dropped", i)
		}
	}
}

// What is under way when a cut begins is lost, and sent again.
func TestCutLosesWhatIsUnderWay(t *testing.T) {
	n := newNet(t, 1, virtual.Link{Latency: virtual.Constant(100 * time.Millisecond)})
	a, b := n.pair()
	write(t, a, "x")
	n.run(50 * time.Millisecond)
	cut := n.Cut([]string{"a"}, []string{"b"})
	n.run(100 * time.Millisecond)
	cut.End()
	want(t, "at the time it was due", string(b.got), "")
	n.run(time.Second)
	want(t, "after the retransmission", string(b.got), "x")
	want(t, "dropped", cut.Effects().Dropped, 1)
}

func TestStreamTimesOut(t *testing.T) {
	for _, direction := range []string{"forth", "back"} {
		t.Run(direction, func(t *testing.T) {
			n := newNet(t, 1, calm)
			a, b := n.pair()
			from, to := "a", "b"
			if direction == "back" { // the bytes arrive, the acknowledgements do not
				from, to = to, from
			}
			cut := n.Cut([]string{from}, []string{to})
			write(t, a, "x")
			n.run(19 * time.Second)
			want(t, "closed before the timeout", a.closed, 0)
			n.run(2 * time.Second)
			if !errors.Is(a.reason, vnet.ErrTimeout) || a.closed != 1 {
				t.Errorf("got %d Closed, reason %v; want 1, %v", a.closed, a.reason, vnet.ErrTimeout)
			}
			want(t, "timed out by the cut", cut.Effects().TimedOut, 1)
			cut.End()
			write(t, b, "anybody there")
			n.run(time.Second)
			if !errors.Is(b.reason, vnet.ErrReset) {
				t.Errorf("the half-open end, having sent: got %v, want %v", b.reason, vnet.ErrReset)
			}
		})
	}
}

func TestDialFails(t *testing.T) {
	n := newNet(t, 1, calm)
	nobody := n.dial(n.a, vnet.TCP, "b:7001")
	n.run(1999 * time.Microsecond)
	want(t, "closed before a round trip", nobody.closed, 0)
	n.run(time.Millisecond)
	refused := n.Refuse(nil, nil)
	turned := n.dial(n.a, vnet.TCP, "b:7000")
	n.run(time.Second)
	refused.End()
	cut := n.Cut([]string{"b"}, []string{"a"})
	unheard := n.dial(n.a, vnet.TCP, "b:7000")
	stranger := n.dial(n.a, vnet.TCP, "nowhere:7000")
	crash := n.c.Crash()
	down := n.dial(n.a, vnet.TCP, "c:7000")
	n.run(3 * time.Second)
	for _, tc := range []struct {
		name string
		end  *end
		want error
	}{
		{"nobody listens", nobody, vnet.ErrRefused},
		{"refused", turned, vnet.ErrRefused},
		{"answer cut", unheard, vnet.ErrTimeout},
		{"no such host", stranger, vnet.ErrAddress},
		{"host down", down, vnet.ErrTimeout},
	} {
		if !errors.Is(tc.end.reason, tc.want) || tc.end.opened != 0 || tc.end.closed != 1 {
			t.Errorf("%s: got %v, want %v", tc.name, tc.end.reason, tc.want)
		}
	}
	want(t, "refused", refused.Effects().Refused, 1)
	want(t, "timed out by the cut", cut.Effects().TimedOut, 1)
	if crash.Effects().Dropped == 0 {
		t.Errorf("crash: got no packet dropped")
	}
}

func TestCrashAndRestart(t *testing.T) {
	n := newNet(t, 1, calm)
	a, b := n.pair()
	write(t, b, "last words")
	crash := n.b.Crash()
	write(t, a, "lost")
	n.run(time.Second)
	want(t, "sent before the crash", string(a.got), "last words")
	want(t, "events at the crashed host", b.closed+len(b.got), 0)
	want(t, "streams broken", crash.Effects().Reset, 1)
	if _, err := b.conn.Write([]byte("x")); !errors.Is(err, vnet.ErrClosed) {
		t.Errorf("write on a crashed host: got %v, want %v", err, vnet.ErrClosed)
	}
	if _, err := n.b.Dial(vnet.TCP, "a:1", b); !errors.Is(err, vnet.ErrClosed) {
		t.Errorf("dial on a crashed host: got %v, want %v", err, vnet.ErrClosed)
	}
	n.b = n.b.Restart()
	n.listen(n.b, vnet.TCP)
	n.run(4 * time.Second)
	if !errors.Is(a.reason, vnet.ErrReset) {
		t.Errorf("the peer after the restart: got %v, want %v", a.reason, vnet.ErrReset)
	}
	n.pair()
}

func TestHoldAndRelease(t *testing.T) {
	n := newNet(t, 1, virtual.Link{Latency: virtual.Uniform(time.Millisecond, 20*time.Millisecond)})
	a, b := n.pair()
	from, got := n.sockets()
	hold := n.Hold([]string{"a"}, nil)
	write(t, a, "held")
	for i := range 10 {
		from.WriteTo([]byte{byte('0' + i)}, "b:53")
		n.run(20 * time.Millisecond)
	}
	want(t, "while held", string(b.got)+strings.Join(*got, ""), "")
	hold.End()
	n.run(time.Second)
	want(t, "the stream after the release", string(b.got), "held")
	want(t, "the datagrams after the release", strings.Join(*got, ""), "0123456789")
	if held := hold.Effects().Held; held < 11 {
		t.Errorf("held: got %d packets, want at least 11", held)
	}
}

type inbox struct{ got *[]string }

func (i inbox) Packet(_ vnet.PacketConn, _ string, p []byte) { *i.got = append(*i.got, string(p)) }

// sockets opens one on a and one on b at port 53, whose datagrams it returns.
func (n *net) sockets() (from vnet.PacketConn, got *[]string) {
	got = new([]string)
	if _, err := n.b.ListenPacket(vnet.UDP, "b:53", inbox{got}); err != nil {
		n.t.Fatal(err)
	}
	from, err := n.a.ListenPacket(vnet.UDP, ":0", inbox{new([]string)})
	if err != nil {
		n.t.Fatal(err)
	}
	return from, got
}

func TestDatagramTroubleIsCounted(t *testing.T) {
	const sent = 10_000
	n := newNet(t, 1, calm)
	from, got := n.sockets()
	loss := n.ExtraLoss([]string{"a"}, []string{"b"}, 100_000)
	trouble := n.Impair(nil, nil, virtual.Link{Duplicate: 50_000, Reorder: 20_000})
	late := n.ExtraLatency(nil, nil, virtual.Constant(time.Millisecond))
	for i := range sent {
		from.WriteTo(fmt.Appendf(nil, "%05d", i), "b:53")
		n.run(100 * time.Microsecond)
	}
	n.run(time.Second)
	dropped, e := int(loss.Effects().Dropped), trouble.Effects()
	want(t, "delivered", len(*got), sent-dropped+int(e.Duplicated))
	if dropped < sent*9/100 || dropped > sent*11/100 {
		t.Errorf("dropped: got %d of %d, want about 10 %%", dropped, sent)
	}
	if d := int(e.Duplicated); d < 350 || d > 550 {
		t.Errorf("duplicated: got %d, want about 450", d)
	}
	if slices.IsSorted(*got) || e.Reordered < 50 {
		t.Errorf("reordered: got %d, want some", e.Reordered)
	}
	if delayed := int(late.Effects().Delayed); delayed < sent-dropped {
		t.Errorf("delayed: got %d, want at least %d", delayed, sent-dropped)
	}
}

func TestReset(t *testing.T) {
	n := newNet(t, 1, calm)
	a, b := n.pair()
	write(t, a, "lost")
	effects := n.Reset("b", "a")
	n.run(time.Second)
	for _, e := range []*end{a, b} {
		if !errors.Is(e.reason, vnet.ErrReset) || e.closed != 1 {
			t.Errorf("got %d Closed, reason %v; want 1, %v", e.closed, e.reason, vnet.ErrReset)
		}
	}
	want(t, "effects", effects, virtual.Effects{Reset: 1, BytesLost: 4})
	want(t, "received", string(b.got), "")
}

func TestSilentKCP(t *testing.T) {
	n := newNet(t, 1, calm)
	n.listen(n.b, vnet.KCP)
	a, nobody := n.dial(n.a, vnet.KCP, "b:7000"), n.dial(n.a, vnet.KCP, "c:7000")
	write(t, a, "hello")
	write(t, nobody, "hello")
	n.run(time.Second)
	want(t, "opened", a.opened+nobody.opened, 2)
	b := n.accepted[0]
	want(t, "received", string(b.got), "hello")
	a.conn.Close()
	n.run(28 * time.Second)
	want(t, "the closing side", a.closed, 1)
	want(t, "the peer hears of the close", b.closed+b.eof, 0)
	n.run(2 * time.Second)
	if !errors.Is(b.reason, vnet.ErrTimeout) || !errors.Is(nobody.reason, vnet.ErrTimeout) {
		t.Errorf("got %v and %v, want %v", b.reason, nobody.reason, vnet.ErrTimeout)
	}
}

func TestBandwidth(t *testing.T) {
	n := newNet(t, 1, virtual.Link{Bandwidth: 100_000})
	a, b := n.pair()
	start := n.step.Now()
	a.conn.Write(make([]byte, 300_000))
	n.step.Run(start.Add(time.Minute), func() bool { return len(b.got) == 300_000 })
	if took := n.step.Now().Sub(start); took < 2990*time.Millisecond || took > 3010*time.Millisecond {
		t.Errorf("300,000 bytes at 100,000 per second: got %v, want 3s", took)
	}
}

// Nobody on a crashed host hears of anything, not even of what it has done just before.
func TestCrashSilencesAClose(t *testing.T) {
	n := newNet(t, 1, calm)
	a, _ := n.pair()
	a.conn.Close()
	n.a.Crash()
	n.run(time.Second)
	want(t, "closed", a.closed, 0)
}

func TestObserverSeesEveryPacket(t *testing.T) {
	s := stepper.New(stepper.Options{})
	var seen []string
	f := virtual.New(s, virtual.Options{Observer: func(p virtual.Packet) {
		seen = append(seen, fmt.Sprintf("%v %v %d>%d #%d %d", p.At, p.Kind, p.From, p.To, p.ID, p.Size))
	}})
	a, b := f.Host(0, "a"), f.Host(1, "b")
	from, err := a.ListenPacket(vnet.UDP, ":0", inbox{new([]string)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.ListenPacket(vnet.UDP, ":53", inbox{new([]string)}); err != nil {
		t.Fatal(err)
	}
	from.WriteTo([]byte("hello"), "b:53")
	s.Run(sched.Time(time.Second), nil)
	f.Cut([]string{"a"}, nil)
	from.WriteTo([]byte("hello"), "b:53")
	want(t, "packets", strings.Join(seen, "; "),
		"0s send 0>1 #1 5; 500µs deliver 0>1 #1 5; 500µs send 0>1 #2 5; 500µs drop 0>1 #2 5")
}
