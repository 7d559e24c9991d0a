package main

import (
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"skynet/cmd/skynet/serve"
)

// State is all that the command sees of the machine (the idea of k6's GlobalState). Nothing else in this package
// touches the process's arguments, streams, files, clock or signals.
type State struct {
	Args           []string // without the program's name
	Env            func(name string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// StdoutTTY and StderrTTY say that a person is watching: colour and redrawn lines are welcome.
	StdoutTTY, StderrTTY bool

	// Columns is the width of the terminal behind Stderr, 0 if there is none.
	Columns int

	// Signals begins the delivery of SIGINT, SIGTERM and SIGHUP, which end the process until it is called. The first signal asks
	// for an orderly end, a second one for any end.
	Signals func() <-chan os.Signal

	Files Files
	// Dir is the tree below a directory.
	Dir func(name string) fs.FS
	Now func() time.Time
	// Self makes the command of another process of this program.
	Self func(args ...string) *exec.Cmd
}

// Files is the file system as far as the command needs it.
type Files interface {
	ReadFile(name string) ([]byte, error)
	Open(name string) (io.ReadCloser, error)
	Create(name string) (io.WriteCloser, error)
}

type diskFiles struct{}

func (diskFiles) ReadFile(name string) ([]byte, error)       { return serve.ReadFile(name) }
func (diskFiles) Open(name string) (io.ReadCloser, error)    { return os.Open(name) }
func (diskFiles) Create(name string) (io.WriteCloser, error) { return os.Create(name) }

// machine is the state of the process.
func machine() *State {
	columns, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil {
		columns = 0
	}
	return &State{
		Args:      os.Args[1:],
		Env:       os.Getenv,
		Stdin:     os.Stdin,
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		StdoutTTY: term.IsTerminal(int(os.Stdout.Fd())),
		StderrTTY: term.IsTerminal(int(os.Stderr.Fd())),
		Columns:   columns,
		Signals:   notified,
		Files:     diskFiles{},
		Dir:       os.DirFS,
		Now:       time.Now,
		Self:      self,
	}
}

// self falls back to the name that the program was called by, which is an error of starting it if it means nothing.
func self(args ...string) *exec.Cmd {
	name, err := os.Executable()
	if err != nil {
		name = os.Args[0]
	}
	return exec.Command(name, args...)
}

func notified() <-chan os.Signal {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup asks
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more ends no node: the write fails
	return signals
}
