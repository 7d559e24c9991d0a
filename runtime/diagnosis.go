package runtime

import (
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/runtime/wire"
)

// diagnosisWords are the words of skynet that look inside a node.
func diagnosisWords() []member {
	return []member{
		{"stat", examination(func(s *Service, self *coroutine) starlark.Value { return statValue(s.running(), s.stat(self)) })},
		{"task", skynetTask},
		{"mqlen", skynetMqlen},
		{"info", skynetInfo},
		{"services", skynetServices},
		{"waits", skynetWaits},
		{"trace", skynetTrace},
	}
}

// examination is a word with one optional argument, the service to look at.
func examination(look func(s *Service, self *coroutine) starlark.Value) builtin {
	return func(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var dest starlark.Value
		if err := starlark.UnpackArgs(b.Name(), args, kwargs, "address?", &dest); err != nil {
			return nil, err
		}
		return co.examine(b.Name(), dest, look)
	}
}

// skynetTask lists the handlers of a service.
func skynetTask(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var dest starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "address?", &dest); err != nil {
		return nil, err
	}
	var tasks []Task
	_, err := co.examine(b.Name(), dest, func(s *Service, self *coroutine) starlark.Value {
		tasks = s.tasks(self)
		return starlark.None
	})
	if err != nil {
		return nil, err
	}
	co.svc.veil(tasks) // in a turn of this service, whose rights count
	return taskList(tasks), nil
}

// skynetMqlen is how many messages wait in a mailbox.
func skynetMqlen(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var dest starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "address?", &dest); err != nil {
		return nil, err
	}
	s, err := co.subject(b.Name(), dest)
	if err != nil {
		return nil, err
	}
	queued, ok := s.mail.look()
	if !ok {
		return nil, callErrorf(Dead, false, "%s: %s has ended", b.Name(), s.label)
	}
	return starlark.MakeInt(queued), nil
}

// skynetInfo is what the private function _info of a service returns. It is a handler like any other, so it runs once the
// one that runs now has blocked or returned.
func skynetInfo(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var dest starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "address", &dest); err != nil {
		return nil, err
	}
	subject, err := co.subject(b.Name(), dest)
	if err != nil {
		return nil, err
	}
	if co.depth >= maxDepth {
		return nil, callErrorf(Denied, false, "%s: %d calls wait for one another already (does _info ask for itself?)", b.Name(), maxDepth)
	}
	trace, depth := co.traceID(), co.depth+1
	return co.interrupt(b.Name(), subject, func(answer func(starlark.Value, *CallError)) {
		fn, ok := subject.globals["_info"].(*starlark.Function)
		if !ok {
			answer(starlark.None, nil)
			return
		}
		ask := func(co *coroutine) (starlark.Value, error) {
			co.depth = depth
			return starlark.Call(co.thread, subject.latest(fn), nil, nil)
		}
		subject.fork(job{native: ask, what: "_info", trace: trace, then: func(v starlark.Value, err error) {
			answer(outcomeOf(subject, "_info", v, err))
		}})
	})
}

// outcomeOf makes an answer of what a job has come to.
func outcomeOf(s *Service, what string, v starlark.Value, err error) (starlark.Value, *CallError) {
	if err == errKilled {
		return nil, callErrorf(Dead, true, "%s ended while handling %q", s.label, what)
	}
	if err != nil {
		return nil, asCallError(err)
	}
	v, err = wire.Copy(v)
	if err != nil {
		return nil, callErrorf(Remote, true, "%s: result of %q: %v", s.label, what, err)
	}
	return v, nil
}

// skynetServices lists the services of the node.
func skynetServices(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	var all []starlark.Value
	for _, s := range co.svc.node.Services() {
		if !co.svc.sees(s) {
			continue
		}
		var names []starlark.Value
		for _, name := range s.allNames() {
			names = append(names, starlark.String(name))
		}
		all = append(all, structOf("address", s.addr, "script", s.running(), "names", starlark.NewList(names)))
	}
	return starlark.NewList(all), nil
}

// skynetWaits lists who waits for whom.
func skynetWaits(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	services, err := co.survey()
	if err != nil {
		return nil, err
	}
	g := waitGraph(services)
	waits := make([]starlark.Value, len(g.Waits))
	for i, w := range g.Waits {
		waits[i] = structOf("service", w.Service, "task", w.Task, "command", w.Command, "what", w.What, "target", w.Target, "on", w.On)
	}
	var deadlocks []starlark.Value
	for _, cycle := range g.Cycles() {
		deadlocks = append(deadlocks, starlark.String(cycleText(cycle)))
	}
	return structOf("waits", starlark.NewList(waits), "deadlocks", starlark.NewList(deadlocks), "text", g.String()), nil
}

// skynetTrace is what the log lines of this handler are marked with.
func skynetTrace(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return starlark.String(TraceID(co.traceID()).String()), starlark.UnpackArgs(b.Name(), args, kwargs)
}

func statValue(script string, st Stat) starlark.Value {
	return structOf(
		"script", script, "messages", st.Messages, "mqlen", st.Queued, "mqbytes", st.QueuedBytes, "deferred", st.Deferred,
		"tasks", st.Tasks, "steps", st.Steps, "cpu", seconds(st.CPU),
		"waits", structOf("calls", st.Calls, "timers", st.Timers),
		"delay", structOf("samples", st.Delay.Samples, "p50", seconds(st.Delay.P50), "p99", seconds(st.Delay.P99), "max", seconds(st.Delay.Max)),
		"refused", structOf("overload", st.Refused.Overload, "dropped", st.Refused.Dropped, "blocked", st.Refused.Blocked,
			"command", st.Refused.Command, "denied", st.Refused.Denied, "exceeded", st.Refused.Exceeded,
			"throttled", st.Refused.Throttled, "stopped", st.Refused.Stopped),
	)
}

func taskList(tasks []Task) starlark.Value {
	all := make([]starlark.Value, len(tasks))
	for i, t := range tasks {
		var source, deadline starlark.Value = starlark.None, starlark.None
		switch {
		case t.source != nil:
			source = t.source
		case t.Source != "":
			source = starlark.String(t.Source)
		}
		if t.HasDeadline {
			deadline = seconds(t.Deadline)
		}
		all[i] = structOf(
			"id", t.ID, "what", t.What, "target", t.Target, "command", t.Command, "source", source, "session", t.Session,
			"age", seconds(t.Age), "deadline", deadline, "stack", t.Stack, "trace", t.Trace.String(),
		)
	}
	return starlark.NewList(all)
}

// structOf makes a struct of alternating names and values: Starlark values, strings, ints, int64s or uint64s.
func structOf(pairs ...any) starlark.Value {
	fields := make(starlark.StringDict, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i].(string)] = fieldOf(pairs[i+1])
	}
	return starlarkstruct.FromStringDict(starlarkstruct.Default, fields)
}

func fieldOf(v any) starlark.Value {
	switch v := v.(type) {
	case string:
		return starlark.String(v)
	case int:
		return starlark.MakeInt(v)
	case int64:
		return starlark.MakeInt64(v)
	case uint64:
		return starlark.MakeUint64(v)
	}
	return v.(starlark.Value)
}
