package runtime

import (
	"sync/atomic"

	"go.starlark.net/starlark"

	"skynet/runtime/weigh"
	"skynet/sched"
)

// meter watches what a service uses of the processor and of memory, if it has limits for them: a service without has no
// meter and pays nothing.
type meter struct {
	cpu    CPU
	memory int64

	// The processor.
	last    sched.Time // when it was last looked at, within a turn
	window  sched.Time // when the present window began
	opened  bool
	used    int64 // nanoseconds used in it
	told    bool  // the log knows that they are used up
	timer   sched.Timer
	pausing atomic.Uint32 // the states of a pause

	// Memory. Work counts Starlark steps, a message as messageWork of them.
	steps  uint64 // of the turn, when last looked at
	work   uint64 // since the last estimate
	taken  int64  // bytes of the requests handled since then
	due    uint64 // the work after which the next estimate is due
	weight int64  // the last estimate
}

const (
	// An estimate looks at so many values first, and at thorough ones before a service is ended for it.
	brief    = 256
	thorough = 10_000

	// A value that is looked at takes about as long as workPerValue/50 steps: so estimates take 2 % of the time at most.
	workPerValue = 700
	messageWork  = 50
	minWork      = 10_000
)

// The states of a pause. Nobody but the timer, or a signal, reports a service that pauses ready, and only once: whoever
// takes the state from paused to running does.
const (
	running uint32 = iota
	arming         // the timer is being set
	paused
	woken // while the timer was being set
)

// newMeter returns nil if the limits need none.
func newMeter(l *Limits) *meter {
	if l.CPU == (CPU{}) && l.Memory == 0 {
		return nil
	}
	return &meter{cpu: l.CPU, memory: l.Memory, due: minWork}
}

// begin is the begin of a turn. It reports false if the service must pause; it is then no longer this turn's.
func (m *meter) begin(s *Service) bool {
	m.steps = 0
	if m.cpu == (CPU{}) {
		return true
	}
	m.last = s.turn.Now
	if !s.turn.Fresh {
		m.last = s.node.sched.Now()
	}
	if !m.opened || m.last >= m.window.Add(m.cpu.Window) {
		m.opened, m.window, m.used, m.told = true, m.last, 0, false
	}
	if m.used < int64(m.cpu.Time) || s.mail.signals.Load() != 0 || s.phase != alive || s.node.stopped.Load() {
		return true
	}
	return !m.pause(s)
}

// pause makes the scheduler forget the service, which stays busy, until its window is over. It reports false if the
// service was woken meanwhile.
func (m *meter) pause(s *Service) bool {
	if !m.told {
		m.told = true
		s.count.throttled++
		s.log(levelWarn, "throttled: processor time used up", "limit", m.cpu.String())
	}
	if m.timer == nil {
		m.timer = s.node.sched.NewTimer(func() { m.wake(s) })
	}
	m.pausing.Store(arming)
	m.timer.Reset(m.window.Add(m.cpu.Window))
	if s.mail.signals.Load() != 0 || !m.pausing.CompareAndSwap(arming, paused) {
		m.pausing.Store(running)
		return false
	}
	return true
}

// wake ends a pause. It may be called by anybody at any time.
func (m *meter) wake(s *Service) {
	if m.pausing.CompareAndSwap(paused, running) {
		s.node.sched.Ready(s)
		return
	}
	m.pausing.CompareAndSwap(arming, woken)
}

// lap adds what the service has used since begin or the last lap; taken is the size of the message it handled. It must be
// called before the service may cease to be this turn's. It reports whether the service ends, which a state too large
// makes it do.
func (m *meter) lap(s *Service, taken uint32) bool {
	if m.cpu != (CPU{}) {
		now := s.node.sched.Now()
		m.used += int64(now - m.last)
		m.last, s.turn.Ended = now, now
	}
	if m.memory > 0 {
		m.work += s.turn.Steps - m.steps + messageWork
		m.steps = s.turn.Steps
		m.taken += int64(taken)
		if m.work >= m.due || m.taken >= m.memory/8 && m.work >= minWork {
			m.weigh(s)
		}
	}
	return s.phase == ending
}

// weigh ends the service if its state is too large. A brief estimate that says so is not trusted; a thorough one is.
func (m *meter) weigh(s *Service) {
	visited := 0
	for _, budget := range [...]int{brief, thorough} {
		scale := weigh.New(budget)
		m.weight = s.weigh(scale)
		visited += scale.Visited()
		if m.weight <= m.memory {
			break
		}
		if budget == thorough || scale.Visited() < brief { // less than it might have looked at: it has seen everything
			s.end(Reason{Kind: Failed, Message: "memory: the state holds about " + megabytes(m.weight) + ", limit " + megabytes(m.memory)})
			s.log(levelError, "service ended: its state is too large", "memory", m.weight, "limit", m.memory)
			break
		}
	}
	m.work, m.taken, m.due = 0, 0, max(minWork, workPerValue*uint64(visited))
}

// stop is the end of the service.
func (m *meter) stop() {
	if m.timer != nil {
		m.timer.Stop()
	}
}

// waitSize is what an entry of the wait table takes: a timer, a call.
const waitSize = 128

// weigh estimates, on a new scale, the bytes that the service's state holds: its globals, the local variables of its suspended
// handlers, and what waits in its mailbox. It must be called in a turn of the service, or while no worker runs.
func (s *Service) weigh(scale *weigh.Scale) int64 {
	s.mail.mu.Lock()
	total := s.mail.bytes
	if t := s.mail.overflow.entrusted; t != nil {
		total += t.bytes
	}
	s.mail.mu.Unlock()
	total += int64(s.waits.size()) * waitSize
	return total + scale.Weigh(s.state()) + s.weighLocals(scale)
}

// state is the values of the globals, in a fixed order.
func (s *Service) state() []starlark.Value {
	if s.globalNames == nil && len(s.globals) > 0 {
		s.globalNames = s.globals.Keys() // sorted; no name is added to globals once they are there
	}
	values := make([]starlark.Value, len(s.globalNames))
	for i, name := range s.globalNames {
		values[i] = s.globals[name]
	}
	return values
}

// maxWeighed is how many suspended handlers an estimate looks at; the others are taken to be like them.
const maxWeighed = 256

// weighLocals weighs the local variables of the suspended handlers.
func (s *Service) weighLocals(scale *weigh.Scale) int64 {
	n := len(s.live)
	if n == 0 {
		return 0
	}
	k := min(n, maxWeighed)
	var values []starlark.Value
	for i := range k {
		th := s.live[i*n/k].thread
		for depth := range min(th.CallStackDepth(), maxFrames) {
			values = appendLocals(values, th.DebugFrame(depth))
		}
	}
	return scale.Weigh(values) * int64(n) / int64(k)
}

// maxFrames is how many frames of a handler are looked at, the innermost first.
const maxFrames = 100

// appendLocals appends the local variables of a frame that have a value.
func appendLocals(values []starlark.Value, f starlark.DebugFrame) []starlark.Value {
	for i := range f.NumLocals() {
		if _, v := f.Local(i); v != nil {
			values = append(values, v)
		}
	}
	return values
}
