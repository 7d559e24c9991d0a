package scenarios_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"skynet/sim"
	"skynet/sim/sweep"
)

var pythonBlock = regexp.MustCompile("(?s)```python\n(.*?)```")

// tutorial returns the Starlark of docs/tutorial.md: the service, the configuration, the scenario, the shrunk scenario and
// the fixed function.
func tutorial(t *testing.T) [5]string {
	t.Helper()
	text, err := os.ReadFile("../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	found := pythonBlock.FindAllStringSubmatch(string(text), -1)
	var blocks [5]string
	if len(found) != len(blocks) {
		t.Fatalf("docs/tutorial.md: got %d blocks of Starlark, want %d", len(found), len(blocks))
	}
	for i, match := range found {
		blocks[i] = match[1]
	}
	return blocks
}

// fix replaces the function that the tutorial fixes.
func fix(service, fixed string) string {
	head, rest, _ := strings.Cut(service, "def next")
	_, tail, _ := strings.Cut(rest, "\n\n")
	return head + fixed + "\n" + tail
}

// TestTutorial holds the tutorial to what it says: its service fails in most seeds and in the shrunk scenario, and in none
// once it is fixed.
func TestTutorial(t *testing.T) {
	blocks := tutorial(t)
	for _, test := range []struct {
		name, service string
		passes        func(sum *sweep.Summary) bool
	}{
		{"bug", blocks[0], func(sum *sweep.Summary) bool { return sum.Failed > sum.Seeds/2 }},
		{"fixed", fix(blocks[0], blocks[4]), func(sum *sweep.Summary) bool { return sum.Passed == sum.Seeds }},
	} {
		files := map[string]string{"tickets.star": test.service, "sim.star": blocks[2], "sim-seed1.star": blocks[3]}
		for name, seeds := range map[string]uint64{"sim.star": 40, "sim-seed1.star": 1} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				s, err := sim.Load(reader(files), name)
				if err != nil {
					t.Fatal(err)
				}
				if sum := sweepOf(t, s, sweep.Options{First: 1, Count: seeds, Jobs: 2}); !test.passes(sum) {
					t.Errorf("got %d seeds passed and %d failed, want what the tutorial says", sum.Passed, sum.Failed)
				}
			})
		}
	}
}

func reader(files map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, errors.New("no such file")
	}
}
