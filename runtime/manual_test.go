package runtime_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var fenced = regexp.MustCompile("(?s)```(go|text)\n(.*?)```")

// TestGoServicesManual holds the code and the output of docs/go-services.md to the example that is run.
func TestGoServicesManual(t *testing.T) {
	manual, err := os.ReadFile("../docs/go-services.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_lobby_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := fenced.FindAllStringSubmatch(string(manual), -1)
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
