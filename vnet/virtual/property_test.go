package virtual_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched"
	"skynet/vnet"
	"skynet/vnet/virtual"
)

// ordeal runs writes in both directions of one stream under a fault schedule drawn from the seed, and compares what was
// read with the reference model: at any time a prefix of what was written, after all faults have ended all of it.
// It returns the trace hash.
func ordeal(t testing.TB, seed uint64) (hash uint64, wrong string) {
	r := sched.NewStream(seed, "ordeal")
	n := newNet(t, seed, virtual.Link{
		Latency: virtual.Lognormal(2*time.Millisecond, 40*time.Millisecond), Loss: uint32(r.Uint64N(200_000)),
		Bandwidth: int64(r.Uint64N(3)) * 1_000_000,
	})
	a := n.dial(n.a, "tcp", "b:7000")
	n.step.Run(sched.Time(3*time.Second), func() bool { return a.opened+a.closed > 0 })
	if a.closed > 0 {
		return n.trace.Hash(), "" // under this much loss a dial may time out
	}
	ends := [2]*end{a, n.accepted[0]}
	var written [2][]byte
	var faults []*virtual.Fault
	check := func() {
		for i, e := range ends {
			if !bytes.HasPrefix(written[1-i], e.got) {
				wrong = fmt.Sprintf("end %d has read %d bytes that are no prefix of the %d written",
					i, len(e.got), len(written[1-i]))
			}
		}
	}
	for range 60 {
		switch r.IntN(8) {
		case 0:
			faults = append(faults, n.Cut(pick(r), pick(r)))
		case 1:
			faults = append(faults, n.Hold(pick(r), pick(r)))
		case 2, 3:
			if len(faults) > 0 {
				faults[r.IntN(len(faults))].End()
			}
		case 4:
			e := ends[r.IntN(2)]
			e.conn.Pause()
			n.run(time.Duration(r.IntN(100)) * time.Millisecond)
			e.conn.Resume()
		default:
			i := r.IntN(2)
			p := make([]byte, r.IntN(1<<r.IntN(18)))
			for k := range p {
				p[k] = byte(r.Uint64())
			}
			ends[i].conn.Write(p)
			written[i] = append(written[i], p...)
		}
		n.run(time.Duration(r.IntN(150)) * time.Millisecond)
		check()
	}
	for _, f := range faults {
		f.End()
	}
	n.run(time.Minute)
	check()
	for i, e := range ends {
		if e.closed == 0 && len(e.got) != len(written[1-i]) {
			wrong = fmt.Sprintf("end %d has read %d of %d bytes a minute after the last fault", i, len(e.got), len(written[1-i]))
		}
		if e.closed > 0 { // the whole ordeal is shorter than the stream timeout
			wrong = fmt.Sprintf("end %d was closed: %v", i, e.reason)
		}
	}
	return n.trace.Hash(), wrong
}

func pick(r *sched.Stream) []string {
	return [][]string{nil, {"a"}, {"b"}, {"a", "b"}}[r.IntN(4)]
}

func TestStreamsAgainstModel(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 150
	properties := gopter.NewProperties(parameters)
	properties.Property("what is read is what was written", prop.ForAll(func(seed uint64) string {
		_, wrong := ordeal(t, seed)
		return wrong
	}, gen.UInt64()))
	properties.TestingRun(t)
}

func TestSameSeedSameTrace(t *testing.T) {
	seen := make(map[uint64]bool)
	for seed := range uint64(10) {
		first, _ := ordeal(t, seed)
		second, _ := ordeal(t, seed)
		want(t, fmt.Sprintf("trace hash of seed %d", seed), second, first)
		seen[first] = true
	}
	want(t, "different traces of 10 seeds", len(seen), 10)
}

// clock is a packet handler that keeps the times of arrival.
type clock struct {
	n     *net
	times *[]sched.Time
}

func (c clock) Packet(vnet.PacketConn, string, []byte) { *c.times = append(*c.times, c.n.step.Now()) }

// A fault on one link must not shift the random choices of another.
func TestLinksAreIndependent(t *testing.T) {
	arrivals := func(trouble bool) (times []sched.Time) {
		n := newNet(t, 1, rough)
		from, _ := n.sockets()
		if _, err := n.b.ListenPacket(vnet.UDP, ":54", clock{n, &times}); err != nil {
			t.Fatal(err)
		}
		other, err := n.c.ListenPacket(vnet.UDP, ":0", clock{n, new([]sched.Time)})
		if err != nil {
			t.Fatal(err)
		}
		if trouble {
			n.ExtraLoss([]string{"a"}, nil, 300_000)
		}
		for range 100 {
			from.WriteTo([]byte("x"), "b:53")
			from.WriteTo([]byte("x"), "c:1")
			other.WriteTo([]byte("x"), "b:54")
			n.run(10 * time.Millisecond)
		}
		return times
	}
	calm, troubled := arrivals(false), arrivals(true)
	if len(calm) < 50 || !slices.Equal(calm, troubled) {
		t.Errorf("arrivals from c while the links of a are in trouble: got %v, want %v", troubled, calm)
	}
}
