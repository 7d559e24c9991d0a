// Package config reads the configuration of production nodes: a Starlark file whose globals are the settings, so that a
// cluster of many nodes can be described once, with loops and conditions, in the language its services are written in.
//
//	nodes = {"game1": "10.0.0.1:7000", "game2": "10.0.0.2:7000"}
//
//	cluster = {"listen": nodes[node], "nodes": nodes}       # node is the name given by --node
//	store   = "data/" + node + ".db"
//	args    = {"address": "0.0.0.0:8000"}                    # for init of the main script
//	limits  = {"mailbox": 10000, "call": "2s"}
//
// Names that start with an underscore and functions are the file's own; any other global that is no setting is an error,
// with the nearest setting as a hint. The words are those of [Settings].
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"skynet/runtime"
	"skynet/runtime/diag"
)

// Config is what a configuration file says. The zero value is a node on its own: no cluster, no store.
type Config struct {
	// Name is the node's name; "node" unless given.
	Name string
	// Threads is the number of workers; 0 means one for each processor.
	Threads int
	// Args and Kwargs are what init of the main script is called with.
	Args   starlark.Tuple
	Kwargs []starlark.Tuple
	// Cluster is how the node meets the others.
	Cluster runtime.Cluster
	// Store is the file of the durable store; empty means none.
	Store string
	// Limits bound the services.
	Limits runtime.Limits
	// Drain is how long a node that stops waits for what is in flight; default 10 s.
	Drain time.Duration
	// LogLevel is the lowest level that is logged; LogJSON asks for JSON lines instead of text.
	LogLevel slog.Level
	LogJSON  bool
	// Path are the directories in which scripts are looked for, after the one of the main script.
	Path []string
}

// DefaultDrain is the drain time of a node that is not told any.
const DefaultDrain = 10 * time.Second

// Error is a mistake in a configuration file.
type Error struct {
	Pos syntax.Position
	Msg string
}

// Error returns "file:line:col: message".
func (e *Error) Error() string { return e.Pos.String() + ": " + e.Msg }

// Position is where the mistake is.
func (e *Error) Position() syntax.Position { return e.Pos }

// A Setting is one word of a configuration file.
type Setting struct {
	Name string
	Text string // what it means, its form and its default
	set  func(c *Config, v starlark.Value) error
}

// Settings lists the words of a configuration file, sorted.
func Settings() []Setting {
	return []Setting{
		{"args", "arguments for init of the main script: a list, or a dict of keywords", setArgs},
		{"cluster", `{"listen": "host:port", "nodes": {name: "host:port"}, "heartbeat": "1s", "silence": "3s"}`, setCluster},
		{"drain", `how long a stopping node waits for what is in flight, default "10s"`, func(c *Config, v starlark.Value) error { return duration(&c.Drain, v) }},
		{"limits", `{"mailbox": 65536, "steps": 100000000, "slice": 10000, "call": "5s", "launch": "30s", "read_buffer": 131072}`, setLimits},
		{"log", `{"level": "debug" | "info" | "warn" | "error", "format": "text" | "json"}`, setLog},
		{"path", "directories in which scripts are looked for, after the one of the main script", setPath},
		{"store", "file of the durable store; without it the store module fails", func(c *Config, v starlark.Value) error { return text(&c.Store, v) }},
		{"threads", "number of workers, default one for each processor", func(c *Config, v starlark.Value) error { return number(&c.Threads, v, 1, 1024) }},
	}
}

// maxSteps bounds the execution of a configuration file.
const maxSteps = 10_000_000

// Parse executes a configuration file for the node of that name, which the file sees as the global node. Mistakes are
// an [*Error] or an error of Starlark, with their position.
func Parse(file string, src []byte, node string) (*Config, error) {
	c := &Config{Name: node, Drain: DefaultDrain}
	predeclared := starlark.StringDict{"node": starlark.String(node)}
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
	for _, name := range globals.Keys() {
		if err := c.apply(name, globals[name]); err != nil {
			return nil, &Error{Pos: bound(f, file, name), Msg: err.Error()}
		}
	}
	return c, nil
}

func noLoad(*starlark.Thread, string) (starlark.StringDict, error) {
	return nil, errors.New("a configuration file cannot load other files")
}

func (c *Config) apply(name string, v starlark.Value) error {
	if _, isFunction := v.(*starlark.Function); isFunction || strings.HasPrefix(name, "_") || name == "nodes" {
		return nil
	}
	settings := Settings()
	i := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return fmt.Errorf("unknown setting %q%s; a name of your own starts with an underscore", name, near(name, names(settings)))
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

func near(name string, candidates []string) string {
	if n, ok := diag.Nearest(name, candidates); ok {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	return ""
}

// bound is where a global is first bound at the top level.
func bound(f *syntax.File, file, name string) syntax.Position {
	pos := syntax.MakePosition(&file, 1, 1)
	found := false
	syntax.Walk(f, func(n syntax.Node) bool {
		if id, ok := n.(*syntax.Ident); ok && id.Name == name && !found {
			pos, found = id.NamePos, true
		}
		return !found
	})
	return pos
}

// fields reads a dict whose keys are words; each is set by its function.
func fields(v starlark.Value, words map[string]func(starlark.Value) error) error {
	d, ok := v.(*starlark.Dict)
	if !ok {
		return fmt.Errorf("got %s, want a dict", v.Type())
	}
	for _, item := range d.Items() {
		key, _ := starlark.AsString(item[0])
		set, ok := words[key]
		if !ok {
			known := make([]string, 0, len(words))
			for w := range words { //determinism:ok sorted below
				known = append(known, w)
			}
			sort.Strings(known)
			return fmt.Errorf("unknown key %s%s", item[0], near(key, known))
		}
		if err := set(item[1]); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

func setArgs(c *Config, v starlark.Value) error {
	switch v := v.(type) {
	case *starlark.List:
		for i := range v.Len() {
			c.Args = append(c.Args, v.Index(i))
		}
		return nil
	case *starlark.Dict:
		for _, item := range v.Items() {
			if _, ok := item[0].(starlark.String); !ok {
				return fmt.Errorf("got the key %s, want a string", item[0])
			}
			c.Kwargs = append(c.Kwargs, item)
		}
		return nil
	}
	return fmt.Errorf("got %s, want a list, or a dict of keywords", v.Type())
}

func setCluster(c *Config, v starlark.Value) error {
	return fields(v, map[string]func(starlark.Value) error{
		"listen":    func(v starlark.Value) error { return text(&c.Cluster.Listen, v) },
		"nodes":     func(v starlark.Value) error { return setNodes(c, v) },
		"heartbeat": func(v starlark.Value) error { return duration(&c.Cluster.Heartbeat, v) },
		"silence":   func(v starlark.Value) error { return duration(&c.Cluster.Silence, v) },
	})
}

func setNodes(c *Config, v starlark.Value) error {
	d, ok := v.(*starlark.Dict)
	if !ok {
		return fmt.Errorf(`got %s, want a dict {name: "host:port"}`, v.Type())
	}
	c.Cluster.Nodes = make(map[string]string, d.Len())
	for _, item := range d.Items() {
		name, ok1 := starlark.AsString(item[0])
		address, ok2 := starlark.AsString(item[1])
		if !ok1 || !ok2 || name == "" {
			return fmt.Errorf(`got %s: %s, want name: "host:port"`, item[0], item[1])
		}
		c.Cluster.Nodes[name] = address
	}
	return nil
}

func setLimits(c *Config, v starlark.Value) error {
	l := &c.Limits
	return fields(v, map[string]func(starlark.Value) error{
		"mailbox":     func(v starlark.Value) error { return number(&l.Mailbox, v, 1, 1<<30) },
		"steps":       func(v starlark.Value) error { return number(&l.Steps, v, 1000, 1<<60) },
		"slice":       func(v starlark.Value) error { return number(&l.Slice, v, 100, 1<<30) },
		"call":        func(v starlark.Value) error { return duration(&l.Call, v) },
		"launch":      func(v starlark.Value) error { return duration(&l.Launch, v) },
		"read_buffer": func(v starlark.Value) error { return number(&l.ReadBuffer, v, 1024, 1<<30) },
	})
}

func setLog(c *Config, v starlark.Value) error {
	return fields(v, map[string]func(starlark.Value) error{
		"level": func(v starlark.Value) error {
			word, _ := starlark.AsString(v)
			if err := c.LogLevel.UnmarshalText([]byte(word)); err != nil {
				return fmt.Errorf(`got %s, want "debug", "info", "warn" or "error"`, v)
			}
			return nil
		},
		"format": func(v starlark.Value) error {
			word, _ := starlark.AsString(v)
			c.LogJSON = word == "json"
			if word != "json" && word != "text" {
				return fmt.Errorf(`got %s, want "text" or "json"`, v)
			}
			return nil
		},
	})
}

func setPath(c *Config, v starlark.Value) error {
	l, ok := v.(*starlark.List)
	if !ok {
		return fmt.Errorf("got %s, want a list of directories", v.Type())
	}
	for i := range l.Len() {
		dir, ok := starlark.AsString(l.Index(i))
		if !ok {
			return fmt.Errorf("element %d: got %s, want string", i, l.Index(i).Type())
		}
		c.Path = append(c.Path, dir)
	}
	return nil
}

func text(to *string, v starlark.Value) error {
	s, ok := starlark.AsString(v)
	if !ok {
		return fmt.Errorf("got %s, want string", v.Type())
	}
	*to = s
	return nil
}

func duration(to *time.Duration, v starlark.Value) error {
	d, err := runtime.Duration(v)
	if err == nil && d <= 0 {
		err = fmt.Errorf("got %s, want more than 0", v)
	}
	*to = d
	return err
}

func number[T int | uint64](to *T, v starlark.Value, lo, hi int64) error {
	i, ok := v.(starlark.Int)
	if !ok {
		return fmt.Errorf("got %s, want int", v.Type())
	}
	n, ok := i.Int64()
	if !ok || n < lo || n > hi {
		return fmt.Errorf("got %v, want %d to %d", i, lo, hi)
	}
	*to = T(n)
	return nil
}
