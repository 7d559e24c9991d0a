package runtime_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"skynet/runtime"
)

func manual(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var fenced = regexp.MustCompile("(?s)```(go|text)\n(.*?)```")

// TestGoServicesManual holds the code and the output of docs/go-services.md to the example that is run.
func TestGoServicesManual(t *testing.T) {
	example, err := os.ReadFile("example_lobby_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := fenced.FindAllStringSubmatch(manual(t, "go-services.md"), -1)
	if len(blocks) < 5 {
		t.Fatalf("docs/go-services.md: got %d blocks, want the parts of the example", len(blocks))
	}
	for _, b := range blocks {
		text := b[2]
		if b[1] == "text" {
			text = "\t// Output:\n\t// " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n\t// ") + "\n"
		}
		if !strings.Contains(string(example), text) {
			t.Errorf("docs/go-services.md: got\n%s\nwant what example_lobby_test.go says", text)
		}
	}
}

// TestEveryWordIsInTheManual looks for every word that scripts see in docs/services.md.
func TestEveryWordIsInTheManual(t *testing.T) {
	text := manual(t, "services.md")
	_, module, _ := strings.Cut(text, "\n## skynet\n")
	for name, v := range runtime.Predeclared() {
		section := module
		if name != "skynet" {
			section = text
		}
		has, ok := v.(starlark.HasAttrs)
		if !ok || name == "json" || name == "math" {
			if !strings.Contains(text, "`"+name) {
				t.Errorf("docs/services.md: got nothing on %s", name)
			}
			continue
		}
		for _, word := range has.AttrNames() {
			if !regexp.MustCompile("`(" + name + `\.)?(\w+/)*` + word + `\b`).MatchString(section) {
				t.Errorf("docs/services.md: got nothing on %s.%s", name, word)
			}
		}
	}
}

// TestEveryModuleOfAGrantIsInTheManual wants the row on modules to name what a grant can contain.
func TestEveryModuleOfAGrantIsInTheManual(t *testing.T) {
	_, row, _ := strings.Cut(manual(t, "services.md"), "\n| `modules` |")
	row, _, _ = strings.Cut(row, "\n")
	for _, m := range runtime.Modules() {
		if !strings.Contains(row, "`"+m+"`") {
			t.Errorf("docs/services.md, modules: got nothing on %s", m)
		}
	}
}

// reference is a test that a manual names: `file: function`.
var reference = regexp.MustCompile("`([a-z0-9_/]+\\.(?:go|star)): (\\w+)`")

// defines tells whether a file that a manual names defines a test function.
func defines(file, function string) bool {
	path := file
	switch {
	case filepath.Ext(file) == ".star":
		path = "testdata/api/" + file
	case strings.Contains(file, "/"):
		if path = file; !exists(path) {
			path = "../" + file
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	if filepath.Ext(file) == ".star" {
		return strings.HasPrefix(function, "test_") && strings.Contains(string(text), "\ndef "+function+"(")
	}
	return regexp.MustCompile(`\nfunc `+function+`\(`).Match(text) && regexp.MustCompile(`^(Test|Example|Fuzz)`).MatchString(function)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestManualsNameTestsThatExist follows what the manuals say about which test holds what.
func TestManualsNameTestsThatExist(t *testing.T) {
	for _, name := range []string{"services.md", "go-services.md", "skynet.md"} {
		found := 0
		for _, line := range strings.Split(manual(t, name), "\n") {
			for _, m := range reference.FindAllStringSubmatch(line, -1) {
				if found++; !defines(m[1], m[2]) {
					t.Errorf("docs/%s: %s: got no function %s, want it", name, m[1], m[2])
				}
			}
		}
		if found < 10 {
			t.Errorf("docs/%s: got %d tests, want those that hold it", name, found)
		}
	}
}

var (
	backtick  = regexp.MustCompile("`([^`]+)`")
	tableLine = regexp.MustCompile(`^\| .* \|$`)
)

// TestSkynetTable holds every row of docs/skynet.md to its form: what Skynet has, what is here, in which file, and which tests
// hold it.
func TestSkynetTable(t *testing.T) {
	rows := map[string]int{"Core": 24, "The Lua API": 51, "Serialisation": 2, "Timers": 3, "Shared data": 5, "Operations": 18, "What its users": 23}
	section := ""
	for _, line := range strings.Split(manual(t, "skynet.md"), "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = title
		}
		if !tableLine.MatchString(line) || strings.HasPrefix(line, "| Skynet |") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 4 {
			t.Errorf("docs/skynet.md: got %d cells, want 4: %s", len(cells), line)
			continue
		}
		for name := range rows {
			if strings.HasPrefix(section, name) {
				rows[name]--
			}
		}
		if complaint := wrongRow(cells); complaint != "" {
			t.Errorf("docs/skynet.md: %s: %s", cells[0], complaint)
		}
	}
	for name, left := range rows {
		if left > 0 {
			t.Errorf("docs/skynet.md: section %s: got %d rows too few", name, left)
		}
	}
}

// wrongRow says what is wrong with a row, "" if nothing is.
func wrongRow(cells []string) string {
	if strings.HasPrefix(cells[1], "None") && cells[2] == "–" && cells[3] == "–" {
		return "" // a reason is enough
	}
	files := backtick.FindAllStringSubmatch(cells[2], -1)
	if len(files) == 0 {
		return "got no file, want where it is"
	}
	for _, m := range files {
		if !exists(m[1]) && !exists("../"+m[1]) {
			return "got the file " + m[1] + ", want one that exists"
		}
	}
	if !reference.MatchString(cells[3]) {
		return "got no test, want one that holds it"
	}
	return ""
}
