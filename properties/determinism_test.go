package properties

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"skynet/sched/trace"
	"skynet/sim"
	"skynet/sim/scenario"
)

// hashFile has the hashes of the pinned runs. Whoever runs them, on whatever machine, with the race detector or without, gets
// these: that is why the same test is run in both ways.
const hashFile = "testdata/hashes.txt"

const (
	pinnedScenario = "testdata/everything.star"
	pinnedSeeds    = 8
	shippedSeeds   = 2
)

// run is one seed of a scenario.
type run struct {
	scenario string
	seed     uint64
	sim      *sim.Simulation
}

func runsOf(name string, seeds uint64) ([]run, error) {
	s, err := sim.Load(os.ReadFile, name)
	all := make([]run, seeds)
	for seed := range seeds {
		all[seed] = run{name, seed, s}
	}
	return all, err
}

// pinnedRuns are those whose hashes are kept.
func pinnedRuns(t *testing.T) []run {
	t.Helper()
	all, err := runsOf(pinnedScenario, pinnedSeeds)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// allRuns are the pinned ones, and some of each scenario that ships.
func allRuns() ([]run, error) {
	all, err := runsOf(pinnedScenario, pinnedSeeds)
	if err != nil {
		return nil, err
	}
	shipped, err := filepath.Glob(scenarioDir + "*.star")
	if len(shipped) < 5 || err != nil {
		return nil, fmt.Errorf("scenarios that ship: got %q, %v, want several", shipped, err)
	}
	for _, name := range shipped {
		runs, err := runsOf(filepath.ToSlash(name), shippedSeeds)
		if err != nil {
			return nil, err
		}
		all = append(all, runs...)
	}
	return all, nil
}

// hash runs it and describes it in a line.
func (r run) hash(o sim.Options) (string, error) {
	o.Seed = r.seed
	result, err := r.sim.Run(o)
	if err != nil {
		return "", fmt.Errorf("%s, seed %d: %w", r.scenario, r.seed, err)
	}
	return fmt.Sprintf("%s %d %016x %d events\n", path.Base(r.scenario), r.seed, result.Hash, result.Events), nil
}

// hashesOf are the lines of the runs.
func hashesOf(runs []run) (string, error) {
	pool := sim.NewCoroutines()
	defer pool.Close()
	var b strings.Builder
	for _, r := range runs {
		line, err := r.hash(sim.Options{Coroutines: pool})
		if err != nil {
			return "", err
		}
		b.WriteString(line)
	}
	return b.String(), nil
}

// printHashes is what the processes of TestEveryProcessHasTheSameHashes do.
func printHashes(w io.Writer) error {
	runs, err := allRuns()
	if err != nil {
		return err
	}
	all, err := hashesOf(runs)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, all)
	return err
}

// hashes are those of this process.
func hashes(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := printHashes(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPinnedHashes compares with what is kept. A change of the runtime or of the simulator may change the hashes; whoever means
// it writes them anew. Any other difference means that runs depend on the machine.
func TestPinnedHashes(t *testing.T) {
	got, err := hashesOf(pinnedRuns(t))
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile(hashFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(hashFile)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := differences(got, string(want)); wrong != "" {
		t.Errorf("%s\nif the runs were meant to change: go test ./properties -run TestPinnedHashes -rewrite", wrong)
	}
}

// differences lists the lines that differ.
func differences(got, want string) string {
	var wrong strings.Builder
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		var one, other string
		if i < len(a) {
			one = a[i]
		}
		if i < len(b) {
			other = b[i]
		}
		if one != other {
			fmt.Fprintf(&wrong, "got %q, want %q\n", one, other)
		}
	}
	return wrong.String()
}

// environments are what no run may notice.
var environments = [][]string{
	{"GOMAXPROCS=1"}, {"GOMAXPROCS=2"}, {"GOMAXPROCS=8"}, {"GOGC=1"}, {"GOGC=off"}, {"GOMAXPROCS=8", "GOGC=5", "GODEBUG=asyncpreemptoff=1"},
	{"TZ=Asia/Kathmandu", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8"}, {"TZ=America/St_Johns", "LANG=C"}, {"GOMEMLIMIT=32MiB"}, nil,
}

// TestEveryProcessHasTheSameHashes runs fresh processes in different environments.
func TestEveryProcessHasTheSameHashes(t *testing.T) {
	want := hashes(t)
	for _, env := range environments {
		cmd := exec.Command(os.Args[0], "-properties.hashes")
		cmd.Env = append(os.Environ(), env...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		got, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", env, err, stderr.Bytes())
		}
		if wrong := differences(string(got), want); wrong != "" {
			t.Errorf("%v:\n%s", env, wrong)
		}
	}
}

// TestOrderOfRunsDoesNotMatter runs the seeds backwards, on one pool of coroutines and each on its own, and all at the same
// time in one process, under several GOMAXPROCS.
func TestOrderOfRunsDoesNotMatter(t *testing.T) {
	runs, err := allRuns()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.SplitAfter(hashes(t), "\n")
	compare := func(i int, how string, o sim.Options) {
		got, err := runs[i].hash(o)
		if err != nil {
			t.Error(err)
		} else if got != want[i] {
			o.Seed = runs[i].seed
			t.Errorf("%s: got %q, want %q; %v", how, got, want[i], sim.SelfCheck(runs[i].sim, o))
		}
	}
	pool := sim.NewCoroutines()
	defer pool.Close()
	for i := range slices.Backward(runs) {
		compare(i, "backwards", sim.Options{Coroutines: pool})
	}
	defer goruntime.GOMAXPROCS(goruntime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2, 8} {
		goruntime.GOMAXPROCS(procs)
		var all sync.WaitGroup
		for i := range runs {
			all.Go(func() { compare(i, fmt.Sprintf("at the same time, GOMAXPROCS %d", procs), sim.Options{}) })
		}
		all.Wait()
	}
}

// TestPinnedRunHasEverything wants something of every kind in the traces that are kept, and every fault to have bitten, but
// for those of datagrams, which scripts cannot send.
func TestPinnedRunHasEverything(t *testing.T) {
	seen := make(map[trace.Kind]bool)
	bit := make(map[string]bool)
	for _, r := range pinnedRuns(t) {
		result, err := r.sim.Run(sim.Options{Seed: r.seed, Trace: &trace.Trace{Sink: func(e trace.Event) { seen[e.Kind] = true }}})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range result.Faults {
			bit[f.From] = bit[f.From] || f.Bit
		}
		for _, source := range r.sim.Scenario.Trouble.Sources() {
			kind := source.Fault.Kind
			bit[source.Name] = bit[source.Name] || kind == scenario.Duplicate || kind == scenario.Reorder
		}
	}
	for kind := trace.Pick; kind <= trace.Offload; kind++ {
		if !seen[kind] {
			t.Errorf("pinned runs: got no event of kind %v, want some", kind)
		}
	}
	for name, ever := range bit {
		if !ever {
			t.Errorf("pinned runs: got no effect of %s, want one", name)
		}
	}
}

// TestHashesTellRunsApart guards the tests above: a hash that covers nothing is always the same.
func TestHashesTellRunsApart(t *testing.T) {
	seen := make(map[string]string)
	for line := range strings.Lines(hashes(t)) {
		hash := strings.Fields(line)[2]
		if other, ok := seen[hash]; ok {
			t.Errorf("hashes: got the same for %q and %q, want different ones", line, other)
		}
		seen[hash] = line
	}
}
