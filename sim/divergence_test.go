package sim

import (
	"errors"
	"os"
	"strings"
	"testing"

	"go.starlark.net/starlark"
)

// TestSelfCheckNamesTheFirstDivergence gives the clients a word whose value depends on what earlier runs did.
func TestSelfCheckNamesTheFirstDivergence(t *testing.T) {
	calls := 0
	words := starlark.StringDict{
		"hidden": starlark.NewBuiltin("hidden", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
			calls++
			return starlark.MakeInt(calls), nil
		}),
	}
	read := func(name string) ([]byte, error) {
		if name == "testdata/hidden.star" {
			return []byte(`
def world(w):
    w.nodes("n", 1, main = "kv_node.star")
    w.clients("c", 1)
def work(c):
    c.op("put", "k", "same")
    c.op("put", "k", hidden())
verdict = checks(linearizable("kv"))
`), nil
		}
		return os.ReadFile(name)
	}
	s, err := load(read, "testdata/hidden.star", words)
	if err != nil {
		t.Fatal(err)
	}
	err = SelfCheck(s, Options{Seed: 1})
	var d *Divergence
	if !errors.As(err, &d) || d.First == nil {
		t.Fatalf("got %v, want a divergence with its first event", err)
	}
	a, b := d.First.A, d.First.B
	if a == nil || b == nil || a.Index != b.Index || !strings.HasPrefix(a.Text, `put("k", `) || !strings.HasPrefix(b.Text, `put("k", `) || a.Text == b.Text {
		t.Errorf("got %v, want the second put of both runs", d)
	}
	if !strings.Contains(err.Error(), a.String()) {
		t.Errorf("got %q, want it to show %q", err, a)
	}
}
