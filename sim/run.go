package sim

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sched/trace"
	"skynet/sim/history"
	"skynet/sim/scenario"
)

// Options say how to run a scenario. The zero value is seed 0 under the random strategy, with the scenario's own trouble
// and all clients.
type Options struct {
	// Seed is the root of every random choice.
	Seed uint64
	// Strategy orders what is enabled at the same time: "random", the default, or "fifo".
	Strategy string
	// Trace is told of every event; nil is a private one, of which only the hash is kept.
	Trace *trace.Trace
	// Plan, unless nil, replaces the scenario's trouble. Empty is no trouble.
	Plan []scenario.Instance
	// Clients, unless nil, are the names of the only clients that run.
	Clients []string
	// MaxSteps bounds the scheduler's steps: a run that loops without letting virtual time pass would never end. It is
	// then undecided. 0 is 50 million, about a minute.
	MaxSteps uint64
	// Diagram, unless nil, collects the picture of the run.
	Diagram *Diagram
	// Coroutines is a pool made by [NewCoroutines], for runs that come one after another; nil makes one for this run.
	Coroutines *runtime.Coroutines
}

// maxCores is the largest number of cores that a scenario may give a node.
const maxCores = 1000

// NewCoroutines makes a pool that runs may share which come one after another. It must be closed.
func NewCoroutines() *runtime.Coroutines { return runtime.NewCoroutines(maxCores) }

// Result is what a run came to.
type Result struct {
	Seed    uint64
	Hash    uint64        // of the whole trace
	Steps   uint64        // actions of the scheduler
	Events  uint64        // entries of the trace
	Virtual time.Duration // how long the run took in the world

	// Checks are those of the verdict, in its order, and behind them what failed outside of it: "work" (the script of a
	// client), "stuck" (clients wait and nothing can happen any more), "limit" (clients had not finished in time).
	Checks []CheckResult
	// Failed is the first that failed in the course of the run, nil if none did.
	Failed *CheckResult

	Faults    []FaultReport       // in the order they struck
	Instances []scenario.Instance // what struck, with its actual end: a plan that repeats the trouble
	History   history.History
	Stuck     []string // who waited for whom, if the run ended because of that
	Logs      []string // the last log lines
	Lost      []string // nodes that stand at the end without a main service, since it could not start after a crash, and why
}

// Passed reports whether every check of the run held, as far as one run can tell: a sometimes need not be reached in each.
func (r *Result) Passed() bool { return r.Failed == nil && r.Undecided() == nil }

// Undecided returns the first check of unknown verdict, nil if there is none.
func (r *Result) Undecided() *CheckResult {
	for i := range r.Checks {
		if r.Checks[i].Verdict == Unknown {
			return &r.Checks[i]
		}
	}
	return nil
}

// pollEvery is how often the predicates of the verdict are evaluated, beside after every log record.
const pollEvery = 100 * time.Millisecond

// Run runs one seed. The error says that the scenario cannot be run: its world is wrong, or a script of a node does not load
// or, before any fault, not start; what goes wrong later is in the result.
func (s *Simulation) Run(o Options) (*Result, error) {
	w, err := s.newWorld(o)
	if err != nil {
		return nil, s.files.located(err)
	}
	defer w.close()
	w.run()
	if w.err != nil {
		return nil, s.files.located(w.err)
	}
	return w.result(), nil
}

// run is the life of the world.
func (w *world) run() {
	for _, m := range w.machines {
		if err := m.boot(); err != nil {
			w.fail(fmt.Errorf("node %s: start: %w", m.name, err))
		}
	}
	w.arm()
	maxSteps := cmp.Or(w.options.MaxSteps, defaultMaxSteps)
	interrupted := func() bool { return w.attention || w.step.Steps() >= maxSteps }
	for !w.finished() {
		w.attention = false
		if w.step.Run(w.horizon(), interrupted) == stepper.Idle {
			w.idle()
		}
		w.look()
		if w.step.Steps() >= maxSteps && !w.finished() {
			w.judge.stepsUsedUp(w.step.Now())
		}
	}
}

const defaultMaxSteps = 50_000_000

// finished reports whether nothing more is to happen.
func (w *world) finished() bool {
	return w.err != nil || w.judge.broken || w.clientsDone && w.troubleOver && w.judge.settled()
}

// horizon is when the loop has to look again even if nothing calls for it.
func (w *world) horizon() sched.Time {
	until := sched.Time(math.MaxInt64)
	if !w.clientsDone {
		until = sched.Time(w.scenario.Limit)
	}
	if w.judge.polls {
		until = min(until, w.step.Now().Add(pollEvery))
	}
	return until
}

// look deals with what has happened, outside of any turn.
func (w *world) look() {
	now := w.step.Now()
	if !w.clientsDone {
		switch {
		case w.working == 0:
			w.endWork(now)
		case now >= sched.Time(w.scenario.Limit):
			w.judge.limitReached(now)
			w.stopClients()
			w.endWork(now)
		}
	}
	if w.clientsDone && w.troubleOver && len(w.faults.active) > 0 {
		w.faults.heal()
	}
	w.judge.look(now)
}

// endWork tells the schedule that the clients are done.
func (w *world) endWork(now sched.Time) {
	w.clientsDone = true
	w.faults.calmAt = now
	w.schedule.ClientsDone(now)
	w.arm()
}

// stopClients ends the clients whose time is up; what they were doing stays unknown.
func (w *world) stopClients() {
	for _, c := range w.clients {
		if !c.done && c.machine.up() {
			c.machine.crash()
		}
	}
}

// idle is called when no action is enabled and none ever will be.
func (w *world) idle() {
	if !w.clientsDone && w.working > 0 {
		w.judge.stuck(w.step.Now(), w.waits())
		return
	}
	w.troubleOver = w.clientsDone
	w.judge.over = w.clientsDone // time would change nothing any more
}

// waits lists who waits for what, the clients that have not finished first.
func (w *world) waits() []string {
	var lines []string
	for _, c := range w.clients {
		if !c.done {
			lines = append(lines, c.machine.waits()...)
		}
	}
	for _, m := range w.nodes {
		lines = append(lines, m.waits()...)
	}
	return lines
}

func (m *machine) waits() []string {
	if !m.up() {
		return []string{m.name + " is down"}
	}
	lines := m.node.Waits().Lines()
	if m.paused > 0 {
		lines = append(lines, m.name+" is paused")
	}
	return lines
}

func (w *world) result() *Result {
	w.diagram.finish()
	h := w.recorder.History()
	checks, failed := w.judge.verdict(h)
	return &Result{
		Seed: w.options.Seed, Hash: w.trace.Hash(), Steps: w.step.Steps(), Events: w.trace.Count(),
		Virtual: time.Duration(max(w.latest, w.step.Now())), Checks: checks, Failed: failed, Faults: w.faults.reports(),
		Instances: w.faults.instances(), History: h, Stuck: w.judge.waits, Logs: w.log.tail(), Lost: w.lost(),
	}
}

// lost lists the nodes that have not come back from a crash.
func (w *world) lost() []string {
	var lines []string
	for _, m := range w.nodes {
		if m.up() && m.lost != nil {
			message, _ := runtime.Describe(m.lost)
			lines = append(lines, m.name+": "+message)
		}
	}
	return lines
}

// instances is what struck, for a plan: faults that were still on when the run ended keep their own end.
func (fs *faults) instances() []scenario.Instance {
	all := make([]scenario.Instance, len(fs.all))
	for i, f := range fs.all {
		all[i] = f.instance
	}
	return all
}
