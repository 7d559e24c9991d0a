package runtime_test

import (
	"fmt"
	"slices"
	"testing"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// crowd is a channel under load: every subscriber must see the same order, and miss only what its policy lets it miss.
var crowd = map[string]string{
	"member.star": `
got = []
held = []

def subscribe(limit, slow, slowness):
    def take(p, i):
        got.append((p, i))
        if random.chance(slowness):
            skynet.sleep(random.int(0, 300) / 1e6)
    held.append(multicast.subscribe("news", take, limit = limit, slow = slow))

def publish(p, n):
    reached = 0
    for i in range(n):
        reached += multicast.publish("news", p, i, timeout = "60s")
        if random.chance(0.2):
            skynet.sleep(random.int(0, 200) / 1e6)
    return reached

def outcome():
    return got, held[0].dropped
`,
}

// TestACrowdSeesOneOrder has publishers on several workers publish as fast as they can to subscribers of all policies.
func TestACrowdSeesOneOrder(t *testing.T) {
	const publishers, each = 4, 150
	policies := []struct {
		limit    int
		slow     string
		slowness float64
	}{
		{1 << 20, "block", 0}, {3, "block", 0.3}, {1, "block", 0.1}, {5, "drop_oldest", 0.5}, {5, "drop_newest", 0.5}, {20, "unsubscribe", 0.9},
		{1 << 20, "drop_oldest", 0.1}, {4, "drop_newest", 0},
	}
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Scripts(crowd)
		n := w.Node("n", "lib/subscriber.star")
		var subs []*runtime.Address
		for _, p := range policies {
			a := another(w, "member.star")
			subs = append(subs, a)
			w.Want("None", "n", a, "subscribe", p.limit, p.slow, starlark.Float(p.slowness))
		}
		var calls []*runtimetest.Pending
		for p := range publishers {
			calls = append(calls, w.Go("n", another(w, "member.star"), "publish", p, each))
		}
		for _, c := range calls {
			if _, err := c.Wait(); err != nil {
				t.Fatal(err)
			}
		}
		var order []string // everything, as the first subscriber saw it
		for i, p := range policies {
			var got []string
			var dropped int
			w.Until(fmt.Sprintf("subscriber %d has got everything", i), func() bool {
				got, dropped = crowdOutcome(t, w, subs[i])
				return len(got)+dropped >= publishers*each || p.slow == "unsubscribe" && dropped > 0
			})
			if i == 0 {
				order = got
				checkPublishers(t, order, publishers, each)
			}
			checkOrder(t, fmt.Sprintf("subscriber %d (%s)", i, p.slow), got, dropped, order, p.slow)
		}
		for _, a := range subs {
			n.Kill(a)
		}
		w.Until("nothing is left", func() bool { return leftovers(n) == "" })
	})
}

// TestACrowdIsDeterministic wants the same run of the same seed, and others of others.
func TestACrowdIsDeterministic(t *testing.T) {
	run := func(seed uint64) string {
		w := runtimetest.NewVirtual(t, seed)
		w.Scripts(testScripts(t))
		w.Scripts(crowd)
		w.Node("n", "lib/subscriber.star")
		var subs []*runtime.Address
		for _, slow := range slowPolicies {
			a := another(w, "member.star")
			subs = append(subs, a)
			w.Want("None", "n", a, "subscribe", 3, string(slow), starlark.Float(0.5))
		}
		a, b := another(w, "member.star"), another(w, "member.star")
		first, second := w.Go("n", a, "publish", 0, 40), w.Go("n", b, "publish", 1, 40)
		text := ""
		for _, p := range []*runtimetest.Pending{first, second} {
			v, err := p.Wait()
			text += fmt.Sprintln(v, err)
		}
		for _, a := range subs {
			text += fmt.Sprintln(crowdOutcome(t, w, a))
		}
		return fmt.Sprintf("%s%x", text, w.Hash())
	}
	for seed := uint64(1); seed <= 5; seed++ {
		if first, second := run(seed), run(seed); first != second {
			t.Errorf("seed %d: got two runs\n%s\n%s", seed, first, second)
		}
	}
	if run(1) == run(2) {
		t.Error("runs of two seeds: got the same, want others")
	}
}

func crowdOutcome(t *testing.T, w *runtimetest.World, a *runtime.Address) (got []string, dropped int) {
	t.Helper()
	v, err := w.Call("n", a, "outcome")
	if err != nil {
		t.Fatal(err)
	}
	pair := v.(starlark.Tuple)
	for item := range pair[0].(*starlark.List).Elements() {
		got = append(got, item.String())
	}
	dropped, _ = starlark.AsInt32(pair[1])
	return got, dropped
}

// checkPublishers wants everything that each publisher published, in its order.
func checkPublishers(t *testing.T, order []string, publishers, each int) {
	t.Helper()
	next := make([]int, publishers)
	for _, item := range order {
		var p, i int
		if _, err := fmt.Sscanf(item, "(%d, %d)", &p, &i); err != nil || i != next[p] {
			t.Fatalf("publisher %d: got %s, want number %d of it next", p, item, next[p])
		}
		next[p]++
	}
	if len(order) != publishers*each {
		t.Errorf("order: got %d publications, want %d", len(order), publishers*each)
	}
}

// checkOrder wants what a subscriber got to be a part of the order, each once, and the number of the rest to be what it dropped.
func checkOrder(t *testing.T, who string, got []string, dropped int, order []string, slow string) {
	t.Helper()
	rest := order
	for i, item := range got {
		at := slices.Index(rest, item)
		if at < 0 || at > 0 && (slow == "block" || slow == "unsubscribe") {
			t.Fatalf("%s: item %d: got %s, which is out of order, a second time, or after a gap", who, i, item)
		}
		rest = rest[at+1:]
	}
	switch {
	case slow == "block" && dropped > 0:
		t.Errorf("%s: got %d dropped, want none", who, dropped)
	case slow != "unsubscribe" && len(got)+dropped != len(order):
		t.Errorf("%s: got %d and %d dropped, want %d together", who, len(got), dropped, len(order))
	}
}
