package runtime

import (
	"runtime"
	"slices"
	"sync/atomic"

	"go.starlark.net/starlark"
)

// HeapWatch stops handlers that run while the heap of the process is too large. The runtime itself cannot see the heap,
// which depends on the machine: whoever runs a node in production looks at it, every few milliseconds, and tells the watch.
//
// A handler is stopped before its next step. One built-in operation cannot be stopped: `[0] * 1000000000` takes 16 GB at once,
// and whoever makes it needs a limit of the operating system.
type HeapWatch struct {
	pool *Coroutines
	load *Programs // whose modules are stopped, too
	seen []uint64  // the handlers that were running at the last look, sorted
}

// HeapWatch returns a watch of the node's handlers, which from now on tell it when they run for long. It is for one
// goroutine, of production.
func (n *Node) HeapWatch() *HeapWatch {
	n.coroutines.watched.Store(true)
	return &HeapWatch{pool: n.coroutines, load: n.programs}
}

// Look stops the handlers that are running and were running at the look before, for the reason why, and returns how many
// these are; without a reason it only remembers who is running. With one, the top level of modules that load is stopped, until
// the next look. Handlers of less than 24 steps are not seen.
func (h *HeapWatch) Look(why string) (stopped int) {
	h.load.heavy.Store(why != "")
	var now []uint64
	for i := range h.pool.seats {
		seat := &h.pool.seats[i]
		state := seat.state.Load()
		if state == 0 {
			continue
		}
		if _, again := slices.BinarySearch(h.seen, state); !again || why == "" {
			now = append(now, state)
			continue
		}
		// Who changes the state from the handler's to this owns the seat until it is 0: the handler's worker waits, so the
		// coroutine cannot begin anything else meanwhile.
		if seat.state.CompareAndSwap(state, state|claimed) {
			seat.thread.Cancel(why)
			seat.state.Store(0)
			stopped++
		}
	}
	slices.Sort(now)
	h.seen = now
	return stopped
}

// seat is where a worker's handler that runs for long can be found. The worker takes it, and leaves it when the handler
// ends, blocks or makes way for others.
type seat struct {
	state  atomic.Uint64    // 0, or the handler's number times two, plus claimed while it is being stopped
	thread *starlark.Thread // set before state, read by whoever has claimed it
	last   uint64           // handlers numbered so far; the worker's own
	_      [40]byte         // no two workers share a cache line
}

const claimed = 1

// sit makes the handler known to the watch, if there is one. It does nothing if it is known.
func (co *coroutine) sit() {
	pool := co.svc.node.coroutines
	if co.seat != nil || !pool.watched.Load() {
		return
	}
	worker := co.svc.turn.Worker
	seat := &pool.seats[worker]
	if co.sitting == 0 { // it keeps its number when it goes on after others
		seat.last++
		co.sitting = seat.last*uint64(len(pool.seats)) + uint64(worker)
	}
	co.seat, seat.thread = seat, co.thread
	seat.state.Store(co.sitting << 1)
}

// rise is the end of sit. The watch may be stopping the handler: that is over in no time, and concerns nobody else.
func (co *coroutine) rise() {
	seat := co.seat
	co.seat = nil
	if seat.state.CompareAndSwap(co.sitting<<1, 0) {
		return
	}
	for seat.state.Load() != 0 {
		runtime.Gosched() //determinism:ok only where a heap watch is, which is in production
	}
	co.halted = true
	co.svc.count.stopped++
}
