package check

import (
	"slices"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched"
	"skynet/sim/history"
)

// reference is a service written as plainly as possible, apart from the models: it is what they are compared with.
type reference struct {
	model string
	cells map[string]history.Value
	list  []history.Value // of a queue or a set
	owner string
}

func newReference(model string) *reference {
	return &reference{model: model, cells: map[string]history.Value{}}
}

func (r *reference) clone() *reference {
	c := &reference{model: r.model, cells: map[string]history.Value{}, list: slices.Clone(r.list), owner: r.owner}
	for k, v := range r.cells {
		c.cells[k] = v
	}
	return c
}

// do executes an operation of client and returns its result.
func (r *reference) do(client, op string, args []history.Value) history.Value {
	key := ""
	if r.model == "kv" {
		key, args = string(args[0]), args[1:]
	}
	old, ok := r.cells[key]
	if !ok {
		old = history.Null
	}
	switch op {
	case "get", "read":
		if r.model == "set" {
			return history.List(r.list...)
		}
		return old
	case "put", "write":
		r.cells[key] = args[0]
	case "delete":
		delete(r.cells, key)
	case "cas":
		if old != args[0] {
			return history.False
		}
		r.cells[key] = args[1]
		return history.True
	case "enqueue":
		r.list = append(r.list, args[0])
	case "dequeue":
		if len(r.list) == 0 {
			return history.Null
		}
		head := r.list[0]
		r.list = r.list[1:]
		return head
	case "add":
		if !slices.Contains(r.list, args[0]) {
			r.list = append(r.list, args[0])
		}
	case "remove":
		r.list = slices.DeleteFunc(r.list, func(v history.Value) bool { return v == args[0] })
	case "contains":
		return history.Bool(slices.Contains(r.list, args[0]))
	case "acquire":
		if r.owner != "" {
			return history.False
		}
		r.owner = client
		return history.True
	case "release":
		if r.owner != client {
			return history.False
		}
		r.owner = ""
		return history.True
	}
	return history.Null
}

// invocation draws an operation of the model; small values, so that they meet.
func invocation(rng *sched.Stream, model string) (op string, args []history.Value) {
	v := func() history.Value { return history.Int(rng.Between(1, 4)) }
	key := history.String(string(rune('a' + rng.IntN(2))))
	switch model {
	case "register":
		return [...]string{"read", "write", "cas"}[rng.IntN(3)], []history.Value{v(), v()}
	case "kv":
		return [...]string{"get", "put", "delete", "cas"}[rng.IntN(4)], []history.Value{key, v(), v()}
	case "queue":
		return [...]string{"enqueue", "dequeue"}[rng.IntN(2)], []history.Value{v()}
	case "set":
		return [...]string{"add", "remove", "contains", "read"}[rng.IntN(4)], []history.Value{v()}
	}
	return [...]string{"acquire", "release"}[rng.IntN(2)], nil
}

var arity = map[string]int{"write": 1, "cas": 2, "put": 1, "enqueue": 1, "add": 1, "remove": 1, "contains": 1}

func draw(rng *sched.Stream, model string) (op string, args []history.Value) {
	op, args = invocation(rng, model)
	n := arity[op]
	if model == "kv" {
		n++
	}
	return op, args[:n]
}

// running is an operation of execute.
type running struct {
	handle history.Handle
	client string
	op     string
	args   []history.Value
	done   bool // it has happened
	result history.Value
}

// execute runs n random operations of up to four clients on the reference. Each happens at a random moment between its
// invocation and its completion; some get an unknown outcome and happen at any time after, or never.
func execute(rng *sched.Stream, model string, n int) history.History {
	var r history.Recorder
	ref := newReference(model)
	busy := make([]*running, 4)
	var lost []*running
	now := int64(0)
	do := func(x *running) {
		if !x.done {
			x.done, x.result = true, ref.do(x.client, x.op, x.args)
		}
	}
	for r.Len() < n {
		now++
		if len(lost) > 0 && rng.IntN(6) == 0 {
			do(lost[rng.IntN(len(lost))])
		}
		i := rng.IntN(len(busy))
		x := busy[i]
		switch {
		case x == nil:
			x = &running{client: string(rune('a' + i))}
			x.op, x.args = draw(rng, model)
			x.handle = r.Begin(x.client, x.op, x.args, now)
			busy[i] = x
		case rng.IntN(8) == 0:
			r.End(x.handle, history.Unknown, "", "timeout", now)
			busy[i], lost = nil, append(lost, x)
		case rng.IntN(12) == 0 && !x.done:
			r.End(x.handle, history.Fail, "", "refused", now)
			busy[i] = nil
		case !x.done:
			do(x)
		default:
			r.End(x.handle, history.OK, x.result, "", now)
			busy[i] = nil
		}
	}
	return r.History()
}

// guess makes a tiny history with random intervals and random results, most of them wrong.
func guess(rng *sched.Stream, model string, n int) history.History {
	h := execute(rng, model, n)
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.Outcome != history.OK || rng.IntN(2) == 0 {
			continue
		}
		switch op.Op {
		case "read", "get", "dequeue":
			if op.Value = history.Int(rng.Between(1, 4)); model == "set" {
				op.Value = history.List(op.Value)
			}
		case "cas", "contains", "acquire", "release":
			op.Value = history.Bool(rng.IntN(2) == 0)
		}
	}
	return h
}

// permute decides linearizability by trying every order.
func permute(ref *reference, left []history.Operation) bool {
	if !slices.ContainsFunc(left, func(op history.Operation) bool { return op.Outcome == history.OK }) {
		return true // what is unknown may not have happened
	}
	for i, op := range left {
		first := !slices.ContainsFunc(left, func(other history.Operation) bool {
			return other.Outcome == history.OK && other.Return < op.Call
		})
		if !first {
			continue
		}
		next := ref.clone()
		got := next.do(op.Client, op.Op, op.Args)
		fits := op.Outcome != history.OK || answers(op, got)
		if fits && permute(next, slices.Delete(slices.Clone(left), i, i+1)) {
			return true
		}
		// A refused lock is allowed to have done nothing.
		if op.Outcome == history.OK && (op.Op == "acquire" || op.Op == "release") && op.Value == history.False &&
			permute(ref.clone(), slices.Delete(slices.Clone(left), i, i+1)) {
			return true
		}
	}
	return false
}

// answers compares a result with the reference's.
func answers(op history.Operation, got history.Value) bool {
	switch op.Op {
	case "write", "put", "delete", "enqueue", "add", "remove":
		return true
	}
	want := op.Value
	if a, ok := got.Elems(); ok {
		b, _ := want.Elems()
		a, b = slices.Clone(a), slices.Clone(b)
		slices.Sort(a)
		slices.Sort(b)
		return slices.Equal(a, b)
	}
	return got == want
}

func happened(h history.History) (ops []history.Operation) {
	for _, op := range h.Operations {
		if op.Outcome != history.Fail {
			ops = append(ops, op)
		}
	}
	return ops
}

// forAll checks holds for many seeds, for every stock model.
func forAll(t *testing.T, runs int, holds func(m *Model, rng *sched.Stream) bool) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			m, err := Named(name)
			if err != nil {
				t.Fatal(err)
			}
			parameters := gopter.DefaultTestParametersWithSeed(1)
			parameters.MinSuccessfulTests = runs
			parameters.MaxShrinkCount = 0 // a smaller seed is no simpler history
			properties := gopter.NewProperties(parameters)
			properties.Property("holds", prop.ForAll(func(seed uint64) bool {
				return holds(m, sched.NewStream(seed, "history"))
			}, gen.UInt64()))
			properties.TestingRun(t)
		})
	}
}

func TestExecutedHistoriesAreAccepted(t *testing.T) {
	forAll(t, 200, func(m *Model, rng *sched.Stream) bool {
		h := execute(rng, m.Name(), 10+rng.IntN(25))
		v := Linearizable(m, h, Budget{})
		if v.Result == Violated || v.Result == Failed {
			t.Log(print(v))
		}
		return v.Result == OK || v.Result == Undecided && v.States >= DefaultStates
	})
}

func TestImpossibleResultIsRejected(t *testing.T) {
	forAll(t, 300, func(m *Model, rng *sched.Stream) bool {
		h := execute(rng, m.Name(), 10+rng.IntN(20))
		for i := range h.Operations {
			op := &h.Operations[i]
			if op.Outcome != history.OK {
				continue
			}
			switch op.Op {
			case "read", "get", "dequeue":
				if op.Value = history.Int(99); m.Name() == "set" {
					op.Value = history.List(op.Value)
				}
			case "contains":
				op.Args, op.Value = []history.Value{history.Int(99)}, history.True
			case "cas":
				op.Args[len(op.Args)-2], op.Value = history.Int(99), history.True
			case "release":
				op.Args, op.Value = []history.Value{history.String("nobody")}, history.True
			default:
				continue
			}
			v := Linearizable(m, h, Budget{})
			return v.Result == Violated && len(v.Evidence) > 3
		}
		return true // nothing to corrupt
	})
}

func TestAgreesWithEveryPermutation(t *testing.T) {
	found := map[Result]int{}
	forAll(t, 800, func(m *Model, rng *sched.Stream) bool {
		h := guess(rng, m.Name(), 2+rng.IntN(6))
		want := Violated
		if permute(newReference(m.Name()), happened(h)) {
			want = OK
		}
		found[want]++
		v := Linearizable(m, h, Budget{})
		if v.Result != want {
			for _, op := range h.Operations {
				t.Log(op.Call, op.Return, op)
			}
			t.Logf("got %s, want %s", print(v), want)
		}
		return v.Result == want
	})
	if found[OK] < 500 || found[Violated] < 500 {
		t.Errorf("got %v, want both results often: the generator is one-sided", found)
	}
}

func TestSpentBudgetIsUndecided(t *testing.T) {
	forAll(t, 60, func(m *Model, rng *sched.Stream) bool {
		h := execute(rng, m.Name(), 25)
		full := Linearizable(m, h, Budget{})
		if full.Partitions != 1 || full.States < 2 {
			return true
		}
		b := Budget{States: full.States - 1}
		one, two := Linearizable(m, h, b), Linearizable(m, h, b)
		return one.Result == Undecided && one.States == b.States && print(one) == print(two) &&
			Linearizable(m, h, Budget{States: full.States}).Result == full.Result
	})
}
