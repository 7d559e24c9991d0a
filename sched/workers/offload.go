package workers

import (
	"math"
	"sync"
	"sync/atomic"
)

// gate counts what is inside and can be closed: after close returns nothing is inside and nothing enters.
type gate struct {
	count atomic.Int64 // below 0 once closed
	empty chan struct{}
}

func (g *gate) init() { g.empty = make(chan struct{}, 1) }

// enter reports whether the gate is open; if so, leave must follow.
func (g *gate) enter() bool {
	if g.count.Add(1) > 0 {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.count.Add(-1) == math.MinInt64 {
		select {
		case g.empty <- struct{}{}:
		default:
		}
	}
}

// close closes the gate and waits until it is empty. It is called once.
func (g *gate) close() {
	if g.count.Add(math.MinInt64) != math.MinInt64 {
		<-g.empty
	}
}

// poolLimit bounds the goroutines that run offloaded work: a stalled disk must not cost a stack per request.
const poolLimit = 64

// pool runs work that blocks on goroutines that are started on demand and kept.
type pool struct {
	mu      sync.Mutex
	more    sync.Cond
	jobs    []job
	idle    int
	running int
	closed  bool
	done    sync.WaitGroup
}

type job struct{ work, done func() }

func (p *pool) init() { p.more.L = &p.mu }

// Offload runs work and then done on a goroutine beside the workers: at once if fewer than 64 are at work, else when
// one of them is through.
func (ws *Workers) Offload(work, done func()) { ws.offload.add(job{work, done}) }

func (p *pool) add(j job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.jobs = append(p.jobs, j)
	switch {
	case p.idle >= len(p.jobs):
		p.more.Signal()
	case p.running < poolLimit:
		p.running++
		p.done.Go(p.loop)
	}
}

func (p *pool) loop() {
	for {
		j, ok := p.next()
		if !ok {
			return
		}
		j.work()
		j.done()
	}
}

// next waits for a job; false when the pool is closed.
func (p *pool) next() (j job, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle++
	for len(p.jobs) == 0 && !p.closed {
		p.more.Wait()
	}
	p.idle--
	if p.closed {
		return job{}, false
	}
	j = p.jobs[0]
	p.jobs[0] = job{}
	p.jobs = p.jobs[1:]
	return j, true
}

// close drops the jobs that wait and waits for those at work.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.jobs = nil
	p.more.Broadcast()
	p.mu.Unlock()
	p.done.Wait()
}
