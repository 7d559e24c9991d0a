package sched_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched"
)

func TestStreamProperties(t *testing.T) {
	params := gopter.DefaultTestParametersWithSeed(1)
	properties := gopter.NewProperties(params)
	properties.Property("equal names, equal draws", prop.ForAll(
		func(seed uint64, a, b string) bool {
			one, other := sched.NewStream(seed, a, b), sched.NewStream(seed, a, b)
			return one.Uint64() == other.Uint64()
		}, gen.UInt64(), gen.AnyString(), gen.AnyString()))
	properties.Property("other seed or name, other draws", prop.ForAll(
		func(seed uint64, a, b string) bool {
			base := sched.NewStream(seed, a, b).Uint64()
			return base != sched.NewStream(seed+1, a, b).Uint64() && base != sched.NewStream(seed, a+"x", b).Uint64() &&
				base != sched.NewStream(seed, a, b, "").Uint64() && base != sched.NewStream(seed, a+"x"+b).Uint64()
		}, gen.UInt64(), gen.AnyString(), gen.AnyString()))
	properties.Property("Between draws within its bounds", prop.ForAll(
		func(seed uint64, lo int64, width uint32) bool {
			lo /= 2
			v := sched.NewStream(seed).Between(lo, lo+int64(width))
			return lo <= v && v <= lo+int64(width)
		}, gen.UInt64(), gen.Int64(), gen.UInt32()))
	properties.Property("Perm is a permutation", prop.ForAll(
		func(seed uint64, n int) bool {
			p := sched.NewStream(seed).Perm(n)
			slices.Sort(p)
			for i, v := range p {
				if i != v {
					return false
				}
			}
			return len(p) == n
		}, gen.UInt64(), gen.IntRange(0, 100)))
	properties.TestingRun(t)
}

// TestStreamIsUniform counts draws of a small range; the bounds are more than five standard deviations wide.
func TestStreamIsUniform(t *testing.T) {
	const draws, faces = 60_000, 6
	r := sched.NewStream(1, "dice")
	var counts [faces]int
	hits := 0
	for range draws {
		counts[r.IntN(faces)]++
		if r.Chance(250_000) {
			hits++
		}
	}
	for face, n := range counts {
		if n < 9500 || n > 10500 {
			t.Errorf("draws of %d among %d: got %d, want about %d", face, draws, n, draws/faces)
		}
	}
	if hits < 14_400 || hits > 15_600 {
		t.Errorf("hits of a chance of 25%% among %d: got %d, want about %d", draws, hits, draws/4)
	}
}

// TestStreamOfKnownSeed pins draws: they must be the same on every machine, for ever.
func TestStreamOfKnownSeed(t *testing.T) {
	r := sched.NewStream(1, "net", "n1->n2")
	if got, want := fmt.Sprintf("%x %x", r.Uint64(), r.Uint64()), "a8d18ea6a8d3e1c3 2d729042eb94acf0"; got != want {
		t.Errorf("draws: got %s, want %s", got, want)
	}
}

func TestObserve(t *testing.T) {
	var seen []uint64
	r := sched.NewStream(1)
	r.Observe = func(draw uint64) { seen = append(seen, draw) }
	if got := []uint64{r.Uint64(), r.Uint64()}; !slices.Equal(got, seen) {
		t.Errorf("observed draws: got %x, want %x", seen, got)
	}
}

func ExampleNewStream() {
	loss, jitter := sched.NewStream(42, "link", "loss"), sched.NewStream(42, "link", "jitter")
	fmt.Println(loss.Chance(500_000), jitter.Between(1, 6), jitter.Perm(3))
	// Output: true 4 [1 2 0]
}

// TestBetweenOfEverything draws from all of int64, whose width is no uint64.
func TestBetweenOfEverything(t *testing.T) {
	r := sched.NewStream(1)
	below := 0
	for range 100 {
		if r.Between(math.MinInt64, math.MaxInt64) < 0 {
			below++
		}
	}
	if below < 20 || below > 80 {
		t.Errorf("draws below 0 among 100 of all of int64: got %d, want about 50", below)
	}
}

func TestTimeEnds(t *testing.T) {
	for _, c := range []struct {
		t    sched.Time
		d    time.Duration
		want sched.Time
	}{
		{1, math.MaxInt64, math.MaxInt64},
		{math.MaxInt64, 1, math.MaxInt64},
		{math.MaxInt64 - 1, 1, math.MaxInt64},
		{-2, math.MinInt64, math.MinInt64},
		{-1, math.MaxInt64, math.MaxInt64 - 1},
		{1, math.MinInt64, math.MinInt64 + 1},
		{5, 0, 5},
	} {
		if got := c.t.Add(c.d); got != c.want {
			t.Errorf("%d + %d: got %d, want %d", c.t, c.d, got, c.want)
		}
	}
}

func TestTime(t *testing.T) {
	if got := sched.Time(1e9).Add(5e8); got.String() != "1.5s" || got.Sub(1e9) != 5e8 {
		t.Errorf("1s + 0.5s: got %v, less 1s %v, want 1.5s and 500ms", got, got.Sub(1e9))
	}
}
