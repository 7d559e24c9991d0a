package check

import (
	"math"
	"slices"
	"strconv"

	"github.com/anishathalye/porcupine"
	"go.starlark.net/starlark"

	"skynet/sim/history"
)

// search is one run of porcupine over one partition.
type search struct {
	model  *Model
	budget int
	steps  int
	spent  bool  // a step beyond the budget was asked for
	err    error // of the model

	// thread runs a scripted model.
	thread *starlark.Thread

	calls []*call // what is searched, in the order of invocation
	best  *node   // the end of the longest order found
}

// node is porcupine's state: the model's, and how it came about, so that the longest order that fits is known when the
// search ends. porcupine's own record of it costs a walk of the whole order at each step back.
type node struct {
	state  state
	parent *node
	call   *call
	depth  int
}

// newSearch prepares a search through copies of calls as far as pruning leaves them.
func newSearch(m *Model, thread *starlark.Thread, calls []call, budget int) *search {
	r := &search{model: m, budget: budget, thread: thread}
	r.calls = prune(m, calls)
	for i, c := range r.calls {
		c.run, c.id = r, int32(i)
	}
	return r
}

// linearizable searches and reports whether the calls are linearizable, unless r.spent or r.err is set.
func (r *search) linearizable() bool {
	r.best = r.start()
	if len(r.calls) == 0 {
		return true
	}
	return porcupine.CheckOperations(r.porcupine(), r.operations())
}

func (r *search) start() *node { return &node{state: r.model.initial} }

func (r *search) porcupine() porcupine.Model {
	return porcupine.Model{
		Init:  func() any { return r.start() },
		Step:  step,
		Equal: func(a, b any) bool { return a.(*node).state.text == b.(*node).state.text },
		Hash:  func(s any) uint64 { return hash(s.(*node).state.text) },
	}
}

func (r *search) operations() []porcupine.Operation {
	ops := make([]porcupine.Operation, len(r.calls))
	for i, c := range r.calls {
		ops[i] = porcupine.Operation{ClientId: c.op.Process, Input: c, Call: c.call, Return: c.ret}
	}
	return ops
}

// step is porcupine's step function. Once the budget is spent, or the model has failed, nothing fits any more: porcupine
// then walks back out of its search in a time that is linear in what it had built up.
func step(s, input, _ any) (bool, any) {
	n, c := s.(*node), input.(*call)
	r := c.run
	if r.spent || r.err != nil {
		return false, n
	}
	if r.steps >= r.budget {
		r.spent = true
		return false, n
	}
	r.steps++
	next, ok, err := r.model.step(r, n.state, c)
	switch {
	case err != nil:
		r.err = err
		return false, n
	case !ok && c.known:
		return false, n
	case !ok:
		next = n.state // an operation of unknown outcome that never took effect
	}
	after := &node{next, n, c, n.depth + 1}
	if after.depth > r.best.depth {
		r.best = after
	}
	return true, after
}

// hash is FNV-1a, a word of eight bytes at a time.
func hash(s string) uint64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037)
	for ; len(s) >= 8; s = s[8:] {
		h ^= uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		h *= prime
		h ^= h >> 32
	}
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return h
}

// prune copies the calls, less those that cannot matter, and bounds the unknown ones where it can. Every operation that
// stays open for ever may double the search, and the histories of runs with faults are full of them.
//
//   - An unknown call without an effect is left out.
//   - An unknown call that introduces a value which nobody ever saw is left out: in every order that fits it can be
//     taken out again, unless somebody was told that a value was not there.
//   - If it is the only one to introduce a value that somebody saw, it took effect before that one returned.
func prune(m *Model, calls []call) []*call {
	copies := slices.Clone(calls)
	out := make([]*call, 0, len(calls))
	pending := false
	for i := range copies {
		if c := &copies[i]; c.known || !c.pure {
			pending = pending || !c.known
			out = append(out, c)
		}
	}
	if !pending {
		return out
	}
	seen, adders, understood, denied := observe(m, out)
	if !understood {
		return out
	}
	kept := out[:0]
	for _, c := range out {
		if !c.known && c.adds != "" {
			ret, ok := seen[c.adds]
			if !ok && !denied {
				continue
			}
			if ok && adders[c.adds] == 1 && ret-1 > c.call {
				c.ret = ret - 1
			}
		}
		kept = append(kept, c)
	}
	return kept
}

// observe returns for each value the earliest return of a call that saw it, or may have, and how many calls introduce it.
func observe(m *Model, calls []*call) (seen map[history.Value]int64, adders map[history.Value]int, understood, denied bool) {
	seen = make(map[history.Value]int64)
	adders = map[history.Value]int{history.Value(m.initial.text): 1}
	saw := func(v history.Value, ret int64) {
		if earliest, ok := seen[v]; !ok || ret < earliest {
			seen[v] = ret
		}
	}
	for _, c := range calls {
		if c.opaque {
			return nil, nil, false, false
		}
		denied = denied || c.denies
		if c.adds != "" {
			adders[c.adds]++
		}
		if c.sees != "" { // an unknown swap too: it may depend on the value, and bounds nothing as its ret is open
			saw(c.sees, c.ret)
		}
		for _, v := range c.seesAll {
			saw(v, c.ret)
		}
	}
	return seen, adders, true, denied
}

// until returns the calls as they were known when event at had happened: calls after it are not there, calls that
// were running then are unknown. Linearizability is closed under prefixes, so a history whose prefix is not
// linearizable is not either.
func until(calls []call, at int64) []call {
	var prefix []call
	for _, c := range calls {
		if c.call > at {
			break
		}
		if c.known && c.ret > at {
			c.open()
		}
		prefix = append(prefix, c)
	}
	return prefix
}

// open makes the call one of unknown outcome. Its ret is above those of all completed calls, and its own, because
// porcupine orders what is at the same time as it likes.
func (c *call) open() {
	c.known = false
	c.ret = math.MaxInt64/2 + c.call
	if c.scripted != nil {
		c.scripted = starlark.Tuple{c.scripted[0], c.scripted[1], Unknown}
	}
}

// partition is the calls with one key, in the order of invocation.
type partition struct {
	key   history.Value // "" if the model has no partitions
	calls []call
}

func (p partition) name() string {
	if p.key == "" {
		return "the history"
	}
	return "key " + strconv.Quote(p.text())
}

func (p partition) text() string {
	if text, ok := p.key.Text(); ok {
		return text
	}
	return string(p.key)
}
