package runtime

import "math"

// requestSize is the size of a request whose arguments take so many bytes.
func requestSize(arguments int) uint32 { return uint32(min(arguments+messageSize, math.MaxUint32)) }

// roomForCall refuses one call too many.
func (s *Service) roomForCall() error {
	if n := s.waits.count[callWait]; n >= s.limits.Calls {
		return s.exceeded("calls that wait for a reply", "calls", n, s.limits.Calls)
	}
	return nil
}

// roomForTimer refuses one timer too many.
func (s *Service) roomForTimer() error {
	if n := s.waits.count[timerWait]; n >= s.limits.Timers {
		return s.exceeded("pending timers", "timers", n, s.limits.Timers)
	}
	return nil
}

func (s *Service) exceeded(what, limit string, n, want int) error {
	s.counts.exceeded++
	return callErrorf(Overload, false, "%s: got %d %s and one more, want at most %d (limit %s)", s.label, n, what, want, limit)
}

// roomForService refuses one service too many.
func (n *Node) roomForService(script string) *CallError {
	if live := n.lives.Load() - n.own(); live >= int64(n.limits.Services) {
		return callErrorf(Overload, false, "launch %s: got %d services on node %s and one more, want at most %d (limit services)", script, live, n.name, n.limits.Services)
	}
	return nil
}

// own is how many services belong to the runtime.
func (n *Node) own() int64 { return 2 } // system and cluster

// refuseHandler refuses a request because too many handlers are suspended.
func (s *Service) refuseHandler(m *message) {
	s.counts.handlers++
	if m.session == 0 {
		s.tell(s.turn, 1, "messages refused: too many handlers are suspended", m.command)
		return
	}
	m.source.answer(s.turn, m.session, nil, callErrorf(Overload, false, "%s: got %d suspended handlers and %q, want at most %d (limit handlers)",
		s.label, len(s.live), m.command, s.limits.Handlers))
}

// ownCounts are the counters that only the service's own turns write.
type ownCounts struct {
	exceeded  uint64 // calls and timers that were refused to the service itself
	handlers  uint64 // requests refused because too many handlers were suspended
	throttled uint64 // windows in which the service had used up its processor time
	stopped   uint64 // handlers stopped: steps, a value that grew too large, the node's heap
}

// limitCounts is what the limits of a service have done, and how near it is to them.
type limitCounts struct {
	Refused   uint64 // requests that found the mailbox full, or too many handlers suspended, and failed with overload
	Dropped   uint64 // requests that made room for younger ones
	Blocked   uint64 // requests whose senders waited for room
	Exceeded  uint64 // calls and timers refused to the service itself
	Throttled uint64 // windows in which the service had used up its processor time
	Stopped   uint64 // handlers stopped for their steps, a value too large, or the node's heap

	Requests     int   // in the mailbox
	RequestBytes int64 // their estimated size
	Waiting      int   // senders that wait for room
	Calls        int   // calls that wait for a reply
	Timers       int
	Handlers     int // suspended handlers
}

// limitCounts returns the counters. It must be called in a turn of the service, or while no worker runs.
func (s *Service) limitCounts() limitCounts {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	b := &s.mail
	return limitCounts{
		Refused: b.overflow.counts.refused + s.counts.handlers, Dropped: b.overflow.counts.dropped, Blocked: b.overflow.counts.blocked,
		Exceeded: s.counts.exceeded, Throttled: s.counts.throttled, Stopped: s.counts.stopped,
		Requests: b.requests, RequestBytes: b.bytes, Waiting: b.overflow.waiting,
		Calls: s.waits.count[callWait], Timers: s.waits.count[timerWait], Handlers: len(s.live),
	}
}
