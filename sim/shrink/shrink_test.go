package shrink_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"skynet/sim"
	"skynet/sim/shrink"
)

func load(t testing.TB, read func(string) ([]byte, error), name string) *sim.Simulation {
	t.Helper()
	s, err := sim.Load(read, name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// failing returns the first seeds that fail.
func failing(t testing.TB, s *sim.Simulation, n int) []*sim.Result {
	t.Helper()
	pool := sim.NewCoroutines()
	defer pool.Close()
	var found []*sim.Result
	for seed := uint64(1); len(found) < n; seed++ {
		r, err := s.Run(sim.Options{Seed: seed, Coroutines: pool})
		if err != nil || seed > 500 {
			t.Fatalf("seed %d: got %d failures, %v, want %d", seed, len(found), err, n)
		}
		if r.Failed != nil {
			found = append(found, r)
		}
	}
	return found
}

// TestSourceReplays shrinks real failures, loads what was written and wants the same run again: the same check failed, with
// the same trace, and not by more faults or clients than before.
func TestSourceReplays(t *testing.T) {
	const file = "testdata/backup.star"
	s := load(t, os.ReadFile, file)
	for _, failed := range failing(t, s, 4) {
		t.Run(fmt.Sprint(failed.Seed), func(t *testing.T) {
			r, err := shrink.Shrink(context.Background(), s, failed, shrink.Options{Read: os.ReadFile})
			if err != nil {
				t.Fatal(err)
			}
			small := load(t, func(name string) ([]byte, error) {
				if name == r.File {
					return []byte(r.Source), nil
				}
				return os.ReadFile(name)
			}, r.File)
			again, err := small.Run(sim.Options{Seed: small.Scenario.Seed})
			if err != nil {
				t.Fatal(err)
			}
			if again.Failed == nil || again.Failed.Name != failed.Failed.Name || again.Hash != r.Run.Hash {
				t.Errorf("replay: got %+v with hash %x, want %s with hash %x", again.Failed, again.Hash, failed.Failed.Name, r.Run.Hash)
			}
			if len(again.Faults) > len(failed.Faults) || len(r.Instances) > 2 || len(r.Clients) > r.AllClients || !r.Minimal {
				t.Errorf("got %d faults and %d clients of %d and %d, want few:\n%s", len(r.Instances), len(r.Clients), r.Faults, r.AllClients, r.Source)
			}
			if !shrink.Ours([]byte(r.Source)) {
				t.Errorf("Ours(%q) = false, want true", r.Source)
			}
		})
	}
}

func TestShrinkIsDeterministic(t *testing.T) {
	s := load(t, os.ReadFile, "testdata/backup.star")
	failed := failing(t, s, 1)[0]
	var first string
	for range 2 {
		r, err := shrink.Shrink(context.Background(), s, failed, shrink.Options{Read: os.ReadFile})
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = r.Source
		}
		if r.Source != first {
			t.Errorf("got\n%s\nwant\n%s", r.Source, first)
		}
	}
}

func TestPassingRunIsAnError(t *testing.T) {
	s := load(t, os.ReadFile, "testdata/backup.star")
	if _, err := shrink.Shrink(context.Background(), s, &sim.Result{Seed: 3}, shrink.Options{Read: os.ReadFile}); err == nil {
		t.Error("Shrink of a run that passed: got no error")
	}
}

func TestUnreadableFilesAreAnError(t *testing.T) {
	s := load(t, os.ReadFile, "testdata/backup.star")
	gone := func(string) ([]byte, error) { return nil, errors.New("gone") }
	if _, err := shrink.Shrink(context.Background(), s, failing(t, s, 1)[0], shrink.Options{Read: gone}); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("Shrink: got %v, want an error that says the file is gone", err)
	}
}

func ExampleShrink() {
	s, err := sim.Load(os.ReadFile, "../testdata/lost.star")
	if err != nil {
		fmt.Println(err)
		return
	}
	failed, err := s.Run(sim.Options{Seed: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := shrink.Shrink(context.Background(), s, failed, shrink.Options{Read: os.ReadFile})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.File)
	fmt.Print(r.Source)
	// Output:
	// ../testdata/lost-seed3.star
	// """Shrunk from lost.star, seed 3."""
	//
	// load("lost.star", "world", "work", "verdict")
	//
	// seed = 3
	// limit = "5m0s"
	// clients = ["c1"]
	//
	// trouble = plan(
	//     at("1s", crash(["n1"], down = "1ms")),  # plan/at-1s-crash
	//     settle = "0s",
	// )
}
