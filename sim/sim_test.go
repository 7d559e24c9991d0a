package sim_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"skynet/runtime/diag"
	"skynet/sched"
	"skynet/sched/trace"
	"skynet/sim"
	"skynet/sim/history"
	"skynet/sim/scenario"
)

const quorum = "testdata/quorum/quorum.star"

// hashes runs seeds 0 to n-1, one after another on one pool.
func hashes(t *testing.T, s *sim.Simulation, n uint64) []uint64 {
	pool := sim.NewCoroutines()
	defer pool.Close()
	var all []uint64
	for seed := range n {
		r, err := s.Run(sim.Options{Seed: seed, Coroutines: pool})
		if err != nil {
			t.Error(err)
			return nil
		}
		all = append(all, r.Hash)
	}
	return all
}

func TestSameSeedSameHash(t *testing.T) {
	const seeds = 3
	s := load(t, quorum)
	want := hashes(t, s, seeds)
	for i, h := range want {
		if slices.Contains(want[:i], h) {
			t.Fatalf("got hash %x twice, want one for each seed", h)
		}
	}
	old := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(old)
	for _, procs := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(procs)
		got := make([][]uint64, 2)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i] = hashes(t, s, seeds) })
		}
		wg.Wait()
		for _, g := range got {
			if !slices.Equal(g, want) {
				t.Errorf("GOMAXPROCS %d: got %x, want %x", procs, g, want)
			}
		}
	}
	for seed := uint64(seeds); seed > 0; seed-- {
		if got := run(t, load(t, quorum), sim.Options{Seed: seed - 1}).Hash; got != want[seed-1] {
			t.Errorf("seed %d in a fresh simulation: got %x, want %x", seed-1, got, want[seed-1])
		}
	}
}

func TestStrategies(t *testing.T) {
	s := load(t, "testdata/kv.star")
	fifo := run(t, s, sim.Options{Strategy: "fifo"})
	random := run(t, s, sim.Options{Strategy: "random"})
	if fifo.Hash == random.Hash || random.Hash != run(t, s, sim.Options{}).Hash {
		t.Errorf("got hashes %x (fifo), %x (random)", fifo.Hash, random.Hash)
	}
	if _, err := s.Run(sim.Options{Strategy: "lifo"}); err == nil {
		t.Error("got no error for strategy lifo")
	}
}

func TestSelfCheck(t *testing.T) {
	for _, file := range []string{quorum, "testdata/every.star", "testdata/view.star"} {
		if err := sim.SelfCheck(load(t, file), sim.Options{Seed: 7}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestPlanRepeats runs the trouble that a run has had as a plan: the clients must be told the same.
func TestPlanRepeats(t *testing.T) {
	s := load(t, "testdata/lost.star")
	first := run(t, s, sim.Options{Seed: 3})
	again := run(t, s, sim.Options{Seed: 3, Plan: first.Instances})
	if !reflect.DeepEqual(first.History, again.History) || again.Failed == nil || again.Failed.Name != first.Failed.Name {
		t.Errorf("got %v, want %v", again.History, first.History)
	}
	without := run(t, s, sim.Options{Seed: 3, Plan: []scenario.Instance{}})
	if without.Failed != nil || len(without.Faults) != 0 {
		t.Errorf("without trouble: got %v and %d faults, want neither", without.Failed, len(without.Faults))
	}
}

// TestDroppingAClientShiftsNoOther compares what the others draw.
func TestDroppingAClientShiftsNoOther(t *testing.T) {
	s := load(t, "testdata/kv.star")
	all := run(t, s, sim.Options{Seed: 5})
	some := run(t, s, sim.Options{Seed: 5, Clients: []string{"c1", "c3"}})
	asked := func(r *sim.Result, client string) (ops []string) {
		for _, op := range r.History.Operations {
			if op.Client == client {
				ops = append(ops, fmt.Sprint(op.Op, op.Args))
			}
		}
		return ops
	}
	for _, client := range []string{"c1", "c3"} {
		if got, want := asked(some, client), asked(all, client); !slices.Equal(got, want) || len(got) != 10 {
			t.Errorf("%s: got %v, want %v", client, got, want)
		}
	}
	if got := asked(some, "c2"); got != nil {
		t.Errorf("c2: got %v, want nothing", got)
	}
	if _, err := s.Run(sim.Options{Clients: []string{"c9"}}); err == nil {
		t.Error("got no error for client c9")
	}
}

// TestEveryFaultBites also sees a client crash in the middle of its work, which leaves its operation open.
func TestEveryFaultBites(t *testing.T) {
	s := load(t, "testdata/every.star")
	for seed := range uint64(4) {
		r := run(t, s, sim.Options{Seed: seed})
		if !r.Passed() {
			t.Fatalf("seed %d: got %+v", seed, r.Checks)
		}
		if len(r.Faults) != 11 {
			t.Errorf("seed %d: got %d faults, want 11", seed, len(r.Faults))
		}
		for _, f := range r.Faults {
			if !f.Bit || f.Effects.String() == "no effect" {
				t.Errorf("seed %d: %s: got no effect", seed, f.Path)
			}
		}
		for _, op := range r.History.Operations {
			if op.Outcome == history.OK && op.Client == "c2" && op.Return == history.Open {
				t.Errorf("seed %d: %v is open and ok", seed, op)
			}
		}
	}
}

func TestErrorsBeforeTheRun(t *testing.T) {
	files := map[string]string{
		"syntax.star": "def ping(:\n", "boot.star": "def init():\n    fail('no')\n", "name.star": "def f():\n    return nmae\n",
		"fine.star": "def ping():\n    pass\n",
	}
	for _, test := range []struct{ main, verdict, want string }{
		{"syntax.star", `linearizable("kv")`, "syntax.star:1:11"},
		{"name.star", `linearizable("kv")`, "name.star:2:12"},
		{"boot.star", `linearizable("kv")`, "boot.star:2:9"},
		{"missing.star", `linearizable("kv")`, "missing.star"},
		{"fine.star", `linearizable(model(init = sometimes, step = lambda s, o, a, r: s))`, "s.star:5:"},
	} {
		read := func(name string) ([]byte, error) {
			if name == "s.star" {
				return fmt.Appendf(nil, "def world(w):\n    w.nodes('n', 1, main = %q)\n    w.clients('c', 1)\nwork = lambda c: None\nverdict = checks(%s)\n",
					test.main, test.verdict), nil
			}
			if text, ok := files[name]; ok {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		}
		s, err := sim.Load(read, "s.star")
		if err == nil {
			_, err = s.Run(sim.Options{})
		}
		if err == nil || !strings.Contains(diag.Format(err, nil), test.want) {
			t.Errorf("%s: got %v, want it to name %s", test.main, err, test.want)
		}
	}
}

func TestNodeConfiguration(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{`config = {"limits": {"mailbox": 2}}`, ""},
		{`config = {"limits": {"mailbx": 2}}`, "mailbox"},
		{`config = {"policy": {"*": {"moduls": []}}}`, "modules"},
		{`config = {"store": "x.db"}`, `got "store", want limits and policy only`},
	} {
		read := func(name string) ([]byte, error) {
			if name == "n.star" {
				return []byte("def slow():\n    skynet.sleep(1)\n    for i in range(5):\n        skynet.send(skynet.self(), 'no_command')\n"), nil
			}
			return fmt.Appendf(nil, `
def world(w):
    w.nodes("n", 1, main = "n.star", %s)
    w.clients("c", 1)
def work(c):
    r = c.call("slow")
    if r.ok or "mailbox" not in r.error.message:
        fail(r)
verdict = checks(sometimes("anything"))
`, test.args), nil
		}
		s, err := sim.Load(read, "s.star")
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Run(sim.Options{})
		switch {
		case test.want == "" && (err != nil || !r.Passed()):
			t.Errorf("%s: got %v, %+v, want a full mailbox", test.args, err, r)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: got %v, want %q", test.args, err, test.want)
		}
	}
}

// TestBrokenNodeAfterAFault: a main script that fails when its node comes back is a finding, not an error.
func TestBrokenNodeAfterAFault(t *testing.T) {
	read := func(name string) ([]byte, error) {
		if name == "n.star" {
			return []byte("def init():\n    if store.get('x'):\n        fail('again')\n    store.put('x', 1)\n    store.sync()\ndef ping():\n    pass\n"), nil
		}
		return []byte(`
def world(w):
    w.nodes("n", 1, main = "n.star")
    w.clients("c", 1)
def work(c):
    c.sleep("1s")
    c.call("ping")
trouble = plan(at("0.2s", crash("n1", down = "0.1s")))
verdict = checks(eventually("up", lambda s: len(s.up()) == 1, within = "1s"), sometimes("handler failed"))
`), nil
	}
	s, err := sim.Load(read, "s.star")
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, s, sim.Options{})
	if r.Failed == nil || r.Failed.Name != "up" || r.Checks[1].Verdict != sim.OK {
		t.Errorf("got %+v", r.Checks)
	}
	if len(r.Lost) != 1 || !strings.Contains(r.Lost[0], "n1: ") || !strings.Contains(r.Lost[0], "n.star:3:13: fail: again") {
		t.Errorf("got lost %q, want the node and why", r.Lost)
	}
	if !slices.ContainsFunc(r.Logs, func(line string) bool { return strings.Contains(line, "n.star:3:13: fail: again") }) {
		t.Errorf("got logs %q, want the failure", r.Logs)
	}
}

// TestNothingIsNoEffect: a clock that is moved by nothing and a processor at its full speed are no trouble.
func TestNothingIsNoEffect(t *testing.T) {
	read := func(name string) ([]byte, error) {
		if name == "n.star" {
			return []byte("def ping():\n    pass\n"), nil
		}
		return []byte(`
def world(w):
    w.nodes("n", 1, main = "n.star")
    w.clients("c", 1)
def work(c):
    c.sleep("1s")
trouble = plan(*[at("0.1s", f) for f in [slow("n1", 100), clock_step("n1", 0), slow("n1", 99), clock_step("n1", "-1ns")]])
verdict = checks(always("up", lambda s: len(s.nodes()) == 1))
`), nil
	}
	s, err := sim.Load(read, "s.star")
	if err != nil {
		t.Fatal(err)
	}
	var bit []bool
	for _, f := range run(t, s, sim.Options{}).Faults {
		bit = append(bit, f.Bit)
	}
	if want := []bool{false, false, true, true}; !slices.Equal(bit, want) {
		t.Errorf("got effects %v, want %v", bit, want)
	}
}

// TestMainServiceMayExit: a node outlives its main service, as it does in production.
func TestMainServiceMayExit(t *testing.T) {
	read := func(name string) ([]byte, error) {
		return map[string][]byte{
			"n.star":     []byte("def init():\n    skynet.newservice('other.star')\n    skynet.exit()\n"),
			"other.star": []byte("def init():\n    skynet.register('.other')\ndef ping():\n    return 'pong'\n"),
			"s.star": []byte(`
def world(w):
    w.nodes("n", 1, main = "n.star")
    w.clients("c", 1, service = ".other")
def work(c):
    if c.call("ping").value != "pong": fail("no pong")
verdict = checks(always("up", lambda s: len(s.nodes()) == 1))
`)}[name], nil
	}
	s, err := sim.Load(read, "s.star")
	if err != nil {
		t.Fatal(err)
	}
	if r := run(t, s, sim.Options{}); r.Failed != nil {
		t.Errorf("got %+v, want a pass", r.Failed)
	}
}

// TestAbortInSimulation: a node that ends itself stops in order, is started again, and has its store as it left it.
func TestAbortInSimulation(t *testing.T) {
	read := func(name string) ([]byte, error) {
		if name == "n.star" {
			return []byte(`
def init():
    skynet.register(".n")
    log.info("starts", times = store.get("starts", 0))
    store.put("starts", store.get("starts", 0) + 1)
def slow():
    skynet.abort("enough")
    skynet.sleep("100ms")
    return "answered"
def exit():
    log.info("ends")
`), nil
		}
		return []byte(`
def world(w):
    w.nodes("n", 2, main = "n.star", disk = disk(lose_unsynced = True))
    w.clients("c", 1, service = ".n", nodes = "n1")
def work(c):
    for answered in [True, False, True, True]: # the second is cut off by a crash
        c.log("heard", **{"as expected": (c.op("slow", timeout = "300ms").value == "answered") == answered})
        c.sleep("3s" if answered else "2900ms")
    c.sleep("1s")
trouble = plan(at("3150ms", crash("n1", down = "500ms")), at("6500ms", crash("n1", down = "2500ms")))
def starts(s, node):
    return [f.times for f in s.facts("starts") if f.node == node]
verdict = checks(
    never("unexpected", lambda s: any([not getattr(f, "as expected") for f in s.facts("heard")])),
    never("the other is touched", lambda s: len(starts(s, "n2")) > 1),
    sometimes("the store is there", lambda s: starts(s, "n1")[:2] == [0, 1]),
    # After the first end, after the crash that cuts the second off, after the crash that comes upon the third, and after the last.
    eventually("starts", lambda s: len(starts(s, "n1")) == 5),
    eventually("ends", lambda s: len(s.facts("ends")) == 3),
)
`), nil
	}
	s, err := sim.Load(read, "s.star")
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		first, second := run(t, s, sim.Options{Seed: seed}), run(t, s, sim.Options{Seed: seed})
		if first.Hash != second.Hash {
			t.Errorf("seed %d: hashes: got %x and %x, want the same", seed, first.Hash, second.Hash)
		}
		for _, c := range first.Checks {
			if c.Verdict != sim.OK {
				t.Errorf("seed %d: %s: got %s (%s), want ok; log:\n%s", seed, c.Name, c.Verdict, c.Message, strings.Join(first.Logs, "\n"))
			}
		}
	}
}

// TestNoWorkAfterTheLimit: a client that is down when its time is up does not begin anew when it is back.
func TestNoWorkAfterTheLimit(t *testing.T) {
	s := load(t, "testdata/limit.star")
	crash := func(at, until int) scenario.Instance {
		return scenario.Instance{
			At: sched.Time(at * 1e6), Until: sched.Time(until * 1e6),
			Fault: scenario.Concrete{Kind: scenario.Crash, Groups: [][]string{{"c1"}}},
		}
	}
	r := run(t, s, sim.Options{Plan: []scenario.Instance{crash(400, 500), crash(900, 3000)}})
	ops := r.History.Operations
	if last := ops[len(ops)-1]; len(ops) != 4 || last.CallTime > 9e8 {
		t.Errorf("got %v, want two operations before each crash", ops)
	}
	if u := r.Undecided(); u == nil || u.Name != "limit" || r.Failed != nil || r.Passed() {
		t.Errorf("got %+v, want the limit undecided", r.Checks)
	}
}

// TestLoopWithoutTime: a client that loops on sleep(0) does not hold up a sweep for ever, and is no pass.
func TestLoopWithoutTime(t *testing.T) {
	read := func(name string) ([]byte, error) {
		if name == "n.star" {
			return nil, nil
		}
		return []byte(`
def world(w):
    w.nodes("n", main = "n.star")
    w.clients("c")
def work(c):
    while True:
        c.sleep(0)
verdict = checks(linearizable("register"))
`), nil
	}
	s, err := sim.Load(read, "loop.star")
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, s, sim.Options{MaxSteps: 10_000})
	if u := r.Undecided(); u == nil || u.Name != "limit" || !strings.Contains(u.Message, "10000 steps") || r.Passed() {
		t.Errorf("got %+v, want the limit of steps", r.Checks)
	}
}

func TestDiagram(t *testing.T) {
	s := load(t, "testdata/lost.star")
	plain := run(t, s, sim.Options{Seed: 3})
	var d sim.Diagram
	if drawn := run(t, s, sim.Options{Seed: 3, Diagram: &d}); drawn.Hash != plain.Hash {
		t.Errorf("got hash %x with a diagram, want %x", drawn.Hash, plain.Hash)
	}
	if want := []string{"n1", "c1"}; !slices.Equal(d.Lanes, want) {
		t.Errorf("got lanes %v, want %v", d.Lanes, want)
	}
	kinds := map[string]int{}
	for _, span := range d.Spans {
		kinds[span.Kind]++
		if span.End < span.Begin {
			t.Errorf("got span %+v, want an end", span)
		}
	}
	if want := map[string]int{"op": 6, "fault": 1, "down": 1}; !reflect.DeepEqual(kinds, want) {
		t.Errorf("got spans %v, want %v", kinds, want)
	}
	arrived := 0
	for _, m := range d.Messages {
		if m.Arrived > m.Sent && !m.Lost {
			arrived++
		}
	}
	if arrived < 12 || d.Dropped != 0 {
		t.Errorf("got %d messages that arrived and %d dropped, want 12 or more and none", arrived, d.Dropped)
	}
	small := sim.Diagram{Limit: 3}
	run(t, s, sim.Options{Seed: 3, Diagram: &small})
	if len(small.Messages) != 3 || len(small.Spans) != 3 || small.Spans[2].Kind != "op" || small.Dropped == 0 {
		t.Errorf("got %d messages, %d spans, %d dropped, want 3, 3 and more than 0", len(small.Messages), len(small.Spans), small.Dropped)
	}
}

func TestTraceOption(t *testing.T) {
	s := load(t, "testdata/kv.star")
	var events uint64
	tr := trace.Trace{Sink: func(trace.Event) { events++ }}
	r := run(t, s, sim.Options{Trace: &tr})
	if events != r.Events || tr.Hash() != r.Hash {
		t.Errorf("got %d events and hash %x, want %d and %x", events, tr.Hash(), r.Events, r.Hash)
	}
}

func TestBootErrorUnwraps(t *testing.T) {
	cause := errors.New("cause")
	if err := (&sim.BootError{Node: "n1", Err: cause}); !errors.Is(err, cause) || err.Error() != "node n1: cause" {
		t.Errorf("got %v", err)
	}
}
