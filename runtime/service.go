package runtime

import (
	"fmt"
	"sync"
	"sync/atomic"

	"go.starlark.net/starlark"

	"skynet/sched"
	"skynet/sched/trace"
)

// Service is a mailbox, the private state of a script (or a Go [Handler]) and the coroutines that are handling its
// messages. It is a [sched.Task]: whatever it does happens in its turns, one at a time, so nothing in it needs a lock but the
// mailbox.
type Service struct {
	node  *Node
	addr  *Address
	what  string // name of the script, or of the Go handler
	label string // address and what, as logs show it
	mail  mailbox
	turn  *sched.Turn // the turn being run, valid only within it

	script  *Program
	globals starlark.StringDict // the script's module: its state and its commands
	handler Handler

	depth    int       // how many services waited in init for this one when it was launched
	starting bool      // init has not returned: requests wait in deferred
	deferred []message // requests that came before init returned
	ending   bool      // exit was called, or init failed: the service dies at the end of this step
	killed   atomic.Bool

	runq      runQueue   // what to do before the next message: forks and woken coroutines
	farewells []message  // answers that wait for the service's death
	preempted *coroutine // a handler whose slice was used up; nothing else runs before it
	live      []*coroutine
	waits     waits
	alarm     sched.Timer
	alarmAt   sched.Time     // when the alarm is set to fire, 0 if it is not
	parked    *starlark.Dict // token -> waitID of the coroutine in skynet.wait
	closers   []closer       // sockets and listeners to close at the end
	out       []byte         // what a socket is writing
	random    *sched.Stream
	afterTurn func() // for services of the runtime itself: flush what this turn wrote
	onDeath   func() // told once the service is dead

	// last is the command handled last: most services are asked the same again and again.
	last struct {
		command string
		fn      *starlark.Function
	}

	// Guarded by node.mu.
	names []claim
	gone  bool // forgotten: it gets no names any more
}

// claim is a name of a service in one of its node's tables.
type claim struct {
	table *sync.Map
	name  string
}

// runnable is an entry of a service's run queue: a new job, a suspended coroutine, or a request that waited for init.
type runnable struct {
	job     job
	co      *coroutine
	message *message
}

// runQueue is a FIFO queue. What has been taken is given room to again when the queue is empty, or is mostly that: a queue
// that is never empty must not grow for ever.
type runQueue struct {
	items []runnable
	head  int
}

func (q *runQueue) len() int { return len(q.items) - q.head }

func (q *runQueue) push(r runnable) { q.items = append(q.items, r) }

func (q *runQueue) pop() runnable {
	r := q.items[q.head]
	q.items[q.head] = runnable{}
	if q.head++; q.head == len(q.items) || q.head >= 64 && q.head >= len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return r
}

// closer is a socket or a listener; seat is its place in the list of its service.
type closer interface {
	close()
	seat() *int
}

// Address returns the service's address.
func (s *Service) Address() *Address { return s.addr }

// TaskID identifies the service within its node.
func (s *Service) TaskID() uint64 { return uint64(uint32(s.addr.id)) }

func (s *Service) name() string { return s.label }

// post delivers a message; turn is the sender's turn, or nil outside of any.
func (s *Service) post(turn *sched.Turn, m *message) putResult {
	r := s.mail.put(m)
	if r == putReady {
		if turn != nil {
			turn.Ready(s)
		} else {
			s.node.sched.Ready(s)
		}
		r = putOK
	}
	return r
}

// run makes the service call f in one of its turns. It is how everything outside (network, timers, offloads) reaches a
// service. After the service's death f is not called.
func (s *Service) run(turn *sched.Turn, f func()) { s.post(turn, &message{kind: event, body: f}) }

// answer delivers the reply to a call of this service.
func (s *Service) answer(turn *sched.Turn, session uint64, value starlark.Value, err *CallError) {
	s.post(turn, &message{kind: reply, session: session, value: value, err: err})
}

// Run handles messages until the budget or a slice of steps is used up or nothing is left, so a turn takes two slices at
// the most. The order is: a preempted handler, what the last step made runnable, the next message.
func (s *Service) Run(turn *sched.Turn) (more bool) {
	s.turn = turn
	var m message
	for slice := s.node.limits.Slice; turn.Messages < turn.Budget && turn.Steps < slice; {
		if s.killed.Load() {
			s.end()
		}
		if s.ending {
			s.die()
			return false
		}
		turn.Messages++ // before the work, so that what it sends leaves after its cost
		switch {
		case s.preempted != nil:
			co := s.preempted
			s.preempted = nil
			s.resume(co)
		case s.runq.len() > 0:
			s.runNext(s.runq.pop())
		default:
			if s.afterTurn != nil && s.mail.length() == 0 {
				s.afterTurn()
			}
			if !s.mail.take(&m) {
				turn.Messages--
				return false
			}
			s.handle(&m)
		}
		if s.preempted != nil {
			return true
		}
	}
	if s.ending || s.preempted != nil || s.runq.len() > 0 {
		return true
	}
	if s.afterTurn != nil {
		s.afterTurn()
	}
	return s.mail.settle()
}

func (s *Service) handle(m *message) {
	switch m.kind {
	case request:
		if s.starting {
			s.deferred = append(s.deferred, *m)
			return
		}
		s.dispatch(m)
	case start:
		s.begin(m)
	case reply:
		if w, ok := s.waits.take(waitID(m.session)); ok && w.co != nil {
			w.co.value = m.value
			if m.err != nil {
				w.co.err = m.err
			}
			s.resume(w.co)
		}
	case tick:
		s.alarmAt = 0
		s.expire()
	case event:
		m.body.(func())()
	}
}

// dispatch runs a command on a coroutine.
func (s *Service) dispatch(m *message) {
	co := s.node.coroutines.get(s.turn.Worker)
	if err := s.commandJob(m, &co.job); err != nil {
		s.node.coroutines.put(s.turn.Worker, co)
		if m.session != 0 {
			m.source.answer(s.turn, m.session, nil, err)
		} else {
			s.log(levelWarn, "message refused", "command", m.command, "error", err.Error())
		}
		return
	}
	co.source, co.session, co.deadline = m.source, m.session, m.deadline
	co.begin(s)
	s.resume(co)
}

// commandJob finds what a request asks for and makes j, which is empty, the job of doing it.
func (s *Service) commandJob(m *message, j *job) *CallError {
	j.args, j.what = m.args, m.command
	if x, ok := m.body.(*extras); ok {
		j.kwargs = x.kwargs
		if x.payload != nil {
			args, kwargs, err := s.node.decoder.Args(x.payload)
			if err != nil {
				return callErrorf(Remote, false, "%s: arguments of %q from node %s: %v", s.label, m.command, x.from, err)
			}
			j.args, j.kwargs = args, kwargs
		}
	}
	if s.handler != nil {
		h, args, kwargs := s.handler, j.args, j.kwargs
		command := m.command
		j.native = func(co *coroutine) (starlark.Value, error) {
			return h.Handle(&Context{co: co}, command, args, kwargs)
		}
		return nil
	}
	if m.command != s.last.command {
		fn, ok := s.globals[m.command].(*starlark.Function)
		if !ok || m.command[0] == '_' || m.command == "init" {
			return s.noCommand(m.command)
		}
		s.last.command, s.last.fn = m.command, fn
	}
	j.fn = s.last.fn
	return nil
}

// resume switches to a coroutine and deals with how it comes back.
func (s *Service) resume(co *coroutine) {
	sig, alive := co.next()
	s.turn.Steps += co.thread.Steps - co.charged
	co.charged = co.thread.Steps
	if sig == done || !alive {
		s.unlist(co)
		co.recycle()
		s.node.coroutines.put(s.turn.Worker, co)
		return
	}
	if co.live < 0 {
		co.live = len(s.live)
		s.live = append(s.live, co)
	}
	if sig == preempted {
		s.preempted = co
	}
}

func (s *Service) unlist(co *coroutine) {
	if co.live < 0 {
		return
	}
	last := len(s.live) - 1
	s.live[co.live] = s.live[last]
	s.live[co.live].live = co.live
	s.live[last] = nil
	s.live = s.live[:last]
	co.live = -1
}

func (s *Service) runNext(r runnable) {
	switch {
	case r.co != nil:
		s.resume(r.co)
		return
	case r.message != nil:
		s.dispatch(r.message)
		return
	}
	co := s.node.coroutines.get(s.turn.Worker)
	co.job = r.job
	co.begin(s)
	s.resume(co)
}

// fork queues a job to run on a coroutine of its own, after what is running now.
func (s *Service) fork(j job) { s.runq.push(runnable{job: j}) }

// wake completes a wait: its coroutine runs after what is running now, in the order of the wake-ups. It reports false if
// the wait was over already.
func (s *Service) wake(id waitID, value starlark.Value, err error) bool {
	w, ok := s.waits.take(id)
	if !ok {
		return false
	}
	if w.fire != nil {
		w.fire(false)
		return true
	}
	w.co.value, w.co.err = value, err
	s.runq.push(runnable{co: w.co})
	return true
}

// addWait makes an entry in the wait table and sets the alarm if its deadline is the first.
func (s *Service) addWait(co *coroutine, fire func(timedOut bool), deadline sched.Time) waitID {
	id := s.waits.add(co, fire, deadline)
	if deadline != 0 && (s.alarmAt == 0 || deadline < s.alarmAt) {
		s.setAlarm(deadline)
	}
	return id
}

// setAlarm sets the service's one timer. It is never stopped when a call is answered, only found to have nothing to do
// when it fires: so a call costs no timer operation as long as an earlier alarm is set.
func (s *Service) setAlarm(at sched.Time) {
	if s.alarm == nil {
		s.alarm = s.node.sched.NewTimer(func() { s.post(nil, &message{kind: tick}) })
	}
	s.alarmAt = at
	s.alarm.Reset(at)
}

// expire completes the waits whose deadline has passed, in order of their deadlines, and sets the alarm to the next one.
func (s *Service) expire() {
	now := s.node.sched.Now()
	for !s.ending {
		w, ok := s.waits.expired(now)
		if !ok {
			break
		}
		if w.fire != nil {
			w.fire(true)
			continue
		}
		if co := w.co; co.what == "call" {
			co.err = callErrorf(Timeout, true, "no reply from %s within its deadline", co.target)
		}
		s.runq.push(runnable{co: w.co})
	}
	if at := s.waits.earliest(); at != 0 && (s.alarmAt == 0 || at < s.alarmAt) {
		s.setAlarm(at)
	}
}

// begin handles the start message: the script's top level, then init, run on one coroutine, which may block; until it
// is through, requests wait.
func (s *Service) begin(m *message) {
	s.starting = true
	x, _ := m.body.(*extras)
	if x == nil {
		x = &extras{}
	}
	co := s.node.coroutines.get(s.turn.Worker)
	co.source, co.session, co.deadline = m.source, m.session, m.deadline
	args := m.args
	co.job = job{
		what:   "init",
		native: func(co *coroutine) (starlark.Value, error) { return s.addr, s.initialise(co, args, x.kwargs) },
		then:   func(_ starlark.Value, err error) { s.started(co, err) },
	}
	co.begin(s)
	s.resume(co)
}

func (s *Service) initialise(co *coroutine, args starlark.Tuple, kwargs []starlark.Tuple) error {
	if s.handler != nil {
		return s.handler.Init(&Context{co: co}, args, kwargs)
	}
	globals, err := s.script.program.Init(co.thread, s.script.predeclared)
	s.globals = globals
	if err != nil {
		return err
	}
	fn, ok := globals["init"]
	if !ok {
		if len(args)+len(kwargs) > 0 {
			return fmt.Errorf("%s: got %d arguments for a script without init", s.script.name, len(args)+len(kwargs))
		}
		return nil
	}
	_, err = starlark.Call(co.thread, fn, args, kwargs)
	return err
}

// started is told how init ended.
func (s *Service) started(co *coroutine, err error) {
	s.starting = false
	if err == nil {
		co.answer(s.addr, nil)
		for i := range s.deferred {
			s.runq.push(runnable{message: &s.deferred[i]})
		}
		s.deferred = nil
		return
	}
	s.end()
	if err == errKilled {
		co.answer(nil, callErrorf(Dead, true, "%s ended in init", s.label))
		return
	}
	s.logFailure("init", err)
	co.answer(nil, asCallError(err))
}

// end makes the service die after the present step.
func (s *Service) end() { s.ending = true }

// farewell answers the request that co was handling when its service ended. The answer goes out once the service is gone,
// so that whoever gets it finds its names free.
func (s *Service) farewell(co *coroutine) {
	if co.session != 0 {
		err := callErrorf(Dead, true, "%s ended while handling %q", s.label, co.job.what)
		s.farewells = append(s.farewells, message{session: co.session, source: co.source, err: err})
		co.session = 0
	}
}

// die is the one way a service ends, whatever the cause: everyone who waits for it hears about it.
func (s *Service) die() {
	n := s.node
	n.forget(s)
	left := append(s.deferred, s.mail.close()...)
	if s.alarm != nil {
		s.alarm.Stop()
	}
	for s.runq.len() > 0 {
		r := s.runq.pop()
		if r.message != nil {
			left = append(left, *r.message)
		}
		if r.job.then != nil {
			r.job.then(nil, errKilled)
		}
	}
	for len(s.live) > 0 {
		co := s.live[len(s.live)-1]
		co.killed = true
		s.resume(co)
	}
	s.preempted, s.runq = nil, runQueue{}
	s.waits.clear()
	for len(s.closers) > 0 {
		s.closers[len(s.closers)-1].close()
	}
	for i := range s.farewells {
		m := &s.farewells[i]
		m.source.answer(s.turn, m.session, nil, m.err)
	}
	for i := range left {
		if m := &left[i]; m.session != 0 && m.kind != reply {
			m.source.answer(s.turn, m.session, nil, callErrorf(Dead, false, "%s ended before it handled %q", s.label, m.command))
		}
	}
	s.last.command, s.last.fn = "", nil
	s.deferred, s.farewells, s.globals, s.parked = nil, nil, nil, nil
	n.trace.Add(int64(s.turn.Now), trace.Node, n.index, s.TaskID(), 0)
	if s.onDeath != nil {
		s.onDeath()
	}
}

// kill ends the service from outside; a handler that runs is stopped at the end of its slice.
func (s *Service) kill(turn *sched.Turn) {
	s.killed.Store(true)
	s.run(turn, func() {})
}
