package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"skynet/sched"
)

// Instance is one strike of one fault, with nothing left to chance.
type Instance struct {
	ID    uint64     // a hash of the path, for traces
	Path  string     // names the strike within the trouble, for example "swarm/every-5s-crash/3"
	From  string     // names the [Source] it comes from, for example "swarm/every-5s-crash"
	At    sched.Time // when it begins
	Until sched.Time // when it ends; equal to At for faults that do not last
	Fault Concrete
}

func (i Instance) timing() Timing {
	f := Fault{
		Kind: i.Fault.Kind, OneWay: i.Fault.OneWay, Amount: fixed(i.Fault.Amount),
		Where: Selector{Kind: "list", Groups: i.Fault.Groups},
	}
	if shapeOf(f.Kind).lasting != "" {
		f.Lasting = fixed(max(1, int64(i.Until-i.At))) // a heal in the same instant may have left nothing
	}
	return Timing{Kind: "at", When: fixed(int64(i.At)), Faults: []Fault{f}}
}

// StepKind is what the executor has to do at a step.
type StepKind uint8

// The kinds of steps.
const (
	Strike StepKind = iota // begin Instance's fault, and end it at its Until unless a Heal comes first
	Heal                   // end every fault that still lasts
	Settle                 // nothing to do: from here on the cluster is left in peace
	End                    // nothing more will come
)

// String returns the kind's name.
func (k StepKind) String() string { return [...]string{"strike", "heal", "settle", "end"}[k] }

// Step is one entry of a schedule.
type Step struct {
	Kind     StepKind
	At       sched.Time
	Instance Instance // of a Strike
}

// Schedule is the trouble of one run, drawn as it is asked for, in order of time. It is not safe for concurrent use.
//
// Every random choice comes from a stream named by the run's seed and the path of the fault, so a member added to or
// removed from the trouble changes no choice of another. What the executor does is
//
//	step, ok := schedule.Peek()   // wait until step.At, unless the clients are done before
//	schedule.Pop()                // and apply it
//	schedule.ClientsDone(now)     // once; then Peek again, since the step waited for may be void
type Schedule struct {
	seed    uint64
	cluster Cluster
	limit   sched.Time
	phases  []Phase
	paths   []string

	phase   int        // index of the current phase
	begin   sched.Time // of the current phase
	sources []*source  // of the current phase, nil until it is looked at
	atsOver sched.Time // when the last strike of an at(...) of this phase ends

	done   bool
	doneAt sched.Time
	struck []Instance
}

// Expand makes the schedule of one run. No strike comes after the limit of the run. It is an error if a selector has
// too few nodes to choose from, or names a node that does not exist.
func Expand(t Trouble, seed uint64, c Cluster, limit time.Duration) (*Schedule, error) {
	s := &Schedule{seed: seed, cluster: c, limit: sched.Time(limit), phases: t.Phases}
	s.paths = t.paths()
	for _, p := range t.Phases {
		if err := p.Timing.check(c); err != nil {
			return nil, fmt.Errorf("trouble: %w", err)
		}
	}
	return s, nil
}

func (t Timing) check(c Cluster) error {
	for _, f := range t.Faults {
		if err := f.check(c); err != nil {
			return err
		}
	}
	for _, m := range t.Members {
		if err := m.check(c); err != nil {
			return err
		}
	}
	return nil
}

// Peek returns the next step without taking it. It reports false if nothing comes before the clients are done. After
// an End it returns the End again.
func (s *Schedule) Peek() (Step, bool) {
	for s.phase < len(s.phases) {
		p := s.phases[s.phase]
		switch p.Kind {
		case "run":
			if next := s.earliest(p); next != nil {
				return Step{Strike, next.head().At, next.head()}, true
			}
			end, known := s.runEnd(p)
			if !known {
				return Step{}, false
			}
			s.advance(end)
		case "heal":
			return Step{Kind: Heal, At: s.begin}, true
		case "settle":
			return Step{Kind: Settle, At: s.begin}, true
		default:
			s.advance(s.begin.Add(s.length(p)))
		}
	}
	return Step{Kind: End, At: s.begin}, true
}

// Pop takes the step that Peek returned.
func (s *Schedule) Pop() {
	step, ok := s.Peek()
	switch {
	case !ok || step.Kind == End:
	case step.Kind == Strike:
		s.take(s.earliest(s.phases[s.phase]))
	case step.Kind == Heal:
		s.heal(step.At)
		s.advance(step.At)
	default:
		s.advance(s.begin.Add(s.length(s.phases[s.phase])))
	}
}

// ClientsDone says that all clients have finished their work at time t: the run that waits for them ends. Only the
// first call counts.
func (s *Schedule) ClientsDone(t sched.Time) {
	if !s.done {
		s.done, s.doneAt = true, t
	}
}

// Struck returns the strikes taken so far, with the ends that heals have given them: what a shrinker starts from.
func (s *Schedule) Struck() []Instance { return slices.Clone(s.struck) }

// earliest returns the source of the current run's next strike, nil if none comes, as far as is known now.
func (s *Schedule) earliest(p Phase) *source {
	if s.sources == nil {
		s.sources = s.open(nil, p.Timing, s.paths[s.phase])
	}
	var first *source
	for _, src := range s.sources {
		if s.due(p, src) && (first == nil || src.head().At < first.head().At) {
			first = src
		}
	}
	return first
}

// due reports whether the source's next strike comes before the run's end.
func (s *Schedule) due(p Phase, src *source) bool {
	if len(src.queue) == 0 || src.head().At >= s.limit {
		return false
	}
	if p.Lasting != (Span{}) {
		return src.head().At < s.begin.Add(s.length(p))
	}
	return src.timing.Kind == "at" || !s.done || src.head().At < s.doneAt
}

// runEnd is when the current run ends, if that is known, given that no strike is due any more.
func (s *Schedule) runEnd(p Phase) (end sched.Time, known bool) {
	if p.Lasting != (Span{}) {
		return s.begin.Add(s.length(p)), true
	}
	return max(s.begin, s.doneAt, s.atsOver), s.done
}

func (s *Schedule) length(p Phase) time.Duration {
	return time.Duration(p.Lasting.Draw(s.stream(s.paths[s.phase])))
}

func (s *Schedule) advance(end sched.Time) {
	s.phase, s.begin, s.sources, s.atsOver = s.phase+1, end, nil, 0
}

func (s *Schedule) take(src *source) {
	i := src.head()
	s.struck = append(s.struck, i)
	if src.timing.Kind == "at" {
		s.atsOver = max(s.atsOver, i.Until)
	}
	if src.queue = src.queue[1:]; len(src.queue) == 0 && src.timing.Kind == "every" {
		src.strikes++
		s.draw(src)
	}
}

func (s *Schedule) heal(at sched.Time) {
	for i := range s.struck {
		s.struck[i].Until = min(s.struck[i].Until, at)
	}
}

func (s *Schedule) stream(path string) *sched.Stream { return sched.NewStream(s.seed, "fault", path) }

// source is an every or an at of the current run.
type source struct {
	path    string
	timing  Timing
	strikes int64      // how many times it has struck
	queue   []Instance // the faults of the next strike that are not yet taken
}

func (src *source) head() Instance { return src.queue[0] }

// open appends the sources of a timing, leaving out the members that swarms leave out.
func (s *Schedule) open(sources []*source, t Timing, path string) []*source {
	if t.Kind == "at" || t.Kind == "every" {
		src := &source{path: path, timing: t}
		s.draw(src)
		return append(sources, src)
	}
	paths := t.memberPaths(path)
	draws := make([]uint64, len(paths))
	for i := range paths {
		draws[i] = s.stream(paths[i]).Uint64()
	}
	for i, m := range t.Members {
		// Each member throws its own coin, so that a member more or less changes nothing for the others; the lowest
		// draw is always in, so that no swarm is empty.
		if t.Kind == "plan" || draws[i] < 1<<63 || draws[i] == slices.Min(draws) {
			sources = s.open(sources, m, paths[i])
		}
	}
	return sources
}

// draw fills the source's queue with its next strike.
func (s *Schedule) draw(src *source) {
	t, path := src.timing, src.path
	if t.Kind == "every" {
		path += "/" + strconv.FormatInt(src.strikes+1, 10)
	}
	stream := s.stream(path)
	at := s.begin.Add(time.Duration(t.When.Draw(stream)))
	if t.Kind == "every" {
		at = s.begin.Add(time.Duration(t.When.Lo*(src.strikes+1) - Span{0, t.Jitter}.Draw(stream)))
	}
	src.queue = nil
	suffixes := t.suffixes()
	for i, f := range t.Faults {
		own := path + suffixes[i]
		what, lasting := f.concrete(s.cluster, s.stream(own+"/what"))
		src.queue = append(src.queue, Instance{
			ID: s.stream(own).Uint64(), Path: own, From: src.path + suffixes[i],
			At: at, Until: at.Add(time.Duration(lasting)), Fault: what,
		})
	}
}
