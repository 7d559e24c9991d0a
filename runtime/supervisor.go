package runtime

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/runtime/diag"
	"skynet/sched"
)

// supervisorScript is the name under which every node has supervisors: skynet.supervise launches one, and a supervisor can
// be a child of another.
const supervisorScript = "supervisor"

// The strategies and the kinds of children are those of Erlang/OTP.
const (
	oneForOne  = "one_for_one"  // only the child that ended is started again
	oneForAll  = "one_for_all"  // all others are stopped, and all are started again
	restForOne = "rest_for_one" // those that were started after it are stopped, and it and they are started again

	permanent = "permanent" // is always started again, unless it was stopped
	transient = "transient" // is started again if it ended abnormally
	temporary = "temporary" // is never started again
)

// supervisor is a service that starts its children in order, starts again what ends, and stops them in reverse order when it
// ends itself.
type supervisor struct {
	strategy  string
	intensity int           // more restarts than that …
	period    time.Duration // … within this time, and the supervisor gives up
	backoff   [2]time.Duration
	children  []*child // in the order of their start
	restarts  []sched.Time
	section   *criticalSection // starting and stopping children blocks, and only one at a time makes sense
	pausing   []*child         // those that will be started again after their pauses
}

// child is one child of a supervisor.
type child struct {
	id      string
	script  string
	args    starlark.Tuple
	kwargs  []starlark.Tuple
	launch  starlark.Value // launch = {...}, or nil
	restart string
	stop    time.Duration

	addr     *Address // nil while it does not run
	watch    *watch
	since    sched.Time // when it was started last
	failures int        // restarts in a row that did not last for a period
	resting  bool       // it has ended as it should, and stays so until its group is started again
	count    int        // restarts in all
}

// Init starts the children.
func (sup *supervisor) Init(ctx *Context, args starlark.Tuple, kwargs []starlark.Tuple) error {
	sup.section = &criticalSection{svc: ctx.co.svc}
	if err := sup.options(args, kwargs); err != nil {
		return of("supervise", err)
	}
	if i, err := sup.start(ctx.co, sup.children); err != nil {
		_ = sup.stop(ctx.co, sup.children[:i]) // the error that counts is the first
		return err
	}
	return nil
}

func (sup *supervisor) options(args starlark.Tuple, kwargs []starlark.Tuple) error {
	list := starlark.NewList(nil)
	sup.strategy, sup.intensity = oneForOne, 3
	var period, backoff starlark.Value = starlark.MakeInt(5), starlark.Tuple{starlark.Float(0.1), starlark.MakeInt(10)}
	err := starlark.UnpackArgs("supervise", args, kwargs, "children?", &list, "strategy?", &sup.strategy,
		"intensity?", &sup.intensity, "period?", &period, "backoff?", &backoff)
	if err != nil {
		return err
	}
	if known := []string{oneForOne, oneForAll, restForOne}; !slices.Contains(known, sup.strategy) {
		return fmt.Errorf("strategy: got %q, want %s%s", sup.strategy, diag.Or(known), hint(sup.strategy, known))
	}
	if sup.intensity < 0 {
		return fmt.Errorf("intensity: got %d, want 0 or more", sup.intensity)
	}
	if sup.period, err = positiveDuration(period); err != nil {
		return fmt.Errorf("period: %w", err)
	}
	if err := sup.setBackoff(backoff); err != nil {
		return fmt.Errorf("backoff: %w", err)
	}
	for i := range list.Len() {
		if err := sup.add(list.Index(i)); err != nil {
			return fmt.Errorf("child %d: %w", i+1, err)
		}
	}
	return nil
}

// setBackoff reads the first and the longest pause before a restart, or one duration for both.
func (sup *supervisor) setBackoff(v starlark.Value) (err error) {
	first, last := v, v
	if pair, ok := v.(starlark.Tuple); ok && len(pair) == 2 {
		first, last = pair[0], pair[1]
	}
	for i, v := range []starlark.Value{first, last} {
		if sup.backoff[i], err = Duration(v); err != nil {
			return err
		}
	}
	if sup.backoff[0] < 0 || sup.backoff[1] < sup.backoff[0] {
		return fmt.Errorf("got %v to %v, want the first pause and a longest that is not shorter", sup.backoff[0], sup.backoff[1])
	}
	return nil
}

// skynetChild says how a supervisor starts a service; it is a value that can be sent.
func skynetChild(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	script, args, err := co.scriptName(b, args)
	if err != nil {
		return nil, err
	}
	fields := starlark.StringDict{
		"id": starlark.String(script), "script": starlark.String(script), "args": args, "launch": starlark.None,
		"restart": starlark.String(permanent), "stop": seconds(co.svc.limits.Call),
	}
	rest := starlark.NewDict(len(kwargs))
	for _, kw := range kwargs {
		name := string(kw[0].(starlark.String))
		if _, own := fields[name]; own && name != "args" && name != "script" {
			fields[name] = kw[1]
		} else if err := rest.SetKey(kw[0], kw[1]); err != nil {
			return nil, err
		}
	}
	fields["kwargs"] = rest
	v := starlarkstruct.FromStringDict(starlark.String("child"), fields)
	if _, err := parseChild(v); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return v, nil
}

// parseChild reads what skynet.child made.
func parseChild(v starlark.Value) (*child, error) {
	s, ok := v.(*starlarkstruct.Struct)
	if !ok || s.Constructor() != starlark.String("child") {
		return nil, fmt.Errorf("got %s, want what skynet.child returns", v.Type())
	}
	field := func(name string) starlark.Value { v, _ := s.Attr(name); return v }
	text := func(name string) string { t, _ := starlark.AsString(field(name)); return t }
	c := &child{id: text("id"), script: text("script"), restart: text("restart"), launch: field("launch")}
	c.args, _ = field("args").(starlark.Tuple)
	if d, ok := field("kwargs").(*starlark.Dict); ok {
		c.kwargs = d.Items()
	}
	if c.id == "" {
		return nil, fmt.Errorf("id: got %v, want a string", field("id"))
	}
	if known := []string{permanent, transient, temporary}; !slices.Contains(known, c.restart) {
		return nil, fmt.Errorf("restart: got %v, want %s%s", field("restart"), diag.Or(known), hint(c.restart, known))
	}
	var err error
	if c.stop, err = positiveDuration(field("stop")); err != nil {
		return nil, fmt.Errorf("stop: %w", err)
	}
	return c, nil
}

// skynetSupervise launches a supervisor.
func skynetSupervise(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return skynetNewService(co, b, append(starlark.Tuple{starlark.String(supervisorScript)}, args...), kwargs)
}

// add makes a child of what skynet.child returned.
func (sup *supervisor) add(v starlark.Value) error {
	c, err := parseChild(v)
	if err != nil {
		return err
	}
	if sup.find(c.id) != nil {
		return fmt.Errorf("the id %q is taken; give one of its own with the keyword id", c.id)
	}
	sup.children = append(sup.children, c)
	return nil
}

func (sup *supervisor) find(id string) *child {
	for _, c := range sup.children {
		if c.id == id {
			return c
		}
	}
	return nil
}

// start starts children in order; it returns how many it has started.
func (sup *supervisor) start(co *coroutine, children []*child) (int, error) {
	for i, c := range children {
		if c.addr != nil {
			continue
		}
		if err := sup.startOne(co, c); err != nil {
			return i, err
		}
	}
	return len(children), nil
}

func (sup *supervisor) startOne(co *coroutine, c *child) error {
	spec := launchSpec{script: c.script, link: true, child: true, by: co.svc}
	if c.launch != nil && c.launch != starlark.None {
		if err := spec.parse(co.svc.node, c.launch); err != nil {
			return fmt.Errorf("child %s: launch: %w", c.id, err)
		}
	}
	begun, v, err := co.launchOne(spec, c.args, c.kwargs)
	if err != nil {
		if begun != nil { // as in launchOwn, but the next start needs its names
			_, _ = co.stopService(begun, co.svc.turn.Now) // the error that counts is the first
		}
		return fmt.Errorf("child %s: %w", c.id, err)
	}
	c.addr, c.since, c.resting = v.(*Address), co.now(), false
	s, addr := co.svc, c.addr
	c.watch = s.watch(addr, func(why Reason) { sup.ended(s, c, addr, why) })
	return nil
}

// stop stops children, the last first.
func (sup *supervisor) stop(co *coroutine, children []*child) error {
	for _, c := range slices.Backward(children) {
		if c.addr == nil {
			continue
		}
		addr := c.addr
		co.svc.unwatch(c.watch)
		c.addr = nil
		if addr.svc == nil {
			continue
		}
		if _, err := co.stopService(addr.svc, co.svc.turn.Now.Add(c.stop)); err != nil {
			return err
		}
	}
	return nil
}

// ended is told, in a turn of the supervisor, that a child has ended.
func (sup *supervisor) ended(s *Service, c *child, addr *Address, why Reason) {
	if c.addr != addr || s.phase > draining {
		return // it was stopped on purpose
	}
	c.addr = nil
	level := levelWarn
	if why.Kind == Stopped { // as all are when the node stops
		level = levelInfo
	}
	s.log(level, "child ended", "child", c.id, "address", addr.String(), "reason", headOf(why.String()))
	if c.restart == temporary {
		sup.forget(c)
	}
	if c.restart == temporary || why.Kind == Stopped || c.restart == transient && !why.Abnormal() {
		c.resting = true
		return
	}
	s.fork(sup.reviving(c))
}

// reviving is the job of starting c again.
func (sup *supervisor) reviving(c *child) job {
	return job{what: "restart", native: func(co *coroutine) (starlark.Value, error) {
		return starlark.None, sup.revive(co, c)
	}}
}

// forget drops children, so that no restart of others starts them again. Who goes through the list goes on through the old one.
func (sup *supervisor) forget(gone ...*child) {
	sup.children = slices.DeleteFunc(slices.Clone(sup.children), func(c *child) bool { return slices.Contains(gone, c) })
}

// exclusively runs f while no other child is being started or stopped.
func (sup *supervisor) exclusively(co *coroutine, f func() error) error {
	if err := sup.section.enter(co, co.job.what, co.deadline); err != nil {
		return err
	}
	defer sup.section.leave(co)
	return f()
}

// revive starts a child again, with those that the strategy says, until that works or there were too many restarts. While it pauses,
// children can be started and stopped, these, too.
func (sup *supervisor) revive(co *coroutine, c *child) error {
	fallen := []*child{c}
	for first := true; ; first = false {
		var pause time.Duration
		err := sup.exclusively(co, func() error {
			if c = sup.missing(fallen); c == nil { // or somebody else is at it
				return nil
			}
			ok := false
			if pause, ok = sup.mayRestart(co.now(), c, first); !ok {
				err := sup.giveUp(co, c)
				c = nil
				return err
			}
			return nil
		})
		if err != nil || c == nil {
			return err
		}
		sup.pausing = append(sup.pausing, c)
		err = co.sleep(pause)
		i := slices.Index(sup.pausing, c)
		sup.pausing = slices.Delete(sup.pausing, i, i+1)
		if err != nil {
			return err
		}
		err = sup.exclusively(co, func() error {
			if c = sup.missing(fallen); c == nil {
				return nil
			}
			more, err := sup.startAgain(co, c)
			fallen = append(more, fallen...) // in the order in which they are started
			return err
		})
		if err != nil {
			return err
		}
	}
}

// missing is the first of some children that should run, does not, and is not waited for by another revive, nil if there is none.
func (sup *supervisor) missing(children []*child) *child {
	for _, c := range children {
		if sup.fell(c) && !slices.Contains(sup.pausing, c) {
			return c
		}
	}
	return nil
}

// fell tells whether c should run and does not.
func (sup *supervisor) fell(c *child) bool { return c.addr == nil && !c.resting && sup.find(c.id) == c }

// startAgain starts c, after those that the strategy says have been stopped, and then these. If that fails it logs why. It returns those
// that do not run then.
func (sup *supervisor) startAgain(co *coroutine, c *child) (fallen []*child, err error) {
	again := sup.with(c)
	if err := sup.stop(co, again); err != nil { // c does not run
		return nil, err
	}
	again, once := partition(again)
	sup.forget(once...)
	for _, other := range again {
		other.resting = false
	}
	c.count++
	n, err := sup.start(co, again)
	if err == nil || errors.Is(err, errKilled) {
		return nil, err
	}
	co.svc.log(levelError, "child does not start", "child", c.id, "error", headOf(err.Error()))
	return again[n:], nil
}

// with lists the children that are started again when c is.
func (sup *supervisor) with(c *child) []*child {
	switch sup.strategy {
	case oneForAll:
		return slices.Clone(sup.children)
	case restForOne:
		return slices.Clone(sup.children[slices.Index(sup.children, c):])
	}
	return []*child{c}
}

// partition tells those that are started again from those that are started once.
func partition(children []*child) (again, once []*child) {
	for _, c := range children {
		if c.restart == temporary {
			once = append(once, c)
		} else {
			again = append(again, c)
		}
	}
	return again, once
}

// mayRestart counts a restart of c now, unless it is the first attempt and that of another child will be one of c, too. It returns how long
// to pause before it, or false if there were too many.
func (sup *supervisor) mayRestart(now sched.Time, c *child, first bool) (time.Duration, bool) {
	sup.restarts = slices.DeleteFunc(sup.restarts, func(t sched.Time) bool { return now.Sub(t) > sup.period })
	if !first || !slices.ContainsFunc(sup.pausing, func(other *child) bool {
		return sup.fell(other) && slices.Contains(sup.with(other), c)
	}) {
		sup.restarts = append(sup.restarts, now)
	}
	if len(sup.restarts) > sup.intensity {
		return 0, false
	}
	if now.Sub(c.since) > sup.period {
		c.failures = 0
	}
	pause := sup.backoff[0]
	for range c.failures {
		pause = min(2*pause, sup.backoff[1])
	}
	c.failures++
	return pause, true
}

// giveUp ends the supervisor, because its children do not stay alive: that is for its own supervisor to deal with.
func (sup *supervisor) giveUp(co *coroutine, c *child) error {
	why := Reason{Kind: Failed, Message: fmt.Sprintf("child %s: more than %d restarts in %v", c.id, sup.intensity, sup.period)}
	co.svc.log(levelError, "supervisor gives up", "reason", headOf(why.String()))
	if err := sup.stop(co, sup.children); err != nil {
		return err
	}
	co.svc.end(why)
	return nil
}

// Exit stops the children.
func (sup *supervisor) Exit(ctx *Context, _ Reason) error { return sup.stop(ctx.co, sup.children) }

// Handle answers the commands of a supervisor.
func (sup *supervisor) Handle(ctx *Context, command string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	switch command {
	case "children":
		return sup.list(), starlark.UnpackArgs(command, args, kwargs)
	case "start":
		var spec starlark.Value
		if err := starlark.UnpackArgs(command, args, kwargs, "child", &spec); err != nil {
			return nil, err
		}
		return sup.startNew(ctx.co, spec)
	case "stop", "restart":
		var id string
		if err := starlark.UnpackArgs(command, args, kwargs, "id", &id); err != nil {
			return nil, err
		}
		return sup.stopOrRestart(ctx.co, command, id)
	}
	return nil, fmt.Errorf("supervisor has no command %q%s", command, hint(command, []string{"children", "start", "stop", "restart"}))
}

// list describes the children.
func (sup *supervisor) list() starlark.Value {
	var all []starlark.Value
	for _, c := range sup.children {
		var addr starlark.Value = starlark.None
		if c.addr != nil {
			addr = c.addr
		}
		all = append(all, starlarkstruct.FromStringDict(starlark.String("child"), starlark.StringDict{
			"id": starlark.String(c.id), "script": starlark.String(c.script), "address": addr,
			"restart": starlark.String(c.restart), "restarts": starlark.MakeInt(c.count),
		}))
	}
	return starlark.NewList(all)
}

// startNew adds a child and starts it; if that fails, it is forgotten.
func (sup *supervisor) startNew(co *coroutine, spec starlark.Value) (starlark.Value, error) {
	var addr starlark.Value
	err := sup.exclusively(co, func() error {
		if err := sup.add(spec); err != nil {
			return err
		}
		c := sup.children[len(sup.children)-1]
		if err := sup.startOne(co, c); err != nil {
			sup.children = sup.children[:len(sup.children)-1]
			return err
		}
		addr = c.addr
		return nil
	})
	if err != nil {
		return nil, err
	}
	return addr, nil
}

// stopOrRestart stops a child, and forgets it or starts it again.
func (sup *supervisor) stopOrRestart(co *coroutine, command, id string) (starlark.Value, error) {
	return starlark.None, sup.exclusively(co, func() error {
		c := sup.find(id) // now: while this waited, another one may have stopped it for good
		if c == nil {
			var ids []string
			for _, c := range sup.children {
				ids = append(ids, c.id)
			}
			return fmt.Errorf("%s: no child has the id %q%s", command, id, hint(id, ids))
		}
		if err := sup.stop(co, []*child{c}); err != nil {
			return err
		}
		if command == "restart" {
			c.count++
			c.resting = false
			err := sup.startOne(co, c)
			if err != nil && sup.find(id) == c && c.restart != temporary { // what should run is started again, whoever has asked
				co.svc.fork(sup.reviving(c))
			}
			return err
		}
		sup.forget(c)
		return nil
	})
}
