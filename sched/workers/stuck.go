package workers

import (
	"sync"
	"time"
)

// A turn may hold its worker for long: one step of a script that compares enormous values, or code in Go that blocks. With as
// many of them as there are workers nothing else would run. So a worker whose turn lasts too long is replaced by a spare one. It
// goes on with its turn and retires when that ends. If its place is lent, the turn is that of the goroutine that was lent it, and the
// worker retires after its own next turn. So there are threads workers that are neither stuck nor about to retire.

const (
	// stuckAfter is how long a turn lasts until its worker is replaced, give or take a look.
	stuckAfter = 200 * time.Millisecond
	lookEvery  = 100 * time.Millisecond
	// maxSpares is how many workers may be stuck at the same time.
	maxSpares = 64
)

// spares are the workers that have no goroutine, and the guard that starts them.
type spares struct {
	mu   sync.Mutex
	idle []*worker
	quit chan struct{}
}

// guard looks for workers that are stuck.
func (ws *Workers) guard() {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			ws.replaceStuck()
		case <-ws.spares.quit:
			return
		}
	}
}

// replaceStuck starts a spare worker for each that is stuck and has not been replaced.
func (ws *Workers) replaceStuck() {
	now := int64(ws.Now())
	for _, w := range ws.inUse() {
		if w.replaced.Load() { // what it has reserved for itself would wait for the end of its turn
			if t, _ := w.next.takeStale(w.next.held.Load()); t != nil {
				ws.Ready(t)
			}
			continue
		}
		if began := w.began.Load(); began == 0 || now-began < int64(stuckAfter) {
			continue
		}
		spare := ws.spares.take()
		if spare == nil {
			return
		}
		w.replaced.Store(true)
		if used := int32(spare.index + 1); used > ws.used.Load() {
			ws.used.Store(used)
		}
		ws.alive.Add(1)
		ws.done.Go(spare.loop)
	}
}

// inUse are the workers that have ever run.
func (ws *Workers) inUse() []*worker { return ws.workers[:ws.used.Load()] }

func (s *spares) take() *worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return nil
	}
	w := s.idle[last]
	s.idle = s.idle[:last]
	return w
}

func (s *spares) put(w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, w)
}

// retire leaves what a worker has that was replaced to the others, and makes it a spare.
func (w *worker) retire() {
	ws := w.all
	w.leave()
	w.replaced.Store(false)
	ws.alive.Add(-1)
	ws.spares.put(w)
	if ws.anyWork() {
		ws.wakeOne()
	}
}
