package store

import (
	"fmt"
	"slices"
	"testing"
)

// TestTableForgets puts and deletes keys that nobody walks over, as a lock service does all day.
func TestTableForgets(t *testing.T) {
	table := newTable()
	table.set("stays", cell{})
	for i := range 100_000 {
		key := fmt.Sprint("lock-", i%3)
		table.set(key, cell{})
		table.remove(key)
	}
	if got, want := len(table.keys)+len(table.fresh), maxGone+10; got > want {
		t.Errorf("keys remembered of a table with one: got %d, want at most %d", got, want)
	}
	table.sort()
	if want := []string{"stays"}; !slices.Equal(table.keys, want) {
		t.Errorf("keys: got %q, want %q", table.keys, want)
	}
}
