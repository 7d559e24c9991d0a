// Package config reads the configuration of production nodes: a Starlark file whose globals are the settings, so that a
// cluster of many nodes can be described once, in the language its services are written in. The file sees the name given
// by --node as the global node.
//
//	cluster = {"nodes": {"game1": "10.0.0.1:7000", "game2": "10.0.0.2:7000"}}
//	store   = "data/" + node + ".db"
//	args    = {"address": "0.0.0.0:8000"}        # for init of the main script
//	limits  = {"mailbox": 10000, "call": "2s"}
//
// Names that start with an underscore, and functions, are the file's own. Any other global must be one of [Settings]; if
// it is not, the error names the nearest one. Executing a file has no effects and is bounded, so any text may be parsed.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"skynet/runtime"
	"skynet/runtime/diag"
)

// Config is what a configuration file says, with the defaults for what it does not say.
type Config struct {
	// Name is the node's name, and Unnamed says that it is [runtime.DefaultName] since nobody gave it one.
	Name    string
	Unnamed bool
	// Threads is the number of workers; 0 means one for each processor.
	Threads int
	// Args and Kwargs are what init of the main script is called with; one of them is empty.
	Args   starlark.Tuple
	Kwargs []starlark.Tuple
	// Cluster is how the node meets the others.
	Cluster runtime.Cluster
	// Store is the file of the durable store; empty means none.
	Store string
	// Limits bound the services.
	Limits runtime.Limits
	// Env is what skynet.getenv returns; nil is empty.
	Env *starlark.Dict
	// Policy is what services may do by their script.
	Policy runtime.Policy
	// Drain is how long a node that stops waits for what is in flight. The services have what is left of it, and the limit call, to
	// end; small: requests fail and functions exit do not run; large: a node with one that hangs stops late.
	Drain time.Duration
	// LogLevel is the lowest level that is logged; LogJSON asks for JSON lines instead of text.
	LogLevel slog.Level
	LogJSON  bool
	// Path are the directories in which scripts are looked for, after the one of the main script.
	Path []string
}

const (
	// MaxThreads bounds the number of workers: more than the cores help nobody.
	MaxThreads = 1024
	// DefaultDrain is the drain time of a node that is not told any.
	DefaultDrain = 10 * time.Second

	maxSteps = 10_000_000 // of a configuration file: a tenth of a second
)

// Error is a mistake in a configuration file.
type Error struct {
	Pos syntax.Position
	Msg string
}

// Error returns "file:line:col: message".
func (e *Error) Error() string { return e.Pos.String() + ": " + e.Msg }

// Position is where the mistake is.
func (e *Error) Position() syntax.Position { return e.Pos }

// Parse executes a configuration file for the node of that name, [runtime.DefaultName] if it is empty. Mistakes are an [*Error] or
// an error of Starlark, with their position. An empty src gives the defaults.
func Parse(file string, src []byte, node string) (*Config, error) {
	c := &Config{Name: cmp.Or(node, runtime.DefaultName), Unnamed: node == "", Drain: DefaultDrain}
	predeclared := starlark.StringDict{"node": starlark.String(c.Name)}
	f, prog, err := starlark.SourceProgramOptions(runtime.Dialect(), file, src, predeclared.Has)
	if err != nil {
		return nil, err
	}
	th := &starlark.Thread{Name: "configuration", Print: func(*starlark.Thread, string) {}, Load: noLoad}
	th.SetMaxExecutionSteps(maxSteps)
	globals, err := prog.Init(th, predeclared)
	if err != nil {
		return nil, err
	}
	for _, b := range f.Module.(*resolve.Module).Globals {
		if err := c.apply(b.First.Name, globals[b.First.Name]); err != nil {
			return nil, &Error{Pos: b.First.NamePos, Msg: err.Error()}
		}
	}
	c.Limits, c.Cluster = c.Limits.WithDefaults(), c.Cluster.WithDefaults()
	return c, nil
}

func noLoad(*starlark.Thread, string) (starlark.StringDict, error) {
	return nil, errors.New("a configuration file cannot load other files")
}

// apply takes a global of the file; v is nil if the file did not bind it after all.
func (c *Config) apply(name string, v starlark.Value) error {
	if _, isFunction := v.(*starlark.Function); isFunction || v == nil || strings.HasPrefix(name, "_") {
		return nil
	}
	settings := Settings()
	i := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return fmt.Errorf("unknown setting %q; a name of the file's own starts with an underscore%s", name, near(name, names(settings)))
	}
	if err := settings[i].set(c, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func names(settings []Setting) (all []string) {
	for _, s := range settings {
		all = append(all, s.Name)
	}
	return all
}

// near is "; did you mean …?" if one of the candidates is near.
func near(name string, candidates []string) string {
	if n, ok := diag.Nearest(name, candidates); ok {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	return ""
}

// String returns the configuration as a file that means the same for the node of this name, unless args have a value that
// Starlark cannot write down, such as an infinite float.
func (c *Config) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The configuration of node %q.\n", c.Name)
	for _, s := range Settings() {
		if v := s.get(c); v != nil {
			fmt.Fprintf(&b, "%s = %s\n", s.Name, v)
		}
	}
	return b.String()
}
