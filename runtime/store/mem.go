package store

import (
	"fmt"
	"sync"
)

// MaxKey is the longest key in bytes; the shortest has one. It is bbolt's limit, held to by every store.
const MaxKey = 32768

// NewMem returns a store that lives in memory and forgets everything when it is closed. Sync does nothing.
func NewMem() Store { return &mem{table: newTable()} }

type mem struct {
	mu    sync.Mutex
	table *table // nil after Close
}

func (m *mem) Get(key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table == nil {
		return nil, false, ErrClosed
	}
	c, ok := m.table.cells[key]
	return c.value, ok, nil
}

func (m *mem) Scan(prefix, from string, limit int) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table == nil {
		return nil, ErrClosed
	}
	return merge(limit, m.table.seek(prefix, from)), nil
}

func (m *mem) Apply(batch []Op) error {
	if err := checkKeys(batch); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table == nil {
		return ErrClosed
	}
	for _, op := range batch {
		if op.Delete {
			m.table.remove(op.Key)
		} else {
			m.table.set(op.Key, cell{value: op.Value})
		}
	}
	return nil
}

func (m *mem) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.table == nil {
		return ErrClosed
	}
	return nil
}

func (m *mem) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table = nil
	return nil
}

func checkKeys(batch []Op) error {
	for _, op := range batch {
		if n := len(op.Key); n == 0 || n > MaxKey {
			return fmt.Errorf("store: apply: key of %d bytes, want 1 to %d", n, MaxKey)
		}
	}
	return nil
}

// cursor walks keys in ascending order.
type cursor interface {
	peek() (key string, value cell, ok bool)
	next()
}

// merge returns at most limit entries of the layers together. Of a key in several layers the first layer's cell counts.
func merge(limit int, layers ...cursor) []Entry {
	var entries []Entry
	for limit <= 0 || len(entries) < limit {
		key, value, ok := lowest(layers)
		if !ok {
			break
		}
		if !value.gone {
			entries = append(entries, Entry{Key: key, Value: value.value})
		}
		for _, c := range layers {
			if k, _, ok := c.peek(); ok && k == key {
				c.next()
			}
		}
	}
	return entries
}

func lowest(layers []cursor) (key string, value cell, found bool) {
	for _, c := range layers {
		if k, v, ok := c.peek(); ok && (!found || k < key) {
			key, value, found = k, v, true
		}
	}
	return key, value, found
}
