package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// TestShortFile: a file that lost its end, by a full disk or a copy that broke off, is refused.
func TestShortFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Apply([]Op{{Key: "a", Value: make([]byte, 100_000)}}), s.Sync(), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{12_000, 9_000, 8_192, 5_000, 3_000} {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		if s, err := OpenBolt(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%d bytes: got %v, %v, want an error that names the file", size, s, err)
		}
	}
}

// TestFailedSyncKeepsEverything: after a commit that failed, reads see what they saw before, and the next Sync writes it.
func TestFailedSyncKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	b := s.(*bolt)
	apply := func(ops ...Op) {
		t.Helper()
		if err := s.Apply(ops); err != nil {
			t.Fatal(err)
		}
	}
	apply(Op{Key: "a", Value: []byte("1")}, Op{Key: "b", Value: []byte("1")})
	size := b.size
	if err := b.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err == nil {
		t.Fatal("a sync to a closed file succeeded")
	}
	if b.size != size {
		t.Errorf("got %d bytes waiting, want %d", b.size, size)
	}
	apply(Op{Key: "b", Value: []byte("2")}, Op{Key: "a", Delete: true}, Op{Key: "c", Value: []byte("2")})
	if err := s.Sync(); err == nil {
		t.Fatal("a sync to a closed file succeeded")
	}
	if b.db, err = bbolt.Open(path, 0o600, nil); err != nil {
		t.Fatal(err)
	}
	for _, sync := range []bool{false, true} {
		if sync {
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		entries, err := s.Scan("", "", 0)
		if err != nil || len(entries) != 2 || entries[0].Key != "b" || string(entries[0].Value) != "2" || entries[1].Key != "c" {
			t.Errorf("synced %v: got %v, %v, want b=2 c=2", sync, entries, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
