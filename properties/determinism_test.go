package properties

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"skynet/sim"
)

// hashFile has the hashes of the pinned runs. Whoever runs them, on whatever machine, with the race detector or without, gets
// these: that is why the same test is run in both ways.
const hashFile = "testdata/hashes.txt"

// pinned are the scenarios whose hashes are kept, each for pinnedSeeds seeds.
var pinned = []string{"chat.star", "kv.star", "lock_fenced.star", "primary_backup.star", "quorum.star"}

const pinnedSeeds = 2

// run names one run.
type run struct {
	scenario string
	seed     uint64
}

// simulations loads the pinned scenarios.
func simulations() (map[string]*sim.Simulation, error) {
	all := make(map[string]*sim.Simulation)
	for _, name := range pinned {
		s, err := sim.Load(os.ReadFile, scenarioDir+name)
		if err != nil {
			return nil, err
		}
		all[name] = s
	}
	return all, nil
}

func pinnedRuns() []run {
	var all []run
	for _, name := range pinned {
		for seed := range uint64(pinnedSeeds) {
			all = append(all, run{name, seed})
		}
	}
	return all
}

// hash runs one run and describes it in a line.
func (r run) hash(s *sim.Simulation, o sim.Options) (string, error) {
	o.Seed = r.seed
	result, err := s.Run(o)
	if err != nil {
		return "", fmt.Errorf("%s, seed %d: %w", r.scenario, r.seed, err)
	}
	return fmt.Sprintf("%s %d %016x %d events\n", r.scenario, r.seed, result.Hash, result.Events), nil
}

// printHashes is what the processes of TestEveryProcessHasTheSameHashes do.
func printHashes(w io.Writer) error {
	sims, err := simulations()
	if err != nil {
		return err
	}
	pool := sim.NewCoroutines()
	defer pool.Close()
	for _, r := range pinnedRuns() {
		line, err := r.hash(sims[r.scenario], sim.Options{Coroutines: pool})
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
	}
	return nil
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

// TestPinnedHashes compares with what is kept. A change of the runtime, of the simulator or of a pinned scenario may change
// the hashes; whoever means it writes them anew. Any other difference means that runs depend on the machine.
func TestPinnedHashes(t *testing.T) {
	got := hashes(t)
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
	want := strings.SplitAfter(hashes(t), "\n")
	sims, err := simulations()
	if err != nil {
		t.Fatal(err)
	}
	runs := pinnedRuns()
	compare := func(i int, how string, o sim.Options) {
		got, err := runs[i].hash(sims[runs[i].scenario], o)
		if err != nil {
			t.Error(err)
		} else if got != want[i] {
			o.Seed = runs[i].seed
			t.Errorf("%s: got %q, want %q; %v", how, got, want[i], sim.SelfCheck(sims[runs[i].scenario], o))
		}
	}
	pool := sim.NewCoroutines()
	defer pool.Close()
	for i := range slices.Backward(runs) {
		compare(i, "backwards", sim.Options{Coroutines: pool})
		compare(i, "on new coroutines", sim.Options{})
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

// TestFolderDoesNotMatter runs the same files from another place.
func TestFolderDoesNotMatter(t *testing.T) {
	want := strings.SplitAfter(hashes(t), "\n")
	const elsewhere = "/some/where/else/scenarios/"
	for i, r := range pinnedRuns() {
		s, err := sim.Load(func(name string) ([]byte, error) {
			return os.ReadFile(strings.Replace(name, "/some/where/else/", "../", 1))
		}, elsewhere+r.scenario)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.hash(s, sim.Options{}); got != want[i] || err != nil {
			t.Errorf("in %s: got %q, %v, want %q", elsewhere, got, err, want[i])
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
	if len(seen) < 2*len(pinned) {
		t.Errorf("hashes: got %d different ones, want more", len(seen))
	}
}
