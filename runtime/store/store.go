// Package store is a node's durable key-value store: one interface, bbolt on a disk in production, a virtual disk with
// crash semantics in simulation (sim/disk).
//
// # Guarantees
//
//   - Apply makes all operations of a batch visible to later reads of this process, together; it does not make them
//     durable.
//   - After Sync has returned nil, everything applied before it was called survives a crash.
//   - After a crash, an unsynced batch is there whole or not at all, and never without the batches before it.
package store

import "errors"

// ErrClosed is returned by every method after Close.
var ErrClosed = errors.New("store: closed")

// Op is one write: a put, or a delete if Delete is set.
type Op struct {
	Key    string
	Value  []byte // not retained by the store's caller after Apply
	Delete bool
}

// Entry is a key with its value.
type Entry struct {
	Key   string
	Value []byte
}

// Store is a map of strings to bytes with explicit durability. Its methods may be called from any goroutine. Only Sync may
// block for long: the runtime hands it to the scheduler's Offload and calls the others directly.
type Store interface {
	// Get returns the value of key; ok is false if there is none. The caller must not change the value.
	Get(key string) (value []byte, ok bool, err error)

	// Scan returns the entries whose key has the prefix and is not below from, in ascending byte order of the keys,
	// at most limit of them; a limit of 0 or less means all.
	Scan(prefix, from string, limit int) ([]Entry, error)

	// Apply does the operations in order, as one.
	Apply(batch []Op) error

	// Sync makes everything applied so far durable.
	Sync() error

	// Close syncs and closes. It is idempotent.
	Close() error
}
