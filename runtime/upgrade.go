package runtime

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"weak"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// This file exchanges the code of a running service. The service goes through four steps:
//
//  1. New requests wait; the handlers that answer requests finish. What waits for nothing of the kind (a loop that reads a
//     socket, a timer) goes on.
//  2. The top level of the new script runs, then its upgrade(old), which gets everything the old one had. Neither may block, so
//     nothing else of the service runs meanwhile.
//  3. If that fails, whatever upgrade changed in the old state is put back, what it has got from the runtime is given back, and the
//     old code goes on.
//  4. Else the new functions take the place of the old ones, also those that timers, listeners and monitors call.

// upgrade is an upgrade of a service that has been asked for.
type upgrade struct {
	script  string
	program *Program
	handler Handler  // of a service in Go
	request *message // who is to be answered, and until when
	undo    []func() // what the new code has done to names and links
}

// Upgrader is a [Handler] that can take over from another one: it is what upgrade(old) is to a script. Upgrade must not block,
// and must leave old as it was if it fails.
type Upgrader interface {
	Handler
	Upgrade(ctx *Context, old Handler) error
}

// skynetUpgrade exchanges the code of a service.
func skynetUpgrade(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	var dest starlark.Value
	script := ""
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "address", &dest, "script?", &script); err != nil {
		return nil, err
	}
	callee, err := co.mayEnd(b.Name(), dest)
	if err == nil {
		err = co.mayUse("upgrade")
	}
	if err != nil {
		return nil, err
	}
	if script == "" {
		script = callee.running()
	} else if script, _, err = co.scriptName(b, starlark.Tuple{starlark.String(script)}); err != nil {
		return nil, err
	}
	return starlark.None, co.upgrade(callee, script, timeout)
}

// upgrade compiles the script as it is now and hands it to the callee; it waits until the callee runs it.
func (co *coroutine) upgrade(callee *Service, script string, timeout time.Duration) error {
	s := co.svc
	if err := co.mayBlock("upgrade"); err != nil {
		return err
	}
	up := &upgrade{script: script}
	var err error
	if up.handler, err = s.node.newHandler(script); err != nil {
		return asCallErrorf(err, "upgrade of %s", callee.label)
	}
	if up.handler == nil {
		prog, err := s.node.programs.Renew(script)
		if err != nil {
			return asCallErrorf(err, "upgrade of %s", callee.label)
		}
		up.program = prog
	}
	deadline := co.deadlineFor(cmp.Or(timeout, s.limits.Call))
	id := s.addWait(callWait, co, nil, deadline.Add(time.Second)) // the callee gives up first, and says why
	m := &message{kind: event, command: "upgrade", source: s, session: uint64(id), deadline: deadline, trace: co.traceID()}
	m.body = func() { callee.prepare(up) }
	up.request = m
	if callee.post(s.turn, m) == putClosed {
		s.waits.take(id)
		return callErrorf(Dead, false, "%s has ended", callee.label)
	}
	_, err = co.block("call", callee.label)
	return err
}

// prepare begins an upgrade.
func (s *Service) prepare(up *upgrade) {
	switch {
	case s.starting || s.phase > upgrading:
		s.answerUpgrade(up, fmt.Errorf("%s is starting or stopping", s.label))
	case s.phase == upgrading:
		s.answerUpgrade(up, fmt.Errorf("%s is being upgraded already", s.label))
	case (s.handler == nil) != (up.handler == nil):
		s.answerUpgrade(up, fmt.Errorf("%s: a script and a service in Go cannot take over from each other", s.label))
	default:
		s.phase, s.upgrade = upgrading, up
		s.addWait(otherWait, nil, func(outcome) {
			if s.upgrade == up {
				s.finishUpgrade(fmt.Errorf("%s is still busy with %s", s.label, strings.Join(s.inFlight(), ", ")))
			}
		}, up.request.deadline)
	}
}

// answerUpgrade tells who asked how the upgrade went.
func (s *Service) answerUpgrade(up *upgrade, err error) {
	if err == nil {
		up.request.source.answer(s.turn, up.request.session, starlark.None, nil)
		return
	}
	failure := asCallErrorf(err, "upgrade")
	s.log(levelWarn, "upgrade failed; the old code goes on", "error", headOf(failure.Message))
	up.request.source.answer(s.turn, up.request.session, nil, failure)
}

// inFlight lists the handlers that an upgrade waits for.
func (s *Service) inFlight() (places []string) {
	for _, co := range s.live {
		if co.session != 0 {
			places = append(places, fmt.Sprintf("%s (%s)", co.job.what, co.place()))
		}
	}
	return places
}

// quiet tells whether no handler that answers a request is under way.
func (s *Service) quiet() bool {
	for _, co := range s.live {
		if co.session != 0 {
			return false
		}
	}
	return s.preempted == nil
}

// admits tells whether a request is let in although an upgrade waits for the handlers before it: what one of them has set off,
// and may be waiting for, belongs to the same trace and has no later deadline.
func (s *Service) admits(m *message) bool {
	for _, co := range s.live {
		if co.session != 0 && co.trace != 0 && co.trace == m.trace && m.deadline <= co.deadline {
			return true
		}
	}
	return false
}

// exchange runs the new code. Nothing else of the service runs until it is through: what would block fails, and a pre-empted
// handler goes first.
func (s *Service) exchange() {
	up := s.upgrade
	if s.turn.Now > up.request.deadline { // whoever asked does not wait any more, and thinks that it has failed
		s.finishUpgrade(fmt.Errorf("%s did not get to it in time", s.label))
		return
	}
	s.exchanging = true
	before := s.holdings()
	co := s.node.coroutines.get(s.turn.Worker)
	co.job = job{
		what: "upgrade",
		native: func(co *coroutine) (starlark.Value, error) {
			if up.handler != nil {
				return starlark.None, s.exchangeHandler(co, up)
			}
			return starlark.None, s.exchangeScript(co, up.program)
		},
		then: func(_ starlark.Value, err error) {
			if err != nil {
				before.restore(up)
			}
			s.finishUpgrade(err)
		},
	}
	co.trace = up.request.trace
	co.begin(s)
	s.resume(co)
}

func (s *Service) exchangeHandler(co *coroutine, up *upgrade) error {
	h, ok := up.handler.(Upgrader)
	if !ok {
		return fmt.Errorf("%T has no Upgrade method, so nothing would carry the state over", up.handler)
	}
	if err := h.Upgrade(&Context{co: co}, s.handler); err != nil {
		return err
	}
	s.handler = h
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	s.runs = up.script
	return nil
}

func (s *Service) exchangeScript(co *coroutine, prog *Program) error {
	globals, err := prog.program.Init(co.thread, prog.predeclared)
	if err != nil {
		return err
	}
	carry, ok := globals["upgrade"].(*starlark.Function)
	if !ok {
		return fmt.Errorf("%s has no function upgrade(old), so nothing would carry the state over", prog.name)
	}
	before := newJournal(s.globals)
	old := starlarkstruct.FromStringDict(starlark.String("old"), s.globals)
	if _, err := starlark.Call(co.thread, carry, starlark.Tuple{old}, nil); err != nil {
		before.restore()
		return err
	}
	s.adopt(prog, globals)
	return nil
}

// adopt makes new code the service's own.
func (s *Service) adopt(prog *Program, globals starlark.StringDict) {
	if s.renamed == nil {
		s.renamed = make(map[weak.Pointer[starlark.Function]]string)
	}
	for _, name := range s.globals.Keys() { // sorted: of several names for one function, its own counts, else the last
		if f, ok := s.globals[name].(*starlark.Function); ok {
			if f.Name() != name && s.globals[f.Name()] == starlark.Value(f) {
				continue
			}
			s.renamed[weak.Make(f)] = name
		}
	}
	s.script, s.globals, s.globalNames = prog, globals, nil
	s.exitHook, _ = globals["exit"].(*starlark.Function)
	s.last.command, s.last.fn = "", nil
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	s.runs = prog.name
}

// running is the script that the service runs.
func (s *Service) running() string {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	return cmp.Or(s.runs, s.what)
}

// latest is the function that has taken the place of f in an upgrade, f itself if there was none.
func (s *Service) latest(f starlark.Callable) starlark.Callable {
	if old, ok := f.(*starlark.Function); ok {
		if name, was := s.renamed[weak.Make(old)]; was {
			if now, is := s.globals[name].(*starlark.Function); is {
				return now
			}
		}
	}
	return f
}

// finishUpgrade lets the requests in that have waited.
func (s *Service) finishUpgrade(err error) {
	up := s.upgrade
	s.upgrade, s.exchanging = nil, false
	if s.phase == upgrading {
		s.phase = alive
	}
	if err == errKilled {
		gone := callErrorf(Dead, true, "%s ended during its upgrade", s.label)
		s.farewells = append(s.farewells, message{session: up.request.session, source: up.request.source, err: gone})
		return
	}
	s.answerUpgrade(up, err)
	s.admitDeferred()
}

// admitDeferred queues the requests that have waited for init or for an upgrade.
func (s *Service) admitDeferred() {
	for i := range s.deferred {
		s.runq.push(runnable{message: &s.deferred[i]})
	}
	s.deferred = nil
}

// errExchanging is what a word that blocks fails with during an upgrade.
var errExchanging = errors.New("cannot block in upgrade")

// journal remembers what the mutable values that can be reached from a module held, so that it can be put back.
type journal struct {
	seen map[starlark.Value]bool
	undo []func()
}

func newJournal(globals starlark.StringDict) *journal {
	j := &journal{seen: make(map[starlark.Value]bool)}
	for _, name := range globals.Keys() {
		j.note(globals[name])
	}
	return j
}

// restore puts everything back.
func (j *journal) restore() {
	for _, undo := range j.undo {
		undo()
	}
}

// note remembers v and what it holds. It keeps a list of its own: a state may be nested deeper than a stack should be.
func (j *journal) note(v starlark.Value) {
	for unseen := []starlark.Value{v}; len(unseen) > 0; {
		v := unseen[len(unseen)-1]
		unseen = unseen[:len(unseen)-1]
		switch v := v.(type) {
		case starlark.Tuple:
			unseen = append(unseen, v...)
		case *starlarkstruct.Struct:
			if j.first(v) {
				for i := range v.Len() {
					_, field := v.AttrAt(i)
					unseen = append(unseen, field)
				}
			}
		case *starlark.List:
			if j.first(v) {
				unseen = append(unseen, j.list(v)...)
			}
		case *starlark.Dict:
			if j.first(v) {
				unseen = append(unseen, j.dict(v)...)
			}
		case *starlark.Set:
			if j.first(v) {
				j.set(v)
			}
		case *record:
			if j.first(v) {
				unseen = append(unseen, j.record(v)...)
			}
		}
	}
}

func (j *journal) first(v starlark.Value) bool {
	first := !j.seen[v]
	j.seen[v] = true
	return first
}

func (j *journal) list(l *starlark.List) []starlark.Value {
	held := slices.Collect(l.Elements())
	j.undo = append(j.undo, func() {
		if l.Clear() == nil { // else it is frozen, and as it was
			for _, v := range held {
				_ = l.Append(v) // it could be cleared, so it can be appended to
			}
		}
	})
	return held
}

func (j *journal) dict(d *starlark.Dict) (held []starlark.Value) {
	items := d.Items()
	j.undo = append(j.undo, func() {
		if d.Clear() == nil {
			for _, item := range items {
				_ = d.SetKey(item[0], item[1]) // it was a key
			}
		}
	})
	for _, item := range items {
		held = append(held, item[1])
	}
	return held
}

func (j *journal) set(s *starlark.Set) {
	held := slices.Collect(s.Elements())
	j.undo = append(j.undo, func() {
		if s.Clear() == nil {
			for _, v := range held {
				_ = s.Insert(v) // it was an element
			}
		}
	})
}

func (j *journal) record(r *record) []starlark.Value {
	held := slices.Clone(r.values)
	j.undo = append(j.undo, func() {
		if !r.frozen {
			copy(r.values, held)
		}
	})
	return held
}
