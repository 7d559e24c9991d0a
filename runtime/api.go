package runtime

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	starlarkmath "go.starlark.net/lib/math"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/sched"
)

// Predeclared returns the names every script sees: the skynet struct and its modules. The values are frozen and may be
// shared; what they do, they do for the service in whose coroutine they are called.
func Predeclared() starlark.StringDict {
	log := logLibrary()
	state := starlark.NewBuiltin("state", stateBuiltin)
	names := starlark.StringDict{
		"skynet":  skynetLibrary(log, state),
		"log":     log,
		"state":   state,
		"struct":  starlark.NewBuiltin("struct", starlarkstruct.Make),
		"random":  randomLibrary(),
		"socket":  socketLibrary(),
		"cluster": clusterLibrary(),
		"store":   storeLibrary(),
		"json":    jsonModule(),
		"math":    starlarkmath.Module,
	}
	names["shared"], names["multicast"], names["datacenter"] = sharedLibrary(), multicastLibrary(), datacenterLibrary()
	names.Freeze()
	return names
}

// builtin is the signature of a built-in that needs its coroutine.
type builtin func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)

// library is a module of built-ins: skynet, socket, … A word is found by going through the list, so the words of the hot
// path come first and are found faster than in a map.
type library struct {
	name    string
	guarded bool // it reaches out of the service, so a grant can leave it out
	words   []string
	values  []starlark.Value
}

var _ starlark.HasAttrs = (*library)(nil)

// member is a word of a library and what it does.
type member struct {
	word string
	do   builtin
}

// newLibrary makes a module that reaches out of the service: who may not use it gets an error from each of its words.
func newLibrary(name string, members ...member) *library {
	guarded := make([]member, len(members))
	for i, m := range members {
		guarded[i] = member{m.word, func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			if co.svc.access != nil {
				if err := co.mayUse(name); err != nil {
					return nil, err
				}
			}
			return m.do(co, b, args, kwargs)
		}}
	}
	l := innerLibrary(name, guarded...)
	l.guarded = true
	return l
}

// innerLibrary makes a module that everybody may use.
func innerLibrary(name string, members ...member) *library {
	l := &library{name: name}
	l.addMembers(members...)
	return l
}

func (l *library) addMembers(members ...member) {
	for _, m := range members {
		l.add(m.word, starlark.NewBuiltin(l.name+"."+m.word, func(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			co, err := current(th, b)
			if err != nil {
				return nil, err
			}
			return m.do(co, b, args, kwargs)
		}))
	}
}

func (l *library) add(word string, v starlark.Value) {
	l.words, l.values = append(l.words, word), append(l.values, v)
}

func (l *library) String() string        { return "<module " + l.name + ">" }
func (l *library) Type() string          { return "module" }
func (l *library) Truth() starlark.Bool  { return true }
func (l *library) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: module") }
func (l *library) AttrNames() []string   { return slices.Sorted(slices.Values(l.words)) }

func (l *library) Freeze() {
	for _, v := range l.values {
		v.Freeze()
	}
}

func (l *library) Attr(word string) (starlark.Value, error) {
	for i, w := range l.words {
		if w == word {
			return l.values[i], nil
		}
	}
	return nil, nil
}

// skynetLibrary holds the words of Skynet's own API.
func skynetLibrary(log, state starlark.Value) *library {
	l := &library{name: "skynet"}
	l.add("call", starlark.NewBuiltin("skynet.call", skynetCall))
	l.addMembers(
		member{"send", skynetSend},
		member{"now", skynetNow},
		member{"self", skynetSelf},
		member{"fork", skynetFork},
		member{"sleep", skynetSleep},
		member{"ret", skynetRet},
		member{"request", skynetRequest},
		member{"select", skynetSelect},
		member{"response", skynetResponse},
		member{"redirect", skynetRedirect},
		member{"cancel", skynetCancel},
		member{"give_way", skynetYield},
		member{"queue", skynetQueue},
		member{"wait", skynetWait},
		member{"wakeup", skynetWakeup},
		member{"timeout", skynetTimeout},
		member{"every", skynetEvery},
		member{"newservice", skynetNewService},
		member{"uniqueservice", skynetUniqueService},
		member{"queryservice", skynetQueryService},
		member{"register", registration((*Node).naming)},
		member{"unregister", skynetUnregister},
		member{"query", skynetQuery},
		member{"node", skynetNode},
		member{"source", skynetSource},
		member{"deadline", skynetDeadline},
		member{"exit", skynetExit},
		member{"abort", skynetAbort},
		member{"kill", skynetKill},
		member{"stop", skynetStop},
		member{"upgrade", skynetUpgrade},
		member{"monitor", skynetMonitor},
		member{"link", linking(skynetLink)},
		member{"unlink", linking(skynetUnlink)},
		member{"supervise", skynetSupervise},
		member{"child", skynetChild},
		member{"time", skynetTime},
		member{"genid", skynetGenid},
		member{"getenv", skynetGetenv},
		member{"setenv", skynetSetenv},
		member{"error", skynetError},
		member{"refuse", skynetRefuse},
	)
	l.addMembers(diagnosisWords()...)
	l.add("pcall", starlark.NewBuiltin("skynet.pcall", skynetPcall))
	l.add("log", log)
	l.add("state", state)
	return l
}

// skynetCall is the hottest word: see Service.Run about frames around a switch.
func skynetCall(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	co, err := current(th, b)
	if err != nil {
		return nil, err
	}
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	dest, command, args, err := destination(b, args)
	if err != nil {
		return nil, err
	}
	if yields, v, err := co.beginCall(dest, command, args, kwargs, timeout); !yields {
		return v, err
	}
	return co.unblocked(co.yield(blocked))
}

func skynetSend(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	dest, command, args, err := destination(b, args)
	if err != nil {
		return nil, err
	}
	return starlark.None, co.send(dest, command, args, kwargs)
}

// destination splits the arguments of call and send.
func destination(b *starlark.Builtin, args starlark.Tuple) (dest starlark.Value, command string, rest starlark.Tuple, err error) {
	if len(args) < 2 {
		return nil, "", nil, fmt.Errorf("%s: got %d arguments, want a destination and a command", b.Name(), len(args))
	}
	name, ok := args[1].(starlark.String)
	switch {
	case !ok:
		return nil, "", nil, fmt.Errorf("%s: command: got %s, want the name of a public function", b.Name(), args[1].Type())
	case name == "":
		return nil, "", nil, fmt.Errorf("%s: command: got an empty string, want the name of a public function", b.Name())
	}
	return args[0], string(name), args[2:], nil
}

// takeTimeout takes the keyword timeout out of the keywords, which else go to the callee.
func takeTimeout(b *starlark.Builtin, kwargs []starlark.Tuple) (time.Duration, []starlark.Tuple, error) {
	for i, kw := range kwargs {
		if kw[0].(starlark.String) != "timeout" {
			continue
		}
		rest := append(kwargs[:i:i], kwargs[i+1:]...)
		if kw[1] == starlark.None {
			return 0, rest, nil
		}
		d, err := positiveDuration(kw[1])
		if err != nil {
			return 0, nil, fmt.Errorf("%s: timeout: %w", b.Name(), err)
		}
		return d, rest, nil
	}
	return 0, kwargs, nil
}

// maxDuration is 100 years: far enough from the end of the clock that no deadline overflows it.
const maxDuration = 100 * 365 * 24 * time.Hour

// Duration converts what scripts write for a duration: seconds as an int or a float, or a string such as "250ms".
func Duration(v starlark.Value) (time.Duration, error) {
	const limit = int64(maxDuration / time.Second)
	switch v := v.(type) {
	case starlark.Int:
		if v.Sign() < 0 {
			n, _ := v.Int64() // 0 if it is beyond, which is as long
			return time.Duration(max(n, -limit)) * time.Second, nil
		}
		if n, ok := v.Int64(); ok && n <= limit {
			return time.Duration(n) * time.Second, nil
		}
		return 0, fmt.Errorf("got %v seconds, want at most %d", v, limit)
	case starlark.Float:
		if f := max(math.Round(float64(v)*1e9), -float64(maxDuration)); f <= float64(maxDuration) { // not if it is no number
			return time.Duration(f), nil
		}
		return 0, fmt.Errorf("got %v seconds, want at most %d", v, limit)
	case starlark.String:
		d, err := time.ParseDuration(string(v))
		if err != nil {
			return 0, fmt.Errorf(`got %s, want a duration such as "250ms" or a number of seconds`, v)
		}
		if d > maxDuration {
			return 0, fmt.Errorf("got %s, want at most %d seconds", v, limit)
		}
		return max(d, -maxDuration), nil
	}
	return 0, fmt.Errorf(`got %s, want a duration such as "250ms" or a number of seconds`, v.Type())
}

// seconds converts a duration to what scripts read.
func seconds(d time.Duration) starlark.Value { return starlark.Float(d.Seconds()) }

// registration is skynet.register and cluster.register, which differ in who can see the name.
func registration(how func(n *Node) (*sync.Map, func(name string, s *Service) error)) builtin {
	return func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var name string
		var addr *Address
		if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name, "address?", &addr); err != nil {
			return nil, err
		}
		s := co.svc
		if addr != nil {
			if s = s.node.service(addr.id); s == nil || addr.node != s.node.name {
				return nil, callErrorf(Dead, false, "%s: %s is no service of this node", b.Name(), addr)
			}
		}
		if err := co.mayRegister(name, s); err != nil {
			return nil, err
		}
		table, register := how(s.node)
		if err := co.give(s, table, name, register); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name(), err)
		}
		return starlark.None, nil
	}
}

// skynetQuery finds a name; with a timeout it waits until somebody registers it.
func skynetQuery(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	var name string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name); err != nil {
		return nil, err
	}
	return co.query(name, timeout)
}

// query finds a name, waiting for it until the timeout; None says that nobody has it.
func (co *coroutine) query(name string, timeout time.Duration) (starlark.Value, error) {
	n := co.svc.node
	if s := n.lookup(name); s != nil {
		return s.addr, nil
	}
	if timeout == 0 {
		return starlark.None, nil
	}
	id := co.svc.addWait(otherWait, co, nil, co.deadlineFor(timeout))
	n.mu.Lock()
	waiting := n.queries[name]
	if waiting == nil {
		waiting = new(line[waitRef, struct{}])
		n.queries[name] = waiting
	}
	waiting.add(waitRef{co.svc, id}, struct{}{})
	n.mu.Unlock()
	defer n.forgetQuery(name, waitRef{co.svc, id})
	if s := n.lookup(name); s != nil { // registered in between
		co.svc.waits.take(id)
		return s.addr, nil
	}
	v, err := co.block("query", name)
	if v == nil && err == nil {
		v = starlark.None // the deadline came first
	}
	return v, err
}

func skynetSelf(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return co.svc.addr, starlark.UnpackArgs(b.Name(), args, kwargs)
}

func skynetNode(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return starlark.String(co.svc.node.name), starlark.UnpackArgs(b.Name(), args, kwargs)
}

// skynetSource is the address of the local service that sent the request being handled, or None.
func skynetSource(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if s, ok := co.source.(*Service); ok {
		return s.addr, starlark.UnpackArgs(b.Name(), args, kwargs)
	}
	return starlark.None, starlark.UnpackArgs(b.Name(), args, kwargs)
}

// skynetDeadline is how many seconds the caller still waits, or None if nobody does.
func skynetDeadline(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if co.deadline == 0 {
		return starlark.None, starlark.UnpackArgs(b.Name(), args, kwargs)
	}
	return seconds(max(0, co.deadline.Sub(co.now()))), starlark.UnpackArgs(b.Name(), args, kwargs)
}

func (co *coroutine) now() sched.Time {
	co.charge()
	return co.svc.node.sched.Now()
}

// callable makes a job of f, *args, **kwargs.
func callable(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (job, error) {
	fn, args, err := function(b, args)
	if err != nil {
		return job{}, err
	}
	return job{fn: fn, args: args, kwargs: kwargs, what: fn.Name()}, nil
}

// function takes the function off f, *args.
func function(b *starlark.Builtin, args starlark.Tuple) (starlark.Callable, starlark.Tuple, error) {
	if len(args) == 0 {
		return nil, nil, fmt.Errorf("%s: got no arguments, want a function", b.Name())
	}
	fn, ok := args[0].(starlark.Callable)
	if !ok {
		return nil, nil, fmt.Errorf("%s: got %s, want a function", b.Name(), args[0].Type())
	}
	if len(args) == 1 {
		return fn, nil, nil // an empty slice would keep the array of the arguments
	}
	return fn, args[1:], nil
}

// skynetWait parks the coroutine under a token until wakeup(token); it returns True, or False if the timeout came first.
func skynetWait(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	var token starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "token", &token); err != nil {
		return nil, err
	}
	woken, err := co.park(token, timeout)
	if err != nil && err != errKilled {
		err = fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.Bool(woken), err
}

// park suspends the coroutine until somebody wakes the token up; false says that the timeout (0: none) came first.
func (co *coroutine) park(token starlark.Value, timeout time.Duration) (woken bool, err error) {
	s := co.svc
	if s.parked == nil {
		s.parked = starlark.NewDict(1)
	}
	if _, taken, err := s.parked.Get(token); err != nil {
		return false, fmt.Errorf("token: %w", err)
	} else if taken {
		return false, fmt.Errorf("another coroutine waits for %v already", token)
	}
	var deadline sched.Time
	if timeout != 0 {
		deadline = co.now().Add(max(timeout, 1)) // what is over already is over at once
	}
	id := s.addWait(otherWait, co, nil, deadline)
	if err := s.parked.SetKey(token, starlark.MakeUint64(uint64(id))); err != nil {
		s.waits.take(id)
		return false, err
	}
	v, err := co.block("wait", token.String())
	woken = v == starlark.True
	if !woken && s.parkedUnder(token) == id { // else another coroutine waits for the token by now
		s.parked.Delete(token) // the key is hashable: it was set
	}
	return woken, err
}

// parkedUnder is the wait of the coroutine that is parked under a token, 0 if there is none.
func (s *Service) parkedUnder(token starlark.Value) waitID {
	if s.parked == nil {
		return 0
	}
	v, found, err := s.parked.Get(token)
	if err != nil || !found {
		return 0
	}
	id, _ := v.(starlark.Int).Uint64()
	return waitID(id)
}

// skynetWakeup resumes the coroutine parked under a token; False if there is none.
func skynetWakeup(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var token starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "token", &token); err != nil {
		return nil, err
	}
	woken, err := co.svc.unpark(token)
	if err != nil {
		return nil, fmt.Errorf("%s: token: %w", b.Name(), err)
	}
	return starlark.Bool(woken), nil
}

// unpark wakes up who waits for the token; false says that nobody does.
func (s *Service) unpark(token starlark.Value) (bool, error) {
	if s.parked == nil {
		_, err := token.Hash()
		return false, err
	}
	v, found, err := s.parked.Delete(token)
	if err != nil || !found {
		return false, err
	}
	id, _ := v.(starlark.Int).Uint64()
	return s.wake(waitID(id), starlark.True, nil), nil
}

// skynetExit ends the service; nothing after it runs.
func skynetExit(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	co.svc.leave(Reason{Kind: Exited})
	return nil, errKilled
}

func skynetKill(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var dest starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "address", &dest); err != nil {
		return nil, err
	}
	s, err := co.mayEnd(b.Name(), dest)
	if err != nil {
		return nil, err
	}
	return starlark.None, co.kill(s)
}

// kill ends a service at once. If that is the one of this handler, the error unwinds it.
func (co *coroutine) kill(s *Service) error {
	why := Reason{Kind: Killed, Message: "by " + co.svc.label}
	if s == co.svc {
		s.end(why)
		return errKilled
	}
	s.kill(co.svc.turn, why)
	return nil
}

func skynetNow(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return seconds(time.Duration(co.now())), starlark.UnpackArgs(b.Name(), args, kwargs)
}

func skynetTime(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	co.charge()
	return seconds(time.Duration(co.svc.node.sched.Wall())), starlark.UnpackArgs(b.Name(), args, kwargs)
}

// refusal is the error of skynet.refuse: the handler certainly did nothing of what it was asked.
type refusal string

func (r refusal) Error() string { return string(r) }

// skynetRefuse fails the handler; its caller learns that the request had no effect.
func skynetRefuse(_ *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs); err != nil {
		return nil, err
	}
	return nil, refusal(words(args))
}

// skynetPcall calls a function and returns result(ok, value, error): Starlark has no exceptions. What ends the handler
// itself (kill, exit, an exhausted step budget, a value that grew too large) cannot be caught.
func skynetPcall(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	j, err := callable(b, args, kwargs)
	if err != nil {
		return nil, err
	}
	v, err := starlark.Call(th, j.fn, j.args, j.kwargs)
	if err == nil {
		return newResult(true, v, starlark.None), nil
	}
	if co, ok := th.Local(coroutineKey).(*coroutine); !ok || co.cancelled || co.halted || co.svc.unwinding() || th.Steps >= co.stepLimit {
		return nil, err
	}
	return newResult(false, starlark.None, newErrorValue(err)), nil
}
