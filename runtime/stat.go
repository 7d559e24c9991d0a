package runtime

import (
	"math/bits"
	"time"

	"skynet/sched"
)

// sampleEvery is how many messages there are to one whose waiting is measured, and whose handling is if the processor is not
// limited: two readings of the clock cost as much as a small handler.
const sampleEvery = 256

// counts is what a service has done. It is written in the service's own turns only, by plain stores.
type counts struct {
	messages uint64 // requests, replies and the start
	bytes    uint64 // the estimated size of the requests
	tasks    uint64 // handlers begun
	steps    uint64
	skip     uint32        // how many things it does until one is timed
	weight   uint32        // how many that one stands for
	cpu      time.Duration // time of a worker, of those that were timed and those they stand for
	delays   *histogram    // nil before the first sample

	// What was refused or stopped; what happens at a full mailbox is in its mailCounts.
	noCommand uint64 // requests for commands that may not be called or do not exist
	crowded   uint64 // requests that came while too many handlers were suspended
	exceeded  uint64 // calls and timers beyond the limits
	throttled uint64 // windows in which the processor time was used up
	stopped   uint64 // handlers stopped for their steps, a value too large, or the node's heap
}

// begin is called before the service does something; it returns the time if that is to be timed, else 0.
func (c *counts) begin(clock sched.Scheduler) sched.Time {
	if c.skip--; c.skip > 0 {
		return 0
	}
	return readClock(clock)
}

func readClock(clock sched.Scheduler) sched.Time { return max(clock.Now(), 1) }

// end is called after what was timed and took so long; the next to be timed stands for so many.
func (c *counts) end(took time.Duration, next uint32) {
	c.cpu += took * time.Duration(c.weight)
	c.sample(next)
}

// sample has one in so many timed.
func (c *counts) sample(every uint32) { c.skip, c.weight = every, every }

// work is how much the service has done, in Starlark steps.
func (c *counts) work() uint64 { return c.steps + handlerWork*c.tasks }

func (c *counts) noteDelay(d time.Duration) {
	if c.delays == nil {
		c.delays = new(histogram)
	}
	c.delays.add(d)
}

// time makes the message in a slot the one whose waiting is measured, unless one is already. The lock is held.
func (b *mailbox) time(slot *message) {
	if b.timedAt == 0 && b.clock != nil {
		slot.timed = true
		b.timedAt = readClock(b.clock)
	}
}

// delay is how long the message that was timed has waited.
func (b *mailbox) delay(clock sched.Scheduler) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := clock.Now().Sub(b.timedAt)
	b.timedAt = 0
	return d
}

// look returns the number of messages in the queue, without one that was handed over; ok is false once the service has ended.
func (b *mailbox) look() (queued int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n, !b.closed
}

// histogram counts durations in classes of 2 bits of precision: what it says is at most a quarter too much.
type histogram struct {
	classes [4 * 42]uint32 // up to 2^43 ns, two hours and a half
	n       uint64
	max     time.Duration
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.classes[min(classOf(d), len(h.classes)-1)]++
	h.n++
	h.max = max(h.max, d)
}

// classOf numbers the classes: 0, 1, 2, 3, then four for each power of two.
func classOf(d time.Duration) int {
	if d < 4 {
		return int(d)
	}
	e := bits.Len64(uint64(d)) - 3
	return 4*e + int(d>>e)
}

// classEnd is the longest duration of a class.
func classEnd(class int) time.Duration {
	if class < 8 {
		return time.Duration(class)
	}
	e := class/4 - 1
	return time.Duration(class%4+5)<<e - 1
}

// quantile is the duration that the given share of all, in percent, do not exceed; 0 if there are none.
func (h *histogram) quantile(percent uint64) time.Duration {
	rank := (h.n*percent + 99) / 100
	for class, n := range h.classes {
		if rank <= uint64(n) {
			return min(classEnd(class), h.max)
		}
		rank -= uint64(n)
	}
	return h.max
}

// Stat is what a service has done and has to do.
type Stat struct {
	Messages    uint64        // requests and replies handled
	Queued      int           // messages in the mailbox
	QueuedBytes int64         // the estimated size of its requests
	Deferred    int           // requests that wait for init to return, or for an upgrade
	Tasks       int           // handlers that are suspended or running
	Steps       uint64        // Starlark steps executed
	CPU         time.Duration // time of a worker, estimated from one in 256 messages, or more if it is limited
	Calls       int           // calls that wait for a reply
	Timers      int           // timers that have not fired
	Delay       Delay
	Refused     Refused
}

// Delay is how long messages have waited in the mailbox. One in 256 is measured, one at a time; the quantiles are at most a
// quarter too long.
type Delay struct {
	Samples       uint64
	P50, P99, Max time.Duration // 0 without a sample
}

// Refused counts what a service did not handle, and what it was not let do.
type Refused struct {
	Overload  uint64 // requests that found its mailbox full, or too many handlers suspended
	Dropped   uint64 // requests that made room for younger ones, and those without a sender here that found no room in time
	Blocked   uint64 // requests that had to wait for room
	Command   uint64 // requests for a command that it has not, or that is private
	Denied    uint64 // what it wanted and has no right to
	Exceeded  uint64 // calls and timers beyond its limits
	Throttled uint64 // windows in which it had used up its processor time
	Stopped   uint64 // handlers stopped for their steps, a value too large, or the node's heap
}

// stat is called in a turn of the service; self is the coroutine that runs, if one does.
func (s *Service) stat(self *coroutine) Stat {
	b := &s.mail
	b.mu.Lock()
	queued, bytes, full := b.n, b.bytes, b.overflow.counts
	b.mu.Unlock()
	if b.given {
		queued++
		if b.first.kind == request {
			bytes += int64(b.first.size)
		}
	}
	c := &s.count
	st := Stat{
		Messages: c.messages, Queued: queued, QueuedBytes: bytes, Deferred: len(s.deferred), Tasks: len(s.live), Steps: c.steps, CPU: c.cpu,
		Calls: s.waits.count[callWait], Timers: s.waits.count[timerWait],
		Refused: Refused{
			Overload: full.refused + c.crowded, Dropped: full.dropped, Blocked: full.blocked, Command: c.noCommand, Denied: s.Denied(),
			Exceeded: c.exceeded, Throttled: c.throttled, Stopped: c.stopped,
		},
	}
	if self != nil && self.live < 0 {
		st.Tasks++
	}
	if h := c.delays; h != nil {
		st.Delay = Delay{Samples: h.n, P50: h.quantile(50), P99: h.quantile(99), Max: h.max}
	}
	return st
}
