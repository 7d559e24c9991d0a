package runtime

import (
	"slices"
)

// holdings is what a service has from the runtime, apart from its state, at one moment: an upgrade that fails gives back all that the
// new code has got since.
type holdings struct {
	svc     *Service
	waits   []uint32 // by slot, the generation of its entry, 0 for none
	queued  int
	names   []claim
	closers map[closer]bool
	links   []linkage
}

// holdings notes what the service has. Until the end of restore nothing but the upgrade may run.
func (s *Service) holdings() *holdings {
	h := &holdings{svc: s, queued: s.runq.len(), links: slices.Clone(s.links), closers: make(map[closer]bool, len(s.closers))}
	h.waits = make([]uint32, s.waits.size())
	for i := range h.waits {
		if e := s.waits.slot(uint32(i)); e.used {
			h.waits[i] = e.gen
		}
	}
	for _, c := range s.closers {
		h.closers[c] = true
	}
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	h.names = slices.Clone(s.names)
	return h
}

// restore ends timers, forks, monitors, links, listeners and subscriptions that are younger than h, and lets the service have the names
// that it had, as far as they are free.
func (h *holdings) restore() {
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
	for i := s.runq.head + h.queued; i < len(s.runq.items); {
		j := s.runq.items[i].job
		if j == nil { // it was only woken or cancelled
			i++
			continue
		}
		s.runq.items = slices.Delete(s.runq.items, i, i+1)
		j.drop()
	}
	for _, c := range slices.Clone(s.closers) {
		if !h.closers[c] {
			c.close()
		}
	}
	for _, l := range slices.Clone(s.links) {
		if !slices.Contains(h.links, l) {
			s.unlink(l.peer)
		}
	}
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	for _, c := range s.names {
		if !slices.Contains(h.names, c) {
			c.table.Delete(c.name)
		}
	}
	had := h.names
	s.names = nil
	for _, c := range had {
		if other, taken := c.table.LoadOrStore(c.name, s); !taken || other == s {
			s.names = append(s.names, c)
		}
	}
	known := s.names
	s.known.Store(&known)
}
