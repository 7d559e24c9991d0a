package runtime

import (
	"slices"
	"sync"
)

// holdings is what a service has from the runtime, apart from its state, at one moment: an upgrade that fails gives back all that the
// new code has got since. What others have given the service meanwhile stays.
type holdings struct {
	svc     *Service
	waits   []uint32 // by slot, the generation of its entry, 0 for none
	closers map[closer]bool
	queued  int // entries of the run queue; nothing leaves it while new code runs
}

// holdings notes what the service has, before new code runs.
func (s *Service) holdings() *holdings {
	h := &holdings{svc: s, waits: make([]uint32, s.waits.size()), closers: make(map[closer]bool, len(s.closers)), queued: s.runq.len()}
	for i := range h.waits {
		if e := s.waits.slot(uint32(i)); e.used {
			h.waits[i] = e.gen
		}
	}
	for _, c := range s.closers {
		h.closers[c] = true
	}
	return h
}

// restore ends timers, forks, monitors, listeners and subscriptions that are younger than h, and undoes what the upgrade has done to
// names and links.
func (h *holdings) restore(up *upgrade) {
	s := h.svc
	for i := range s.waits.size() {
		e := s.waits.slot(uint32(i))
		if !e.used || i < len(h.waits) && h.waits[i] == e.gen {
			continue
		}
		kind := e.kind
		if w, ok := s.waits.take(waitID(e.gen)<<32 | waitID(i)); ok && kind == watchWait {
			w.fire(outcome{dropped: true})
		}
	}
	s.runq.drop(h.queued, func(j *job) bool { return j.trace == up.request.trace })
	for _, c := range slices.Clone(s.closers) {
		if !h.closers[c] {
			c.close()
		}
	}
	for _, undo := range slices.Backward(up.undo) {
		undo()
	}
}

// undo notes how to undo what a handler does to the names or links of its own service, if that is being upgraded by it.
func (co *coroutine) undo(f func()) {
	if s := co.svc; s.exchanging {
		s.upgrade.undo = append(s.upgrade.undo, f)
	}
}

// named is told that a handler has given a service a name that it did not have, or has taken one (has says which).
func (co *coroutine) named(s *Service, c claim, has bool) {
	if s != co.svc {
		return
	}
	co.undo(func() {
		s.node.mu.Lock()
		defer s.node.mu.Unlock()
		switch {
		case has:
			s.disclaim(c)
		case s.mayClaim(c.table, c.name) != nil: // somebody else has it by now, or the service has ended
		case c.table == &s.node.names:
			s.node.entitle(s, c.name)
		default:
			s.claim(c.table, c.name)
		}
	})
}

// disclaim takes a name from a service that has it. The node's lock is held.
func (s *Service) disclaim(c claim) {
	i := slices.Index(s.names, c)
	if i < 0 {
		return
	}
	c.table.CompareAndDelete(c.name, s)                    // somebody else may have it if s has ended
	s.names = slices.Delete(slices.Clone(s.names), i, i+1) // known shares the old array
	known := s.names
	s.known.Store(&known)
}

// give gives a service a name in a table.
func (co *coroutine) give(s *Service, table *sync.Map, name string, register func(name string, s *Service) error) error {
	held, had := table.Load(name)
	err := register(name, s)
	if err == nil && !(had && held == s) {
		co.named(s, claim{table, name}, true)
	}
	return err
}
