package main

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/pflag"

	"skynet/cmd/skynet/serve"
	"skynet/runtime/diag"
)

// The exit statuses. They are documented and stable.
const (
	exitOK       = 0 // all well
	exitFailed   = 1 // a property failed, or a node was made to stop before it had drained
	exitUsage    = 2 // wrong usage, or a script or file that does not load
	exitInternal = 3 // an internal error
)

// A command is one sub-command.
type command struct {
	name     string
	operands string // how its operands are written in the usage line
	brief    string // one line for the list of commands
	about    string // paragraphs for its own help
	examples []string

	// respell, unless nil, rewrites the arguments before they are parsed.
	respell func(args []string) []string

	// define declares the flags and returns what runs once they are parsed, given the operands.
	define func(flags *pflag.FlagSet) func(s *State, operands []string) error
}

func commands() []command {
	return []command{runCommand(), testCommand(), simCommand(), checkCommand(), benchCommand(), versionCommand()}
}

// errFailed says that a property failed and that the user has been told which.
var errFailed = errors.New("a property failed")

// errNotLoaded says that one of several files does not load and that the user has been told which.
var errNotLoaded = errors.New("a file does not load")

// usageError is wrong usage of a command: the caller's fault, and so exit status 2.
type usageError struct{ command, msg string }

func (e *usageError) Error() string { return e.msg }

// inputError is a file of the user that cannot be read or means nothing, and so exit status 2.
type inputError struct{ error }

func (e inputError) Unwrap() error { return e.error }

// Main runs the command line of s and returns the exit status. It recovers panics: whatever happens, the status is one
// of the four documented ones.
func Main(s *State) (exit int) {
	return guard(s, func() int {
		err := dispatch(s)
		report(s, err)
		return status(err)
	})
}

// guard turns a panic into exit status 3 and a request to report it.
func guard(s *State, body func() int) (exit int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(s.Stderr, "skynet: internal error: %v\n\n%s\nThis is a bug in skynet, not in your script. Please report it with the lines "+
				"above and this command line:\n  skynet %s\n", p, debug.Stack(), strings.Join(s.Args, " "))
			exit = exitInternal
		}
	}()
	return body()
}

func dispatch(s *State) error {
	if len(s.Args) == 0 {
		fmt.Fprint(s.Stderr, overview())
		return &usageError{msg: "got no command, want one of the above"}
	}
	name, rest := s.Args[0], s.Args[1:]
	switch name {
	case "help", "-h", "--help":
		return help(s, rest)
	case "--version":
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(s, rest)
		}
	}
	return unknownCommand(name)
}

func unknownCommand(name string) error {
	msg := fmt.Sprintf("unknown command %q", name)
	names := []string{"help"}
	for _, c := range commands() {
		names = append(names, c.name)
	}
	if near, ok := diag.Nearest(name, names); ok {
		msg += fmt.Sprintf("; did you mean %s?", near)
	}
	return &usageError{msg: msg}
}

// run parses the flags of c and runs it.
func (c command) run(s *State, args []string) error {
	flags, body := c.flags()
	if c.respell != nil {
		args = c.respell(args)
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		_, err := fmt.Fprint(s.Stdout, c.help())
		return err
	case err != nil:
		return &usageError{c.name, flagMessage(err, flags)}
	}
	err := body(s, flags.Args())
	if usage := (*usageError)(nil); errors.As(err, &usage) && usage.command == "" {
		usage.command = c.name
	}
	return err
}

func (c command) flags() (*pflag.FlagSet, func(*State, []string) error) {
	flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	flags.SortFlags = false
	flags.Usage = func() {}
	return flags, c.define(flags)
}

// flagMessage says what is wrong with a flag in the words of this system, with the nearest flag for an unknown one.
func flagMessage(err error, flags *pflag.FlagSet) string {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return fmt.Sprintf("--%s: %v", invalid.GetFlag().Name, invalid.Unwrap())
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return err.Error()
	}
	var names []string
	flags.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near, ok := diag.Nearest(unknown.GetSpecifiedName(), names); ok {
		return fmt.Sprintf("%v; did you mean --%s?", err, near)
	}
	return err.Error()
}

// status is the exit status for what a command returned.
func status(err error) int {
	_, _, _, inScript := diag.Position(err)
	usage, input, start, aborted := (*usageError)(nil), inputError{}, (*serve.StartError)(nil), (*serve.AbortError)(nil)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFailed), errors.Is(err, serve.ErrAborted), errors.As(err, &aborted):
		return exitFailed
	case errors.Is(err, errNotLoaded), errors.As(err, &usage), errors.As(err, &input), errors.As(err, &start), inScript:
		return exitUsage
	}
	return exitInternal
}

// report tells the user about an error that a command returned.
func report(s *State, err error) {
	if err == nil || errors.Is(err, errFailed) || errors.Is(err, errNotLoaded) {
		return
	}
	usage, start := (*usageError)(nil), (*serve.StartError)(nil)
	_, _, _, inScript := diag.Position(err)
	switch {
	case errors.As(err, &start) && start.Diagnosis != "":
		fmt.Fprint(s.Stderr, start.Diagnosis)
	case inScript:
		fmt.Fprint(s.Stderr, diag.Format(err, source(s)))
	case errors.As(err, &usage) && usage.command != "":
		fmt.Fprintf(s.Stderr, "skynet %s: %v\nSee 'skynet %s --help'.\n", usage.command, err, usage.command)
	case errors.As(err, &usage):
		fmt.Fprintf(s.Stderr, "skynet: %v\nSee 'skynet help'.\n", err)
	default:
		fmt.Fprintf(s.Stderr, "skynet: %v\n", err)
	}
}

// source reads the scripts that diagnostics quote.
func source(s *State) func(file string) ([]byte, bool) {
	return func(file string) ([]byte, bool) {
		text, err := s.Files.ReadFile(file)
		return text, err == nil && !bytes.ContainsRune(text, 0)
	}
}
