package scenario

import (
	"slices"
	"strings"
	"testing"

	"skynet/sched"
)

// Every word of the language is documented, and every documented word exists.
func TestWordsAreComplete(t *testing.T) {
	exist := vocabulary().Keys()
	for _, m := range methods {
		exist = append(exist, "w."+m.name)
	}
	for _, g := range globals {
		exist = append(exist, g.name)
	}
	var documented []string
	for _, w := range Words() {
		documented = append(documented, w.Name)
	}
	slices.Sort(exist)
	slices.Sort(documented)
	if !slices.Equal(exist, documented) {
		t.Errorf("documented words = %q, want %q", documented, exist)
	}
}

// Every example does what the manual says it does: it loads, its world builds and its trouble can strike three nodes.
func TestExamples(t *testing.T) {
	for _, w := range Words() {
		t.Run(w.Name, func(t *testing.T) {
			sc, err := loadText(exampleFile(w))
			if err != nil {
				t.Fatal(err)
			}
			world, err := BuildWorld(sc, sched.NewStream(1, "world"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Expand(sc.Trouble, 1, world.Cluster(), sc.Limit); err != nil {
				t.Fatal(err)
			}
			if w.Section == secFaults && len(strikes(t, sc.Trouble, 1, world.Cluster())) == 0 {
				t.Errorf("%s strikes never", w.Example)
			}
		})
	}
}

// exampleFile completes a word's example with what else a scenario must have.
func exampleFile(w Word) string {
	lines := "    " + strings.ReplaceAll(w.Example, "\n", "\n    ")
	file := w.Example + "\n"
	if !strings.HasPrefix(w.Name, "w.") {
		lines = "    pass"
	} else {
		file = ""
	}
	for _, part := range []struct{ name, text string }{
		{"def world(", "def world(w):\n    w.nodes(\"n\", 3, main = \"node.star\")\n    w.clients(\"c\", 2)\n" + lines + "\n"},
		{"def work(", "def work(c):\n    pass\n"},
		{"verdict =", "verdict = checks(linearizable(\"kv\"))\n"},
	} {
		if !strings.Contains(file, part.name) {
			file += part.text
		}
	}
	return file
}
