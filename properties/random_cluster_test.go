package properties

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sim"
	"skynet/sim/scenario"
)

// scenarioDir is where the shipped scenarios and their scripts are, and so where a printed counterexample belongs.
const scenarioDir = "../scenarios/"

// subject is a service that random clusters run, with the verdict of the scenario that ships with it.
type subject struct {
	from     string // the scenario
	nodes    string // lines of world(w); {n} stands for the number of nodes, {disk} for the disk of each
	most     int    // the largest {n}
	names    string // of the nodes, with %d for the number; or in words all of them, if there is only one {n}
	volatile string // a node that does not claim to survive a crash; it has no number
	clients  string // more arguments of w.clients
	work     string // {ops} stands for the number of operations
}

// cluster is a random cluster with its work and its trouble: a plain value, so that it can be shrunk and printed.
type cluster struct {
	subject *subject
	seed    uint64   // of the run
	nodes   int      // how many
	all     int      // clients there were before any was dropped
	clients []string // that are left
	ops     int      // that each client does
	latency string   // a Starlark expression
	net     string   // what else w.net is told
	disk    string   // a Starlark expression
	faults  []scenario.Instance
}

// clusters generates clusters that run the subject.
func clusters(s *subject) gopter.Gen {
	return gen.UInt64().Map(func(seed uint64) cluster { return newCluster(s, seed) }).WithShrinker(shrinkCluster)
}

func newCluster(s *subject, seed uint64) cluster {
	r := sched.NewStream(seed, "cluster")
	c := cluster{subject: s, seed: seed, nodes: 1 + r.IntN(s.most), all: 1 + r.IntN(5), ops: int(r.Between(3, 12))}
	for i := range c.all {
		c.clients = append(c.clients, fmt.Sprintf("c%d", i+1))
	}
	c.latency = pick(r, `"1ms"`, `"200us..8ms"`, `lognormal("1ms", p99 = "20ms")`, `exponential("2ms")`)
	c.net = pick(r, "", `loss = "0.5%"`, `loss = "5%", duplicate = "5%"`, `duplicate = "10%", reorder = "10%"`, `bandwidth = "32KiB"`)
	c.disk = pick(r, "disk()", "disk(lose_unsynced = True)", `disk(lose_unsynced = True, sync = "100us..5ms")`)
	for range r.IntN(12) {
		c.faults = append(c.faults, c.randomFault(r))
	}
	slices.SortStableFunc(c.faults, func(a, b scenario.Instance) int { return cmp.Compare(a.At, b.At) })
	return c
}

func pick[T any](r *sched.Stream, from ...T) T { return from[r.IntN(len(from))] }

// nodeNames are the nodes of the cluster.
func (c cluster) nodeNames() []string {
	if !strings.Contains(c.subject.names, "%d") {
		return strings.Fields(c.subject.names)
	}
	names := make([]string, c.nodes)
	for i := range names {
		names[i] = fmt.Sprintf(c.subject.names, i+1)
	}
	return names
}

// amounts are what faults of a kind may be told: from, to, and in which unit.
var amounts = map[scenario.Kind][3]int64{
	scenario.Latency: {1, 100, 1e6}, scenario.Loss: {1, 50, 10_000}, scenario.Duplicate: {1, 50, 10_000},
	scenario.Reorder: {1, 50, 10_000}, scenario.Slow: {1, 50, 1}, scenario.ClockStep: {-50, 50, 1e8},
}

// kinds are what strikes; what cuts and stops nodes comes twice as often.
var kinds = []scenario.Kind{
	scenario.Partition, scenario.Partition, scenario.Crash, scenario.Crash, scenario.Pause, scenario.Latency, scenario.Loss,
	scenario.Duplicate, scenario.Reorder, scenario.Reset, scenario.Hold, scenario.Slow, scenario.ClockStep, scenario.DiskFail,
}

// randomFault is a fault of any kind while the clients work.
func (c cluster) randomFault(r *sched.Stream) scenario.Instance {
	f := scenario.Instance{At: sched.Time(r.Between(1, 600)) * sched.Time(time.Millisecond)}
	f.Fault.Kind, f.Until = pick(r, kinds...), f.At
	if f.Fault.Kind != scenario.Reset && f.Fault.Kind != scenario.ClockStep {
		f.Until = f.At.Add(time.Duration(r.Between(1, 600)) * time.Millisecond)
	}
	if limits, ok := amounts[f.Fault.Kind]; ok {
		f.Fault.Amount = limits[2] * r.Between(limits[0], limits[1])
	}
	struck := c.victims(r, f.Fault.Kind)
	if f.Fault.Kind == scenario.Partition {
		f.Fault.OneWay, f.Fault.Groups = r.IntN(3) == 0, split(r, struck)
		return f
	}
	f.Fault.Groups = [][]string{part(r, struck)}
	return f
}

// victims are whom a fault of this kind may strike: the nodes, at times also the clients, which have no disk and no use for a
// wall clock.
func (c cluster) victims(r *sched.Stream, kind scenario.Kind) []string {
	names := c.nodeNames()
	if c.subject.volatile != "" && kind != scenario.Crash {
		names = append(names, c.subject.volatile)
	}
	onlyNodes := kind == scenario.DiskFail || kind == scenario.ClockStep
	if kind == scenario.Partition || !onlyNodes && r.IntN(4) == 0 {
		names = slices.Concat(names, c.clients)
	}
	return names
}

// part draws some of the names, at least one.
func part(r *sched.Stream, names []string) []string {
	perm := r.Perm(len(names))[:1+r.IntN(len(names))]
	slices.Sort(perm)
	drawn := make([]string, len(perm))
	for i, at := range perm {
		drawn[i] = names[at]
	}
	return drawn
}

// split draws two groups, which may share one name: that one can talk to both.
func split(r *sched.Stream, names []string) [][]string {
	groups := make([][]string, 2)
	for i, at := range r.Perm(len(names)) {
		g := i
		if i >= 2 {
			g = r.IntN(2)
		}
		groups[g] = append(groups[g], names[at])
	}
	if len(names) > 2 && r.IntN(4) == 0 && !slices.Contains(groups[1], groups[0][0]) {
		groups[1] = append(groups[1], groups[0][0])
	}
	return groups
}

// String is the cluster as a scenario file.
func (c cluster) String() string {
	fill := strings.NewReplacer("{n}", fmt.Sprint(c.nodes), "{disk}", c.disk, "{ops}", fmt.Sprint(c.ops)).Replace
	net := c.latency
	if c.net != "" {
		net += ", " + c.net
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\"\"\"A random cluster.\"\"\"\n\nload(%q, \"verdict\")\n\nseed = %d\nlimit = \"1m\"\n", c.subject.from, c.seed)
	if len(c.clients) < c.all {
		fmt.Fprintf(&b, "clients = [\"%s\"]\n", strings.Join(c.clients, `", "`))
	}
	b.WriteString("\ndef world(w):\n")
	for line := range strings.Lines(fill(c.subject.nodes)) {
		b.WriteString("    " + line)
	}
	fmt.Fprintf(&b, "\n    w.net(latency = %s)\n", net)
	fmt.Fprintf(&b, "    w.clients(\"c\", %d%s)\n\n%s\n", c.all, c.subject.clients, fill(c.subject.work))
	b.WriteString(scenario.Print(c.faults, time.Second))
	return b.String()
}

// run runs the cluster from its printed form, as whoever finds a counterexample will.
func (c cluster) run(pool *runtime.Coroutines) (*sim.Result, error) {
	return runSource(c.String(), pool)
}

// runSource runs a scenario file with the seed that it gives.
func runSource(source string, pool *runtime.Coroutines) (*sim.Result, error) {
	s, err := loadSource(source)
	if err != nil {
		return nil, err
	}
	return s.Run(sim.Options{Seed: s.Scenario.Seed, Coroutines: pool})
}

// loadSource loads a scenario file as if it were written beside the shipped ones.
func loadSource(source string) (*sim.Simulation, error) {
	const file = scenarioDir + "counterexample.star"
	return sim.Load(func(name string) ([]byte, error) {
		if name == file {
			return []byte(source), nil
		}
		return os.ReadFile(name)
	}, file)
}

// shrinkCluster is the shrinker of clusters.
func shrinkCluster(v any) gopter.Shrink {
	smaller := v.(cluster).smaller()
	return func() (any, bool) {
		if len(smaller) == 0 {
			return nil, false
		}
		next := smaller[0]
		smaller = smaller[1:]
		return next, true
	}
}

// smaller are the clusters one step smaller, the largest steps first. No chain of steps is endless.
func (c cluster) smaller() []cluster {
	var all []cluster
	for size := len(c.faults); size > 0; size /= 2 {
		for from := 0; from < len(c.faults); from += size {
			all = append(all, c.withFaults(slices.Delete(slices.Clone(c.faults), from, min(from+size, len(c.faults)))))
		}
	}
	for i := range c.clients {
		if len(c.clients) > 1 {
			all = append(all, c.withClients(slices.Delete(slices.Clone(c.clients), i, i+1)))
		}
	}
	if c.nodes > 1 {
		all = append(all, c.withNodes(c.nodes-1))
	}
	for _, ops := range []int{c.ops / 2, c.ops - 1} {
		if ops > 0 && ops < c.ops {
			fewer := c
			fewer.ops = ops
			all = append(all, fewer)
		}
	}
	if c.net != "" {
		calm := c
		calm.net = ""
		all = append(all, calm)
	}
	for i, f := range c.faults {
		if half := (f.Until - f.At) / 2; half >= sched.Time(time.Millisecond) {
			shorter := c.withFaults(slices.Clone(c.faults))
			shorter.faults[i].Until = f.At + half - half%sched.Time(time.Millisecond)
			all = append(all, shorter)
		}
	}
	return all
}

func (c cluster) withFaults(faults []scenario.Instance) cluster {
	c.faults = faults
	return c
}

func (c cluster) withClients(clients []string) cluster {
	c.clients = clients
	return c.withoutTheGone()
}

func (c cluster) withNodes(nodes int) cluster {
	c.nodes = nodes
	return c.withoutTheGone()
}

// withoutTheGone lets faults strike only who is left, and drops those that strike nobody or cut nothing.
func (c cluster) withoutTheGone() cluster {
	left := slices.Concat(c.nodeNames(), c.clients, []string{c.subject.volatile})
	var faults []scenario.Instance
	for _, f := range c.faults {
		groups := make([][]string, len(f.Fault.Groups))
		empty := false
		for i, g := range f.Fault.Groups {
			groups[i] = slices.DeleteFunc(slices.Clone(g), func(name string) bool { return !slices.Contains(left, name) })
			empty = empty || len(groups[i]) == 0
		}
		if f.Fault.Groups = groups; !empty {
			faults = append(faults, f)
		}
	}
	return c.withFaults(faults)
}
