package runtime_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"skynet/runtime/runtimetest"
	"skynet/vnet/virtual"
)

var shop = map[string]string{
	"till.star": `
sold = {}
def sell(what, by):
    skynet.sleep(random.int(0, 3000) / 1e6)
    sold[what] = sold.get(what, 0) + by
    if random.chance(0.1):
        fail("the till jams")
    log.info("sold", what = what, by = by)
    store.put(what, sold[what])
    store.sync()
    return sold[what]
`,
	"buyer.star": `
out = []
def buy(nodes, n):
    for i in range(n):
        skynet.fork(_buy, random.choice(nodes), i)
    while len(out) < n:
        skynet.sleep("10ms")
    return str(sorted(out))
def _buy(node, i):
    skynet.sleep(random.int(0, 300) / 1e3)
    r = skynet.pcall(cluster.call, node, "till", "sell", "apples", i, timeout = 0.06)
    out.append((i, str(r.value) if r.ok else r.error.kind, int(skynet.now() * 1e9)))
`,
}

// shopping is everything that can be seen of a run with a seed: clients, tills, an unreliable network and a crash.
func shopping(t *testing.T, seed uint64) (seen string) {
	w := runtimetest.NewVirtual(t, seed)
	w.Scripts(shop)
	w.Cluster("a", "b", "c")
	w.Fabric().SetDefault(virtual.Link{Latency: virtual.Uniform(time.Millisecond, 9*time.Millisecond), Loss: 20_000})
	w.Node("a", "buyer.star")
	w.Node("b", "till.star")
	w.Node("c", "till.star")
	p := w.Go("a", "buyer", "buy", []any{"b", "c"}, 40)
	w.Until("b has sold something", func() bool { return len(w.Logs("b")) > 3 })
	w.Crash("b")
	w.Node("b", "till.star")
	v, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%v\n%v\n%v\n%x", v, w.Logs("b"), w.Logs("c"), w.Hash())
}

// TestSameSeedSameRun repeats runs and wants the same, and wants different seeds to differ.
func TestSameSeedSameRun(t *testing.T) {
	var runs []string
	for seed := uint64(1); seed <= 5; seed++ {
		first := shopping(t, seed)
		if second := shopping(t, seed); second != first {
			t.Errorf("seed %d: got two runs\n%s\n%s", seed, first, second)
		}
		runs = append(runs, first)
	}
	slices.Sort(runs)
	if len(slices.Compact(runs)) < 5 {
		t.Error("runs of 5 seeds: got equal ones, want all to differ")
	}
}
