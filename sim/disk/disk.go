// Package disk is a node's virtual disk: a store.Store in memory that outlives the node's restarts and, when the node
// crashes, loses what a real disk may lose.
//
// # Guarantees
//
//   - Everything the store package promises holds, across any number of crashes: what was applied before a Sync that
//     returned nil is there, and of the batches since then a prefix is there, each of them whole.
//   - Within that promise every outcome is possible: a crash loses a random number of the unsynced batches, from none to
//     all.
//   - It is deterministic: the same calls with the same stream have the same results and the same trace.
package disk

import (
	"errors"

	"skynet/runtime/store"
	"skynet/sched"
	"skynet/sched/trace"
)

// ErrInjected is what an operation returns that was made to fail, such as a Sync by [Disk.FailSync].
var ErrInjected = errors.New("disk: injected I/O error")

// What the A of a trace.Disk event says was done. B is the number of bytes, for a scan the number of entries, for a
// crash and a failed sync the number of writes at stake.
const (
	Get = iota + 1
	Scan
	Apply
	Sync
	FailedSync
	Crash
)

// Options configures a disk. The zero value is a disk that loses nothing and is in no trace.
type Options struct {
	// LoseUnsynced makes a crash lose batches that were not synced. Without it the disk is one that writes through.
	LoseUnsynced bool

	// Trace is told of every operation, as one of node Node at the time Now returns. It may be nil; Now may then be nil
	// too.
	Trace *trace.Trace
	Node  int32
	Now   func() sched.Time
}

// Counters is what happened to a disk since it was made.
type Counters struct {
	Reads       uint64 // gets and scans
	Writes      uint64 // puts and deletes
	Syncs       uint64 // that succeeded
	FailedSyncs uint64 // that FailSync made fail
	Crashes     uint64
	LostWrites  uint64 // writes that crashes took back
}

// Disk is a virtual disk. It is not safe for concurrent use, like everything of a simulated world.
type Disk struct {
	options  Options
	view     store.Store // everything applied
	unsynced []undo      // in the order of their batches
	failing  int         // how many of the next Syncs fail
	epoch    uint64      // counts crashes, and so tells the handles of before from those of now
	counters Counters
}

// undo is a batch that restores what an applied batch changed.
type undo []store.Op

// New returns an empty disk.
func New(options Options) *Disk {
	return &Disk{options: options, view: store.NewMem()}
}

// Open returns a handle for the running node. It works until it is closed or the disk crashes; every later call returns
// store.ErrClosed.
func (d *Disk) Open() store.Store { return &handle{disk: d, epoch: d.epoch} }

// Counters returns what happened so far.
func (d *Disk) Counters() Counters { return d.counters }

// Unsynced is the number of batches that a crash now could lose.
func (d *Disk) Unsynced() int { return len(d.unsynced) }

// FailSync makes the next n Syncs fail with [ErrInjected]. What they should have made durable stays unsynced.
func (d *Disk) FailSync(n int) { d.failing = n }

// Crash takes back a random number of the latest unsynced batches, drawn from the stream, and invalidates all handles.
// What it leaves is durable. It returns how many writes were lost, so that a fault can tell whether it had an effect.
func (d *Disk) Crash(stream *sched.Stream) (lost int) {
	d.epoch++
	d.counters.Crashes++
	keep := len(d.unsynced)
	if keep > 0 {
		keep = stream.IntN(keep + 1)
	}
	for i := len(d.unsynced) - 1; i >= keep; i-- {
		lost += len(d.unsynced[i])
		d.must(d.view.Apply(d.unsynced[i]))
	}
	d.unsynced = nil
	d.counters.LostWrites += uint64(lost)
	d.trace(Crash, lost)
	return lost
}

// must panics: a store in memory that was never closed cannot fail on keys it has accepted before.
func (d *Disk) must(err error) {
	if err != nil {
		panic("disk: broken invariant: " + err.Error())
	}
}

func (d *Disk) trace(what uint64, n int) {
	if d.options.Trace != nil {
		d.options.Trace.Add(int64(d.options.Now()), trace.Disk, d.options.Node, what, uint64(n))
	}
}

// journal notes how to take back a batch that is about to be applied. Batches without writes are not worth a crash.
func (d *Disk) journal(batch []store.Op) {
	if !d.options.LoseUnsynced || len(batch) == 0 {
		return
	}
	back := make(undo, len(batch))
	for i, op := range batch {
		before, ok, err := d.view.Get(op.Key)
		d.must(err)
		// In reverse order: of several writes to a key, the one that restores the oldest value comes last. All of them
		// restore that value, since the view does not change before the batch is applied.
		back[len(batch)-1-i] = store.Op{Key: op.Key, Value: before, Delete: !ok}
	}
	d.unsynced = append(d.unsynced, back)
}

// handle is what a running node holds of a disk.
type handle struct {
	disk   *Disk
	epoch  uint64
	closed bool
}

func (h *handle) check() error {
	if h.closed || h.epoch != h.disk.epoch {
		return store.ErrClosed
	}
	return nil
}

func (h *handle) Get(key string) ([]byte, bool, error) {
	if err := h.check(); err != nil {
		return nil, false, err
	}
	value, ok, err := h.disk.view.Get(key)
	h.disk.counters.Reads++
	h.disk.trace(Get, len(value))
	return value, ok, err
}

func (h *handle) Scan(prefix, from string, limit int) ([]store.Entry, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	entries, err := h.disk.view.Scan(prefix, from, limit)
	h.disk.counters.Reads++
	h.disk.trace(Scan, len(entries))
	return entries, err
}

func (h *handle) Apply(batch []store.Op) error {
	if err := h.check(); err != nil {
		return err
	}
	d := h.disk
	unsynced := len(d.unsynced)
	d.journal(batch)
	if err := d.view.Apply(batch); err != nil {
		d.unsynced = d.unsynced[:unsynced]
		return err
	}
	size := 0
	for _, op := range batch {
		size += len(op.Key) + len(op.Value)
	}
	d.counters.Writes += uint64(len(batch))
	d.trace(Apply, size)
	return nil
}

func (h *handle) Sync() error {
	if err := h.check(); err != nil {
		return err
	}
	d := h.disk
	if d.failing > 0 {
		d.failing--
		d.counters.FailedSyncs++
		d.trace(FailedSync, len(d.unsynced))
		return ErrInjected
	}
	d.unsynced = nil
	d.counters.Syncs++
	d.trace(Sync, 0)
	return nil
}

// Close syncs. A handle from before a crash has nothing left to sync.
func (h *handle) Close() error {
	if h.check() != nil {
		return nil
	}
	err := h.Sync()
	h.closed = true
	return err
}
