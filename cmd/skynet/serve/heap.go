package serve

import (
	"os"
	"path"
	goruntime "runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"skynet/runtime"
)

// heapShare is the part of the machine's memory that the heap leaves to others if nothing else is said, as one in so many: a
// string may be copied while it grows, and stacks and the system need some, too.
const heapShare = 4

// heapWatch is what a node's [runtime.HeapWatch] needs from the process: the size of its heap, and garbage collections.
type heapWatch struct {
	*runtime.HeapWatch
	headroom int64 // counts as heap but takes no memory
	before   int64 // the soft limit of Go's garbage collector, as it was
	pending  atomic.Int32
	done     sync.WaitGroup
}

// watchHeap prepares to watch the heap of a node; without a limit, given or known, it returns nil. The garbage collector works
// harder near the limit, so that it is not reached by garbage.
func watchHeap(limit, headroom int64) *heapWatch {
	before := debug.SetMemoryLimit(-1)
	if limit == 0 {
		limit = defaultHeap(os.ReadFile, before)
	}
	if limit == 0 {
		return nil
	}
	debug.SetMemoryLimit(min(before, limit+headroom))
	h := &heapWatch{headroom: headroom, before: before}
	h.HeapWatch = runtime.NewHeapWatch(limit, h.size, h.collect)
	return h
}

// watch is what the node is given. It is nil if h is.
func (h *heapWatch) watch() *runtime.HeapWatch {
	if h == nil {
		return nil
	}
	return h.HeapWatch
}

// close ends the watch, whose node has ended. It may be nil.
func (h *heapWatch) close() {
	if h != nil {
		h.done.Wait()
		debug.SetMemoryLimit(h.before)
	}
}

// size is how many bytes the heap holds: live objects, and garbage that was not found yet.
func (h *heapWatch) size() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64()) - h.headroom
}

// collect frees what a handler held that was stopped.
func (h *heapWatch) collect() {
	h.pending.Add(1)
	h.done.Go(func() {
		goruntime.GC()
		if h.pending.Add(-1) == 0 {
			h.Settle()
		}
	})
}

// defaultHeap is three quarters of the least of the memory of the machine, that of the cgroup, and GOMEMLIMIT; 0 if none of
// them is known.
func defaultHeap(read func(string) ([]byte, error), memoryLimit int64) int64 {
	const unlimited = 1 << 60
	total := min(int64(unlimited), memoryLimit)
	for _, known := range [...]func(func(string) ([]byte, error)) (int64, bool){machineMemory, cgroupMemory} {
		if n, ok := known(read); ok && n > 0 {
			total = min(total, n)
		}
	}
	if total >= unlimited {
		return 0
	}
	return total - total/heapShare
}

// machineMemory reads the size of the machine's memory from Linux.
func machineMemory(read func(string) ([]byte, error)) (int64, bool) {
	text, err := read("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 50)
			return n << 10, err == nil
		}
	}
	return 0, false
}

// cgroupMemory reads the least limit of the process's cgroup and those around it, of version 2 or 1.
func cgroupMemory(read func(string) ([]byte, error)) (least int64, ok bool) {
	text, err := read("/proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		root, file := "/sys/fs/cgroup", "memory.max"
		if parts[0] != "0" {
			if parts[1] != "memory" {
				continue
			}
			root, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			if n, found := sizeIn(read, path.Join(root, dir, file)); found && (!ok || n < least) {
				least, ok = n, true
			}
			if dir == "/" {
				break
			}
		}
	}
	return least, ok
}

// sizeIn reads a file that holds one number; "max" and the like are none.
func sizeIn(read func(string) ([]byte, error), name string) (int64, bool) {
	text, err := read(name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n > 0
}
