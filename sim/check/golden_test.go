package check

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"skynet/sim/history"
)

// parse reads the compact notation of the golden files: one event per line, in order, a millisecond apart.
//
//	c1 put("x", 1)      c1 invokes
//	c1 = 5              its operation returns 5
//	c1 fail | c1 ?      it fails | its outcome is unknown
func parse(t *testing.T, text string) history.History {
	var r history.Recorder
	running := make(map[string]history.Handle)
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		client, what, _ := strings.Cut(line, " ")
		now := int64(i) * 1e6
		switch {
		case what == "?":
			r.End(running[client], history.Unknown, "", "timeout", now)
		case what == "fail":
			r.End(running[client], history.Fail, "", "refused", now)
		case strings.HasPrefix(what, "= "):
			r.End(running[client], history.OK, value(t, what[2:]), "", now)
		default:
			op, args, ok := strings.Cut(strings.TrimSuffix(what, ")"), "(")
			if !ok {
				t.Fatalf("line %q: want an operation", line)
			}
			list, _ := value(t, "["+args+"]").Elems()
			running[client] = r.Begin(client, op, list, now)
		}
	}
	return r.History()
}

func value(t *testing.T, text string) history.Value {
	v, err := history.ParseValue(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// scripted makes a model of a script that defines init, step and, if it likes, partition.
func scripted(t testing.TB, src string) *Model {
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{}, &starlark.Thread{}, "model.star", src,
		starlark.StringDict{"unknown": Unknown})
	if err != nil {
		t.Fatal(err)
	}
	partition, _ := globals["partition"].(starlark.Callable)
	m, err := NewScripted(nil, globals["init"], globals["step"].(starlark.Callable), partition)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var custom *Model
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "model" {
				custom = scripted(t, d.Input)
				return "custom model\n"
			}
			m, err := custom, error(nil)
			if d.Cmd != "custom" {
				if m, err = Named(d.Cmd); err != nil {
					return err.Error() + "\n"
				}
			}
			var b Budget
			for _, arg := range d.CmdArgs {
				switch arg.Key {
				case "per-key":
					m = m.PerKey()
				case "states":
					b.States, _ = strconv.Atoi(arg.Vals[0])
				}
			}
			return print(Linearizable(m, parse(t, d.Input), b))
		})
	})
}

func print(v Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d operations, %d partitions, %d states\n", v.Result, v.Operations, v.Partitions, v.States)
	for _, line := range v.Evidence {
		b.WriteString(line + "\n")
	}
	if v.Err != nil {
		b.WriteString(v.Err.Error() + "\n")
	}
	return b.String()
}
