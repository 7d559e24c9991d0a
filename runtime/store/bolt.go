package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

const (
	// overlayLimit is how many bytes of keys and values may wait for a Sync before Apply commits them itself. A commit
	// of that size takes some 100 ms on a slow disk.
	overlayLimit = 16 << 20

	// lockWait is how long OpenBolt waits for a process that is just about to release the file.
	lockWait = 100 * time.Millisecond
)

var bucket = []byte("skynet") // never written to

// OpenBolt opens the store in the bbolt file at path and creates the file if there is none. It fails if another process
// has the file open.
//
// Apply writes to an overlay in memory, which Sync commits as one transaction; a program that never calls Sync commits
// every 16 MiB.
func OpenBolt(path string) (Store, error) {
	if err := whole(path); err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	options := &bbolt.Options{Timeout: lockWait, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}
	db, err := bbolt.Open(path, 0o600, options)
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("store: open %s: another process has it open", path)
	}
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", path, err), db.Close())
	}
	return &bolt{path: path, db: db, overlay: newTable(), committing: newTable()}, nil
}

// bolt layers two tables over a file. Sync turns the overlay into committing and writes that without holding mu, so that
// reads and Apply never wait for the disk.
type bolt struct {
	path string
	db   *bbolt.DB
	turn sync.Mutex // held while committing is written; taken before mu

	mu         sync.Mutex
	overlay    *table
	committing *table // empty unless a commit is under way
	size       int    // bytes of overlay
	closed     bool
}

func (b *bolt) Get(key string) (value []byte, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, false, ErrClosed
	}
	for _, layer := range []*table{b.overlay, b.committing} {
		if c, ok := layer.cells[key]; ok {
			return c.value, !c.gone, nil
		}
	}
	err = b.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucket).Get([]byte(key))
		value, ok = clone(v), v != nil
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("store: get from %s: %w", b.path, err)
	}
	return value, ok, nil
}

// clone copies what bbolt only lends for the length of a transaction.
func clone(v []byte) []byte { return append([]byte{}, v...) }

func (b *bolt) Scan(prefix, from string, limit int) (entries []Entry, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	err = b.db.View(func(tx *bbolt.Tx) error {
		entries = merge(limit, b.overlay.seek(prefix, from), b.committing.seek(prefix, from), seekFile(tx, prefix, from))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: scan %s: %w", b.path, err)
	}
	return entries, nil
}

// fileCursor walks the file within a transaction.
type fileCursor struct {
	cursor *bbolt.Cursor
	prefix string
	key    string
	value  []byte
	ok     bool
}

func seekFile(tx *bbolt.Tx, prefix, from string) *fileCursor {
	c := &fileCursor{cursor: tx.Bucket(bucket).Cursor(), prefix: prefix}
	c.settle(c.cursor.Seek([]byte(max(prefix, from))))
	return c
}

func (c *fileCursor) settle(key, value []byte) {
	c.ok = key != nil && strings.HasPrefix(string(key), c.prefix)
	if c.ok {
		c.key, c.value = string(key), clone(value)
	}
}

func (c *fileCursor) peek() (string, cell, bool) { return c.key, cell{value: c.value}, c.ok }

func (c *fileCursor) next() { c.settle(c.cursor.Next()) }

func (b *bolt) Apply(batch []Op) error {
	if err := checkKeys(batch); err != nil {
		return err
	}
	full, err := b.write(batch)
	if err == nil && full {
		err = b.Sync()
	}
	return err
}

func (b *bolt) write(batch []Op) (full bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false, ErrClosed
	}
	for _, op := range batch {
		b.overlay.set(op.Key, cell{value: op.Value, gone: op.Delete})
		b.size += len(op.Key) + len(op.Value)
	}
	return b.size > overlayLimit, nil
}

func (b *bolt) Sync() error {
	b.turn.Lock()
	defer b.turn.Unlock()
	return b.commit()
}

// commit writes the overlay to the file. The caller holds b.turn.
func (b *bolt) commit() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	taken, size := b.overlay, b.size
	taken.sort() // bbolt writes ascending keys fastest; it also makes equal batches equal files
	b.overlay, b.committing, b.size = newTable(), taken, 0
	b.mu.Unlock()

	var err error
	if len(taken.keys) > 0 {
		err = b.db.Update(func(tx *bbolt.Tx) error { return put(tx.Bucket(bucket), taken) })
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.committing = newTable()
	if err != nil {
		b.putBack(taken, size)
		return fmt.Errorf("store: sync %s: %w", b.path, err)
	}
	return nil
}

func put(to *bbolt.Bucket, t *table) error {
	for _, key := range t.keys {
		var err error
		if c := t.cells[key]; c.gone {
			err = to.Delete([]byte(key))
		} else {
			err = to.Put([]byte(key), c.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// putBack keeps what a failed commit did not write, below what was applied meanwhile.
func (b *bolt) putBack(taken *table, size int) {
	newer := b.overlay
	newer.sort()
	for _, key := range newer.keys {
		taken.set(key, newer.cells[key])
	}
	b.overlay, b.size = taken, b.size+size
}

func (b *bolt) Close() error {
	b.turn.Lock()
	defer b.turn.Unlock()
	err := b.commit()
	if errors.Is(err, ErrClosed) {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.overlay, b.committing = nil, nil
	if e := b.db.Close(); e != nil {
		err = errors.Join(err, fmt.Errorf("store: close %s: %w", b.path, e))
	}
	return err
}
