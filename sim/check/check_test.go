package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"skynet/sched"
	"skynet/sim/history"
)

const stale = `a write(1)
a = null
a write(2)
a = null
b write(3)
b ?
c read()
c = 1`

func TestVisualizeIsDeterministic(t *testing.T) {
	src := `
init = None
def step(state, op, args, result):
    if op == "write":
        return (True, args[0])
    return (result == unknown or result == state, state)
`
	histories := []history.History{parse(t, stale), execute(sched.NewStream(3, "h"), "register", 40)}
	for i := range histories[1].Operations { // so that it is violated after many tries
		if op := &histories[1].Operations[i]; i > 20 && op.Op == "read" && op.Outcome == history.OK {
			op.Value = history.Int(99)
		}
	}
	for _, m := range []*Model{Register(), scripted(t, strings.ReplaceAll(src, `if op == "write"`, `if op != "read"`))} {
		for i, h := range histories {
			first, err := Visualize(m, h)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(first, []byte("<html")) || !bytes.Contains(first, []byte("write(1)")) {
				t.Errorf("%s %d: got %d bytes, want a page with the operations", m.Name(), i, len(first))
			}
			for range 10 {
				if again, _ := Visualize(m, h); !bytes.Equal(first, again) {
					t.Fatalf("%s %d: got another page for the same history", m.Name(), i)
				}
			}
		}
	}
}

func TestVisualizePartitions(t *testing.T) {
	h := execute(sched.NewStream(5, "h"), "kv", 60)
	page, err := Visualize(KV(), h)
	if err != nil || len(page) == 0 {
		t.Fatalf("got %d bytes, %v", len(page), err)
	}
	if _, err := Visualize(Queue(), h); err == nil {
		t.Error("the history of a kv as one of a queue: got no error")
	}
}

func TestScriptedModelThatDoesNotEnd(t *testing.T) {
	v := Linearizable(scripted(t, `
init = 0
def step(state, op, args, result):
    for _ in range(1 << 40):
        pass
`), parse(t, "a f()\na = 1"), Budget{})
	if v.Result != Failed || !strings.Contains(v.Err.Error(), "model.star:4") {
		t.Errorf("got %s, %v, want an error at model.star:4", v.Result, v.Err)
	}
}

func TestNewScriptedRefuses(t *testing.T) {
	step := starlark.NewBuiltin("step", nil)
	if _, err := NewScripted(nil, starlark.None, nil, nil); err == nil {
		t.Error("no step: got no error")
	}
	if _, err := NewScripted(nil, step, step, nil); err == nil {
		t.Error("a function as the state: got no error")
	}
}

// The encodings of two states are equal exactly if Starlark calls the states equal.
func TestStateEncodingIsEquality(t *testing.T) {
	var values []starlark.Value
	for _, expr := range []string{
		`None`, `True`, `False`, `0`, `1`, `1.0`, `1.5`, `1e300`, `int(1e300)`, `1 << 80`, `float(1 << 80)`, `-0.0`, `float("nan")`,
		`float("inf")`, `float("-inf")`, `""`, `"1"`, `"None"`, `b""`, `b"1"`, `[]`, `()`, `[1]`, `(1,)`, `[1.0]`, `["1,"]`, `["1", ""]`, `[[1], []]`, `[[], [1]]`,
		`{}`, `{1: 2}`, `{1.0: 2}`, `{1: 2, 3: 4}`, `{3: 4, 1: 2}`, `{"a": [1]}`, `{"a": (1,)}`, `set()`, `set([1, 2])`, `set([2, 1])`, `set([(1, 2)])`,
		`{(1, 2): ""}`, `{1: (2, "")}`,
	} {
		v, err := starlark.EvalOptions(&syntax.FileOptions{Set: true}, &starlark.Thread{}, "t", expr, nil)
		if err != nil {
			t.Fatal(expr, err)
		}
		values = append(values, v)
	}
	for _, x := range values {
		for _, y := range values {
			a, errA := newState(x)
			b, errB := newState(y)
			want, err := starlark.Equal(x, y)
			if errA != nil || errB != nil || err != nil {
				t.Fatal(errA, errB, err)
			}
			if got := a.text == b.text; got != want {
				t.Errorf("%s and %s: got encodings %s and %s, equal %v, want %v", x, y, a.text, b.text, got, want)
			}
		}
	}
}

func TestReport(t *testing.T) {
	var file bytes.Buffer
	if _, err := parse(t, stale).WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	text := file.String()
	r, err := CheckFile(strings.NewReader(text), "h.jsonl", "register", Budget{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var back map[string]any
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if len(back) != 6 || back["verdict"] != "violated" || back["operations"] != 4.0 || len(back["evidence"].([]any)) != len(r.Evidence) {
		t.Errorf("got %s", b)
	}
	for _, test := range []struct{ text, model, want string }{
		{text, "registre", "check: got model \"registre\", want one of: kv lock queue register set"},
		{text, "queue", "h.jsonl: check: queue: operation 0, a write(1) -> null: got operation \"write\", want one of: dequeue enqueue get offer poll pop push put receive send take"},
		{"", "queue", "h.jsonl: got no operations, want at least one"},
	} {
		if _, err := CheckFile(strings.NewReader(test.text), "h.jsonl", test.model, Budget{}); err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v, want %s", test.model, err, test.want)
		}
	}
}

// A partition with many operations of unknown outcome is decided when nobody saw what they wrote.
func TestUnknownWritesDoNotExplode(t *testing.T) {
	var r history.Recorder
	now := int64(0)
	for i := range int64(300) {
		now++
		h := r.Begin("a", "write", []history.Value{history.Int(i)}, now)
		if i%2 == 0 {
			r.End(h, history.Unknown, "", "timeout", now)
			continue
		}
		r.End(h, history.OK, history.Null, "", now)
		read := r.Begin("b", "read", nil, now)
		r.End(read, history.OK, history.Int(i), "", now)
	}
	if v := Linearizable(Register(), r.History(), Budget{States: 1000}); v.Result != OK {
		t.Error(print(v))
	}
}

func ExampleLinearizable() {
	var r history.Recorder
	one, two := []history.Value{history.Int(1)}, []history.Value{history.Int(2)}
	r.End(r.Begin("c1", "write", one, 0), history.OK, history.Null, "", 1e6)
	r.End(r.Begin("c1", "write", two, 2e6), history.OK, history.Null, "", 3e6)
	r.End(r.Begin("c2", "read", nil, 4e6), history.OK, history.Int(1), "", 5e6)

	verdict := Linearizable(Register(), r.History(), Budget{})
	fmt.Println(verdict.Result)
	for _, line := range verdict.Evidence {
		fmt.Println(line)
	}
	// Output:
	// violated
	// the history is not linearizable: nothing explains c2 read() -> 1
	// longest order that fits, 2 of the 3 operations begun by then:
	//   at the start                  null
	//   c1 write(1) -> null 0s..1ms   1
	//   c1 write(2) -> null 2ms..3ms  2
	// then the state is 2, and none of these can come next:
	//   c2 read() -> 1 4ms..5ms
}

func ExampleNewScripted() {
	src := `
def step(state, op, args, result):
    if op == "incr":
        return (result in (unknown, state + 1), state + 1)
    return (result in (unknown, state), state)
`
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{}, &starlark.Thread{}, "counter.star", src,
		starlark.StringDict{"unknown": Unknown})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := NewScripted(nil, starlark.MakeInt(0), globals["step"].(starlark.Callable), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	var r history.Recorder
	r.End(r.Begin("a", "incr", nil, 0), history.OK, history.Int(1), "", 1)
	r.End(r.Begin("b", "incr", nil, 2), history.OK, history.Int(1), "", 3)
	fmt.Println(Linearizable(m, r.History(), Budget{}).Result)
	// Output: violated
}

func ExampleCheckFile() {
	file := strings.NewReader(`{"process":0,"client":"c1","type":"invoke","f":"put","value":["x",1]}
{"process":0,"type":"ok"}
{"process":0,"client":"c1","type":"invoke","f":"get","value":["x"]}
{"process":0,"type":"ok","value":1}`)
	r, err := CheckFile(file, "run.jsonl", "kv", Budget{})
	fmt.Print(r.Text(), err)
	// Output:
	// run.jsonl: kv: ok (2 operations, 2 states)
	// <nil>
}

func ExampleVisualize() {
	var r history.Recorder
	r.End(r.Begin("c1", "read", nil, 0), history.OK, history.Null, "", 1)
	page, err := Visualize(Register(), r.History())
	fmt.Println(bytes.HasPrefix(page, []byte("<!doctype html>")), err)
	// Output: true <nil>
}

// kvHistory is a correct history over many keys, with five clients at a time.
func kvHistory(ops int) history.History {
	rng := sched.NewStream(1, "bench")
	ref := newReference("kv")
	var r history.Recorder
	clients := []string{"a", "b", "c", "d", "e"}
	handles := make([]history.Handle, len(clients))
	results := make([]history.Value, len(clients))
	for now := int64(0); r.Len() < ops; now++ {
		for i, client := range clients {
			key := history.String(fmt.Sprint("key", rng.IntN(ops/100+1)))
			op, args := "get", []history.Value{key}
			if rng.IntN(2) == 0 {
				op, args = "put", []history.Value{key, history.Int(now)}
			}
			handles[i], results[i] = r.Begin(client, op, args, now), ref.do(client, op, args)
		}
		for i := range clients {
			r.End(handles[i], history.OK, results[i], "", now)
		}
	}
	return r.History()
}

func BenchmarkKV(b *testing.B) {
	h := kvHistory(100_000)
	b.ReportAllocs()
	for b.Loop() {
		if v := Linearizable(KV(), h, Budget{}); v.Result != OK {
			b.Fatal(print(v))
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(h.Operations))/b.Elapsed().Seconds(), "ops/s")
}

// BenchmarkRegister is one register that 20 clients use at the same time: the cost of a state in one long partition.
func BenchmarkRegister(b *testing.B) {
	rng := sched.NewStream(2, "bench")
	var r history.Recorder
	ref := newReference("register")
	for r.Len() < 1000 {
		var handles []history.Handle
		var results []history.Value
		for i := range 20 {
			op, args := "read", []history.Value(nil)
			if rng.IntN(2) == 0 {
				op, args = "write", []history.Value{history.Int(int64(r.Len()))}
			}
			handles = append(handles, r.Begin(fmt.Sprint(i), op, args, 0))
			results = append(results, ref.do("", op, args))
		}
		for _, i := range rng.Perm(20) {
			r.End(handles[i], history.OK, results[i], "", 0)
		}
	}
	h := r.History()
	b.ReportAllocs()
	states := 0
	for b.Loop() {
		states += Linearizable(Register(), h, Budget{}).States
	}
	b.ReportMetric(float64(states)/b.Elapsed().Seconds(), "states/s")
}

func TestBudgetBoundsMemory(t *testing.T) {
	for _, test := range []struct{ states, operations, want int }{
		{0, 0, DefaultStates},
		{0, 10_000, DefaultStates},
		{500, 10_000, 500},
		{0, 1 << 20, 1 << 14},
		{1 << 30, 1 << 10, 1 << 24},
	} {
		if got := (Budget{States: test.states}).of(test.operations); got != test.want {
			t.Errorf("budget of %d states for %d operations: got %d, want %d", test.states, test.operations, got, test.want)
		}
	}
}
