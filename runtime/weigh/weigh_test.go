package weigh_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"go.starlark.net/starlark"

	"skynet/runtime/weigh"
)

// everything is more than any test's values.
const everything = 1 << 30

func weighed(v starlark.Value, budget int) (bytes int64, visited int) {
	s := weigh.New(budget)
	return s.Weigh([]starlark.Value{v}), s.Visited()
}

func list(n int, at func(int) starlark.Value) *starlark.List {
	l := make([]starlark.Value, n)
	for i := range l {
		l[i] = at(i)
	}
	return starlark.NewList(l)
}

func dict(n int, at func(int) starlark.Value) *starlark.Dict {
	d := starlark.NewDict(n)
	for i := range n {
		if err := d.SetKey(starlark.String(fmt.Sprint("key", i)), at(i)); err != nil {
			panic(err)
		}
	}
	return d
}

func text(n int) starlark.Value { return starlark.String(make([]byte, n)) }

func same(v starlark.Value) func(int) starlark.Value { return func(int) starlark.Value { return v } }

// TestSampling: a small budget gives nearly the same weight, and is kept.
func TestSampling(t *testing.T) {
	for name, v := range map[string]starlark.Value{
		"strings":       list(50_000, same(text(100))),
		"mixed strings": list(50_000, func(i int) starlark.Value { return text(i % 1000) }),
		"dict":          dict(20_000, func(i int) starlark.Value { return text(50 + i%50) }),
		"dict of dicts": dict(300, func(int) starlark.Value { return dict(200, same(text(40))) }),
		"list of lists": list(100, func(int) starlark.Value { return list(1000, same(starlark.MakeInt(1))) }),
		"small":         list(10, same(text(10))),
		"growing":       list(5000, func(i int) starlark.Value { return text(i) }),
		"tuples in dict": dict(3000, func(i int) starlark.Value {
			return starlark.Tuple{text(30), starlark.MakeInt(i), list(3, same(text(5)))}
		}),
	} {
		exact, _ := weighed(v, everything)
		for _, budget := range []int{256, 10_000} {
			got, visited := weighed(v, budget)
			if off := math.Abs(float64(got)/float64(exact) - 1); off > 0.25 {
				t.Errorf("%s by a budget of %d: got %d bytes, want %d within a quarter", name, budget, got, exact)
			}
			if visited > 3*budget {
				t.Errorf("%s by a budget of %d: looked at %d values", name, budget, visited)
			}
		}
	}
}

func TestCyclesAndSharing(t *testing.T) {
	l := starlark.NewList(nil)
	d := starlark.NewDict(1)
	if err := d.SetKey(starlark.String("l"), l); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(d); err != nil {
		t.Fatal(err)
	}
	if got, _ := weighed(l, everything); got > 2000 {
		t.Errorf("a cycle of a list and a dict: got %d bytes, want some hundreds", got)
	}
	shared := list(1000, same(text(100)))
	once, _ := weighed(shared, everything)
	twice, _ := weighed(list(100, same(shared)), everything)
	if twice > once+10_000 {
		t.Errorf("a list that is reached 100 times: got %d bytes, want about %d", twice, once)
	}
}

func TestDeepNestingEnds(t *testing.T) {
	var v starlark.Value = starlark.None
	for range 1_000_000 {
		v = starlark.Tuple{v}
	}
	if got, visited := weighed(v, 10_000); got <= 0 || visited > 10_000 {
		t.Errorf("a million nested tuples: got %d bytes of %d values, want a bounded walk", got, visited)
	}
}

// TestSampleIsNearTheWhole: whatever the number and sizes of the elements, a sample of a quarter of them or 100 is within a
// quarter if the sizes differ by no more than a factor of two.
func TestSampleIsNearTheWhole(t *testing.T) {
	properties := gopter.NewProperties(gopter.DefaultTestParametersWithSeed(1))
	properties.Property("a sample is near the whole", prop.ForAll(func(sizes []int, asDict bool) string {
		at := func(i int) starlark.Value { return text(100 + sizes[i]) }
		var v starlark.Value = list(len(sizes), at)
		if asDict {
			v = dict(len(sizes), at)
		}
		exact, _ := weighed(v, everything)
		got, _ := weighed(v, max(100, len(sizes)/4))
		if float64(got) < 0.75*float64(exact) || float64(got) > 1.25*float64(exact) {
			return fmt.Sprintf("got %d, want %d", got, exact)
		}
		return ""
	}, gen.SliceOf(gen.IntRange(0, 100)), gen.Bool()))
	properties.TestingRun(t)
}

func BenchmarkWeigh(b *testing.B) {
	v := dict(20_000, func(i int) starlark.Value { return starlark.Tuple{text(30), list(3, same(text(5)))} })
	for _, budget := range []int{256, 10_000} {
		b.Run(fmt.Sprint(budget), func(b *testing.B) {
			visited := 0
			for range b.N {
				_, n := weighed(v, budget)
				visited += n
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(visited), "ns/value")
		})
	}
}
