package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// testCommand passes the tests; the gate must run what the README promises.
const testCommand = "go test ./..."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReadmeHasExactlyTwoCommands(t *testing.T) {
	readme := read(t, "README.md")
	if !strings.HasPrefix(readme, "# skynet\n\nAn actor runtime") {
		t.Errorf("README.md: got %.60q, want it to open with what this is", readme)
	}
	var got []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(readme, -1) {
		got = append(got, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	want := []string{"go run ./cmd/skynet sim scenarios/quorum.star --seeds 500", testCommand}
	if !slices.Equal(got, want) {
		t.Errorf("README.md: got the commands %q, want %q", got, want)
	}
}

func TestGateRunsTheReadmesTestCommandLast(t *testing.T) {
	gate := strings.TrimSpace(read(t, ".ci/run"))
	if !strings.HasSuffix(gate, "\n"+testCommand) {
		t.Errorf(".ci/run: got another last line, want %q, whose output ends the log", testCommand)
	}
	for _, step := range []string{"gofmt -l .", "go mod tidy -diff", "go vet ./...", "staticcheck ./...", "go test -race "} {
		if !strings.Contains(gate, step) {
			t.Errorf(".ci/run: got no %q, want it", step)
		}
	}
	info, err := os.Stat(filepath.Join(root, ".ci/run"))
	if err != nil || info.Mode()&0o111 == 0 {
		t.Errorf(".ci/run: got mode %v (%v), want it executable", info.Mode(), err)
	}
}

func TestReadmeLinksLeadSomewhere(t *testing.T) {
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(read(t, "README.md"), -1) {
		if strings.Contains(link[1], "://") {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, link[1])); err != nil {
			t.Errorf("README.md: got a link to %s, want a file that exists", link[1])
		}
	}
}
