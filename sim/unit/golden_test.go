package unit_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"skynet/sim/unit"
)

// files is a file system of a golden file.
type files map[string]string

func (f files) read(name string) ([]byte, error) {
	if text, ok := f[name]; ok {
		return []byte(text), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// TestGolden runs the transcripts in testdata: "file name=X" keeps a script, "test" runs a file of tests, which has the name
// a_test.star unless "name=X" says otherwise. With "logs" what was logged is printed as well. Every test is run twice, and must be the same both times, unless "once" is said.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		all := make(files)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			name := "a_test.star"
			d.MaybeScanArgs(t, "name", &name)
			all[name] = d.Input + "\n"
			if d.Cmd == "file" {
				return ""
			}
			return transcript(t, d, all, name)
		})
	})
}

func transcript(t *testing.T, d *datadriven.TestData, all files, name string) string {
	f, err := unit.Load(all.read, name)
	var load *unit.LoadError
	if errors.As(err, &load) {
		return "does not load\n" + load.Failure.Text
	}
	if err != nil {
		t.Fatal(err)
	}
	o, steps := unit.Options{Limit: time.Hour}, 0
	d.MaybeScanArgs(t, "steps", &steps)
	o.MaxSteps = uint64(steps)
	var b strings.Builder
	for _, test := range f.Tests {
		o.Seed = unit.SeedOf(test.Name)
		r := f.Run(test.Name, o)
		verdict := "ok"
		if r.Failure != nil {
			verdict = "FAIL"
		}
		fmt.Fprintf(&b, "%s: %s after %v\n", test.Name, verdict, r.Virtual)
		if r.Failure != nil {
			b.WriteString(indent(r.Failure.Text))
		}
		if d.HasArg("logs") {
			for _, l := range r.Logs {
				fmt.Fprintf(&b, "  %v %v %s: %s\n", l.At, l.Level, l.Service, l.Text)
			}
		}
		if d.HasArg("once") {
			continue
		}
		if again := f.Run(test.Name, o); again.Hash != r.Hash || again.Steps != r.Steps {
			t.Errorf("%s: got the hashes %016x and %016x of two runs, want them equal", test.Name, r.Hash, again.Hash)
		}
	}
	return b.String()
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}
