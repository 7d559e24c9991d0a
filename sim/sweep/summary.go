package sweep

import (
	"time"

	"skynet/sim"
	"skynet/sim/scenario"
)

// Long is the number of seeds from which on a sweep must have seen what it was written for: that each fault had an effect,
// that each sometimes(...) was reached and that each operation was answered. A shorter one only reports what it has not seen.
const Long = 20

// Of the failures the first ones are kept, and of some of them what was found.
const (
	keptFailures = 10_000
	keptMessages = 100
)

// Summary is what a sweep came to.
type Summary struct {
	// Seeds are the runs made, each of which Passed, Failed or is Unknown: nothing was violated, but not everything
	// could be decided.
	Seeds, Passed, Failed, Unknown uint64

	Steps, Events uint64        // of all runs together; a seed that was run twice counts once
	Virtual       time.Duration // likewise
	Twice         uint64        // seeds run twice, with equal outcome
	// Hash is that of the run, if there was one seed; of several it is made of their hashes in the order of the seeds.
	Hash uint64
	// Mistakes are those of Failed in which a predicate or a model ended with an error: they show nothing of the services.
	Mistakes uint64

	Checks   []Check   // in the order of the verdict
	Faults   []Fault   // in the order of the trouble
	Failures []Failure // of the lowest seeds, in their order; bounded
	// Undecided is the lowest seed that counts as Unknown, and why; nil if there is none.
	Undecided *Failure

	Operations []Operation // of the clients, by name

	// Lost is how many seeds ended with a node whose main service could not start again after a crash; WhyLost is the first.
	Lost    uint64
	WhyLost string

	ExpectFails bool // the scenario says so
	Interrupted bool // the context ended before all seeds were run

	checks, faults map[string]int // where a name is in Checks and Faults; never written after newSummary
}

// Check is one part of the verdict, over all seeds. Of a sometimes, OK counts the seeds that reached it, and those that
// did not are in no count.
type Check struct {
	Name, Kind          string
	OK, Failed, Unknown uint64
}

// Fault is one fault that the trouble configures, over all seeds.
type Fault struct {
	Name    string // as in [scenario.Source]
	What    string // the fault as the scenario wrote it
	Strikes uint64
	Bit     uint64 // strikes that had an effect
	Effects sim.Effects
}

// Failure is one seed that failed.
type Failure struct {
	Seed, Hash uint64
	Check      string
	Message    string // in one line; of the first hundred only
	Mistake    bool   // as in [sim.CheckResult]
}

func newSummary(sc *scenario.Scenario) *Summary {
	s := &Summary{ExpectFails: sc.ExpectFails, checks: map[string]int{}, faults: map[string]int{}}
	for i, c := range sc.Verdict {
		s.checks[c.Name] = i
		s.Checks = append(s.Checks, Check{Name: c.Name, Kind: c.Kind})
	}
	for i, f := range sc.Trouble.Sources() {
		s.faults[f.Name] = i
		s.Faults = append(s.Faults, Fault{Name: f.Name, What: f.Fault.String()})
	}
	return s
}

// Idle are the faults that had no effect in any run.
func (s *Summary) Idle() []Fault {
	var idle []Fault
	for _, f := range s.Faults {
		if f.Bit == 0 {
			idle = append(idle, f)
		}
	}
	return idle
}

// Missed are the sometimes that no run reached.
func (s *Summary) Missed() []Check {
	var missed []Check
	for _, c := range s.Checks {
		if c.Kind == "sometimes" && c.OK == 0 {
			missed = append(missed, c)
		}
	}
	return missed
}

// Empty are the checks of histories, if no client ever did an operation: they have proved nothing.
func (s *Summary) Empty() []Check {
	var empty []Check
	for _, c := range s.Checks {
		if c.Kind == "linearizable" && len(s.Operations) == 0 {
			empty = append(empty, c)
		}
	}
	return empty
}

// Well reports whether the sweep came to what the scenario expects: that a seed fails, and none by a mistake, or that every seed passes and a
// [Long] sweep has seen what it was written for.
func (s *Summary) Well() bool {
	if s.ExpectFails {
		return s.Failed > 0 && s.Mistakes == 0
	}
	seen := s.Seeds < Long || len(s.Idle()) == 0 && len(s.Missed()) == 0 && len(s.Refused()) == 0 && len(s.Empty()) == 0
	return !s.Interrupted && s.Passed == s.Seeds && seen
}

// report is what is kept of one run until it is added up. Its slices are aligned with those of the summary.
type report struct {
	offset, seed  uint64
	skipped       bool
	err           error
	panicked      string // what and where
	twice         bool
	hash          uint64
	steps, events uint64
	virtual       time.Duration
	failed        *sim.CheckResult
	unknown       *sim.CheckResult
	checks        []sim.Verdict
	faults        []Fault
	operations    []Operation
	lost          string // the first of the nodes that did not come back; empty if all did
}

// reduce fills r from the result of its run. It only reads the summary, and may be called by several workers.
func (s *Summary) reduce(r *report, result *sim.Result) {
	r.hash, r.steps, r.events, r.virtual = result.Hash, result.Steps, result.Events, result.Virtual
	r.failed, r.unknown = result.Failed, result.Undecided()
	r.operations = operations(result.History)
	if len(result.Lost) > 0 {
		r.lost = result.Lost[0]
	}
	r.checks = make([]sim.Verdict, len(s.Checks))
	for _, c := range result.Checks {
		if i, ok := s.checks[c.Name]; ok {
			r.checks[i] = c.Verdict
		}
	}
	r.faults = make([]Fault, len(s.Faults))
	for _, f := range result.Faults {
		if i, ok := s.faults[f.From]; ok {
			r.faults[i].add(f)
		}
	}
}

func (f *Fault) add(strike sim.FaultReport) {
	f.Strikes++
	if strike.Bit {
		f.Bit++
	}
	f.Effects.Add(strike.Effects)
}

// add adds up one seed.
func (s *Summary) add(r report) {
	s.Hash = s.Hash*0x9e3779b97f4a7c15 ^ r.hash
	s.Seeds++
	s.Steps, s.Events, s.Virtual = s.Steps+r.steps, s.Events+r.events, s.Virtual+r.virtual
	if r.twice {
		s.Twice++
	}
	switch {
	case r.failed != nil:
		s.Failed++
		s.addFailure(r)
	case r.unknown != nil:
		s.Unknown++
		if s.Undecided == nil {
			s.Undecided = &Failure{Seed: r.seed, Hash: r.hash, Check: r.unknown.Name, Message: r.unknown.Message}
		}
	default:
		s.Passed++
	}
	if r.lost != "" {
		if s.Lost++; s.Lost == 1 {
			s.WhyLost = r.lost
		}
	}
	for _, o := range r.operations {
		s.Operations = addOperation(s.Operations, o)
	}
	for i, v := range r.checks {
		s.Checks[i].add(v)
	}
	for i, f := range r.faults {
		to := &s.Faults[i]
		to.Strikes, to.Bit = to.Strikes+f.Strikes, to.Bit+f.Bit
		to.Effects.Add(f.Effects)
	}
}

func (c *Check) add(v sim.Verdict) {
	switch v {
	case sim.OK:
		c.OK++
	case sim.Failed:
		c.Failed++
	case sim.Unknown:
		c.Unknown++
	}
}

func (s *Summary) addFailure(r report) {
	f := Failure{Seed: r.seed, Hash: r.hash, Check: r.failed.Name, Mistake: r.failed.Mistake}
	if f.Mistake {
		s.Mistakes++
	}
	if len(s.Failures) < keptMessages {
		f.Message = r.failed.Message
	}
	if len(s.Failures) < keptFailures {
		s.Failures = append(s.Failures, f)
	}
}
