package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// Kind is what a fault does. Its text is the word of the language.
type Kind string

// The kinds of faults. Amount is the quantity of [Fault] and [Concrete].
const (
	Partition Kind = "partition"  // cuts the links between groups; OneWay cuts only those out of the first group
	Crash     Kind = "crash"      // stops nodes, loses what the disk model loses, restarts them at the end
	Pause     Kind = "pause"      // stops the processors; the network and the disk go on
	Latency   Kind = "latency"    // Amount: nanoseconds added to each packet to or from the nodes
	Loss      Kind = "loss"       // Amount: ppm of the packets to or from the nodes that are lost
	Duplicate Kind = "duplicate"  // Amount: ppm of the packets that arrive twice
	Reorder   Kind = "reorder"    // Amount: ppm of the packets that are overtaken
	Reset     Kind = "reset"      // breaks the nodes' open streams, at once
	Hold      Kind = "hold"       // keeps the packets to and from the nodes, delivers them at the end
	Slow      Kind = "slow"       // Amount: percent of their speed that the nodes still have
	ClockStep Kind = "clock_step" // Amount: nanoseconds the nodes' wall clocks move, at once and for good
	DiskFail  Kind = "disk_fail"  // every disk operation of the nodes is an I/O error
)

// Fault is a fault as a scenario describes it: who and how long may be left to chance.
type Fault struct {
	Kind    Kind
	Where   Selector
	OneWay  bool // partitions only
	Amount  Span // in the unit of the kind, zero for kinds without
	Lasting Span // nanoseconds; zero for faults that strike at once and do not last
}

// Concrete is a fault with nothing left to chance.
type Concrete struct {
	Kind Kind
	// Groups has the struck nodes as its first element. For a partition: two nodes are cut off from each other if both
	// are in some group and no group has both.
	Groups [][]string
	OneWay bool  // partitions only: only packets from the first group to another are lost
	Amount int64 // in the unit of the kind
}

// Nodes are the struck nodes: the first group.
func (c Concrete) Nodes() []string { return c.Groups[0] }

// shape says how a kind is written.
type shape struct {
	kind    Kind
	amount  string // keyword of the amount, "" for none
	unit    *unit
	lasting string // keyword of the duration, "" for none
}

// shapes is constant.
var shapes = []shape{
	{kind: Partition, lasting: "lasting"},
	{kind: Crash, lasting: "down"},
	{kind: Pause, lasting: "lasting"},
	{kind: Latency, amount: "extra", unit: seconds, lasting: "lasting"},
	{kind: Loss, amount: "rate", unit: rate, lasting: "lasting"},
	{kind: Duplicate, amount: "rate", unit: rate, lasting: "lasting"},
	{kind: Reorder, amount: "rate", unit: rate, lasting: "lasting"},
	{kind: Reset},
	{kind: Hold, lasting: "lasting"},
	{kind: Slow, amount: "percent", unit: percent, lasting: "lasting"},
	{kind: ClockStep, amount: "by", unit: signedSeconds},
	{kind: DiskFail, lasting: "lasting"},
}

func shapeOf(k Kind) shape {
	for _, s := range shapes {
		if s.kind == k {
			return s
		}
	}
	panic("scenario: no shape for kind " + string(k))
}

// String prints the fault as its source.
func (f Fault) String() string {
	s := shapeOf(f.Kind)
	args := []string{f.Where.String()}
	if s.amount != "" {
		args = append(args, s.amount+" = "+s.unit.print(f.Amount))
	}
	if s.lasting != "" {
		args = append(args, s.lasting+" = "+seconds.print(f.Lasting))
	}
	if f.OneWay {
		args = append(args, "one_way = True")
	}
	return fmt.Sprintf("%s(%s)", f.Kind, strings.Join(args, ", "))
}

// concrete draws what is left to chance.
func (f Fault) concrete(c Cluster, stream *sched.Stream) (what Concrete, lasting int64) {
	what = Concrete{Kind: f.Kind, OneWay: f.OneWay}
	lasting = f.Lasting.Draw(stream)
	what.Amount = f.Amount.Draw(stream)
	if f.Kind == Partition {
		what.Groups = f.Where.split(c, stream)
		return what, lasting
	}
	chosen, _ := f.Where.choose(c, stream)
	what.Groups = [][]string{chosen}
	return what, lasting
}

// check reports why the fault cannot strike in this cluster.
func (f Fault) check(c Cluster) error {
	if err := f.Where.check(c); err != nil {
		return fmt.Errorf("%s: %w", f.Kind, err)
	}
	if f.Kind == Partition && len(f.Where.Groups) < 2 && f.choosesAll(c) {
		return fmt.Errorf("partition: %s leaves no node on the other side", f.Where)
	}
	return nil
}

// choosesAll reports whether the fault strikes every node of the cluster each time.
func (f Fault) choosesAll(c Cluster) bool {
	pool := f.Where.pool(c)
	for _, name := range c.Nodes {
		if !slices.Contains(pool, name) {
			return false
		}
	}
	_, random := f.Where.random()
	return !random || f.Where.Kind == "everyone" || f.Where.Count >= len(pool) || len(pool) == 1
}

// newFault is the built-in of a kind.
func newFault(s shape) builtin {
	return func(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		f := Fault{Kind: s.kind}
		var err error
		if s.kind == Partition {
			f.Where, args, err = groups(fn, args)
		}
		if err != nil {
			return nil, err
		}
		lasting := spanOf{unit: period, Span: fixed(int64(defaultLasting))}
		amount := spanOf{unit: s.unit}
		var params []any
		if s.kind == Partition {
			params = append(params, "one_way?", &f.OneWay)
		} else {
			params = append(params, "where", &whereArg{&f.Where})
		}
		if s.amount != "" {
			params = append(params, s.amount, &amount)
		}
		if s.lasting != "" {
			params = append(params, s.lasting+"?", &lasting)
		}
		if err := unpack(fn, args, kwargs, params...); err != nil {
			return nil, err
		}
		f.Amount = amount.Span
		if s.lasting != "" {
			f.Lasting = lasting.Span
		}
		return &word{"fault", f.String(), f}, nil
	}
}

// defaultLasting is how long a fault lasts, or a node stays down, if the scenario does not say.
const defaultLasting = time.Second

// groups reads the positional arguments of a partition: one selector, or two lists and more. It leaves none of them.
func groups(fn string, args starlark.Tuple) (Selector, starlark.Tuple, error) {
	if len(args) == 0 {
		return Selector{}, nil, fmt.Errorf("%s: got no nodes, want %s, or two lists and more", fn, wantSelector)
	}
	if len(args) == 1 {
		where, err := asSelector(args[0])
		return where, nil, argError(fn, 1, err)
	}
	where := Selector{Kind: "list"}
	for i, arg := range args {
		group, err := asSelector(arg)
		if err == nil && group.Kind != "list" {
			err = fmt.Errorf("got %s, want a list of names since there are several groups", group)
		}
		if err != nil {
			return Selector{}, nil, argError(fn, i+1, err)
		}
		where.Groups = append(where.Groups, group.Groups...)
	}
	return where, nil, nil
}

func argError(fn string, n int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: argument %d: %w", fn, n, err)
}

// whereArg lets UnpackArgs read a selector.
type whereArg struct{ *Selector }

// Unpack reads the argument.
func (w whereArg) Unpack(v starlark.Value) (err error) {
	*w.Selector, err = asSelector(v)
	return err
}
