package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"skynet/runtime"
	"skynet/runtime/config"
	"skynet/runtime/diag"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the .want files and the table of the documentation")

// nodeOf is the node that a file of testdata is for: its first line may say "# node: NAME".
func nodeOf(src string) string {
	first, _, _ := strings.Cut(src, "\n")
	name, _ := strings.CutPrefix(first, "# node:")
	if name == first {
		return ""
	}
	return strings.TrimSpace(name)
}

// outcome is the effective configuration, or what the user is told.
func outcome(file, src string) string {
	c, err := config.Parse(file, []byte(src), nodeOf(src))
	if err != nil {
		return diag.Format(err, func(string) ([]byte, bool) { return []byte(src), true })
	}
	return c.String()
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.star")
	if err != nil || len(files) < 20 {
		t.Fatalf("testdata: got %d files (%v), want at least 20", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, golden := outcome(name, string(src)), strings.TrimSuffix(file, ".star")+".want"
			if *rewrite {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("Parse(%s):\n%s\nwant\n%s", name, got, want)
			}
		})
	}
}

// unwritable are floats without a literal.
var unwritable = regexp.MustCompile(`\b(nan|inf)\b`)

// FuzzParse: no file does harm, and what a configuration prints means the same.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.star")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if !strings.Contains(file, "endless") {
			f.Add(nodeOf(string(src)), src)
		}
	}
	f.Fuzz(func(t *testing.T, node string, src []byte) {
		c, err := config.Parse("f.star", src, node)
		if err != nil || unwritable.MatchString(c.String()) {
			return
		}
		again, err := config.Parse("again.star", []byte(c.String()), c.Name)
		if err != nil {
			t.Fatalf("Parse(%s) = %v, want what it was printed from", c, err)
		}
		if again.String() != c.String() {
			t.Errorf("got\n%s\nwant\n%s", again, c)
		}
	})
}

// TestFormsAreDefaults: where the table says "as in the form", the form has the defaults.
func TestFormsAreDefaults(t *testing.T) {
	plain, err := config.Parse("", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range config.Settings() {
		if s.Default != "as in the form" && s.Default != s.Form {
			continue
		}
		c, err := config.Parse("form.star", []byte(s.Name+" = "+s.Form), "")
		if err != nil || c.String() != plain.String() {
			t.Errorf("%s = %s gives\n%v (%v)\nwant the defaults\n%v", s.Name, s.Form, c, err, plain)
		}
	}
}

// TestFormsParse: every form of the table is one.
func TestFormsParse(t *testing.T) {
	for _, s := range config.Settings() {
		if _, err := config.Parse("form.star", []byte(s.Name+" = "+s.Form), "game1"); err != nil {
			t.Errorf("%s = %s: %v", s.Name, s.Form, err)
		}
	}
}

const manual = "../../docs/operations.md"

// TestManualHasTheSettings: the tables of the manual are those of Settings and of the runtime's limits.
func TestManualHasTheSettings(t *testing.T) {
	for _, table := range []struct{ begin, end, want string }{
		{"<!-- settings -->\n", "<!-- end of settings -->\n", settingsTable()},
		{"<!-- limits -->\n", "<!-- end of limits -->\n", limitsTable()},
	} {
		raw, err := os.ReadFile(manual)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, ok1 := strings.Cut(string(raw), table.begin)
		got, after, ok2 := strings.Cut(rest, table.end)
		if !ok1 || !ok2 {
			t.Fatalf("%s: got no %q … %q", manual, table.begin, table.end)
		}
		if *rewrite {
			if err := os.WriteFile(manual, []byte(before+table.begin+table.want+table.end+after), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if got != table.want {
			t.Errorf("%s: got the table\n%s\nwant (go test -run Manual -rewrite)\n%s", manual, got, table.want)
		}
	}
}

func limitsTable() string {
	var b strings.Builder
	b.WriteString("| limit | default | unit | of | meaning, and what the extremes cost |\n|---|---|---|---|---|\n")
	for _, s := range runtime.LimitSettings() {
		of := "service"
		if s.Node {
			of = "node"
		}
		b.WriteString("| `" + s.Name + "` | `" + s.Default() + "` | " + s.Unit + " | " + of + " | " + s.Doc + " |\n")
	}
	return b.String()
}

func settingsTable() string {
	var b strings.Builder
	b.WriteString("| setting | default | meaning |\n|---|---|---|\n")
	for _, s := range config.Settings() {
		b.WriteString("| `" + s.Name + " = " + s.Form + "` | " + s.Default + " | " + s.Text + " |\n")
	}
	return b.String()
}
