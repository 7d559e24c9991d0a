package sim

import (
	"fmt"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/trace"
	"skynet/sim/check"
	"skynet/sim/history"
	"skynet/sim/scenario"
)

// Verdict is what a check came to.
type Verdict string

// The verdicts.
const (
	OK        Verdict = "ok"
	Failed    Verdict = "failed"
	Unknown   Verdict = "unknown"   // not decided: never a pass
	Unreached Verdict = "unreached" // a sometimes that did not happen in this run
)

// CheckResult is the verdict of one check.
type CheckResult struct {
	Name, Kind string
	Verdict    Verdict
	Message    string        // why, in one line; empty for a check that held
	Evidence   []string      // more lines
	At         time.Duration // the virtual time at which it was decided
	Mistake    bool          // it failed because its predicate or its model ended with an error: it has not looked at the services
}

// predicateSteps bounds one evaluation of a predicate, in Starlark steps: about a second.
const predicateSteps = 10_000_000

// judge evaluates the verdict while the run goes on. Predicates see a view of the world between two actions.
type judge struct {
	world  *world
	checks []scenario.Check
	result []CheckResult // of each check; without a Verdict as long as it is open
	extra  []CheckResult // work, stuck, limit
	waits  []string
	first  string // name of the first that failed
	broken bool   // the run need not go on
	over   bool   // nothing can change any more
	polls  bool   // there are predicates
	thread *starlark.Thread
	view   *view
	seen   uint64 // the steps of the world at the last look
	looked bool
}

func newJudge(w *world) *judge {
	j := &judge{world: w, checks: w.scenario.Verdict, result: make([]CheckResult, len(w.scenario.Verdict))}
	for i := range j.checks {
		c := &j.checks[i]
		j.result[i] = CheckResult{Name: c.Name, Kind: c.Kind}
		if c.Kind != "linearizable" {
			w.log.facts = make(map[string]*facts)
			j.polls = j.polls || c.Predicate != nil
		}
	}
	j.thread = &starlark.Thread{Name: "verdict", Print: func(*starlark.Thread, string) {}}
	j.view = newView(w)
	return j
}

// look evaluates what is open, unless the world has not changed since the last time.
func (j *judge) look(now sched.Time) {
	w := j.world
	calm := w.clientsDone && len(w.faults.active) == 0 && (w.troubleOver || w.next != scenario.Strike)
	unchanged := j.looked && j.seen == w.step.Steps() && !calm
	if unchanged || w.err != nil {
		return
	}
	j.seen, j.looked = w.step.Steps(), true
	for i := range j.checks {
		c, r := &j.checks[i], &j.result[i]
		if r.Verdict == "" && !j.broken {
			j.evaluate(c, r, now, calm)
		}
	}
}

func (j *judge) evaluate(c *scenario.Check, r *CheckResult, now sched.Time, calm bool) {
	switch c.Kind {
	case "always":
		if holds, ok := j.holds(c, r, now); ok && !holds {
			j.fail(r, now, fmt.Sprintf("does not hold at %v", now))
		}
	case "never":
		if holds, ok := j.holds(c, r, now); ok && holds {
			j.fail(r, now, fmt.Sprintf("holds at %v", now))
		}
	case "sometimes":
		if j.happened(c, r, now) {
			j.decide(r, OK, now)
		}
	case "eventually":
		if calm {
			j.eventually(c, r, now)
		}
	}
}

// happened tells whether a sometimes is reached: a service has logged its name, or its predicate holds.
func (j *judge) happened(c *scenario.Check, r *CheckResult, now sched.Time) bool {
	if j.world.log.facts[c.Name].count() > 0 {
		return true
	}
	if c.Predicate == nil {
		return false
	}
	holds, _ := j.holds(c, r, now)
	return holds
}

func (j *judge) eventually(c *scenario.Check, r *CheckResult, now sched.Time) {
	deadline := j.world.faults.calmAt.Add(c.Within)
	switch holds, ok := j.holds(c, r, now); {
	case ok && holds:
		j.decide(r, OK, now)
	case ok && (now >= deadline || j.over):
		r.Message = fmt.Sprintf("did not hold within %v after the last fault", c.Within)
		j.decide(r, Failed, now)
		j.note(r)
	}
}

// disturbed opens what had eventually come true, since a fault has struck again.
func (j *judge) disturbed() {
	for i := range j.checks {
		if j.checks[i].Kind == "eventually" && j.result[i].Verdict == OK {
			j.result[i].Verdict = ""
		}
	}
}

// holds evaluates a predicate; ok is false if it failed, which is then the check's verdict.
func (j *judge) holds(c *scenario.Check, r *CheckResult, now sched.Time) (holds, ok bool) {
	j.thread.Uncancel()
	j.thread.Steps = 0
	j.thread.SetMaxExecutionSteps(predicateSteps)
	v, err := starlark.Call(j.thread, c.Predicate, starlark.Tuple{j.view}, nil)
	if err != nil {
		message, backtrace := runtime.Describe(err)
		r.Evidence, r.Mistake = lines(backtrace), true
		j.fail(r, now, message)
		return false, false
	}
	return bool(v.Truth()), true
}

// decide settles a check. Its time is folded, not its text: texts are for people and may be reworded.
func (j *judge) decide(r *CheckResult, v Verdict, now sched.Time) {
	r.Verdict, r.At = v, time.Duration(now)
	j.world.trace.AddText(int64(now), trace.Check, -1, 0, 0, r.Name+" "+string(v))
}

// fail settles a check that ends the run.
func (j *judge) fail(r *CheckResult, now sched.Time, message string) {
	r.Message = message
	j.decide(r, Failed, now)
	j.note(r)
	j.broken = true
}

func (j *judge) note(r *CheckResult) {
	if j.first == "" {
		j.first = r.Name
	}
}

// settled reports whether nothing is left that time could decide.
func (j *judge) settled() bool {
	for i := range j.checks {
		if j.checks[i].Kind == "eventually" && j.result[i].Verdict == "" {
			return false
		}
	}
	return true
}

// outside adds a failure that is no check of the scenario's.
func (j *judge) outside(name string, now sched.Time, message string, evidence []string) {
	r := CheckResult{Name: name, Kind: name, Evidence: evidence}
	j.fail(&r, now, message)
	j.extra = append(j.extra, r)
	j.world.attention = true
}

// workFailed is told that work(c) ended with an error.
func (j *judge) workFailed(client string, err error) {
	message, backtrace := runtime.Describe(err)
	j.outside("work", j.world.step.Now(), fmt.Sprintf("client %s: %s", client, message), lines(backtrace))
}

// stuck is told that clients wait and nothing can happen any more.
func (j *judge) stuck(now sched.Time, waits []string) {
	j.waits = waits
	j.outside("stuck", now, fmt.Sprintf("%d of %d clients wait, and nothing can happen any more", j.world.working, len(j.world.clients)), waits)
}

// limitReached is told that the scenario's time was too short for the clients: a run that was cut off has not shown what it
// should.
func (j *judge) limitReached(now sched.Time) {
	j.waits = j.world.waits()
	r := CheckResult{Name: "limit", Kind: "limit", Evidence: j.waits, Message: fmt.Sprintf(
		"%d of %d clients had not finished within the limit of %v", j.world.working, len(j.world.clients), j.world.scenario.Limit)}
	j.decide(&r, Unknown, now)
	j.extra = append(j.extra, r)
}

// stepsUsedUp is told that the run has taken as many steps as a run may take.
func (j *judge) stepsUsedUp(now sched.Time) {
	r := CheckResult{Name: "limit", Kind: "limit", Evidence: j.world.waits(), Message: fmt.Sprintf(
		"the run had not ended after %d steps, at virtual time %v: a service or client that loops on sleep(0), perhaps", j.world.step.Steps(), now)}
	j.decide(&r, Unknown, now)
	j.extra = append(j.extra, r)
	j.broken = true
}

// verdict closes all checks and returns them with the first that failed.
func (j *judge) verdict(h history.History) (all []CheckResult, failed *CheckResult) {
	for i := range j.checks {
		if r := &j.result[i]; r.Verdict == "" {
			j.close(i, r, h)
		}
	}
	all = append(j.result, j.extra...)
	for i := range all {
		r := &all[i]
		if r.Verdict == Failed && (failed == nil || r.Name == j.first) {
			failed = r
		}
	}
	return all, failed
}

// close decides a check that the end of the run left open.
func (j *judge) close(i int, r *CheckResult, h history.History) {
	switch r.Kind {
	case "linearizable":
		j.linearizable(i, r, h)
	case "sometimes":
		r.Verdict = Unreached
	case "eventually":
		r.Verdict, r.Message = Unknown, "not judged: the run ended before"
	default:
		r.Verdict = OK
	}
	r.At = time.Duration(j.world.step.Now())
}

func (j *judge) linearizable(i int, r *CheckResult, h history.History) {
	v := check.Linearizable(j.world.sim.models[i], h, check.Budget{States: j.checks[i].States})
	r.Evidence = v.Evidence
	where := ""
	if v.Key != "" {
		where = ": " + v.Key
	}
	switch v.Result {
	case check.OK:
		r.Verdict = OK
	case check.Violated:
		r.Verdict, r.Message = Failed, fmt.Sprintf("the history of %d operations is not linearizable%s", v.Operations, where)
	case check.Undecided:
		r.Verdict, r.Message = Unknown, fmt.Sprintf("undecided after %d states%s; linearizable(states = …) allows more", v.States, where)
	default:
		r.Verdict, r.Message, r.Mistake = Failed, v.Err.Error(), true
	}
}

// lines splits a text, none for an empty one.
func lines(text string) []string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
