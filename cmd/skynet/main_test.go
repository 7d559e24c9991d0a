package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"
	"go.starlark.net/syntax"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"skynet": main})
}

// TestScripts runs the real main in processes of its own; see testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true})
}

// memory is a file system for tests.
type memory map[string]string

func (m memory) ReadFile(name string) ([]byte, error) {
	text, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

func (m memory) Open(name string) (io.ReadCloser, error) {
	text, err := m.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

func (m memory) Create(name string) (io.WriteCloser, error) {
	return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrPermission}
}

// fakeState is a state in memory; the buffers are its standard output and error.
func fakeState(args ...string) (s *State, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	return &State{
		Args:    args,
		Env:     func(string) string { return "" },
		Stdin:   strings.NewReader(""),
		Stdout:  stdout,
		Stderr:  stderr,
		Signals: func() <-chan os.Signal { return nil },
		Files:   memory{"a.star": "x = 1\n", "b.star": "x = 2\n", "config.star": ""},
		Now:     func() time.Time { return time.Unix(0, 0) },
	}, stdout, stderr
}

func TestMainExitStatus(t *testing.T) {
	for _, c := range []struct {
		args   string
		exit   int
		stdout string // must occur; nothing may be printed if empty
		stderr string
	}{
		{"help", exitOK, "Commands:", ""},
		{"--help", exitOK, "Commands:", ""},
		{"-h", exitOK, "Commands:", ""},
		{"help sim", exitOK, "skynet sim SCENARIO.star", ""},
		{"sim --help", exitOK, "--seeds N", ""},
		{"version", exitOK, "skynet ", ""},
		{"--version", exitOK, "skynet ", ""},
		{"version now", exitUsage, "", `got operand "now", want none`},
		{"", exitUsage, "", "got no command"},
		{"smi", exitUsage, "", `unknown command "smi"; did you mean sim?`},
		{"help chekc", exitUsage, "", "did you mean check?"},
		{"frobnicate", exitUsage, "", "unknown command \"frobnicate\"\nSee 'skynet help'."},
		{"sim --sedes 3 a.star", exitUsage, "", "unknown flag: --sedes; did you mean --seeds?"},
		{"sim -x a.star", exitUsage, "", "unknown shorthand flag"},
		{"sim --seeds", exitUsage, "", "flag needs an argument: --seeds"},
		{"sim none.star", exitUsage, "", "open none.star: file does not exist"},
		{"run a.star --config none.star", exitUsage, "", "open none.star: file does not exist"},
		{"check none.jsonl --model kv", exitUsage, "", "skynet: open none.jsonl: file does not exist\n"},
	} {
		t.Run(c.args, func(t *testing.T) {
			s, stdout, stderr := fakeState(strings.Fields(c.args)...)
			if exit := Main(s); exit != c.exit {
				t.Errorf("exit status = %d, want %d; stderr:\n%s", exit, c.exit, stderr)
			}
			for _, out := range []struct{ name, got, want string }{{"stdout", stdout.String(), c.stdout}, {"stderr", stderr.String(), c.stderr}} {
				if !strings.Contains(out.got, out.want) || (out.want == "") != (out.got == "") {
					t.Errorf("%s = %q, want %q in it", out.name, out.got, out.want)
				}
			}
		})
	}
}

func TestPanicIsStatus3(t *testing.T) {
	s, _, stderr := fakeState("sim", "a.star")
	if exit := guard(s, func() int { panic("lost my marbles") }); exit != exitInternal {
		t.Errorf("exit status = %d, want %d", exit, exitInternal)
	}
	for _, want := range []string{"lost my marbles", "goroutine", "Please report it", "skynet sim a.star"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr = %s, want %q in it", stderr, want)
		}
	}
}

func TestErrorsOfScriptsAreDiagnosed(t *testing.T) {
	s, _, stderr := fakeState()
	file := "a.star"
	err := syntax.Error{Pos: syntax.MakePosition(&file, 1, 5), Msg: "got 1, want 2"}
	report(s, err)
	if got, want := stderr.String(), "a.star:1:5: got 1, want 2\n   1 | x = 1\n     |     ^\n"; got != want {
		t.Errorf("stderr = %q, want %q", got, want)
	}
	if got := status(err); got != exitUsage {
		t.Errorf("status = %d, want %d", got, exitUsage)
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exitOK},
		{errFailed, exitFailed},
		{&usageError{msg: "wrong"}, exitUsage},
		{inputError{fs.ErrNotExist}, exitUsage},
		{errors.New("disk is gone"), exitInternal},
	} {
		if got := status(c.err); got != c.want {
			t.Errorf("status(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

func TestEveryCommandHasHelpWithExamples(t *testing.T) {
	for _, c := range commands() {
		text := c.help()
		for _, want := range []string{"Usage:\n  skynet " + c.name, "Examples:\n  skynet " + c.name, "Exit status:"} {
			if !strings.Contains(text, want) {
				t.Errorf("help of %s = %s\nwant %q in it", c.name, text, want)
			}
		}
		flags, _ := c.flags()
		flags.VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("flag --%s of %s: got no usage", f.Name, c.name)
			}
		})
		for _, line := range strings.Split(text, "\n") {
			if len([]rune(line)) > 110 {
				t.Errorf("help of %s: got a line of %d characters, want at most 110: %s", c.name, len([]rune(line)), line)
			}
		}
	}
}
