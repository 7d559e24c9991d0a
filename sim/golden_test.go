package sim_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"skynet/sim"
	"skynet/sim/history"
)

var rewrite = flag.Bool("rewrite", false, "write the golden transcripts anew; review the difference")

func load(t testing.TB, name string) *sim.Simulation {
	t.Helper()
	s, err := sim.Load(os.ReadFile, name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t testing.TB, s *sim.Simulation, o sim.Options) *sim.Result {
	t.Helper()
	r, err := s.Run(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestGolden runs every scenario of testdata with one seed and compares what it came to: the verdict, the faults, what the
// clients were told.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.star")
	if err != nil || len(files) < 10 {
		t.Fatalf("got %d scenarios (%v), want at least 10", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".star")
		if strings.HasSuffix(name, "_node") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := load(t, file)
			r := run(t, s, sim.Options{Seed: cmp.Or(s.Scenario.Seed, 1)})
			if passed := r.Passed(); passed == s.Scenario.ExpectFails && name != "limit" {
				t.Errorf("Passed() = %v, want %v", passed, !passed)
			}
			compare(t, "testdata/"+name+".golden", transcript(r))
		})
	}
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// small are times as they come out of latencies and costs, which change with every change of the runtime.
var small = regexp.MustCompile(`\d+\.\d+(µs|ms)|\d+\.\d{3,}s`)

// transcript prints a result without hashes and small times.
func transcript(r *sim.Result) []byte {
	var b bytes.Buffer
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "%s %s: %s", c.Kind, c.Name, c.Verdict)
		if c.Message != "" {
			fmt.Fprintf(&b, ": %s", c.Message)
		}
		b.WriteByte('\n')
		for _, line := range c.Evidence {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	if r.Failed != nil {
		fmt.Fprintf(&b, "failed: %s\n", r.Failed.Name)
	}
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "fault %s: %s, bit %v\n", f.Path, f.Fault, f.Bit)
	}
	if ops := r.History.Operations; len(ops) <= 10 {
		for _, op := range ops {
			fmt.Fprintln(&b, op)
		}
	} else {
		var count [3]int
		for _, op := range ops {
			count[op.Outcome]++
		}
		fmt.Fprintf(&b, "%d operations: %d ok, %d failed, %d unknown\n", len(ops), count[history.OK], count[history.Fail], count[history.Unknown])
	}
	return small.ReplaceAll(b.Bytes(), []byte("T"))
}
