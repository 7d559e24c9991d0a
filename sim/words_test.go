package sim

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"skynet/runtime"
	"skynet/sim/scenario"
)

// The manual is what the words say; -rewrite writes it.
func TestManual(t *testing.T) {
	const file = "../docs/scenario.md"
	manual := scenario.Manual(Words())
	if flag.Lookup("rewrite").Value.String() == "true" {
		if err := os.WriteFile(file, []byte(manual), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != manual {
		t.Errorf("%s is not what the words say; run: go test ./sim -run TestManual -rewrite", file)
	}
}

// Every word of c and s is documented, and every documented one exists.
func TestWordsOfClientsAndViewsAreComplete(t *testing.T) {
	exist := []string{"c.name"} // with c.index
	for _, w := range clientWords {
		exist = append(exist, "c."+w.name)
	}
	for _, name := range newView(&world{}).AttrNames() {
		exist = append(exist, "s."+name)
	}
	var documented []string
	for _, w := range slices.Concat(clientManual(), viewManual()) {
		documented = append(documented, w.Name)
	}
	slices.Sort(exist)
	slices.Sort(documented)
	if !slices.Equal(exist, documented) {
		t.Errorf("documented words = %q, want %q", documented, exist)
	}
}

// Every example is a piece of a scenario that loads.
func TestExamplesOfClientsAndViewsLoad(t *testing.T) {
	for _, w := range slices.Concat(clientManual(), viewManual()) {
		t.Run(w.Name, func(t *testing.T) {
			file := "def world(w):\n    w.nodes(\"n\", 3, main = \"node.star\")\n    w.clients(\"c\", 2)\n" + w.Example + "\n"
			if !strings.Contains(file, "def work(") {
				file += "def work(c):\n    pass\n"
			}
			if !strings.Contains(file, "verdict =") {
				file += "verdict = checks(linearizable(\"register\"))\n"
			}
			read := func(string) ([]byte, error) { return []byte(file), nil }
			if _, err := scenario.Load(read, "example.star", runtime.Predeclared()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
