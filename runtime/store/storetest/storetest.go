// Package storetest holds every implementation of store.Store to the same behaviour.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/runtime/store"
	"skynet/sched"
)

// Run tests the store that open makes. Every call of open must give a new, empty store; Run closes it.
func Run(t *testing.T, open func(t testing.TB) store.Store) {
	with := func(test func(t *testing.T, s store.Store)) func(t *testing.T) {
		return func(t *testing.T) {
			s := open(t)
			test(t, s)
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	}
	t.Run("get", with(testGet))
	t.Run("batch", with(testBatch))
	t.Run("scan", with(testScan))
	t.Run("keys", with(testKeys))
	t.Run("close", with(testClose))
	t.Run("model", func(t *testing.T) { testModel(t, open) })
}

// Put returns a batch of one put.
func Put(key, value string) []store.Op { return []store.Op{{Key: key, Value: []byte(value)}} }

// Delete returns a batch of one delete.
func Delete(key string) []store.Op { return []store.Op{{Key: key, Delete: true}} }

// Dump returns all entries in order, one "key=value" each.
func Dump(t testing.TB, s store.Store) string {
	t.Helper()
	entries, err := s.Scan("", "", 0)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return join(entries)
}

func join(entries []store.Entry) string {
	parts := make([]string, len(entries))
	for i, e := range entries {
		parts[i] = e.Key + "=" + string(e.Value)
	}
	return strings.Join(parts, " ")
}

func apply(t testing.TB, s store.Store, batches ...[]store.Op) {
	t.Helper()
	for _, b := range batches {
		if err := s.Apply(b); err != nil {
			t.Fatalf("apply %v: %v", b, err)
		}
	}
}

func testGet(t *testing.T, s store.Store) {
	apply(t, s, Put("a", "1"), Put("empty", ""))
	for range 2 { // before and after Sync
		if v, ok, err := s.Get("a"); string(v) != "1" || !ok || err != nil {
			t.Errorf("get a: got %q, %v, %v", v, ok, err)
		}
		if v, ok, err := s.Get("empty"); len(v) != 0 || !ok || err != nil {
			t.Errorf("get empty: got %q, %v, %v", v, ok, err)
		}
		if _, ok, err := s.Get("b"); ok || err != nil {
			t.Errorf("get b: got %v, %v", ok, err)
		}
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, s, Delete("a"))
	if _, ok, err := s.Get("a"); ok || err != nil {
		t.Errorf("get a after its deletion: got %v, %v", ok, err)
	}
}

func testBatch(t *testing.T, s store.Store) {
	apply(t, s, slices.Concat(Put("a", "1"), Put("a", "2"), Put("b", "1"), Delete("b"), Delete("c"), Put("c", "1")), nil)
	if got := Dump(t, s); got != "a=2 c=1" {
		t.Errorf("got %s, want the batch done in order", got)
	}
}

func testScan(t *testing.T, s store.Store) {
	for i, key := range []string{"p/b", "q", "p/a", "p", "p0", "p/c", "\xff", "p/\xff"} {
		apply(t, s, Put(key, fmt.Sprint(i)))
		if i == 3 { // so that a bolt has both layers
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	apply(t, s, Delete("p/b"))
	for _, test := range []struct {
		prefix, from string
		limit        int
		want         string
	}{
		{"", "", 0, "p=3 p/a=2 p/c=5 p/\xff=7 p0=4 q=1 \xff=6"},
		{"p/", "", -1, "p/a=2 p/c=5 p/\xff=7"},
		{"p/", "", 2, "p/a=2 p/c=5"},
		{"p/", "p/b", 0, "p/c=5 p/\xff=7"},
		{"p/", "p/c", 1, "p/c=5"},
		{"p/", "a", 1, "p/a=2"},
		{"p/", "q", 0, ""},
		{"", "p0", 0, "p0=4 q=1 \xff=6"},
		{"nothing", "", 0, ""},
	} {
		entries, err := s.Scan(test.prefix, test.from, test.limit)
		if got := join(entries); got != test.want || err != nil {
			t.Errorf("scan(%q, %q, %d): got %q, %v, want %q", test.prefix, test.from, test.limit, got, err, test.want)
		}
	}
}

func testKeys(t *testing.T, s store.Store) {
	for _, n := range []int{0, store.MaxKey + 1} {
		err := s.Apply(slices.Concat(Put("good", "1"), Put(strings.Repeat("k", n), "1")))
		if want := fmt.Sprintf("store: apply: key of %d bytes, want 1 to %d", n, store.MaxKey); fmt.Sprint(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if got := Dump(t, s); got != "" {
		t.Errorf("a refused batch left %s", got)
	}
	apply(t, s, Put(strings.Repeat("k", store.MaxKey), "1"))
	if err := s.Sync(); err != nil {
		t.Error(err)
	}
}

func testClose(t *testing.T, s store.Store) {
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	_, _, get := s.Get("a")
	_, scan := s.Scan("", "", 0)
	for name, err := range map[string]error{"get": get, "scan": scan, "apply": s.Apply(Put("a", "1")), "sync": s.Sync()} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after close: got %v, want %v", name, err, store.ErrClosed)
		}
	}
}

// testModel compares random operations with a plain map.
func testModel(t *testing.T, open func(t testing.TB) store.Store) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 30
	properties := gopter.NewProperties(parameters)
	properties.Property("the store is a map", prop.ForAll(func(seed uint64) (bool, error) {
		s := open(t)
		err := compare(s, sched.NewStream(seed), 60)
		return err == nil, errors.Join(err, s.Close())
	}, gen.UInt64()))
	properties.TestingRun(t)
}

func compare(s store.Store, random *sched.Stream, steps int) error {
	model := map[string]string{}
	for range steps {
		switch random.IntN(8) {
		case 0:
			if err := s.Sync(); err != nil {
				return err
			}
		case 1, 2:
			if err := compareScan(s, model, Key(random)[:1], Key(random), random.IntN(4)); err != nil {
				return err
			}
		case 3:
			key := Key(random)
			got, ok, err := s.Get(key)
			if want, there := model[key]; err != nil || ok != there || string(got) != want {
				return fmt.Errorf("get %s: got %q, %v, %v, want %q, %v", key, got, ok, err, want, there)
			}
		default:
			if err := s.Apply(Batch(random, model)); err != nil {
				return err
			}
		}
	}
	return compareScan(s, model, "", "", 0)
}

// Key draws one of a few short keys.
func Key(random *sched.Stream) string {
	return string([]byte{"ab"[random.IntN(2)], byte('0' + random.IntN(8))})
}

// Batch draws a batch and does it to the model.
func Batch(random *sched.Stream, model map[string]string) []store.Op {
	batch := make([]store.Op, random.IntN(4))
	for i := range batch {
		key := Key(random)
		if random.IntN(3) == 0 {
			batch[i] = store.Op{Key: key, Delete: true}
			delete(model, key)
			continue
		}
		value := fmt.Sprint(random.IntN(1000))
		batch[i] = store.Op{Key: key, Value: []byte(value)}
		model[key] = value
	}
	return batch
}

func compareScan(s store.Store, model map[string]string, prefix, from string, limit int) error {
	got, err := s.Scan(prefix, from, limit)
	if err != nil {
		return err
	}
	var want []store.Entry
	for key, value := range model {
		if strings.HasPrefix(key, prefix) && key >= from {
			want = append(want, store.Entry{Key: key, Value: []byte(value)})
		}
	}
	slices.SortFunc(want, func(x, y store.Entry) int { return strings.Compare(x.Key, y.Key) })
	if limit > 0 && len(want) > limit {
		want = want[:limit]
	}
	same := func(x, y store.Entry) bool { return x.Key == y.Key && bytes.Equal(x.Value, y.Value) }
	if !slices.EqualFunc(got, want, same) {
		return fmt.Errorf("scan(%q, %q, %d): got %s, want %s", prefix, from, limit, join(got), join(want))
	}
	return nil
}
