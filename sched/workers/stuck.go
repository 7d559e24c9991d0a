package workers

import (
	"sync"
	"time"
)

// A turn may hold its worker for long: one step of a script that compares enormous values, or code in Go that blocks. With as
// many of them as there are workers nothing else would run. So a worker whose turn lasts too long is replaced by a spare one, and
// what it has is given to the others. It goes on with its turn and retires when that ends: there are always threads workers that have
// not been replaced. A worker may be taken for stuck that is not, after several turns at the edge of it or when the machine was
// halted: it retires just the same.

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

// replaceStuck looks after the workers that are stuck.
func (ws *Workers) replaceStuck() {
	now := int64(ws.Now())
	for _, w := range ws.inUse() {
		replaced := w.replaced.Load() // first: who retires takes back that it has begun, and then this
		if began := w.began.Load(); began == 0 || now-began < int64(stuckAfter) {
			continue
		}
		if !replaced {
			ws.replace(w)
		}
		w.strip()
	}
}

// replace starts a spare worker in the place of w, if there is one left.
func (ws *Workers) replace(w *worker) {
	spare := ws.spares.take()
	if spare == nil {
		return
	}
	w.replaced.Store(true)
	if used := int32(spare.index + 1); used > ws.used.Load() {
		ws.used.Store(used)
	}
	ws.alive.Add(1)
	ws.watch.work()
	ws.done.Go(spare.loop)
}

// strip gives what a stuck worker has to the others: they may always have enough of their own, and never look here.
func (w *worker) strip() {
	if t, _ := w.next.takeStale(w.next.held.Load()); t != nil {
		w.all.Ready(t)
	}
	for t := w.queue.pop(); t != nil; t = w.queue.pop() {
		w.all.Ready(t)
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

// retire leaves what a worker has that was replaced to the others, and makes it a spare. Its goroutine touches it no more.
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
