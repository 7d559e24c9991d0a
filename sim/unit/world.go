package unit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/diag"
	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sched/trace"
	"skynet/sim/disk"
	"skynet/sim/fact"
	"skynet/vnet/virtual"
)

const (
	// nodeName is the name of a world's one node.
	nodeName = "test"
	// epoch is the wall clock at the start of every test: the first second of 2025, as in scenarios.
	epoch int64 = 1_735_689_600_000_000_000
)

// world is everything of one run.
type world struct {
	file     *File
	test     string
	options  Options
	folder   *folder
	programs *runtime.Programs
	trace    *trace.Trace
	step     *stepper.Stepper
	sched    *stepper.Node
	pool     *runtime.Coroutines
	node     *runtime.Node
	handlers map[string]func() runtime.Handler // the test's service and the doubles; the node looks there at each launch
	words    words

	self     string            // the test's service, as logs call it
	thread   *starlark.Thread  // of the test
	limit    sched.Time        // when the test has taken too long
	advances []advance         // who waits in test.advance
	marks    uint64            // how many advances there have been
	lines    []line            // what was logged
	failure  *failure          // the first
	done     bool              // the test has returned
	answered uint64            // the scheduler's step in which the test's service last ended a request
	caught   *starlark.Builtin // skynet.pcall
	launcher *starlark.Builtin // skynet.newservice
	broken   brokenRow         // of the last test.table that failed
	closing  bool
}

// advance is a handler that waits in test.advance.
type advance struct {
	until  sched.Time
	resume func()
}

// newWorld builds the world of a test; nothing has run yet.
func newWorld(f *File, test string, o Options) *world {
	w := &world{
		file: f, test: test, options: o.withDefaults(), folder: newFolder(f.read, path.Dir(f.Name)), trace: o.Trace,
		pool: runtime.NewCoroutines(1), handlers: make(map[string]func() runtime.Handler),
	}
	if w.trace == nil {
		w.trace = new(trace.Trace)
	}
	w.limit = sched.Time(w.options.Limit)
	skynet := runtime.Predeclared()["skynet"].(starlark.HasAttrs)
	w.caught, w.launcher = word(skynet, "pcall"), word(skynet, "newservice")
	w.words = newWords(w)
	w.programs = runtime.NewPrograms(w.folder.file)
	w.programs.Extend(func(script string) starlark.StringDict {
		if isTest(script) {
			return w.words.predeclared
		}
		return nil
	})
	w.step = stepper.New(stepper.Options{
		Seed: o.Seed, Strategy: stepper.Random(sched.NewStream(o.Seed, "schedule")), Trace: w.trace,
	})
	// Costs below zero count as none: the clock stands still while services compute.
	w.sched = w.step.NewNode(0, nodeName, stepper.NodeOptions{Epoch: epoch, MessageCost: -1, StepCost: -1})
	w.sched.SetOffloadLatency(func(*sched.Stream) time.Duration { return 0 })
	return w
}

// word is a built-in of a library.
func word(library starlark.HasAttrs, name string) *starlark.Builtin {
	v, _ := library.Attr(name)
	return v.(*starlark.Builtin)
}

// boot starts the node and launches the test's service, which runs body.
func (w *world) boot(body func(*starlark.Thread, starlark.StringDict) error) error {
	fabric := virtual.New(w.step, virtual.Options{Seed: w.options.Seed, Trace: w.trace})
	store := disk.New(disk.Options{LoseUnsynced: true, Trace: w.trace, Now: w.step.Now})
	script := w.file.base()
	w.handlers[script] = func() runtime.Handler {
		delete(w.handlers, script)
		return &subject{world: w, body: body}
	}
	var err error
	w.node, err = runtime.NewNode(runtime.Config{
		Name: nodeName, Incarnation: 1, Scheduler: w.sched, Network: fabric.Host(0, nodeName), Store: store.Open(),
		Programs: w.programs, Coroutines: w.pool, Log: logHandler{w}, Handlers: w.handlers, Trace: w.trace,
		Abort: func(string) {}, // the log has it, for test.logs
	})
	if err != nil {
		return err
	}
	w.node.Launch(script, "", nil, nil, func(_ *runtime.Address, err error) {
		if err != nil {
			w.fail(&failure{err: err})
		}
	})
	return nil
}

// close unwinds every coroutine. That is no part of the run, and not in its trace.
func (w *world) close() {
	w.closing = true
	whole := *w.trace
	w.trace.Sink = nil
	defer func() { *w.trace = whole }()
	w.sched.Halt()
	if w.node != nil {
		w.node.Crash()
	}
	w.pool.Close()
}

// fail ends the test, unless it has failed before.
func (w *world) fail(f *failure) {
	if w.failure == nil && !w.closing {
		w.failure = f
	}
}

// subject is the service in which a test runs. The public functions of its file are its commands, as in every service.
type subject struct {
	*world
	body    func(*starlark.Thread, starlark.StringDict) error
	globals starlark.StringDict
}

// Init begins the test, which goes on after it.
func (s *subject) Init(ctx *runtime.Context, _ starlark.Tuple, _ []starlark.Tuple) error {
	s.self = ctx.Self().String() + " " + s.file.base()
	ctx.Fork(s.test, func(ctx *runtime.Context) error {
		s.thread = ctx.Thread()
		err := s.main()
		if !s.closing {
			s.done, s.thread = true, nil
			if err != nil {
				s.fail(&failure{err: err, row: s.rowOf(err)})
			}
		}
		return nil
	})
	return nil
}

func (s *subject) main() error {
	prog, err := s.programs.Compile(s.file.base())
	if err != nil {
		return err
	}
	thread := s.thread
	if s.globals, err = prog.Instantiate(thread); err != nil {
		return err
	}
	return s.body(thread, s.globals)
}

// Handle calls a public function of the test's file: what the service under test tells its subscriber, for instance.
func (s *subject) Handle(ctx *runtime.Context, command string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	defer func() { s.answered = s.step.Steps() }()
	fn, ok := s.globals[command].(*starlark.Function)
	if !ok || command[0] == '_' {
		return nil, fmt.Errorf("%s has no command %q", s.self, command)
	}
	return starlark.Call(ctx.Thread(), fn, args, kwargs)
}

// line is a log line.
type line struct {
	fact fact.Fact
	text string
}

// logHandler is the slog.Handler of the node.
type logHandler struct{ *world }

// Enabled takes every level.
func (logHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps a line. A fork of the test that failed fails the test, since nobody else would hear of it; of a failed request
// its caller hears.
func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	w := h.world
	if w.closing {
		return nil
	}
	now, text := w.step.Now(), fact.Text(r)
	w.trace.AddText(int64(now), trace.Log, 0, uint64(r.Level), 0, text)
	f := fact.Of(r, now, nodeName)
	w.lines = append(w.lines, line{f, text})
	if r.Message == "handler failed" && f.Attr("service") == w.self && w.answered != w.step.Steps() {
		w.fail(&failure{err: textual(f.Attr("error"), f.Attr("command"))})
	}
	return nil
}

// WithAttrs is not needed by nodes: they name everything in each record.
func (h logHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup is not needed by nodes.
func (h logHandler) WithGroup(string) slog.Handler { return h }

// textual is an error of which only the text is left.
func textual(message, command string) error {
	if at, ok := diag.Located(message); ok {
		return at
	}
	return errors.New(command + ": " + message)
}
