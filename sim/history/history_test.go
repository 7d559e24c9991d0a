package history_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"skynet/sched"
	"skynet/sim/history"
)

// Lines of process 0, to keep the tables short.
const (
	invoke = `{"process":0,"type":"invoke","f":"put","value":["x",1]}` + "\n"
	ok     = `{"process":0,"type":"ok"}` + "\n"
	info   = `{"process":0,"type":"info"}` + "\n"
)

func TestReadRefuses(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"empty", "", "h: got no operations, want at least one"},
		{"blank", "\n \n", "h: got no operations, want at least one"},
		{"no object", "[1]\n", "h:1:1: bad JSON: got '[', want '{'"},
		{"cut off", invoke + `{"process":0,"ty`, "h:2:17: bad JSON: got the end, want a closing quote"},
		{"trailing", strings.TrimSpace(invoke) + " x\n", "h:1:57: bad JSON: got 'x', want the end"},
		{"type", `{"process":0,"type":"done"}`, `h:1: type: got "done", want invoke, ok, fail or info`},
		{"no type", `{"process":0}`, `h:1: field "type" is missing`},
		{"no process", `{"type":"ok"}`, `h:1: field "process" is missing`},
		{"no f", `{"process":0,"type":"invoke"}`, `h:1: field "f" is missing`},
		{"field", `{"proces":0,"type":"ok"}`, `h:1: got field "proces", want process, client, type, f, value, error, time or index`},
		{"nemesis", `{"process":"nemesis","type":"info"}`, `h:1: process: got "nemesis", want a number from 0 to 2147483647`},
		{"negative", `{"process":-1,"type":"info"}`, `h:1: process: got -1, want a number from 0 to 2147483647`},
		{"time of a float", `{"process":1,"type":"info","time":1.5}`, `h:1: time: got 1.5, want a number from 0 to 1152921504606846976`},
		{"type of a number", `{"process":1,"type":7}`, `h:1: type: got 7, want a string`},
		{"twice", `{"process":1,"process":1}`, `h:1:23: bad JSON: duplicate key "process"`},
		{"completion alone", ok, "h:1: process 0 completes an operation that it did not invoke"},
		{"completion twice", invoke + ok + ok, "h:3: process 0 completes an operation that it did not invoke"},
		{"other operation", invoke + `{"process":0,"type":"ok","f":"get"}`, `h:2: process 0 completes "get", but line 1 invokes "put"`},
		{"overlap", invoke + invoke, `h:2: process 0 invokes "put" while its "put" of line 1 is still running`},
		{"after unknown", invoke + info + invoke, `h:3: process 0 invokes "put" after its "put" got an unknown outcome in line 2: want a new process`},
		{"time", `{"process":0,"type":"invoke","f":"a","time":5}` + "\n" + `{"process":0,"type":"ok","time":4}`, "h:2: time goes backwards: got 4 after 5"},
		{"index twice", `{"process":0,"type":"invoke","f":"a","index":5}` + "\n" + `{"process":0,"type":"ok","index":5}`, "h:2: duplicate index 5"},
		{"index", `{"process":0,"type":"invoke","f":"a","index":5}` + "\n" + `{"process":0,"type":"ok","index":4}`, "h:2: index goes backwards: got 4 after 5"},
		{"number", `{"process":00}`, "h:1:12: bad JSON: got a number with a leading 0"},
		{"huge float", `{"process":1e999}`, "h:1:12: bad JSON: got 1e999, want a float of 64 bits"},
		{"not UTF-8", "{\"\xff\":1}", "h:1:3: bad JSON: got a string that is not UTF-8"},
		{"half a pair", `{"\ud800":1}`, "h:1:9: bad JSON: got half of a surrogate pair"},
		{"deep", `{"value":` + strings.Repeat("[", 300), "h:1:211: bad JSON: nested deeper than 200"},
		{"long", strings.Repeat(" ", history.MaxLine+1), "h:1: line is longer than 4194304 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := history.Read(strings.NewReader(test.in), "h")
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestReadArguments(t *testing.T) {
	for in, want := range map[string]string{
		`null`: "f()", `[]`: "f()", `3`: "f(3)", `[3, "a"]`: `f(3, "a")`, `[[1, 2]]`: "f([1,2])", `{"b":1,"a":2}`: `f({"a":2,"b":1})`,
	} {
		h, err := history.Read(strings.NewReader(`{"process":0,"type":"invoke","f":"f","value":`+in+`}`), "h")
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Operations[0].String(); got != "process 0 "+want+" -> unknown" {
			t.Errorf("value %s: got %s, want %s", in, got, want)
		}
	}
}

func TestFromStarlark(t *testing.T) {
	for _, test := range []struct{ expr, want string }{
		{`None`, `null`}, {`True`, `true`}, {`-7`, `-7`}, {`1 << 70`, `1180591620717411303424`},
		{`1.0`, `1.0`}, {`1e300`, `1e+300`}, {`0.5`, `0.5`}, {`"a\n\"\\é\x01"`, `"a\n\"\\é\u0001"`},
		{`(1, [2, ()])`, `[1,[2,[]]]`}, {`{"b": 1, "a": {}}`, `{"a":{},"b":1}`},
		{`len`, `history: encode value: got builtin_function_or_method, want None, bool, int, float, string, list, tuple or dict`},
		{`[1, {"a": b"x"}]`, `history: encode value[1]["a"]: got bytes, want None, bool, int, float, string, list, tuple or dict`},
		{`float("inf")`, `history: encode value: got +Inf, want a finite float`},
		{`{1: 2}`, `history: encode value: got key 1, want a string in UTF-8`},
		{`"é"[:1]`, `history: encode value: got string "\xc3", want UTF-8`},
	} {
		v, err := starlark.EvalOptions(&syntax.FileOptions{}, &starlark.Thread{}, "t", test.expr, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := history.FromStarlark(v)
		if err != nil {
			got = history.Value(err.Error())
		} else if back, err := history.FromStarlark(got.Starlark()); err != nil || back != got {
			t.Errorf("%s: got %s after a round trip of %s, error %v", test.expr, back, got, err)
		}
		if string(got) != test.want {
			t.Errorf("%s: got %s, want %s", test.expr, got, test.want)
		}
	}
	self := starlark.NewList(nil)
	if err := self.Append(self); err != nil {
		t.Fatal(err)
	}
	if _, err := history.FromStarlark(self); err == nil {
		t.Error("a list that contains itself: got no error")
	}
}

func TestRecorderGivesNewProcessAfterUnknown(t *testing.T) {
	var r history.Recorder
	a := r.Begin("a", "put", nil, 10)
	if !r.End(a, history.Unknown, "", "timeout", 20) || r.End(a, history.OK, history.True, "", 30) {
		t.Error("got another End counted, want the first alone")
	}
	b := r.Begin("a", "put", nil, 40)
	both := r.Begin("a", "get", nil, 5) // the clock of the history does not go back
	r.End(b, history.OK, "", "", 50)
	again := r.Begin("a", "get", nil, 60)
	got := fmt.Sprint(r.Process(a), r.Process(b), r.Process(both), r.Process(again))
	if got != "0 1 2 1" {
		t.Errorf("processes: got %s, want 0 1 2 1", got)
	}
	h := r.History()
	if op := h.Operations[2]; op.CallTime != 40 || op.Outcome != history.Unknown || op.Return != history.Open {
		t.Errorf("got %+v, want an open operation of time 40", op)
	}
}

// record makes a history of random events.
func record(rng *sched.Stream) history.History {
	values := []history.Value{
		history.Null, history.Int(-5), history.Int(math.MaxInt64), "1180591620717411303424", "1.5e-07", history.String("\x00é\"\\\u2028"),
		history.List(history.True, history.List()), `{"a":[1],"b":null}`,
	}
	var r history.Recorder
	now := int64(0)
	r.Begin("first", "op", nil, 0)
	for range rng.IntN(40) {
		now += rng.Between(0, 3)
		if rng.IntN(2) == 0 {
			r.Begin([]string{"", "c", "ü"}[rng.IntN(3)], "op", values[:rng.IntN(4)], now)
		} else {
			r.End(history.Handle(rng.IntN(r.Len())), history.Outcome(rng.IntN(3)), values[rng.IntN(len(values))], "why", now)
		}
	}
	return r.History()
}

func write(t testing.TB, h history.History) string {
	var b bytes.Buffer
	n, err := h.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("got %d, %v, want %d bytes", n, err, b.Len())
	}
	return b.String()
}

func TestRoundTrip(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 500
	properties := gopter.NewProperties(parameters)
	properties.Property("a history is read as it was written", prop.ForAll(func(seed uint64) bool {
		h := record(sched.NewStream(seed, "history"))
		text := write(t, h)
		back, err := history.Read(strings.NewReader(text), "h")
		if err != nil {
			t.Log(err)
			return false
		}
		return fmt.Sprintf("%#v", back) == fmt.Sprintf("%#v", normal(h)) && write(t, back) == text
	}, gen.UInt64()))
	properties.TestingRun(t)
}

// normal makes empty argument lists nil, which is how they are read.
func normal(h history.History) history.History {
	for i := range h.Operations {
		if len(h.Operations[i].Args) == 0 {
			h.Operations[i].Args = nil
		}
	}
	return h
}

func FuzzRead(f *testing.F) {
	f.Add(invoke + ok)
	f.Add(invoke + info + ok)
	f.Add(`{"process":0,"type":"invoke","f":"a","value":[1e3,-0,{"\ud83d\ude00":[]}],"time":1,"index":7}`)
	f.Add("{\"process\":0,\"type\":\"invoke\",\"f\":\"\",\"client\":\"\\u0000\"}\r\n\n")
	f.Fuzz(func(t *testing.T, in string) {
		h, err := history.Read(strings.NewReader(in), "h")
		if err != nil {
			return
		}
		text := write(t, h)
		back, err := history.Read(strings.NewReader(text), "h")
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, text)
		}
		if again := write(t, back); again != text {
			t.Fatalf("got\n%s\nthen\n%s", text, again)
		}
		for _, op := range h.Operations {
			for _, arg := range op.Args {
				if v, err := history.FromStarlark(arg.Starlark()); err != nil || v != arg {
					t.Fatalf("got %s, %v after Starlark, want %s", v, err, arg)
				}
			}
		}
	})
}

func ExampleRecorder() {
	var r history.Recorder
	put := r.Begin("c1", "put", []history.Value{history.String("x"), history.Int(1)}, 1000)
	get := r.Begin("c2", "get", []history.Value{history.String("x")}, 1500)
	r.End(put, history.OK, history.Null, "", 2000)
	r.End(get, history.Unknown, "", "timeout", 9000)
	r.History().WriteTo(os.Stdout)
	// Output:
	// {"process":0,"client":"c1","type":"invoke","f":"put","value":["x",1],"time":1000,"index":0}
	// {"process":1,"client":"c2","type":"invoke","f":"get","value":["x"],"time":1500,"index":1}
	// {"process":0,"client":"c1","type":"ok","f":"put","value":null,"time":2000,"index":2}
	// {"process":1,"client":"c2","type":"info","f":"get","value":null,"error":"timeout","time":9000,"index":3}
}

func ExampleRead() {
	h, err := history.Read(strings.NewReader(`{"process":0,"type":"invoke","f":"read"}
{"process":0,"type":"ok","value":7}`), "run.jsonl")
	fmt.Println(h.Operations[0], err)

	_, err = history.Read(strings.NewReader(`{"process":0,"type":"ok","value":7}`), "run.jsonl")
	fmt.Println(err)
	// Output:
	// process 0 read() -> 7 <nil>
	// run.jsonl:1: process 0 completes an operation that it did not invoke
}

func BenchmarkRead(b *testing.B) {
	text := write(b, record(sched.NewStream(1, "bench")))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := history.Read(strings.NewReader(text), "h"); err != nil {
			b.Fatal(err)
		}
	}
}
