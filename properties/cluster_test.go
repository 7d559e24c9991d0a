package properties

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leanovate/gopter/prop"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sim"
	"skynet/sim/history"
	"skynet/sim/scenario"
)

// The services that ship as correct, and one that does not.
var (
	quorum = &subject{
		from: "quorum.star", nodes: `w.nodes("n", {n}, main = "nodes/quorum.star", disk = {disk})`, most: 7, names: "n%d",
		clients: `, timeout = "1s"`, work: getsAndPuts,
	}
	quorumWithoutRepair = &subject{
		from: "quorum_no_repair.star", most: 5, names: "n%d", clients: `, timeout = "1s"`,
		work:  strings.Replace(getsAndPuts, `"ab"`, `"a"`, 1),
		nodes: `w.nodes("n", {n}, main = "nodes/quorum.star", args = {"read_repair": False}, disk = {disk})`,
	}
	kv = &subject{
		from: "kv.star", most: 1, names: "kv1", clients: `, service = ".kv", timeout = "200ms"`, work: getsAndPuts,
		nodes: `w.nodes("kv", main = "../scripts/kv.star", args = {"tcp": "0.0.0.0:7380", "kcp": None}, disk = {disk})`,
	}
	fencedLock = &subject{
		from: "lock_fenced.star", most: 1, names: "lock1 storage1", clients: `, timeout = "500ms"`,
		nodes: `w.nodes("lock", main = "nodes/lock.star", disk = {disk})
w.nodes("storage", main = "nodes/storage.star", args = {"fenced": True}, disk = {disk})`,
		work: `def work(c):
    for _ in range({ops}):
        grant = c.op("acquire", c.name, node = "lock1")
        if grant.ok and grant.value:
            c.sleep(c.int(0, 60) / 1000)
            c.op("use", grant.value, node = "storage1")
            c.op("release", c.name, node = "lock1")
        c.sleep(c.int(0, 40) / 1000)
`,
	}
	chat = &subject{
		from: "chat.star", most: 7, names: "m%d", volatile: "room1", clients: `, nodes = "m*", timeout = "400ms"`,
		nodes: `w.nodes("room", main = "../scripts/chat.star", args = {"tcp": "0.0.0.0:7480", "kcp": None})
w.nodes("m", {n}, main = "nodes/chat_member.star", args = {"room": "room1:7480"})`,
		work: `def work(c):
    for _ in range({ops}):
        c.op("say", c.fresh())
        c.sleep(c.int(0, 40) / 1000)
`,
	}
)

const getsAndPuts = `def work(c):
    for _ in range({ops}):
        key = c.pick("ab")
        c.op("put", key, c.fresh()) if c.chance(0.5) else c.op("get", key)
        c.sleep(c.int(0, 40) / 1000)
`

// tally counts what random clusters came to: a property that holds because nothing happened has shown nothing.
type tally struct {
	runs, ops, ok uint64
	strikes, bit  uint64
	undecided     uint64
}

func (n *tally) add(r *sim.Result) {
	n.runs++
	for _, op := range r.History.Operations {
		n.ops++
		if op.Outcome == history.OK {
			n.ok++
		}
	}
	for _, f := range r.Faults {
		n.strikes++
		if f.Bit {
			n.bit++
		}
	}
	if r.Undecided() != nil {
		n.undecided++
	}
}

// counterexample is a cluster in which something is wrong, as small as the shrinker got it.
type counterexample struct {
	small, found cluster
	why          string
}

// search runs random clusters until one fails, which is shrunk; nil if none does.
func search(t *testing.T, s *subject, runs int, n *tally) *counterexample {
	t.Helper()
	pool := sim.NewCoroutines()
	defer pool.Close()
	law := prop.ForAll(func(c cluster) string { return verdict(c, pool, n) }, clusters(s))
	result := law.Check(parameters(runs))
	if result.Passed() {
		return nil
	}
	if len(result.Args) == 0 {
		t.Fatalf("%v\n%s\n%s", result.Error, result.ErrorStack, repeat(t))
	}
	arg := result.Args[0]
	return &counterexample{small: arg.Arg.(cluster), found: arg.OrigArg.(cluster), why: strings.Join(result.Labels, "\n")}
}

// verdict runs a cluster and says what is wrong, nothing if nothing is.
func verdict(c cluster, pool *runtime.Coroutines, n *tally) string {
	r, err := c.run(pool)
	if err != nil {
		return fmt.Sprintf("the scenario cannot be run: %v", err)
	}
	n.add(r)
	if r.Failed == nil {
		return ""
	}
	return fmt.Sprintf("%s: %s\n%s", r.Failed.Name, r.Failed.Message, strings.Join(r.Failed.Evidence, "\n"))
}

func testSubject(t *testing.T, s *subject) {
	var n tally
	if bad := search(t, s, 5**cases, &n); bad != nil {
		t.Fatalf("%s\nsave as scenarios/counterexample.star and run \"skynet sim scenarios/counterexample.star\":\n\n%s\nrepeat: %s",
			bad.why, bad.small, repeat(t))
	}
	t.Logf("%+v", n)
	if n.runs >= 20 && (3*n.ok < n.ops || 3*n.bit < n.strikes || n.undecided > 0) {
		t.Errorf("random clusters: got %+v, want a third of the operations ok, a third of the faults with an effect, and every run decided", n)
	}
}

func TestQuorumInAnyCluster(t *testing.T) { testSubject(t, quorum) }

func TestKVInAnyCluster(t *testing.T) { testSubject(t, kv) }

func TestChatInAnyCluster(t *testing.T) { testSubject(t, chat) }

func TestFencedLockInAnyCluster(t *testing.T) { testSubject(t, fencedLock) }

// TestCounterexampleReplays finds a cluster in which the quorum without read repair is wrong, and wants it small, and its
// printed form to fail in the same way.
func TestCounterexampleReplays(t *testing.T) {
	var n tally
	bad := search(t, quorumWithoutRepair, 5000, &n)
	if bad == nil {
		t.Fatalf("quorum without read repair: got %d runs without a failure, want one that fails", n.runs)
	}
	t.Logf("after %d runs:\n%s", n.runs, bad.small)
	pool := sim.NewCoroutines()
	defer pool.Close()
	var hashes [2]uint64
	for i := range hashes {
		r, err := runSource(bad.small.String(), pool)
		if err != nil {
			t.Fatal(err)
		}
		if r.Failed == nil || r.Failed.Name != "linearizable-kv" {
			t.Fatalf("printed counterexample: got %+v, want linearizable-kv to fail:\n%s", r.Failed, bad.small)
		}
		hashes[i] = r.Hash
	}
	if hashes[0] != hashes[1] {
		t.Errorf("hashes of the printed counterexample: got %016x and %016x, want equal ones", hashes[0], hashes[1])
	}
	for _, c := range bad.small.smaller() {
		if why := verdict(c, pool, &n); why != "" {
			t.Errorf("shrunk counterexample: got one that fails in still smaller form:\n%s\n%s", why, c)
		}
	}
	if before, after := bad.found, bad.small; len(after.faults) > len(before.faults) || len(after.clients) > len(before.clients) || after.nodes > before.nodes {
		t.Errorf("shrunk counterexample: got one that is larger than what was found:\n%s\n%s", after, before)
	}
}

// TestPrintedClusterIsTheCluster prints random clusters and smaller ones, and reads them back: who exists, and what goes wrong
// when, is all there.
func TestPrintedClusterIsTheCluster(t *testing.T) {
	for _, s := range []*subject{quorum, kv, fencedLock, chat} {
		for from := range uint64(10) {
			c := newCluster(s, from)
			for _, c := range append(c.smaller(), c) {
				if wrong := readBack(c); wrong != "" {
					t.Fatalf("%s\nin:\n%s", wrong, c)
				}
			}
		}
	}
}

func readBack(c cluster) string {
	s, err := loadSource(c.String())
	if err != nil {
		return err.Error()
	}
	w, err := scenario.BuildWorld(s.Scenario, sched.NewStream(c.seed, "world"))
	if err != nil {
		return err.Error()
	}
	nodes := c.nodeNames()
	if c.subject.volatile != "" {
		nodes = append([]string{c.subject.volatile}, nodes...)
	}
	who := w.Cluster()
	if !slices.Equal(who.Nodes, nodes) || !slices.Equal(who.Clients, c.clients) || s.Scenario.Seed != c.seed {
		return fmt.Sprintf("got nodes %v, clients %v, seed %d, want %v, %v, %d", who.Nodes, who.Clients, s.Scenario.Seed, nodes, c.clients, c.seed)
	}
	if got, want := s.Scenario.Trouble.String(), scenario.Plan(c.faults, time.Second).String(); got != want {
		return fmt.Sprintf("got trouble %s, want %s", got, want)
	}
	return ""
}
