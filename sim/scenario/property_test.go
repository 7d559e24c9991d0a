package scenario

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched"
)

func check(t *testing.T, name string, law func(seed uint64) (bool, error)) {
	t.Helper()
	params := gopter.DefaultTestParametersWithSeed(1)
	params.MinSuccessfulTests = 300
	properties := gopter.NewProperties(params)
	properties.Property(name, prop.ForAll(law, gen.UInt64()))
	properties.TestingRun(t)
}

// anyFault draws a fault of any kind on five nodes.
func anyFault(s *sched.Stream) Fault {
	shape := shapes[s.IntN(len(shapes))]
	f := Fault{Kind: shape.kind, Where: anySelector(s)}
	if shape.amount != "" {
		f.Amount = anySpan(s, max(shape.unit.min, -5e9), min(shape.unit.max, 5e9))
	}
	if shape.lasting != "" {
		f.Lasting = anySpan(s, 1, 5e9)
	}
	f.OneWay = f.Kind == Partition && s.IntN(2) == 0
	return f
}

func anySpan(s *sched.Stream, min, max int64) Span {
	lo := s.Between(min, max)
	if s.IntN(2) == 0 {
		return fixed(lo)
	}
	return Span{lo, s.Between(lo, max)}
}

func anySelector(s *sched.Stream) Selector {
	switch s.IntN(4) {
	case 0:
		return Selector{Kind: "list", Groups: [][]string{{five.Nodes[s.IntN(5)]}}}
	case 1:
		return Selector{Kind: "match", Match: "n[12]"}
	}
	r := randomSelectors[s.IntN(len(randomSelectors)-1)] // all but everyone, which no partition can strike
	return Selector{Kind: r.name, Match: []string{"", "n*", "n[1-4]"}[s.IntN(3)]}
}

// anyTiming draws a swarm or plan of members that differ in their periods.
func anyTiming(s *sched.Stream) Timing {
	t := Timing{Kind: []string{"swarm", "plan"}[s.IntN(2)]}
	for i := range 1 + s.IntN(6) {
		when := s.Between(1e9, 9e9)/10*10 + int64(i)
		member := Timing{Kind: "every", When: fixed(when), Jitter: s.Between(0, when)}
		if s.IntN(3) == 0 {
			member = Timing{Kind: "at", When: Span{when, when + 10*s.Between(0, 1e9)}}
		}
		for range 1 + s.IntN(2) {
			member.Faults = append(member.Faults, anyFault(s))
		}
		t.Members = append(t.Members, member)
	}
	return t
}

func draw(t Timing, seed uint64) ([]Instance, error) {
	s, err := Expand(healed(t, Span{}), seed, five, time.Minute)
	if err != nil {
		return nil, err
	}
	run(s, sched.Time(40*time.Second))
	return s.Struck(), nil
}

// Removing one member of a trouble changes no strike of another.
func TestRemovingAFaultChangesNoOther(t *testing.T) {
	check(t, "stable under removal", func(seed uint64) (bool, error) {
		s := sched.NewStream(seed)
		timing := anyTiming(s)
		before, err := draw(timing, seed)
		if err != nil || len(timing.Members) < 2 {
			return err == nil, err
		}
		i := s.IntN(len(timing.Members))
		gone := timing.Kind + "/" + timing.Members[i].name()
		timing.Members = slices.Delete(slices.Clone(timing.Members), i, i+1)
		after, err := draw(timing, seed)
		before = slices.DeleteFunc(before, func(i Instance) bool { return strings.HasPrefix(i.Path, gone) })
		if len(before) == 0 && timing.Kind == "swarm" {
			return len(after) > 0 || err != nil, err // another member takes the place of the only one
		}
		return reflect.DeepEqual(before, after), err
	})
}

// The strikes of a schedule come in order, strike nodes that exist, and do not depend on how often one looks.
func TestScheduleIsOrderedAndDeterministic(t *testing.T) {
	check(t, "ordered and deterministic", func(seed uint64) (bool, error) {
		timing := anyTiming(sched.NewStream(seed))
		one, err := draw(timing, seed)
		if err != nil {
			return false, err
		}
		again, err := draw(timing, seed)
		sources := healed(timing, Span{}).Sources()
		ordered := slices.IsSortedFunc(one, func(a, b Instance) int { return int(a.At.Sub(b.At)) })
		for _, i := range one {
			if err := (Selector{Kind: "list", Groups: i.Fault.Groups}).check(five); err != nil {
				return false, err
			}
			if !slices.ContainsFunc(sources, func(s Source) bool { return s.Name == i.From && s.Fault.Kind == i.Fault.Kind }) {
				return false, fmt.Errorf("%s comes from %s, which is no source", i.Path, i.From)
			}
			if i.Until < i.At {
				return false, fmt.Errorf("%s ends before it begins", i.Path)
			}
		}
		return ordered && reflect.DeepEqual(one, again), err
	})
}

// What Print prints parses back to the equal plan, which strikes as the instances say.
func TestPrintRoundTrip(t *testing.T) {
	check(t, "print round trip", func(seed uint64) (bool, error) {
		struck, err := draw(anyTiming(sched.NewStream(seed)), seed)
		if err != nil {
			return false, err
		}
		sc, err := loadText(rest + Print(struck, 3*time.Second))
		if err != nil {
			return false, err
		}
		if plan := Plan(struck, 3*time.Second); sc.Trouble.String() != plan.String() {
			return false, fmt.Errorf("got %s, want %s", sc.Trouble, plan)
		}
		s, err := Expand(sc.Trouble, seed+1, five, time.Minute)
		if err != nil {
			return false, err
		}
		run(s, sched.Time(40*time.Second))
		return reflect.DeepEqual(bare(s.Struck()), bare(struck)), nil
	})
}

// bare leaves out what a printed plan does not keep: the names of the strikes, and the nanosecond that a strike needs
// if a heal came in the same instant.
func bare(all []Instance) []Instance {
	for i := range all {
		all[i].ID, all[i].Path, all[i].From = 0, "", ""
		if shapeOf(all[i].Fault.Kind).lasting != "" {
			all[i].Until = max(all[i].Until, all[i].At+1)
		}
	}
	return all
}

// Every value prints as the source that makes it.
func TestTroublePrintsAsSource(t *testing.T) {
	check(t, "trouble prints as source", func(seed uint64) (bool, error) {
		s := sched.NewStream(seed)
		want := Trouble{[]Phase{
			{Kind: "calm", Lasting: anySpan(s, 1, 5e9)},
			{Kind: "run", Lasting: fixed(7e9), Timing: anyTiming(s)},
			{Kind: "run", Timing: anyTiming(s)}, {Kind: "heal"}, {Kind: "settle", Lasting: fixed(1e9)},
		}}
		for i := range want.Phases {
			for j := range want.Phases[i].Timing.Members {
				if m := &want.Phases[i].Timing.Members[j]; m.Kind == "at" {
					m.Jitter = 0
				}
			}
		}
		sc, err := loadText(rest + "trouble = " + want.String())
		if err != nil {
			return false, err
		}
		if !reflect.DeepEqual(sc.Trouble, want) {
			return false, fmt.Errorf("got %s, want %s", sc.Trouble, want)
		}
		return true, nil
	})
}

// A shrunk scenario loads what it left out from the scenario it came from.
func TestShrunkRuns(t *testing.T) {
	original := rest + "limit = 77\ntrouble = swarm(every(\"5s\", partition(halves)), every(\"7s\", crash(one)))"
	sc, err := loadText(original)
	if err != nil {
		t.Fatal(err)
	}
	struck := strikes(t, sc.Trouble, 3, five)
	text := Shrunk(sc, 3, struck[:1], time.Second, []string{"c2"})
	shrunk, err := loadFiles(map[string]string{"main.star": strings.ReplaceAll(text, `load("main.star"`, `load("orig.star"`), "orig.star": original})
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	w, err := BuildWorld(shrunk, sched.NewStream(3, "world"))
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Clients) != 1 || w.Clients[0].Name != "c2" || shrunk.Seed != 3 || shrunk.Limit != 77*time.Second {
		t.Errorf("got clients %v, seed %d, limit %v, want c2, 3, 77s", w.Clients, shrunk.Seed, shrunk.Limit)
	}
	if got := strikes(t, shrunk.Trouble, 3, five); !reflect.DeepEqual(bare(got), bare(struck[:1])) {
		t.Errorf("got %v, want %v", got, struck[:1])
	}
}

// A shrinker may find that no fault is needed at all.
func TestPrintNothing(t *testing.T) {
	for _, settle := range []time.Duration{0, time.Second} {
		sc, err := loadText(rest + Print(nil, settle))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(sc.Trouble, Plan(nil, settle)) || sc.Trouble.Settle() != fixed(int64(settle)) {
			t.Errorf("got %s, want %s", sc.Trouble, Plan(nil, settle))
		}
	}
}
