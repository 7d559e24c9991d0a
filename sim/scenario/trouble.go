package scenario

import (
	"fmt"
	"strings"
	"time"

	"go.starlark.net/starlark"
)

// Timing says when faults strike. Its fields are used by kind:
//
//	at      Faults strike together at When after the phase began
//	every   Faults strike together once in each When, at a random moment of its last Jitter
//	swarm   each seed keeps a random, never empty, part of Members
//	plan    all Members
type Timing struct {
	Kind    string
	When    Span // nanoseconds
	Jitter  int64
	Faults  []Fault
	Members []Timing
}

// Phase is one step of the trouble. Its kind is "calm" (nothing happens), "run" (the Timing's faults strike), "heal"
// (all faults end) or "settle" (time to recover, in which nothing happens).
type Phase struct {
	Kind string
	// Lasting is the length in nanoseconds. Zero for a run means that it lasts until the clients are done, and until
	// the faults of at(...) are over; it may be zero for at most one run of a trouble.
	Lasting Span
	Timing  Timing
}

// Trouble is all that goes wrong: phases, one after the other. The zero value is no trouble.
type Trouble struct{ Phases []Phase }

// String prints the timing as its source.
func (t Timing) String() string {
	var args []string
	if t.Kind == "at" || t.Kind == "every" {
		args = append(args, seconds.print(t.When))
	}
	for _, f := range t.Faults {
		args = append(args, f.String())
	}
	for _, m := range t.Members {
		args = append(args, m.String())
	}
	if t.Kind == "every" && t.Jitter != t.When.Lo {
		args = append(args, "jitter = "+formatDuration(t.Jitter))
	}
	return fmt.Sprintf("%s(%s)", t.Kind, strings.Join(args, ", "))
}

// String prints the phase as its source.
func (p Phase) String() string {
	switch p.Kind {
	case "heal":
		return "heal()"
	case "run":
		if p.Lasting == (Span{}) {
			return p.Timing.String()
		}
		return fmt.Sprintf("during(%s, %s)", seconds.print(p.Lasting), p.Timing)
	}
	return fmt.Sprintf("%s(%s)", p.Kind, seconds.print(p.Lasting))
}

// String prints the trouble as its source.
func (t Trouble) String() string {
	phases := make([]string, len(t.Phases))
	for i, p := range t.Phases {
		phases[i] = p.String()
	}
	return fmt.Sprintf("phases(%s)", strings.Join(phases, ", "))
}

// Settle is how long the trouble leaves the cluster to recover at its end, in nanoseconds.
func (t Trouble) Settle() Span {
	if n := len(t.Phases); n > 0 && t.Phases[n-1].Kind == "settle" {
		return t.Phases[n-1].Lasting
	}
	return Span{}
}

// Plan is the trouble of explicit instances: each strikes as it is, then all is healed when the clients are done, then
// the cluster settles.
func Plan(instances []Instance, settle time.Duration) Trouble {
	plan := Timing{Kind: "plan"}
	for _, i := range instances {
		plan.Members = append(plan.Members, i.timing())
	}
	return healed(plan, fixed(int64(settle)))
}

// healed is the trouble of a timing that stands alone.
func healed(t Timing, settle Span) Trouble {
	phases := []Phase{{Kind: "run", Timing: t}, {Kind: "heal"}}
	if settle != (Span{}) {
		phases = append(phases, Phase{Kind: "settle", Lasting: settle})
	}
	return Trouble{phases}
}

func timingWord(t Timing) starlark.Value { return &word{"timing", t.String(), t} }
func phaseWord(p Phase) starlark.Value   { return &word{"phase", p.String(), p} }
func troubleWord(t Trouble) *word        { return &word{"trouble", t.String(), t} }
func firstOf(args starlark.Tuple) (starlark.Tuple, starlark.Tuple) {
	return args[:min(1, len(args))], args[min(1, len(args)):]
}

// newAt is at(when, fault, …).
func newAt(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	head, tail := firstOf(args)
	when := spanOf{unit: seconds}
	if err := unpack(fn, head, kwargs, "when", &when); err != nil {
		return nil, err
	}
	faults, err := someFaults(fn, tail)
	return timingWord(Timing{Kind: fn, When: when.Span, Faults: faults}), err
}

// minPeriod, 1 ms, bounds how often a fault can strike: all strikes of a run are kept.
const minPeriod = 1_000_000

// newEvery is every(period, fault, …, jitter).
func newEvery(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	head, tail := firstOf(args)
	each, jitter := quantity{unit: period}, quantity{unit: seconds}
	if err := unpack(fn, head, kwargs, "period", &each, "jitter?", &jitter); err != nil {
		return nil, err
	}
	if each.n < minPeriod {
		return nil, fmt.Errorf("%s: got a period of %s, want at least %s", fn, formatDuration(each.n), formatDuration(minPeriod))
	}
	if !jitter.set {
		jitter.n = each.n
	}
	if jitter.n > each.n {
		return nil, fmt.Errorf("%s: got jitter %s, want at most the period %s", fn, formatDuration(jitter.n), formatDuration(each.n))
	}
	faults, err := someFaults(fn, tail)
	return timingWord(Timing{Kind: fn, When: fixed(each.n), Jitter: jitter.n, Faults: faults}), err
}

func someFaults(fn string, args starlark.Tuple) ([]Fault, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("%s: got no fault, want at least one such as crash(one)", fn)
	}
	var faults []Fault
	for i, v := range args {
		f, ok := unwrap[Fault](v)
		if !ok {
			return nil, fmt.Errorf("%s: argument %d: got %s, want a fault such as crash(one)", fn, i+2, v.Type())
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// newSwarm is swarm(timing, …).
func newSwarm(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := unpack(fn, nil, kwargs); err != nil {
		return nil, err
	}
	members, err := timings(fn, args)
	if err == nil && len(members) == 0 {
		err = fmt.Errorf("%s: got no members, want at least one every(...) or at(...)", fn)
	}
	if err != nil {
		return nil, err
	}
	return timingWord(Timing{Kind: fn, Members: members}), nil
}

// newPlan is plan(timing, …, settle). With settle it is a whole trouble, without it can also stand among phases.
func newPlan(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	settle := quantity{unit: seconds}
	if err := unpack(fn, nil, kwargs, "settle?", &settle); err != nil {
		return nil, err
	}
	members, err := timings(fn, args)
	if err != nil {
		return nil, err
	}
	plan := Timing{Kind: fn, Members: members}
	if settle.set {
		return troubleWord(healed(plan, fixed(settle.n))), nil
	}
	return timingWord(plan), nil
}

// maxNesting is how deep plan and swarm may be nested.
const maxNesting = 50

// timings reads members, which a script can nest and double without end: what is printed must be short enough to be loaded.
func timings(fn string, args starlark.Tuple) ([]Timing, error) {
	members, err := unwrapAll[Timing](fn, args, wantTiming)
	if err != nil {
		return nil, err
	}
	length := 0
	for _, v := range args {
		length += len(v.(*word).text)
	}
	if length > maxSource {
		return nil, fmt.Errorf("%s: got members of %d bytes when printed, want at most %d", fn, length, maxSource)
	}
	if (Timing{Members: members}).depth() > maxNesting {
		return nil, fmt.Errorf("%s: nested deeper than %d", fn, maxNesting)
	}
	return members, nil
}

// depth is how many timings are nested.
func (t Timing) depth() int {
	inner := 0
	for _, m := range t.Members {
		inner = max(inner, m.depth())
	}
	return inner + 1
}

const wantTiming = "every(...), at(...), swarm(...) or plan(...)"

// newDuring is during(lasting, timing).
func newDuring(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	lasting := spanOf{unit: period}
	var v starlark.Value
	if err := unpack(fn, args, kwargs, "lasting", &lasting, "timing", &v); err != nil {
		return nil, err
	}
	t, ok := unwrap[Timing](v)
	if !ok {
		return nil, fmt.Errorf("%s: for parameter timing: got %s, want %s", fn, v.Type(), wantTiming)
	}
	return phaseWord(Phase{Kind: "run", Lasting: lasting.Span, Timing: t}), nil
}

// newRest is calm(lasting) and settle(lasting).
func newRest(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	lasting := spanOf{unit: seconds}
	if err := unpack(fn, args, kwargs, "lasting", &lasting); err != nil {
		return nil, err
	}
	return phaseWord(Phase{Kind: fn, Lasting: lasting.Span}), nil
}

// newHeal is heal().
func newHeal(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return phaseWord(Phase{Kind: fn}), unpack(fn, args, kwargs)
}

// newPhases is phases(phase, …).
func newPhases(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := unpack(fn, nil, kwargs); err != nil {
		return nil, err
	}
	var t Trouble
	open := ""
	for i, v := range args {
		p, ok := asPhase(v)
		if !ok {
			return nil, fmt.Errorf("%s: argument %d: got %s, want calm(...), %s, during(...), heal() or settle(...)", fn, i+1, v.Type(), wantTiming)
		}
		if p.Kind == "run" && p.Lasting == (Span{}) {
			if open != "" {
				return nil, fmt.Errorf("%s: argument %d: %s(...) would never start, since %s(...) before it lasts until the clients are done; "+
					"run both at once with plan(...), or give the first a length with during(...)", fn, i+1, p.Timing.Kind, open)
			}
			open = p.Timing.Kind
		}
		t.Phases = append(t.Phases, p)
	}
	return troubleWord(t), nil
}

func asPhase(v starlark.Value) (Phase, bool) {
	if t, ok := unwrap[Timing](v); ok {
		return Phase{Kind: "run", Timing: t}, true
	}
	return unwrap[Phase](v)
}

// asTrouble reads the global trouble; a timing alone is healed when the clients are done.
func asTrouble(v starlark.Value) (Trouble, error) {
	if t, ok := unwrap[Timing](v); ok {
		return healed(t, Span{}), nil
	}
	if t, ok := unwrap[Trouble](v); ok {
		return t, nil
	}
	return Trouble{}, fmt.Errorf("trouble: got %s, want phases(...) or plan(...)", v.Type())
}
