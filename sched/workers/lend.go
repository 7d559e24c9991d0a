package workers

import (
	"time"

	"skynet/sched"
)

// lendTime is for how long a goroutine that was lent a place begins turns: long against the wake-up of a thread, some 5
// to 50 µs, short against what the peer of a socket notices when nobody reads it.
const lendTime = 200 * time.Microsecond

// Lend tells that the calling goroutine is about to make tasks ready, because it has read from a socket for example, and
// would run them. It returns nil if no worker is parked, or somebody is looking for work anyway. Otherwise the goroutine
// counts as a worker that looks for work, for whose sake [Workers.Ready] wakes no other: it must soon call what it got,
// once, holding no lock that a task may want. If there is work by then, that call runs it in the place of a parked worker,
// begins no turn after 200 µs, gives the place back and has a worker woken for what is left. So an event is handled on the
// thread that read it as long as there is nothing else to do.
//
// Close waits until the place is given back, and must not be called by who was lent one.
func (ws *Workers) Lend() (work func()) {
	if ws.idle.count.Load() == 0 || !ws.searching.CompareAndSwap(0, 1) {
		return nil
	}
	return ws.work
}

// standIn runs what is ready in the place of a parked worker, whose fields are the caller's until the place is given back.
// The caller counts as searching.
func (ws *Workers) standIn() {
	if !ws.anyWork() || !ws.lent.enter() {
		ws.found()
		return
	}
	defer ws.lent.leave()
	w := ws.idle.pop()
	if w == nil {
		ws.found()
		return
	}
	w.passed()
	if t := w.search(); t != nil {
		ws.found()
		ws.watch.work()
		w.help(t)
	} else {
		ws.searching.Add(-1) // who relied on it has queued its task before: giveBack sees it
	}
	w.giveBack()
}

// help runs t and what else there is to do, for a while.
func (w *worker) help(t sched.Task) {
	var begun sched.Time
	for t != nil && !w.all.closed.Load() {
		w.run(t)
		if begun == 0 {
			begun = w.turn.Now
		}
		if t = w.local(); t == nil {
			w.passed() // no task sees a time before it was made ready
			t = w.search()
		}
		if t != nil && w.all.Now().Sub(begun) > lendTime {
			w.all.outside.push(t)
			return
		}
	}
}

// giveBack leaves what w has to the other workers and parks it. A parked worker has nothing of its own: it would not look
// there.
func (w *worker) giveBack() {
	ws := w.all
	w.leave()
	if w.replaced.Load() { // its goroutine, which is parked, retires
		ws.searching.Add(1) // as whoever is woken
		w.unpark()
		return
	}
	ws.idle.push(w)
	if ws.anyWork() {
		ws.wakeOne()
	}
}

// leave moves what w has to where all workers find it.
func (w *worker) leave() {
	if t := w.next.take(); t != nil {
		w.all.outside.push(t)
	}
	for t := w.queue.pop(); t != nil; t = w.queue.pop() {
		w.all.outside.push(t)
	}
	w.passed() // what comes next may have been made ready long after the last look at the clock
	w.began.Store(0)
}
