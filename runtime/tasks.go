package runtime

import (
	"cmp"
	"slices"
	"time"

	"skynet/sched"
)

// Task is a handler of a service that is suspended or running: a coroutine at work.
type Task struct {
	ID      uint64 // within its service: 1 is the first handler
	What    string // what it waits for: "call", "sleep", "wait", "read", …; "running" or "ready" if it waits for nothing
	Target  string // whom or what it waits for, if that is known
	Command string // what it handles: a command, "init", or the name of a function that was forked
	Source  string // who made the request: a service, a node, or "go"; empty if nobody waits for an answer
	Session uint64 // of the request; 0 if nobody waits for an answer
	Age     time.Duration
	// Deadline is how long the caller still waits; HasDeadline tells whether it waits at all.
	Deadline    time.Duration
	HasDeadline bool
	Stack       string // Starlark backtrace; empty for a handler in Go
	Trace       TraceID

	source  *Address // the service that made the request, if it is on this node
	answers demand
	awaits  demand
	callee  uint64 // the service that is asked, 0 if it is on another node or none is
	behind  uint64 // the task of the same service that must do something first, 0 if there is none
}

// demand names a request within a node: the service that made it and the session it gave it. The zero value is none.
type demand struct{ service, session uint64 }

// waiting says whom a suspended coroutine waits for, as far as the node can know: those that wait in a circle wait for ever.
type waiting struct {
	callee *Service // of the call; meaningful while call is an entry of the wait table
	call   waitID

	// behind is where the owner of what this coroutine wants to own is to be found: another coroutine of the same service, without
	// which this one does not go on. Whoever blocks a coroutine for that gives its wait the kind behindWait; it is forgotten when the
	// coroutine is resumed.
	behind **coroutine

	probeAt sched.Time // when to find out whether it waits in a circle
	probes  uint8      // how often that was done
	told    bool       // it does, and the log says so
}

// owner is the coroutine of the same service that has to go on first, nil if there is none.
func (w *waiting) owner() *coroutine {
	if w.behind == nil {
		return nil
	}
	return *w.behind
}

// tasks lists the handlers of the service, in the order they began. It is called in a turn of the service; self is the
// coroutine that runs, if one does.
func (s *Service) tasks(self *coroutine) []Task {
	ready := make(map[*coroutine]bool)
	for _, r := range s.runq.items[s.runq.head:] {
		ready[r.co] = true
	}
	all := make([]Task, 0, len(s.live)+1)
	add := func(co *coroutine) {
		t := co.task()
		switch {
		case co == self || co == s.preempted:
			t.What, t.Target = "running", ""
		case ready[co]:
			t.What, t.Target = "ready", ""
		}
		all = append(all, t)
	}
	for _, co := range s.live {
		add(co)
	}
	if self != nil && self.live < 0 {
		add(self)
	}
	slices.SortFunc(all, func(a, b Task) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// task describes the coroutine, in a turn of its service in which it does not run, or by itself.
func (co *coroutine) task() Task {
	s := co.svc
	t := Task{
		ID: co.id, What: co.what, Target: co.target, Command: co.job.what, Session: co.session,
		Age: s.turn.Now.Sub(co.begun), Stack: co.stack(), Trace: TraceID(co.trace),
	}
	if co.deadline != 0 {
		t.Deadline, t.HasDeadline = max(0, co.deadline.Sub(s.turn.Now)), true
	}
	if co.source != nil && co.session != 0 {
		t.Source = co.source.name()
		if caller, ok := co.source.(*Service); ok {
			t.source = caller.addr
			t.answers = demand{caller.addr.id, co.session}
		}
	}
	if callee := s.callee(co); callee != nil {
		t.callee, t.awaits = callee.addr.id, demand{s.addr.id, uint64(co.waiting.call)}
	}
	if owner := co.waiting.owner(); owner != nil {
		t.behind = owner.id
	}
	return t
}

// callee is the service of this node whose reply the coroutine waits for; nil if it waits for none.
func (s *Service) callee(co *coroutine) *Service {
	if co.waiting.callee == nil || !s.waits.holds(co.waiting.call, co) {
		return nil
	}
	return co.waiting.callee
}

// stack is the Starlark backtrace of a coroutine.
func (co *coroutine) stack() string {
	stack := co.thread.CallStack()
	if len(stack) == 0 {
		return ""
	}
	return stack.String()
}

// ServiceInfo is a service as an operator sees it.
type ServiceInfo struct {
	Address *Address
	Script  string   // or the name of the Go handler
	Names   []string // local ones and those for other nodes, sorted
	Stat    Stat
	Tasks   []Task

	initial  uint64   // the task that runs init, 0 if none does
	deferred []demand // the requests that wait for it
}

// info is called in a turn of the service.
func (s *Service) info(self *coroutine) ServiceInfo {
	i := ServiceInfo{Address: s.addr, Script: s.running(), Names: s.allNames(), Stat: s.stat(self), Tasks: s.tasks(self)}
	if s.initial == nil {
		return i
	}
	i.initial = s.initial.id
	for j := range s.deferred {
		if caller, ok := s.deferred[j].source.(*Service); ok {
			i.deferred = append(i.deferred, demand{caller.addr.id, s.deferred[j].session})
		}
	}
	if u, ok := s.initial.source.(*uniqueLaunch); ok {
		i.deferred = append(i.deferred, u.demands()...)
	}
	return i
}
