package runtime

import (
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime/weigh"
	"skynet/sched"
)

// meter holds a service to its limits for the processor and for memory; a service without has none. It costs nothing a message
// but two comparisons: what has been used is known from [counts], and looked at when a message was timed.
type meter struct {
	cpu    CPU
	memory int64

	// The processor.
	sample  sample
	timed   sched.Time    // when the message timed last was over
	window  sched.Time    // when the present window ends
	used    time.Duration // in it
	spent   bool          // all of its time is used
	told    bool          // the log knows
	timer   sched.Timer
	pausing atomic.Uint32 // the states of a pause

	// Memory. Work counts Starlark steps, a handler as handlerWork of them.
	due      uint64 // the work done when the next estimate is made …
	soonest  uint64 // … or this much, if the service has taken so many bytes, or in any case if it has taken as many as it may hold
	dueBytes uint64
	allBytes uint64
	weight   int64 // the last estimate
}

const (
	// An estimate looks at so many values first, and at thorough ones before a service is ended for it.
	brief    = 256
	thorough = 10_000

	// A value that is looked at takes about as long as workPerValue/50 steps: so estimates take 2 % of the time at most.
	workPerValue = 700
	handlerWork  = 50
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
	m := &meter{cpu: l.CPU, memory: l.Memory}
	m.plan(&counts{}, minWork)
	return m
}

// mayRun is asked at the begin of a turn of a service that has used its time. It reports false if the service must pause; it is
// then no longer this turn's.
func (m *meter) mayRun(s *Service) bool {
	if s.turn.Now >= m.window {
		m.spent = false
		return true
	}
	return s.mail.signals.Load() != 0 || s.phase != alive || s.node.stopped.Load() || !m.pause(s)
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
	m.timer.Reset(m.window)
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

// charge adds what a message has used that was timed, and those it stands for.
func (m *meter) charge(s *Service, began, ended sched.Time) {
	if s.turn.FreeClock { // so all are timed, and belongs to a message what it took to get to it
		began = max(m.timed, s.turn.Now)
	}
	m.timed = ended
	if began >= m.window {
		m.window, m.used, m.told = began.Add(m.cpu.Window), 0, false
	}
	took := ended.Sub(began)
	m.used += charged(took, s.count.weight)
	m.spent = m.used >= m.cpu.Time
	s.count.end(took, m.sample.next(took, s.turn.FreeClock))
}

// charged is what a message counts for that took so long, with the weight-1 before it that were not timed. Those count as short:
// one long message must not be charged many times. Long ones among them go uncounted, but if they came more often than
// once in as many messages as they take times shortTime, all would have been timed. So what is charged and what was used
// differ by some shortTime a message at the most.
func charged(took time.Duration, weight uint32) time.Duration {
	return took + time.Duration(weight-1)*min(took, shortTime)
}

// sample chooses the messages that are timed, of a service that is charged for them. Two readings of the clock take some 40 ns, a
// seventh of the handling of a small message: so while that takes less than shortTime, one in sampled on average is timed. A
// service that has been seen to take longer has all of them timed for as long as the readings then take 4 % of its time.
type sample struct {
	always int64  // for how many messages yet all are timed
	random uint32 // so that no service keeps step with what is chosen
}

const (
	shortTime = time.Microsecond
	sampled   = 16
)

// next returns for how many messages the next one that is timed stands, itself included, after one that took so long.
func (c *sample) next(took time.Duration, free bool) uint32 {
	c.always = max(c.always-1, int64(took/shortTime))
	if free || c.always > 0 {
		return 1
	}
	c.random = c.random*1664525 + 1013904223 // a linear congruential generator
	return 1 + (c.random>>16)%(2*sampled-1)
}

// heavy tells whether to estimate the size of the state: after some work, or earlier if large requests came.
func (m *meter) heavy(c *counts) bool {
	work := c.work()
	return work >= m.due || c.bytes >= m.dueBytes && (work >= m.soonest || c.bytes >= m.allBytes)
}

// plan sets the next estimate.
func (m *meter) plan(c *counts, work uint64) {
	m.due, m.soonest = c.work()+max(minWork, work), c.work()+minWork
	m.dueBytes, m.allBytes = c.bytes+uint64(m.memory/8), c.bytes+uint64(m.memory)
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
	m.plan(&s.count, workPerValue*uint64(visited))
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
	return total + scale.Weigh(s.state()) + s.weighLocals(scale) + s.weighTimers(scale) + s.weighForks(scale)
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

// maxWeighed is how many of things that are alike an estimate looks at: handlers, timers, forks. It is so few that a brief scale samples none of
// each half, which would take what all share for what each has.
const maxWeighed = 64

// weighLocals weighs the local variables of the suspended handlers.
func (s *Service) weighLocals(scale *weigh.Scale) int64 {
	return weighAlike(scale, len(s.live), func(i int, values []starlark.Value) []starlark.Value {
		co := s.live[i]
		before := len(values)
		for depth := range min(co.thread.CallStackDepth(), maxFrames) {
			values = appendLocals(values, co.thread.DebugFrame(depth))
		}
		if len(values) == before { // it has not begun, as a fork that waits for a queue; else its arguments are among its variables
			values = appendArguments(values, &co.job)
		}
		return values
	})
}

// weighTimers weighs the arguments of the pending timers.
func (s *Service) weighTimers(scale *weigh.Scale) int64 {
	if s.waits.count[timerWait] == 0 {
		return 0
	}
	return weighAlike(scale, s.waits.size(), func(i int, values []starlark.Value) []starlark.Value {
		switch w := s.waits.slot(uint32(i)); {
		case !w.used || w.timer == nil:
			return values
		case w.timer.more != nil:
			return appendArguments(values, &w.timer.more.job)
		default:
			return append(values, w.timer.args...)
		}
	})
}

// weighForks weighs the arguments of the forks that have not begun.
func (s *Service) weighForks(scale *weigh.Scale) int64 {
	return weighAlike(scale, s.runq.len(), func(i int, values []starlark.Value) []starlark.Value {
		if j := s.runq.items[s.runq.head+i].job; j != nil {
			values = appendArguments(values, j)
		}
		return values
	})
}

// weighAlike weighs what n things hold that are alike, of which it looks at a sample. The second half of that tells what each adds to
// what they share.
func weighAlike(scale *weigh.Scale, n int, held func(i int, values []starlark.Value) []starlark.Value) int64 {
	if n == 0 {
		return 0
	}
	k := min(n, maxWeighed)
	half := k / 2
	var first, second []starlark.Value
	for i := range k {
		if i < half {
			first = held(i*n/k, first)
		} else {
			second = held(i*n/k, second)
		}
	}
	return scale.Weigh(first) + scale.Weigh(second)*int64(n-half)/int64(k-half)
}

func appendArguments(values []starlark.Value, j *job) []starlark.Value {
	values = append(values, j.args...)
	for _, kw := range j.kwargs {
		values = append(values, kw[1])
	}
	return values
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
