package runtime

import (
	"math/big"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"go.starlark.net/starlark"
)

// TestRulersMeasure: the measured size of an int is not above its size, and not below an eighth of it.
func TestRulersMeasure(t *testing.T) {
	var r rulers
	properties := gopter.NewProperties(gopter.DefaultTestParametersWithSeed(1))
	properties.Property("within an eighth", prop.ForAll(func(bits int, negative bool) bool {
		x := new(big.Int).Lsh(big.NewInt(1), uint(bits))
		if negative {
			x.Neg(x)
		}
		got := r.measure(starlark.MakeBigInt(x))
		return got <= max(16, int64(bits+7)/8) && 8*got >= int64(min(bits, maxIntBits)/8)
	}, gen.IntRange(64, 3*maxIntBits), gen.Bool()))
	properties.TestingRun(t)
}

// TestDistance: before the next look, a local that doubles in every seven steps stays below twice the bound.
func TestDistance(t *testing.T) {
	for size := int64(1 << 15); size < maxBulk; size *= 2 {
		if d := distance(size); d < 7 || d > denseLook || size<<(d/7) > 4*maxBulk {
			t.Errorf("distance(%d) = %d, want 7 to %d, and at most %d doublings", size, d, denseLook, 2*maxBulk/size)
		}
	}
}

// BenchmarkLook is what the guard costs a handler that runs for long, with seven locals: without looks, dense (where no heap
// watch is), and as rare as a heap watch lets them become at first.
func BenchmarkLook(b *testing.B) {
	const per = 100 // steps an iteration
	_, prog, err := starlark.SourceProgramOptions(Dialect(), "f.star", `
def f(a, b, c):
    n, l, d, s = 0, [1, 2], {1: 2}, "abc"
    while True:
        n += 1
`, func(string) bool { return false })
	if err != nil {
		b.Fatal(err)
	}
	globals, err := prog.Init(&starlark.Thread{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	limits := Limits{Steps: 1 << 60, Slice: 1 << 40}.WithDefaults()
	for _, mode := range []struct {
		name     string
		distance uint64 // 0 is no look
	}{{"none", 0}, {"dense", denseLook}, {"rare", 1024}} {
		b.Run(mode.name, func(b *testing.B) {
			end := uint64(b.N) * per
			co := &coroutine{svc: &Service{node: &Node{coroutines: NewCoroutines(1)}, limits: &limits}, stepLimit: 1 << 60}
			co.thread = &starlark.Thread{OnMaxSteps: func(th *starlark.Thread) {
				if th.Steps >= end {
					th.Cancel("enough")
					return
				}
				if mode.distance == 0 {
					th.SetMaxExecutionSteps(end)
					return
				}
				co := th.Local(coroutineKey).(*coroutine)
				co.look()
				th.SetMaxExecutionSteps(min(th.Steps+mode.distance, end))
			}}
			co.thread.SetLocal(coroutineKey, co)
			co.arm()
			if _, err := starlark.Call(co.thread, globals["f"], starlark.Tuple{starlark.None, starlark.None, starlark.None}, nil); err == nil {
				b.Fatal("the endless loop ended")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(end), "ns/step")
		})
	}
}
