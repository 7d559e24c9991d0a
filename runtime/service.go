package runtime

import (
	"slices"
	"sync"
	"sync/atomic"
	"weak"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// Service is a mailbox, the private state of a script (or a Go [Handler]) and the coroutines that are handling its
// messages. It is a [sched.Task]: whatever it does happens in its turns, one at a time, so nothing in it needs a lock but the
// mailbox and its names, which others read.
type Service struct {
	node  *Node
	addr  *Address
	what  string // name of the script, or of the Go handler
	label string // address and what, as logs show it
	mail  mailbox
	turn  *sched.Turn // the turn being run, valid only within it

	script   *Program
	globals  starlark.StringDict // the script's module: its state and its commands
	exitHook *starlark.Function  // its function exit, if it has one
	handler  Handler

	limits *Limits // the node's, unless the launch gave others

	count counts // what the service has done

	depth    int        // how many services waited in init for this one when it was launched
	starting bool       // init has not returned: requests wait in deferred
	initial  *coroutine // runs init, while starting
	deferred []message  // requests put off until init has returned, or an upgrade is over
	phase    phase
	reason   Reason     // why it ends, once it does
	leaveBy  sched.Time // when its exit hook is given up, 0 for never

	runq       runQueue                                   // what to do before the next message: forks and woken coroutines
	upgrade    *upgrade                                   // under way
	exchanging bool                                       // its new code runs: nothing may block, nothing else runs
	renamed    map[weak.Pointer[starlark.Function]]string // the names of functions of former code

	farewells []message  // answers that wait for the service's death
	links     []linkage  // who ends with it
	preempted *coroutine // a handler whose slice was used up; nothing else runs before it
	live      []*coroutine
	current   *coroutine // the one that runs, or ran last
	held      int        // responses that were taken and not given
	genid     int64      // the last number given by skynet.genid
	waits     waits
	alarm     sched.Timer
	alarmAt   sched.Time     // when the alarm is set to fire, 0 if it is not
	parked    *starlark.Dict // token -> waitID of the coroutine in skynet.wait
	closers   []closer       // sockets and listeners to close at the end
	random    *sched.Stream
	afterTurn func() // for services of the runtime itself: flush what this turn wrote
	onDeath   func() // told once the service is dead

	// last is the command handled last: most services are asked the same again and again.
	last struct {
		command string
		fn      *starlark.Function
	}

	access *access                 // what it is held to; nil: it may do everything
	known  atomic.Pointer[[]claim] // the names as of now, for everybody to read; at the end the last ones

	meter       *meter                  // nil unless the processor or memory is limited
	pace        *pace                   // for the heap watch; nil without one, and until a handler runs for more than a few steps
	globalNames []string                // sorted, once they are needed
	watchers    line[replyTo, struct{}] // who wants to hear of its end

	// Guarded by node.mu.
	names []claim // append-only: known shares its array
	runs  string  // the script it runs now, if an upgrade gave it another than it was launched with
	gone  bool    // forgotten: it gets no names any more
}

// claim is a name of a service in one of its node's tables.
type claim struct {
	table *sync.Map
	name  string
}

// runnable is an entry of a service's run queue: a suspended coroutine, a timer that has nothing more, a request that was put
// off, or a new job. It is small, because a batch of timers makes many.
type runnable struct {
	co      *coroutine
	timer   *timerValue
	message *message
	job     *job
}

// runQueue is a FIFO queue. What has been taken is given room to again when the queue is empty, or is mostly that: a queue
// that is never empty must not grow for ever.
type runQueue struct {
	items []runnable
	head  int
	jobs  int // how many of them have not begun
}

func (q *runQueue) len() int { return len(q.items) - q.head }

func (q *runQueue) push(r runnable) {
	q.items = append(q.items, r)
	if r.job != nil {
		q.jobs++
	}
}

// drop takes out the jobs that some function names, but for the first entries, and tells who waits for them.
func (q *runQueue) drop(first int, which func(*job) bool) {
	for i := q.head + first; i < len(q.items); {
		j := q.items[i].job
		if j == nil || !which(j) {
			i++
			continue
		}
		q.items = slices.Delete(q.items, i, i+1)
		q.jobs--
		j.drop()
	}
}

func (q *runQueue) pop() runnable {
	r := q.items[q.head]
	q.items[q.head] = runnable{}
	if r.job != nil {
		q.jobs--
	}
	if q.head++; q.head == len(q.items) || q.head >= 64 && q.head >= len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return r
}

// closer is what is closed when its service ends: a socket, a listener, a link to a node, a subscription, or a response that was not given.
// position is its place in the list of its service.
type closer interface {
	close()
	position() *int
}

// Address returns the service's address.
func (s *Service) Address() *Address { return s.addr }

// TaskID identifies the service within its node.
func (s *Service) TaskID() uint64 { return uint64(uint32(s.addr.id)) }

func (s *Service) name() string { return s.label }

// post delivers a message; turn is the sender's turn, or nil outside of any.
func (s *Service) post(turn *sched.Turn, m *message) putResult {
	r := s.mail.put(m)
	if r == putFull && s.limits.Overflow == DropOldest {
		r = s.makeRoom(turn, m)
	}
	if r == putReady {
		s.ready(turn)
		r = putOK
	}
	return r
}

// ready reports the service ready to the scheduler.
func (s *Service) ready(turn *sched.Turn) {
	if turn != nil {
		turn.Ready(s)
	} else {
		s.node.sched.Ready(s)
	}
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
	if s.meter != nil && s.meter.spent && !s.meter.mayRun(s) {
		return false
	}
	var m message
	for slice := s.limits.Slice; turn.Messages < turn.Budget && turn.Steps < slice; {
		if s.mail.signals.Load() != 0 {
			s.attend()
		}
		if s.phase != alive && s.closing() {
			s.die()
			return false
		}
		turn.Messages++ // before the work, so that what it sends leaves after its cost
		next := &s.mail.first
		switch {
		case s.preempted != nil || s.runq.len() > 0:
			next = nil
		case s.mail.given:
			s.mail.given = false
		default:
			if s.afterTurn != nil && s.mail.length() == 0 {
				s.afterTurn()
			}
			switch s.mail.take(&m) {
			case tookSignal:
				turn.Messages--
				continue
			case tookNothing:
				turn.Messages--
				return false
			}
			next = &m
		}
		began := s.count.begin(s.node.sched)
		var co *coroutine
		switch {
		case next != nil:
			if s.mail.overflow.entered != nil {
				s.welcome()
			}
			co = s.handle(next)
			*next = message{}
		case s.preempted != nil:
			co, s.preempted = s.preempted, nil
		default:
			co = s.follow(s.runq.pop())
		}
		if co != nil {
			// Here and not in a function: the processor mispredicts every return after a switch of stacks, at 6 ns each, so there
			// should be few frames between a coroutine and what resumes it.
			s.current = co
			sig, alive := co.next()
			s.resumed(co, sig, alive)
		}
		if began != 0 {
			s.timed(began, s.node.sched.Now())
		}
		if s.meter != nil && s.meter.memory > 0 && s.meter.heavy(&s.count) {
			s.meter.weigh(s)
		}
		if s.preempted != nil {
			break
		}
	}
	if s.phase != alive && s.pressing() || s.preempted != nil || s.runq.len() > 0 {
		return true
	}
	if s.afterTurn != nil {
		s.afterTurn()
	}
	return s.mail.settle()
}

// timed is told when something began that was timed, and when it was over.
func (s *Service) timed(began, ended sched.Time) {
	if s.meter != nil && s.meter.cpu != (CPU{}) {
		s.meter.charge(s, began, ended)
		return
	}
	s.count.end(ended.Sub(began), sampleEvery)
}

// handle deals with a message; it returns the coroutine that is to be resumed for it, if any.
func (s *Service) handle(m *message) *coroutine {
	if m.timed {
		s.count.noteDelay(s.mail.delay(s.node.sched))
	}
	if m.kind < tick {
		s.count.messages++
		s.count.bytes += uint64(m.size)
	}
	switch m.kind {
	case request:
		if s.starting || s.phase != alive {
			return s.postpone(m)
		}
		return s.dispatch(m)
	case watching:
		s.watchers.add(replyTo{m.source, m.session}, struct{}{})
	case start:
		return s.begin(m)
	case reply:
		return s.complete(m)
	case tick:
		s.alarmAt = 0
		s.expire()
	case event:
		m.body.(func())()
	}
	return nil
}

// complete ends the wait of a call with its reply, and returns the coroutine that waited. A reply that nobody waits for any
// more is dropped.
func (s *Service) complete(m *message) *coroutine {
	w, ok := s.waits.take(waitID(m.session))
	if !ok {
		return nil
	}
	if w.fire != nil {
		o := outcome{value: m.value}
		if m.err != nil {
			o.err = m.err
		}
		w.fire(o)
		return nil
	}
	w.co.value = m.value
	if m.err != nil {
		w.co.err = m.err
	}
	return w.co
}

// dispatch prepares a coroutine for running a command.
func (s *Service) dispatch(m *message) *coroutine {
	if len(s.live) >= s.limits.Handlers {
		s.refuseHandler(m)
		return nil
	}
	co := s.node.coroutines.get(s.turn.Worker)
	if err := s.commandJob(m, &co.job); err != nil {
		co.job = job{}
		s.node.coroutines.put(s.turn.Worker, co)
		s.count.noCommand++
		if m.session != 0 {
			m.source.answer(s.turn, m.session, nil, err)
		} else {
			s.log(levelWarn, "message refused", "trace", TraceID(m.trace), "command", m.command, "error", headOf(err.Error()))
		}
		return nil
	}
	co.source, co.session, co.deadline, co.trace, co.depth = m.source, m.session, m.deadline, m.trace, m.depth
	co.begin(s)
	return co
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
		j.handler = s.handler
		return nil
	}
	if m.command != s.last.command {
		fn, ok := s.globals[m.command].(*starlark.Function)
		if !ok || m.command[0] == '_' || lifeFunction(m.command) {
			return s.noCommand(m.command)
		}
		s.last.command, s.last.fn = m.command, fn
	}
	j.fn = s.last.fn
	return nil
}

// resume switches to a coroutine, as Run does.
func (s *Service) resume(co *coroutine) {
	s.current = co
	sig, alive := co.next()
	s.resumed(co, sig, alive)
}

// resumed deals with how a coroutine has come back.
func (s *Service) resumed(co *coroutine, sig signal, alive bool) {
	if s.pace != nil && s.pace.running {
		s.pace.pause(s.node.sched.Now())
	}
	co.charge()
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

// follow returns the coroutine that is to be resumed for an entry of the run queue, if any.
func (s *Service) follow(r runnable) *coroutine {
	switch {
	case r.co != nil:
		return r.co
	case r.message != nil:
		s.mail.release(r.message)
		if s.mail.overflow.entered != nil {
			s.welcome()
		}
		return s.dispatch(r.message)
	}
	var task *forkedTask
	if r.job != nil {
		task = r.job.task
	}
	if task != nil && task.cancelled {
		task.job = job{}
		return nil
	}
	co := s.node.coroutines.get(s.turn.Worker)
	if t := r.timer; t != nil {
		co.job.fn, co.job.args, co.job.what, co.job.trace = t.fn, t.args, t.fn.Name(), t.trace
	} else {
		co.job = *r.job
	}
	co.trace = co.job.trace
	if s.renamed != nil {
		co.job.fn = s.latest(co.job.fn)
	}
	if task != nil {
		task.co, task.job = co, job{}
	}
	co.begin(s)
	return co
}

// fork queues a job to run on a coroutine of its own, after what is running now.
func (s *Service) fork(j job) { s.runq.push(runnable{job: &j}) }

// forkTask is fork for a job that has a handle.
func (s *Service) forkTask(j job) *forkedTask {
	t := &forkedTask{svc: s, job: j, what: j.what}
	t.job.task = t
	s.runq.push(runnable{job: &t.job})
	return t
}

// wake completes a wait: its coroutine runs after what is running now, in the order of the wake-ups. It reports false if
// the wait was over already.
func (s *Service) wake(id waitID, value starlark.Value, err error) bool {
	w, ok := s.waits.take(id)
	if !ok {
		return false
	}
	switch {
	case w.timer != nil:
		s.runq.push(runnable{timer: w.timer})
		s.settle(s.runq.len() - 1)
		return true
	case w.fire != nil:
		w.fire(outcome{value: value, err: err})
		return true
	}
	w.co.value, w.co.err = value, err
	s.runq.push(runnable{co: w.co})
	return true
}

// addWait makes an entry in the wait table and sets the alarm if its deadline is the first.
func (s *Service) addWait(kind waitKind, co *coroutine, fire func(outcome), deadline sched.Time) waitID {
	id := s.waits.add(kind, co, fire, deadline)
	at := deadline
	if co != nil {
		co.wait = id
		if kind == callWait || kind == behindWait {
			co.waiting.begin(s.turn.Now)
			if at == 0 || at > co.waiting.probeAt {
				at = co.waiting.probeAt
			}
		}
	}
	if at != 0 && (s.alarmAt == 0 || at < s.alarmAt) {
		s.setAlarm(at)
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

// maxExpire is how many waits expire before the service looks into its mailbox again.
const maxExpire = 256

// expire completes the waits whose deadline has passed, in order of their deadlines, and sets the alarm to the next one.
func (s *Service) expire() {
	now := s.node.sched.Now()
	first := s.runq.len()
	more := s.expireBatch(now)
	s.settle(first)
	if more {
		s.alarmAt = now
		s.post(s.turn, &message{kind: tick})
		return
	}
	at := s.waits.earliest()
	if next := s.chase(now); next != 0 && (at == 0 || next < at) {
		at = next
	}
	if at != 0 && (s.alarmAt == 0 || at < s.alarmAt) {
		s.setAlarm(at)
	}
}

// expireBatch completes waits whose deadline has passed; it reports whether there may be more.
func (s *Service) expireBatch(now sched.Time) bool {
	for range maxExpire {
		if s.phase == ending {
			return false
		}
		w, refused, ok := s.waits.expired(now)
		if !ok {
			return false
		}
		switch {
		case w.timer != nil:
			s.runq.push(runnable{timer: w.timer})
			continue
		case w.fire != nil && refused != nil:
			w.fire(outcome{err: refused.noRoom()})
			continue
		case w.fire != nil:
			w.fire(outcome{late: true})
			continue
		}
		switch co := w.co; {
		case refused != nil:
			co.err = refused.noRoom()
		case co.what == "call" && co.asked == "": // a launch or a look inside
			co.err = callErrorf(Timeout, true, "no reply from %s within its deadline", co.target)
		case co.what == "call":
			co.err = callErrorf(Timeout, true, "no reply from %s to %q within its deadline", co.target, co.asked)
		}
		s.runq.push(runnable{co: w.co})
	}
	return s.phase != ending
}

// settle gives the timers in the run queue, from the given entry on, the jobs that they have apart. It looks at all of a batch
// in one loop, so that the processor reads their memory side by side, and not one after another when each runs.
func (s *Service) settle(first int) {
	entries := s.runq.items[s.runq.head:]
	for i := min(first, len(entries)); i < len(entries); i++ {
		if t := entries[i].timer; t != nil && t.more != nil {
			entries[i] = runnable{job: &t.more.job}
			s.runq.jobs++
		}
	}
}

// attend looks at the signals.
func (s *Service) attend() {
	s.mail.mu.Lock()
	urgent, why := s.mail.urgent, s.mail.sentence
	s.mail.urgent = nil
	got := s.mail.signals.Swap(0)
	s.mail.mu.Unlock()
	for i := range urgent {
		urgent[i].body.(func())()
	}
	if got&signalKilled != 0 {
		s.end(why)
	}
}

// interrupt makes the service run the event m before anything else, even within a handler that never blocks. It reports
// false if the service has ended; if it ends before it does it, the source of m is told.
func (s *Service) interrupt(turn *sched.Turn, m *message) bool {
	return s.signal(turn, func() uint32 {
		s.mail.urgent = append(s.mail.urgent, *m)
		return signalUrgent
	})
}

// urge makes another service call f as interrupt does or, if that one ends before it does, this one call gone in one of its own
// turns. It reports false if the other has ended already.
func (s *Service) urge(other *Service, f, gone func()) bool {
	ended := goCaller(func(starlark.Value, *CallError) { s.run(nil, gone) })
	return other.interrupt(s.turn, &message{kind: event, body: f, source: ended, session: 1})
}

// signal makes the service attend; set runs under the lock of its mailbox and returns the bits to set.
func (s *Service) signal(turn *sched.Turn, set func() uint32) bool {
	r := s.mail.signal(set)
	if r == putReady {
		s.ready(turn)
	}
	if r != putClosed && s.meter != nil {
		s.meter.wake(s)
	}
	return r != putClosed
}
