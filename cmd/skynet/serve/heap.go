package serve

import (
	"fmt"
	"log/slog"
	"os"
	"path"
	goruntime "runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"skynet/runtime"
)

const (
	// A heap above half its limit is looked at often: what doubles a value of 128 MiB takes some 50 ms for it.
	lookOften  = 2 * time.Millisecond
	lookSeldom = 20 * time.Millisecond
	quiet      = 500 * time.Millisecond

	// The share of the machine's memory that the heap may take if nothing else is said: a string may be copied while it
	// grows, and stacks and the system need some, too.
	heapShare = 4 // three quarters of it: total - total/heapShare
)

// heapWatch is the goroutine that looks at the heap of the process and stops handlers while it is too large.
type heapWatch struct {
	limit      int64
	headroom   int64 // counts as heap but takes no memory
	watch      *runtime.HeapWatch
	log        *slog.Logger
	quietUntil time.Time // nobody else is stopped for so long after somebody was …
	quietBelow int64     // … unless the heap is larger than that
	before     int64     // the soft limit of Go's garbage collector, as it was
	stop       chan struct{}
	done       sync.WaitGroup
}

// watchHeap starts to watch the heap of a node; without a limit, given or known, it returns nil. The garbage collector works
// harder near the limit, so that it is not reached by garbage.
func watchHeap(node *runtime.Node, headroom int64, log *slog.Logger) *heapWatch {
	limit := node.Limits().Heap
	if limit == 0 {
		limit = defaultHeap(os.ReadFile, debug.SetMemoryLimit(-1))
	}
	if limit == 0 {
		return nil
	}
	h := &heapWatch{limit: limit, headroom: headroom, watch: node.HeapWatch(), log: log, stop: make(chan struct{})}
	h.before = debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(h.before, limit+headroom))
	h.done.Go(h.run)
	return h
}

// close ends the watch. It may be nil.
func (h *heapWatch) close() {
	if h != nil {
		close(h.stop)
		h.done.Wait()
		debug.SetMemoryLimit(h.before)
	}
}

func (h *heapWatch) run() {
	for {
		select {
		case <-h.stop:
			return
		case <-time.After(h.look(time.Now())):
		}
	}
}

// heap is how many bytes the heap holds: live objects, and garbage that was not found yet.
func (h *heapWatch) heap() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64()) - h.headroom
}

// look stops handlers if the heap is too large, and returns when to look again. It waits for no garbage collection: that
// would wait for the operation that doubles a string, and the next one would have begun when it is over. It remembers who was
// running while the heap was small enough, too, so the first look at one that is too large can be the second at a handler.
func (h *heapWatch) look(now time.Time) time.Duration {
	heap := h.heap()
	switch {
	case heap <= h.limit:
		h.watch.Look("")
		h.quietUntil = time.Time{}
		if heap <= h.limit/2 {
			return lookSeldom
		}
		return lookOften
	case now.Before(h.quietUntil) && heap < h.quietBelow:
		h.watch.Look("")
		return lookOften
	}
	why := fmt.Sprintf("memory: the node's heap holds %d MiB, limit %d MiB; handler stopped", heap>>20, h.limit>>20)
	if n := h.watch.Look(why); n > 0 {
		// Whoever was stopped may be busy still with the step it was in, and what it held is garbage then: nobody else is
		// stopped for that.
		h.quietUntil, h.quietBelow = now.Add(quiet), heap+heap/2
		h.done.Go(goruntime.GC)
		h.log.Warn("handlers stopped: the heap is too large", "handlers", n, "heap", heap, "limit", h.limit)
	}
	return lookOften
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
