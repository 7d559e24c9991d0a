package workers

import (
	"sync"
	"time"

	"skynet/sched"
)

// timer is a Go timer that cannot fire for a setting that was replaced or undone.
type timer struct {
	all  *Workers
	fire func()

	mu  sync.Mutex
	t   *time.Timer // nil until the first Reset
	at  sched.Time
	set bool
}

// NewTimer makes a timer; fire runs in a goroutine of its own.
func (ws *Workers) NewTimer(fire func()) sched.Timer { return &timer{all: ws, fire: fire} }

func (t *timer) Reset(at sched.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at, t.set = at, true
	d := at.Sub(t.all.Now())
	if t.t == nil {
		t.t = time.AfterFunc(d, t.expire)
	} else {
		t.t.Reset(d)
	}
}

func (t *timer) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set = false
	if t.t != nil {
		t.t.Stop()
	}
}

// expire fires if the setting that is over is the last one: a call may be late for a timer that was stopped or reset in
// the meantime, and then the new setting has its own call.
func (t *timer) expire() {
	t.mu.Lock()
	now := t.set && t.all.Now() >= t.at
	t.set = t.set && !now
	t.mu.Unlock()
	if now && t.all.fires.enter() {
		defer t.all.fires.leave()
		t.fire()
	}
}
