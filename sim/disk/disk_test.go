package disk_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/runtime/store"
	"skynet/runtime/store/storetest"
	"skynet/sched"
	"skynet/sched/trace"
	"skynet/sim/disk"
)

func TestConformance(t *testing.T) {
	for _, lose := range []bool{false, true} {
		t.Run(fmt.Sprintf("lose=%v", lose), func(t *testing.T) {
			storetest.Run(t, func(testing.TB) store.Store { return disk.New(disk.Options{LoseUnsynced: lose}).Open() })
		})
	}
}

// TestCrashesKeepThePromise: after every crash of a random run, the disk holds the state of the last Sync or a state that
// followed it.
func TestCrashesKeepThePromise(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 200
	properties := gopter.NewProperties(parameters)
	properties.Property("a crash leaves a state since the last sync", prop.ForAll(func(seed uint64, lose bool) (bool, error) {
		err := crashes(disk.New(disk.Options{LoseUnsynced: lose}), sched.NewStream(seed), lose)
		return err == nil, err
	}, gen.UInt64(), gen.Bool()))
	properties.TestingRun(t)
}

func crashes(d *disk.Disk, random *sched.Stream, lose bool) error {
	model := map[string]string{}
	states := []map[string]string{{}} // since the last sync, that of the sync first
	s := d.Open()
	for range 80 {
		switch random.IntN(6) {
		case 0:
			d.FailSync(random.IntN(2))
			err := s.Sync()
			if err == nil {
				states = states[len(states)-1:]
			} else if !errors.Is(err, disk.ErrInjected) {
				return err
			}
		case 1:
			d.Crash(random)
			if _, _, err := s.Get("a"); !errors.Is(err, store.ErrClosed) {
				return fmt.Errorf("a handle from before the crash got %v", err)
			}
			s = d.Open()
			var err error
			if model, err = contents(s); err != nil {
				return err
			}
			if !lose {
				states = states[len(states)-1:]
			}
			if !contains(states, model) {
				return fmt.Errorf("after a crash got %v, want one of %v", model, states)
			}
			states = []map[string]string{maps.Clone(model)}
		default:
			if err := s.Apply(storetest.Batch(random, model)); err != nil {
				return err
			}
			states = append(states, maps.Clone(model))
		}
	}
	return nil
}

func contents(s store.Store) (map[string]string, error) {
	entries, err := s.Scan("", "", 0)
	m := map[string]string{}
	for _, e := range entries {
		m[e.Key] = string(e.Value)
	}
	return m, err
}

func contains(states []map[string]string, m map[string]string) bool {
	for _, s := range states {
		if maps.Equal(s, m) {
			return true
		}
	}
	return false
}

// TestCrashOutcomes: with three unsynced batches each of the four possible outcomes occurs.
func TestCrashOutcomes(t *testing.T) {
	seen := map[string]int{}
	random := sched.NewStream(1)
	for range 200 {
		d := disk.New(disk.Options{LoseUnsynced: true})
		s := d.Open()
		must(t, s.Apply(storetest.Put("a", "0")))
		must(t, s.Sync())
		must(t, s.Apply(storetest.Put("a", "1")))
		must(t, s.Apply(append(storetest.Put("b", "2"), storetest.Delete("a")...)))
		must(t, s.Apply(storetest.Put("a", "3")))
		lost := d.Crash(random)
		seen[fmt.Sprint(storetest.Dump(t, d.Open()), " lost ", lost)]++
		if d.Counters().LostWrites != uint64(lost) || d.Unsynced() != 0 {
			t.Errorf("got %+v after losing %d writes", d.Counters(), lost)
		}
	}
	for _, want := range []string{"a=0 lost 4", "a=1 lost 3", "b=2 lost 1", "a=3 b=2 lost 0"} {
		if seen[want] < 20 {
			t.Errorf("%q occurred %d times in 200, want about 50", want, seen[want])
		}
	}
	if len(seen) != 4 {
		t.Errorf("got %v, want 4 outcomes", seen)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFailSync(t *testing.T) {
	d := disk.New(disk.Options{LoseUnsynced: true})
	s := d.Open()
	must(t, s.Apply(storetest.Put("a", "1")))
	d.FailSync(2)
	for range 2 {
		if err := s.Sync(); !errors.Is(err, disk.ErrInjected) || d.Unsynced() != 1 {
			t.Errorf("got %v with %d unsynced batches", err, d.Unsynced())
		}
	}
	must(t, s.Sync())
	if c := d.Counters(); c.FailedSyncs != 2 || c.Syncs != 1 || d.Unsynced() != 0 {
		t.Errorf("got %+v", c)
	}
}

// TestTrace: equal runs have equal traces, and every operation is in them.
func TestTrace(t *testing.T) {
	run := func(seed uint64) (hash uint64, events string) {
		tr := &trace.Trace{Sink: func(e trace.Event) { events += fmt.Sprintf("%d:%d:%d:%d ", e.Time, e.Node, e.A, e.B) }}
		now := sched.Time(0)
		d := disk.New(disk.Options{LoseUnsynced: true, Trace: tr, Node: 3, Now: func() sched.Time { now++; return now }})
		s := d.Open()
		must(t, s.Apply(storetest.Put("key", "value")))
		_, _, _ = s.Get("key")
		_, _ = s.Scan("", "", 0)
		d.FailSync(1)
		_ = s.Sync()
		_ = s.Sync()
		for range 8 {
			must(t, s.Apply(storetest.Put("k", "v")))
		}
		d.Crash(sched.NewStream(seed))
		return tr.Hash(), events
	}
	h1, events := run(1)
	if h2, _ := run(1); h1 != h2 {
		t.Error("the same run has two traces")
	}
	if h2, other := run(3); h1 == h2 {
		t.Errorf("two seeds have one trace: %s and %s", events, other)
	}
	if want := "1:3:3:8 2:3:1:5 3:3:2:1 4:3:5:1 5:3:4:0 6:3:3:2 "; events[:len(want)] != want {
		t.Errorf("got  %s\nwant %s…", events, want)
	}
}

func ExampleDisk_Crash() {
	d := disk.New(disk.Options{LoseUnsynced: true})
	s := d.Open()
	_ = s.Apply([]store.Op{{Key: "kept", Value: []byte("1")}})
	_ = s.Sync()
	_ = s.Apply([]store.Op{{Key: "at risk", Value: []byte("2")}})

	lost := d.Crash(sched.NewStream(1))
	_, _, err := s.Get("kept")
	fmt.Println("lost", lost, "writes; the old handle:", err)

	restarted := d.Open()
	value, ok, _ := restarted.Get("kept")
	fmt.Println(string(value), ok)
	// Output:
	// lost 1 writes; the old handle: store: closed
	// 1 true
}

func BenchmarkApply(b *testing.B) {
	s := disk.New(disk.Options{LoseUnsynced: true}).Open()
	batch := storetest.Put("key", "value")
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Apply(batch)
		_ = s.Sync()
	}
}
