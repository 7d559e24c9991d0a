package runtimetest

import (
	"errors"
	"maps"
	"slices"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched/stepper"
	"skynet/sim/double"
)

// T is what [Solo] needs of a *testing.T, which implements it.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
}

// soloName is the name of a probe's node and, with a dot in front, of the service it tests.
const soloName = "solo"

// Probe is a service written in Go that is alone on a simulated node, except for doubles of the services it talks to. Nothing
// takes time there but waiting, so the clock stands where the test left it. It is not safe for concurrent use.
type Probe struct {
	t        T
	sim      *simulated
	node     *runtime.Node
	handlers map[string]func() runtime.Handler
	logs     *logs
	started  bool
}

// Solo makes a probe of a handler, which ends with the test. The first use of the service starts it, unless [Probe.Start]
// did; what its Init asks others for must have been given to [Probe.Fake] before.
func Solo(t T, h runtime.Handler) *Probe {
	t.Helper()
	s := newVirtual(1)
	s.model = stepper.NodeOptions{MessageCost: -1, StepCost: -1} // less than nothing counts as nothing
	m := s.machine(nil, soloName)
	p := &Probe{t: t, sim: s, logs: &logs{}, handlers: map[string]func() runtime.Handler{
		soloName: func() runtime.Handler { return h },
	}}
	var err error
	p.node, err = runtime.NewNode(runtime.Config{
		Name: soloName, Incarnation: 1, Scheduler: m.sched, Network: m.net, Store: m.store, Log: p.logs,
		Handlers: p.handlers, Trace: m.trace,
		Programs: runtime.NewPrograms(func(string) ([]byte, error) { return nil, errNoScripts }),
	})
	if err != nil {
		t.Fatalf("solo: %v", err)
	}
	t.Cleanup(func() { s.crash(soloName, p.node) })
	return p
}

var errNoScripts = errors.New("a probe has no scripts")

// Start starts the service with arguments for its Init (see [Value]), and fails the test if that fails.
func (p *Probe) Start(args ...any) {
	p.t.Helper()
	if err := p.TryStart(args...); err != nil {
		p.t.Fatalf("start: %v", err)
	}
}

// TryStart is Start for an Init that may fail. The service can be started again then.
func (p *Probe) TryStart(args ...any) error {
	p.t.Helper()
	if p.started {
		p.t.Fatalf("start: got a service that has been started, want one start")
	}
	_, err := p.launch(soloName, "."+soloName, args)
	p.sim.pass(0) // a service whose Init has failed ends after it has said so, and its name is free then
	p.started = err == nil
	return err
}

func (p *Probe) launch(handler, name string, args []any) (starlark.Value, error) {
	p.t.Helper()
	o := newOutcome()
	p.node.Launch(handler, name, tuple(args), nil, func(a *runtime.Address, err error) { o.set(a, err) })
	return p.await(o, "init of "+handler)
}

// await lets time pass until the outcome is there.
func (p *Probe) await(o *outcome, what string) (starlark.Value, error) {
	p.t.Helper()
	if !p.sim.wait(o.done) {
		p.t.Fatalf("%s: got no outcome, want one; waiting: %v", what, p.node.Waits())
	}
	return o.get()
}

// Call calls a command of the service and waits for the outcome, a minute of virtual time at most.
func (p *Probe) Call(command string, args ...any) (starlark.Value, error) {
	p.t.Helper()
	if !p.started {
		p.Start()
	}
	o := newOutcome()
	p.node.Request(starlark.String("."+soloName), command, tuple(args), nil, time.Minute, func(v starlark.Value, err error) { o.set(v, err) })
	return p.await(o, command)
}

// Want calls a command and fails the test unless it returns want, compared in Starlark's own notation.
func (p *Probe) Want(want, command string, args ...any) {
	p.t.Helper()
	v, err := p.Call(command, args...)
	if err != nil {
		p.t.Errorf("%s: got error %v, want %s", command, err, want)
	} else if got := v.String(); got != want {
		p.t.Errorf("%s: got %s, want %s", command, got, want)
	}
}

// Advance lets time pass, and returns when everything due by then has happened.
func (p *Probe) Advance(d time.Duration) {
	p.t.Helper()
	if !p.started {
		p.Start()
	}
	p.sim.pass(d)
}

// Now is how much time has passed.
func (p *Probe) Now() time.Duration { return time.Duration(p.sim.step.Now()) }

// Logs returns what was logged.
func (p *Probe) Logs() []Line { return p.logs.all() }

// Answer answers a command of a double.
type Answer = func(args starlark.Tuple) (starlark.Value, error)

// Fake is a double of a service that the tested one talks to.
type Fake struct{ double *double.Double }

// Calls is what the double was asked so far, unknown commands included.
func (f *Fake) Calls() []double.Call { return slices.Clone(f.double.Calls) }

// Fake starts a double under a registered name. Its commands answer with an [Answer] or, if they are anything else, with that
// [Value]; any other command fails.
func (p *Probe) Fake(name string, commands map[string]any) *Fake {
	p.t.Helper()
	d := &double.Double{
		Name: name,
		Answer: func(_ *runtime.Context, command string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, bool, error) {
			answer, known := commands[command]
			if f, ok := answer.(Answer); ok {
				v, err := f(args)
				return v, known, err
			}
			return Value(answer), known, nil
		},
		Commands: func() []string { return slices.Sorted(maps.Keys(commands)) },
	}
	label := "double of " + name
	p.handlers[label] = func() runtime.Handler { return d }
	if _, err := p.launch(label, name, nil); err != nil {
		p.t.Fatalf("double of %s: %v", name, err)
	}
	d.Calls = nil // the launch is no call
	return &Fake{d}
}
