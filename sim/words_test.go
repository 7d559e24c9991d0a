package sim_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"skynet/sim"
)

// The manual is what words.go says; -rewrite writes it.
func TestManual(t *testing.T) { compare(t, "../docs/clients.md", []byte(sim.Manual())) }

// Every word that c, s and the nodes of s have is documented, and every documented word exists.
func TestWordsAreComplete(t *testing.T) {
	var documented []string
	for _, w := range sim.Words() {
		if strings.ContainsRune(w.Name, '.') {
			documented = append(documented, w.Name)
		}
	}
	slices.Sort(documented)
	var listed []string
	for _, line := range exampleRun(t, "dir.star", `
def work(c):
    for name in dir(c):
        c.log("c." + name)

def look(s):
    return s.same([dir(s), "clients count facts history max_count nodes now same up".split(" ")]) and \
        s.same([dir(s.nodes()[0]), "get name state up".split(" ")])

verdict = checks(always("dir", look))
`).Logs {
		if _, name, ok := strings.Cut(line, "c1: "); ok {
			listed = append(listed, strings.Fields(name)[0])
		}
	}
	for _, name := range []string{"clients", "count", "facts", "history", "max_count", "nodes", "now", "same", "up"} {
		listed = append(listed, "s."+name)
	}
	for _, name := range []string{"get", "name", "state", "up"} {
		listed = append(listed, "node."+name)
	}
	slices.Sort(listed)
	if !slices.Equal(documented, listed) {
		t.Errorf("got documented words %q, want %q", documented, listed)
	}
}

// Every example runs, and does not end with a script's error.
func TestExamples(t *testing.T) {
	for _, w := range sim.Words() {
		t.Run(w.Name, func(t *testing.T) {
			text := w.Example
			if strings.HasPrefix(w.Name, "c.") {
				text = "def work(c):\n    " + strings.ReplaceAll(text, "\n", "\n    ")
			}
			for _, c := range exampleRun(t, w.Name+".star", text).Checks {
				if c.Verdict == sim.Failed || c.Verdict == sim.Unknown {
					t.Errorf("got %+v", c)
				}
			}
		})
	}
}

// exampleRun completes a piece of a scenario and runs it.
func exampleRun(t *testing.T, name, text string) *sim.Result {
	t.Helper()
	for _, part := range []struct{ word, text string }{
		{"def world(", "def world(w):\n    w.nodes(\"n\", 3, main = \"kv_node.star\")\n    w.clients(\"c\", 1)\n"},
		{"def work(", "def work(c):\n    c.sleep(2)\n"},
		{"verdict =", "verdict = checks(sometimes(\"anything\"))\n"},
	} {
		if !strings.Contains(text, part.word) {
			text = fmt.Sprintf("%s\n\n%s", text, part.text)
		}
	}
	s, err := sim.Load(func(file string) ([]byte, error) {
		if file == name {
			return []byte(text), nil
		}
		return os.ReadFile("testdata/" + file)
	}, name)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, s, sim.Options{Seed: 1})
}
