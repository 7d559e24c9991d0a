package store

import (
	"slices"
	"strings"
)

// cell is what a table holds for a key: a value, or in the overlay of a bolt the knowledge that the key was deleted.
type cell struct {
	value []byte
	gone  bool
}

// table is a map that can be walked in the order of its keys. Writes only touch the map; the first walk after them sorts
// the new keys in. So bursts of writes cost no order, and a walk over n keys after writes costs O(n) once.
type table struct {
	cells map[string]cell
	keys  []string // sorted; may hold removed keys, and holds no key of fresh that was not removed once
	fresh []string // keys not yet sorted in
	stale int      // removals since keys was built
}

func newTable() *table { return &table{cells: map[string]cell{}} }

// maxGone is how many keys that are gone again a table may remember.
const maxGone = 1024

func (t *table) set(key string, c cell) {
	if _, ok := t.cells[key]; !ok {
		if len(t.fresh) > len(t.cells)+maxGone {
			t.sort() // forgets them
		}
		t.fresh = append(t.fresh, key)
	}
	t.cells[key] = c
}

func (t *table) remove(key string) {
	if _, ok := t.cells[key]; ok {
		delete(t.cells, key)
		t.stale++
	}
}

// sort brings keys up to date, when there are new keys or a walk would meet too many removed ones.
func (t *table) sort() {
	if len(t.fresh) == 0 && t.stale <= len(t.cells) {
		return
	}
	slices.Sort(t.fresh)
	merged := make([]string, 0, len(t.cells))
	old, fresh := t.keys, t.fresh
	for len(old)+len(fresh) > 0 {
		from := &old
		if len(old) == 0 || len(fresh) > 0 && fresh[0] < old[0] {
			from = &fresh
		}
		key := (*from)[0]
		*from = (*from)[1:]
		if _, ok := t.cells[key]; ok && (len(merged) == 0 || merged[len(merged)-1] != key) {
			merged = append(merged, key)
		}
	}
	t.keys, t.fresh, t.stale = merged, nil, 0
}

// seek returns a cursor at the first key that has the prefix and is not below from.
func (t *table) seek(prefix, from string) *tableCursor {
	t.sort()
	i, _ := slices.BinarySearch(t.keys, max(prefix, from))
	c := &tableCursor{table: t, rest: t.keys[i:], prefix: prefix}
	c.settle()
	return c
}

// tableCursor walks a table, which must not be written to meanwhile.
type tableCursor struct {
	table  *table
	rest   []string
	prefix string
	cell   cell
}

// settle moves on to the next key that was not removed, and ends the walk behind the prefix.
func (c *tableCursor) settle() {
	for ; len(c.rest) > 0; c.rest = c.rest[1:] {
		if !strings.HasPrefix(c.rest[0], c.prefix) {
			c.rest = nil
			return
		}
		var ok bool
		if c.cell, ok = c.table.cells[c.rest[0]]; ok {
			return
		}
	}
}

func (c *tableCursor) peek() (key string, value cell, ok bool) {
	if len(c.rest) == 0 {
		return "", cell{}, false
	}
	return c.rest[0], c.cell, true
}

func (c *tableCursor) next() {
	c.rest = c.rest[1:]
	c.settle()
}
