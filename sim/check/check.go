package check

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"go.starlark.net/starlark"

	"skynet/sim/history"
)

// DefaultStates is the budget that stands for a budget of 0. One register under 20 clients spends it in a quarter of a
// second and 55 MB (measured on 2 cores, 1,000 operations).
const DefaultStates = 1_000_000

// Budget bounds a check.
type Budget struct {
	// States is how many steps of the model the search of one partition may take. Zero means [DefaultStates]. A larger
	// budget decides more histories; the search is exponential in how many operations run at the same time. A partition
	// of more than some 10,000 operations may get less, because each step can cost a bit of memory for every operation,
	// and a search never takes more than 2 GiB for them.
	States int
}

// maxMemory is how many bytes the sets of operations that a search remembers may take together.
const maxMemory = 2 << 30

// of is the budget of a partition of n operations.
func (b Budget) of(n int) int { return int(min(int64(b.states()), 8*maxMemory/int64(max(n, 1)))) }

func (b Budget) states() int {
	if b.States <= 0 {
		return DefaultStates
	}
	return b.States
}

// Result is what a check came to.
type Result string

// The results.
const (
	OK        Result = "ok"       // linearizable
	Violated  Result = "violated" // not linearizable
	Undecided Result = "unknown"  // the budget ran out before either was known
	Failed    Result = "error"    // the model failed, or an operation means nothing to it: see Verdict.Err
)

// Verdict is the outcome of a check.
type Verdict struct {
	Result     Result
	Operations int    // how many operations the history has
	Partitions int    // how many partitions it fell into
	States     int    // how many steps of the model the verdict took, the same on every machine
	Key        string // the first partition that is violated, or else undecided; "" without partitions
	// Evidence says why a history is violated or undecided, in lines for people.
	Evidence []string
	// Err is set exactly if Result is Failed. It names the operation, or the position in the script.
	Err error
}

// Linearizable checks whether h is linearizable with respect to m. The partitions are searched in the order of their
// keys, each with the whole budget, up to the first that is violated.
func Linearizable(m *Model, h history.History, b Budget) Verdict {
	v := Verdict{Result: OK, Operations: len(h.Operations)}
	var thread *starlark.Thread
	if m.thread != nil {
		thread = m.thread()
	}
	parts, err := split(m, thread, h)
	v.Partitions = len(parts)
	if err != nil {
		return v.fail(err)
	}
	for _, p := range parts {
		r := newSearch(m, thread, p.calls, b.of(len(p.calls)))
		fits := r.linearizable()
		v.States += r.steps
		switch {
		case r.err != nil:
			return v.fail(r.err)
		case r.spent && v.Result == OK:
			v.Result, v.Key = Undecided, p.text()
			v.Evidence = []string{fmt.Sprintf("%s: undecided after %d states: %d operations, %d of them of unknown outcome",
				p.name(), r.steps, len(p.calls), pending(r.calls))}
		case !r.spent && !fits:
			v.Result, v.Key = Violated, p.text()
			v.Evidence = evidence(p, r)
			return v
		}
	}
	return v
}

func (v Verdict) fail(err error) Verdict {
	v.Result, v.Err = Failed, fmt.Errorf("check: %w", err)
	return v
}

func pending(calls []*call) (n int) {
	for _, c := range calls {
		if !c.known {
			n++
		}
	}
	return n
}

// split prepares the operations that may have happened and sorts them into partitions. All calls share one slice: a
// slice that grows for each key costs a quarter of the whole check.
func split(m *Model, thread *starlark.Thread, h history.History) ([]partition, error) {
	r := &search{model: m, thread: thread}
	calls := make([]call, 0, len(h.Operations))
	part := make([]int, 0, len(h.Operations)) // of each call, an index into parts
	index := make(map[history.Value]int)
	var parts []partition
	var sizes []int
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.Outcome == history.Fail {
			continue
		}
		c, key, err := r.prepare(op)
		if err != nil {
			return nil, fmt.Errorf("%s: operation %d, %s: %w", m.Name(), op.Call, op, err)
		}
		at, ok := index[key]
		if !ok {
			at = len(parts)
			index[key] = at
			parts, sizes = append(parts, partition{key: key}), append(sizes, 0)
		}
		sizes[at]++
		calls, part = append(calls, c), append(part, at)
	}
	sorted := make([]call, len(calls))
	for i, size := range sizes {
		parts[i].calls, sorted = sorted[:0:size], sorted[size:]
	}
	for i, at := range part {
		parts[at].calls = append(parts[at].calls, calls[i])
	}
	slices.SortFunc(parts, func(a, b partition) int { return cmp.Compare(a.key, b.key) })
	return parts, nil
}

func (r *search) prepare(op *history.Operation) (c call, key history.Value, err error) {
	c = call{op: op, args: op.Args, known: op.Outcome == history.OK, call: 2 * op.Call, ret: 2 * op.Return}
	if r.model.perKey {
		if len(c.args) == 0 {
			return c, key, errors.New("got no arguments, want a key")
		}
		key, c.args = c.args[0], c.args[1:]
	}
	if err := r.model.prepare(&c); err != nil {
		return c, key, err
	}
	if !c.known {
		c.open()
	}
	if r.model.key != nil {
		key, err = r.model.key(r, &c)
	}
	return c, key, err
}
