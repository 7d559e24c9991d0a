package store_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"skynet/runtime/store"
	"skynet/runtime/store/storetest"
)

func openBolt(t testing.TB) store.Store {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "*.db")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenBolt(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMem(t *testing.T) {
	storetest.Run(t, func(testing.TB) store.Store { return store.NewMem() })
}

func TestBolt(t *testing.T) { storetest.Run(t, openBolt) }

func TestBoltKeepsWhatWasSynced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	for i := range 3 {
		s, err := store.OpenBolt(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := storetest.Dump(t, s); got != strings.Join([]string{"a=0", "a=0 b=1", "a=0 b=1 c=2"}[:i][max(0, i-1):], "") {
			t.Errorf("opening %d: got %q", i, got)
		}
		if err := s.Apply(storetest.Put(string(rune('a'+i)), fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil { // closing syncs
			t.Fatal(err)
		}
	}
}

// TestBoltLocked runs this test binary as a second process, since a file's lock does not exclude its own process
// everywhere.
func TestBoltLocked(t *testing.T) {
	if path := os.Getenv("STORE_TEST_OPEN"); path != "" {
		_, err := store.OpenBolt(path)
		fmt.Println("opened:", err)
		return
	}
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := store.OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestBoltLocked$", "-test.v")
	cmd.Env = append(os.Environ(), "STORE_TEST_OPEN="+path)
	out, err := cmd.CombinedOutput()
	if want := "opened: store: open " + path + ": another process has it open"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("got %s (%v), want %s", out, err, want)
	}
}

func TestBoltRefusesAnotherFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenBolt(path); err == nil || !strings.Contains(err.Error(), "store: open "+path) {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

// TestBoltCommitsByItself: without any Sync the overlay stays bounded, and what it held is in the file.
func TestBoltCommitsByItself(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "x.db"), filepath.Join(dir, "copy.db")
	s, err := store.OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	value := strings.Repeat("v", 1<<20)
	for i := range 16 {
		if err := s.Apply(storetest.Put(fmt.Sprintf("%02d", i), value)); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path) // what a crash now would leave
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		t.Fatal(err)
	}
	crashed, err := store.OpenBolt(copied)
	if err != nil {
		t.Fatal(err)
	}
	defer crashed.Close()
	if entries, err := crashed.Scan("", "", 0); err != nil || len(entries) != 16 {
		t.Errorf("got %d entries in the file, %v, want 16", len(entries), err)
	}
}

// TestBoltConcurrent has writers that sync beside a reader: no read may miss what was applied before it.
func TestBoltConcurrent(t *testing.T) {
	s := openBolt(t)
	defer s.Close()
	done := make(chan error)
	for w := range 4 {
		go func() {
			key := fmt.Sprint("w", w)
			for i := range 20 {
				if err := s.Apply(storetest.Put(key, fmt.Sprint(i))); err != nil {
					done <- err
					return
				}
				if w%2 == 0 {
					if err := s.Sync(); err != nil {
						done <- err
						return
					}
				}
				v, _, err := s.Get(key)
				entries, err2 := s.Scan(key, "", 0)
				if err != nil || err2 != nil || string(v) != fmt.Sprint(i) || len(entries) != 1 || string(entries[0].Value) != string(v) {
					done <- fmt.Errorf("%s: got %q, %v after applying %d", key, v, entries, i)
					return
				}
			}
			done <- nil
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func ExampleNewMem() {
	s := store.NewMem()
	defer s.Close()
	_ = s.Apply([]store.Op{{Key: "user/1", Value: []byte("ada")}, {Key: "user/2", Value: []byte("bob")}})
	entries, _ := s.Scan("user/", "user/2", 0)
	for _, e := range entries {
		fmt.Println(e.Key, string(e.Value))
	}
	// Output: user/2 bob
}

func BenchmarkMemPut(b *testing.B) {
	s := store.NewMem()
	batch := storetest.Put("key", "value")
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Apply(batch)
	}
}

func BenchmarkMemScanAfterPut(b *testing.B) {
	s := store.NewMem()
	for i := range 1000 {
		_ = s.Apply(storetest.Put(fmt.Sprintf("%04d", i), "value"))
	}
	batch := storetest.Put("0500", "value")
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Apply(batch)
		_, _ = s.Scan("05", "", 10)
	}
}
