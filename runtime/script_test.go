package runtime_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// TestMain looks for leaks; the goroutines that exist before any test are those that kcp-go starts when it is linked in.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// testScripts are the files of testdata, by their path below it.
func testScripts(t *testing.T) map[string]string {
	t.Helper()
	scripts := make(map[string]string)
	dir := os.DirFS("testdata")
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".star" {
			return err
		}
		src, err := fs.ReadFile(dir, name)
		scripts[name] = string(src)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return scripts
}

var testFunction = regexp.MustCompile(`(?m)^def (test_\w+)\(`)

// testLimits make bounds that tests can reach.
var testLimits = runtime.Limits{Steps: 1_000_000, Mailbox: 500}

// TestScripts calls every test_ function of every script in testdata/api, in both worlds: a table of the API's edge cases,
// written in what its users write.
func TestScripts(t *testing.T) {
	scripts := testScripts(t)
	names, err := fs.Glob(os.DirFS("testdata"), "api/*.star")
	if err != nil || len(names) < 5 {
		t.Fatalf("scripts in testdata/api: got %q, %v, want several", names, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(path.Base(name), ".star"), func(t *testing.T) {
			runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) { runScript(t, w, scripts, name) })
		})
	}
}

// runScript runs the tests of one script one after another, each on a node of its own.
func runScript(t *testing.T, w *runtimetest.World, scripts map[string]string, name string) {
	w.Scripts(scripts)
	w.Limits = testLimits
	for _, match := range testFunction.FindAllStringSubmatch(scripts[name], -1) {
		test := match[1]
		w.Node(test)
		a := w.Launch(test, name)
		if _, err := w.Call(test, a, test); err != nil {
			t.Errorf("%s: %v", test, complaint(err))
		}
		w.Crash(test)
	}
}

// complaint is an error with its backtrace.
func complaint(err error) string {
	if e, ok := err.(*runtime.CallError); ok {
		return e.Error() + "\n" + e.Backtrace
	}
	return err.Error()
}

// wantKind wants an error whose text contains all the parts, in order.
func wantKind(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("error: got none, want one with %q", parts)
		return
	}
	rest := err.Error()
	for _, part := range parts {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Errorf("error: got %q, want one with %q", err, parts)
			return
		}
		rest = after
	}
}
