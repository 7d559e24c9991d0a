package workers

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"skynet/sched"
)

// No wake-up is lost, because the two sides cross: who makes work first queues it and then looks for an idle worker;
// who becomes idle first says so and then looks for work once more. One of the two sees the other.

// idlers are the parked workers, the last parked woken first, since its cache is the warmest.
type idlers struct {
	count atomic.Int32 // len(stack), written under mu
	mu    sync.Mutex
	stack []*worker
}

func (l *idlers) push(w *worker) {
	l.mu.Lock()
	l.stack = append(l.stack, w)
	l.count.Add(1)
	l.mu.Unlock()
}

// pop removes a parked worker, nil if there is none.
func (l *idlers) pop() *worker {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.stack)
	if n == 0 {
		return nil
	}
	w := l.stack[n-1]
	l.stack = l.stack[:n-1]
	l.count.Add(-1)
	return w
}

// remove takes w out and reports whether it was there; if not, somebody is waking it.
func (l *idlers) remove(w *worker) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.stack, w)
	if i < 0 {
		return false
	}
	l.stack = slices.Delete(l.stack, i, i+1)
	l.count.Add(-1)
	return true
}

// wakeOne wakes an idle worker, unless there is none or one is searching already. It looks again when it found none
// after it had claimed to be waking one, because somebody else may have relied on that claim.
func (ws *Workers) wakeOne() {
	for ws.idle.count.Load() > 0 && ws.searching.CompareAndSwap(0, 1) {
		if w := ws.idle.pop(); w != nil {
			w.unpark()
			ws.watch.work()
			return
		}
		ws.searching.Add(-1)
	}
}

// unpark lets a parked worker go on.
func (w *worker) unpark() {
	select {
	case w.wake <- struct{}{}:
	default: // it has a token already
	}
}

// wait parks until there is a task for this worker, nil when the workers are closed.
func (w *worker) wait() sched.Task {
	ws := w.all
	for {
		w.began.Store(0)
		ws.idle.push(w)
		if !ws.anyWork() && !ws.closed.Load() {
			<-w.wake
		} else if ws.idle.remove(w) {
			ws.searching.Add(1)
			ws.watch.work()
		} else {
			<-w.wake
		}
		if ws.closed.Load() {
			return nil
		}
		if w.replaced.Load() {
			w.retire()
			ws.found()
			return nil
		}
		t := w.search()
		if t != nil {
			ws.found()
			return t
		}
		ws.searching.Add(-1) // and look once more, as one of the idle
	}
}

// found ends a search. Who has made work meanwhile may have relied on it, so the last to end one wakes the next.
func (ws *Workers) found() {
	if ws.searching.Add(-1) == 0 && ws.anyWork() {
		ws.wakeOne()
	}
}

// anyWork reports whether a queue holds a task.
func (ws *Workers) anyWork() bool {
	return ws.outside.len() > 0 ||
		slices.ContainsFunc(ws.inUse(), func(w *worker) bool { return w.queue.len() > 0 })
}

// tick is how long a task may wait in a busy worker's slot while another worker is idle.
const tick = time.Millisecond

// watcher takes from the slots of workers in a long turn what they had reserved, for the idle ones. It sleeps while all
// workers are idle and does not exist for a single worker.
type watcher struct {
	asleep atomic.Bool
	wake   chan struct{}
	quit   chan struct{}
}

func (wt *watcher) start(ws *Workers) {
	wt.wake, wt.quit = make(chan struct{}, 1), make(chan struct{})
	if ws.threads > 1 {
		ws.done.Go(func() { wt.loop(ws) })
	}
}

func (wt *watcher) stop() { close(wt.quit) }

// work tells the watcher that a worker was woken.
func (wt *watcher) work() {
	if wt.asleep.Load() && wt.asleep.CompareAndSwap(true, false) {
		wt.wake <- struct{}{}
	}
}

func (wt *watcher) loop(ws *Workers) {
	seen := make([]*box, len(ws.workers))
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		if ws.idle.count.Load() == ws.alive.Load() {
			ticker.Stop()
			wt.asleep.Store(true)
			if ws.idle.count.Load() == ws.alive.Load() || !wt.asleep.CompareAndSwap(true, false) {
				select {
				case <-wt.wake:
				case <-wt.quit:
					return
				}
			}
			ticker.Reset(tick)
		}
		select {
		case <-ticker.C:
			wt.look(ws, seen)
		case <-wt.quit:
			return
		}
	}
}

// look moves what has been in a slot since the last look to where the idle workers find it.
func (wt *watcher) look(ws *Workers, seen []*box) {
	if ws.idle.count.Load() == 0 {
		return
	}
	for i, w := range ws.inUse() {
		var stale sched.Task
		if stale, seen[i] = w.next.takeStale(seen[i]); stale != nil {
			ws.Ready(stale)
		}
	}
}
