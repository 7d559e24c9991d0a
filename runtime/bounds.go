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

// roomForFork refuses one fork too many: while they wait to begin they take memory, too.
func (s *Service) roomForFork() error {
	if n := max(s.runq.jobs, len(s.live)); n >= s.limits.Handlers {
		return s.exceeded("handlers that are suspended or wait to begin", "handlers", n, s.limits.Handlers)
	}
	return nil
}

// roomForMonitor refuses one monitor too many: it is a request that is answered at the end of another service.
func (s *Service) roomForMonitor() error {
	if n := s.waits.count[watchWait]; n >= s.limits.Calls {
		return s.exceeded("monitors", "calls", n, s.limits.Calls)
	}
	return nil
}

func (s *Service) exceeded(what, limit string, n, want int) error {
	s.count.exceeded++
	return callErrorf(Overload, false, "%s: got %d %s and one more, want at most %d (limit %s)", s.label, n, what, want, limit)
}

// roomForService refuses one service too many.
func (n *Node) roomForService(script string) *CallError {
	if live := n.lives.Load() - ownServices; live >= int64(n.limits.Services) {
		return callErrorf(Overload, false, "launch %s: got %d services on node %s and one more, want at most %d (limit services)", script, live, n.name, n.limits.Services)
	}
	return nil
}

// ownServices is how many services of a node belong to the runtime: system and cluster; see [Node.owns].
const ownServices = 2

// refuseHandler refuses a request because too many handlers are suspended.
func (s *Service) refuseHandler(m *message) {
	s.count.crowded++
	if m.session == 0 {
		s.tell(s.turn, 1, "messages refused: too many handlers are suspended", m.command)
		return
	}
	m.source.answer(s.turn, m.session, nil, callErrorf(Overload, false, "%s: got %d suspended handlers and %q, want at most %d (limit handlers)",
		s.label, len(s.live), m.command, s.limits.Handlers))
}
