package trace_test

import (
	"fmt"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched/trace"
)

// run folds n events, of which the one at index odd differs (none if odd is not below n).
func run(t *trace.Trace, n, odd int) *trace.Trace {
	for i := range n {
		b := uint64(i)
		if i == odd {
			b++
		}
		t.AddText(int64(i), trace.Log, int32(i%5), uint64(i), b, "line"[:i%5])
	}
	return t
}

func TestHashCoversEveryField(t *testing.T) {
	type event struct {
		at   int64
		kind trace.Kind
		node int32
		a, b uint64
		text string
	}
	base := event{1, trace.Send, 2, 3, 4, "text of some length"}
	hash := func(e event) uint64 {
		var tr trace.Trace
		tr.AddText(e.at, e.kind, e.node, e.a, e.b, e.text)
		return tr.Hash()
	}
	changes := map[string]func(*event){
		"time": func(e *event) { e.at++ },
		"kind": func(e *event) { e.kind++ },
		"node": func(e *event) { e.node = -1 },
		"a":    func(e *event) { e.a++ },
		"b":    func(e *event) { e.b++ },
		"text": func(e *event) { e.text = "text of some lengtH" },
		"zero": func(e *event) { e.text += "\x00" },
	}
	for name, change := range changes {
		e := base
		if change(&e); hash(e) == hash(base) {
			t.Errorf("hash after a change of %s: got %x, want another", name, hash(e))
		}
	}
	var ab, ba trace.Trace
	ab.Add(0, trace.Pick, 0, 1, 0)
	ab.Add(0, trace.Pick, 0, 2, 0)
	ba.Add(0, trace.Pick, 0, 2, 0)
	ba.Add(0, trace.Pick, 0, 1, 0)
	if ab.Hash() == ba.Hash() {
		t.Errorf("hash of two events in either order: got %x twice, want two hashes", ab.Hash())
	}
}

func TestNilTraceIgnores(t *testing.T) {
	var none *trace.Trace
	none.Add(1, trace.Pick, 0, 0, 0)
	none.AddText(1, trace.Log, 0, 0, 0, "x")
}

// TestFirstDivergence plants one odd event and wants both passes to find it.
func TestFirstDivergence(t *testing.T) {
	params := gopter.DefaultTestParametersWithSeed(1)
	params.MinSuccessfulTests = 60
	properties := gopter.NewProperties(params)
	properties.Property("the odd event is found", prop.ForAll(
		func(n, at int) bool {
			odd := at % n
			first, second := run(&trace.Trace{Keep: true}, n, -1), run(&trace.Trace{Keep: true}, n, odd)
			from, to := trace.FirstWindow(first.Checkpoints(), second.Checkpoints())
			a, b := trace.Window(from, to), trace.Window(from, to)
			run(&trace.Trace{Sink: a.Sink}, n, -1)
			run(&trace.Trace{Sink: b.Sink}, n, odd)
			d := trace.FirstDivergence(a.Events(), b.Events())
			return d != nil && d.A.Index == uint64(odd) && d.B.B == d.A.B+1 && len(a.Events()) <= trace.Every
		},
		gen.IntRange(1, 5*trace.Every), gen.IntRange(0, 1<<30),
	))
	properties.TestingRun(t)
}

func TestFirstDivergenceOfEqualAndShorter(t *testing.T) {
	a, b := trace.Window(0, 10), trace.Window(0, 10)
	run(&trace.Trace{Sink: a.Sink}, 10, -1)
	run(&trace.Trace{Sink: b.Sink}, 10, -1)
	if d := trace.FirstDivergence(a.Events(), b.Events()); d != nil {
		t.Errorf("divergence of equal runs: got %v, want none", d)
	}
	d := trace.FirstDivergence(a.Events()[:7], b.Events())
	if d == nil || d.A != nil || d.B.Index != 7 {
		t.Errorf("divergence of a shorter run: got %v, want event 7 of the second alone", d)
	}
}

func ExampleFirstDivergence() {
	record := func(delay int64) []trace.Event {
		r := trace.Window(0, 100)
		t := trace.Trace{Sink: r.Sink}
		t.Add(1000, trace.Pick, 0, 7, 0)
		t.AddText(2000+delay, trace.Log, -1, 1, 0, "partition")
		return r.Events()
	}
	fmt.Println(trace.FirstDivergence(record(0), record(500)))
	// Output:
	// first run:  #1 2µs world log 1 0 "partition"
	// second run: #1 2.5µs world log 1 0 "partition"
}

func BenchmarkAdd(b *testing.B) {
	var t trace.Trace
	b.ReportAllocs()
	for i := range b.N {
		t.Add(int64(i), trace.Pick, 1, uint64(i), 2)
	}
}
