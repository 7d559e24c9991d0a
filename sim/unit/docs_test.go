package unit

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"testing"

	"go.starlark.net/starlarkstruct"
)

// manual describes the words of tests.
const manual = "../../docs/testing.md"

// TestWordsAreDocumented holds the tables of the manual and the words there are to each other.
func TestWordsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	words := newWords(&world{}).predeclared
	for _, module := range words.Keys() {
		var documented []string
		for _, row := range regexp.MustCompile("(?m)^\\| `"+module+`\.(\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			documented = append(documented, row[1])
		}
		slices.Sort(documented)
		got := words[module].(*starlarkstruct.Module).Members.Keys()
		if want := slices.Compact(documented); !slices.Equal(got, want) {
			t.Errorf("words of %s: got %q, want those of docs/testing.md: %q", module, got, want)
		}
	}
}

// TestExamplesOfTheManual runs the tests in the manual.
func TestExamplesOfTheManual(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"counter.star": "counts = {}\ndef incr(key, by = 1):\n    counts[key] = counts.get(key, 0) + by\n    return counts[key]\n",
		"cache.star": `known = {}
def init():
    skynet.timeout(60, known.clear)
def get(key):
    if key not in known:
        known[key] = skynet.call(".db", "get", key)
    return known[key]
`,
	}
	read := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}
	run := 0
	for _, block := range regexp.MustCompile("(?s)```python\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		files["manual_test.star"] = block[1]
		f, err := Load(read, "manual_test.star")
		if err != nil {
			t.Fatalf("%v in\n%s", err, block[1])
		}
		for _, test := range f.Tests {
			run++
			if r := f.Run(test.Name, Options{Seed: SeedOf(test.Name)}); r.Failure != nil {
				t.Errorf("%s:\n%s", test.Name, r.Failure.Text)
			}
		}
	}
	if run < 3 {
		t.Errorf("tests in docs/testing.md: got %d, want 3 or more", run)
	}
}
