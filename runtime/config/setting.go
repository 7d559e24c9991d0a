package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/wire"
)

// A Setting is one word of a configuration file.
type Setting struct {
	Name    string
	Form    string // how its value is written, by example
	Default string // what holds without it
	Text    string // what it means

	set func(c *Config, v starlark.Value) error
	get func(c *Config) starlark.Value // nil if there is nothing to write
}

// Settings lists the words of a configuration file, sorted.
func Settings() []Setting {
	return []Setting{
		{
			"args", `{"address": "0.0.0.0:8000"}`, "none",
			"arguments for `init` of the main script: a dict of keywords, or a list", setArgs, getArgs,
		},
		{
			"cluster", `{"nodes": {"game1": "10.0.0.1:7000", "game2": "10.0.0.2:7000"}, "listen": "0.0.0.0:7000", "heartbeat": "1s", "silence": "3s"}`, "no cluster",
			"`nodes`: the address of every node, this one included. `listen`: where this one listens, unless that is its address in `nodes`. " +
				"`heartbeat`: how often an idle link says that it is alive. `silence`: after how long without a word a link is given up and its calls fail",
			setCluster, getCluster,
		},
		{
			"drain", `"10s"`, `"10s"`, "how long a stopping node waits for what is in flight; the whole stop takes this and the limit `call` at the most",
			func(c *Config, v starlark.Value) error { return duration(&c.Drain, v) },
			func(c *Config) starlark.Value { return starlark.String(c.Drain.String()) },
		},
		{
			"env", `{"zone": "eu-1", "max_players": 100}`, "none",
			"values that `skynet.getenv` returns; services can add keys, but change none", setEnv,
			func(c *Config) starlark.Value {
				if c.Env == nil || c.Env.Len() == 0 {
					return nil
				}
				return c.Env
			},
		},
		{
			"limits", limitsForm(), "as in the form",
			"what a service and the node may use; the table of limits below says what each word means",
			setLimits, getLimits,
		},
		{
			"log", `{"level": "info", "format": "text"}`, "as in the form",
			"`level`: `debug`, `info`, `warn` or `error`. `format`: `text` or `json`", setLog, getLog,
		},
		{
			"path", `["lib"]`, "none",
			"directories in which scripts are looked for, after the one of the main script and before the shipped ones", setPath, getPath,
		},
		{
			"policy", `{"room*.star": {"modules": ["store"], "call": [".db", "game2/.db"], "launch": [], "register": [".room*"]}, "*": {"modules": ["store", "socket", "cluster"]}}`, "none",
			"what services may do, by their script; the script's own entry counts, else the first pattern that matches, \"*\" being the last; see [capabilities](services.md#capabilities)",
			func(c *Config, v starlark.Value) (err error) { c.Policy, err = runtime.ParsePolicy(v); return err }, getPolicy,
		},
		{
			"store", `"data/game1.db"`, "no store", "the file of the durable store; its directory is made if need be",
			func(c *Config, v starlark.Value) error { return text(&c.Store, v) }, getStore,
		},
		{
			"threads", "2", "one for each processor", "number of workers; `--threads` has precedence",
			func(c *Config, v starlark.Value) error { return number(&c.Threads, v, 1, MaxThreads) }, getThreads,
		},
	}
}

func setEnv(c *Config, v starlark.Value) error {
	v, err := wire.Copy(v) // services get values, as from each other
	if err != nil {
		return err
	}
	d, ok := v.(*starlark.Dict)
	if !ok {
		return fmt.Errorf("got %s, want a dict {name: value}", v.Type())
	}
	for _, item := range d.Items() {
		if _, ok := item[0].(starlark.String); !ok {
			return fmt.Errorf("got the key %s, want a string", item[0])
		}
	}
	c.Env = d
	return nil
}

func setArgs(c *Config, v starlark.Value) error {
	v, err := wire.Copy(v) // main gets values, as from any other service
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *starlark.List:
		for e := range v.Elements() {
			c.Args = append(c.Args, e)
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
	return fmt.Errorf("got %s, want a dict of keywords, or a list", v.Type())
}

func getArgs(c *Config) starlark.Value {
	if len(c.Kwargs) > 0 {
		return dict(c.Kwargs...)
	}
	if len(c.Args) > 0 {
		return starlark.NewList(c.Args)
	}
	return nil
}

func setCluster(c *Config, v starlark.Value) error {
	k := &c.Cluster
	err := fields(v,
		field{"listen", func(v starlark.Value) error { return address(&k.Listen, v) }},
		field{"nodes", func(v starlark.Value) error { return setNodes(k, v) }},
		field{"heartbeat", func(v starlark.Value) error { return duration(&k.Heartbeat, v) }},
		field{"silence", func(v starlark.Value) error { return duration(&k.Silence, v) }},
	)
	if err != nil {
		return err
	}
	if d := k.WithDefaults(); d.Silence <= d.Heartbeat {
		return fmt.Errorf("silence: got %v, want more than the heartbeat, %v", d.Silence, d.Heartbeat)
	}
	return c.join()
}

// join finds the node among those of the cluster, and sees whether the others can be reached.
func (c *Config) join() error {
	if len(c.Cluster.Nodes) == 0 {
		return nil
	}
	own, ok := c.Cluster.Nodes[c.Name]
	if !ok {
		all := nodeNames(c.Cluster)
		return fmt.Errorf("nodes: no node has the name %q, want --node with one of %s%s", c.Name, strings.Join(all, ", "), near(c.Name, all))
	}
	if c.Cluster.Listen == "" {
		c.Cluster.Listen = own
	}
	holders := make(map[string]string)
	for _, name := range nodeNames(c.Cluster) {
		at := c.Cluster.Nodes[name]
		if name != c.Name && strings.HasSuffix(at, ":0") {
			return fmt.Errorf("nodes: %s: got %q, want a port from 1 to 65535: 0 means any, and none can be connected to", name, at)
		}
		if other, ok := holders[at]; ok {
			return fmt.Errorf("nodes: %s: got %q, which is the address of %s, want one of its own", name, at, other)
		}
		holders[at] = name
	}
	return nil
}

func nodeNames(k runtime.Cluster) []string {
	all := make([]string, 0, len(k.Nodes))
	for name := range k.Nodes { //determinism:ok sorted below
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func setNodes(k *runtime.Cluster, v starlark.Value) error {
	d, ok := v.(*starlark.Dict)
	if !ok {
		return fmt.Errorf(`got %s, want a dict {name: "host:port"}`, v.Type())
	}
	k.Nodes = make(map[string]string, d.Len())
	for _, item := range d.Items() {
		name, ok := starlark.AsString(item[0])
		if !ok || name == "" || len(name) > 255 {
			return fmt.Errorf("got %s, want a name of 1 to 255 bytes", item[0])
		}
		var at string
		if err := address(&at, item[1]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		k.Nodes[name] = at
	}
	return nil
}

func getCluster(c *Config) starlark.Value {
	k := c.Cluster
	if k.Listen == "" && len(k.Nodes) == 0 {
		return nil
	}
	nodes := new(starlark.Dict)
	for _, name := range nodeNames(k) {
		_ = nodes.SetKey(starlark.String(name), starlark.String(k.Nodes[name])) // a string is hashable, the dict not frozen
	}
	return dict(pair("listen", starlark.String(k.Listen)), pair("nodes", nodes),
		pair("heartbeat", starlark.String(k.Heartbeat.String())), pair("silence", starlark.String(k.Silence.String())))
}

// setLimits takes the words of the runtime's own table.
func setLimits(c *Config, v starlark.Value) error {
	var words []field
	for _, s := range runtime.LimitSettings() {
		words = append(words, field{s.Name, func(v starlark.Value) error { return s.Set(&c.Limits, v) }})
	}
	return fields(v, words...)
}

func getLimits(c *Config) starlark.Value {
	var pairs []starlark.Tuple
	for _, s := range runtime.LimitSettings() {
		pairs = append(pairs, pair(s.Name, s.Get(&c.Limits)))
	}
	return dict(pairs...)
}

// limitsForm is the limits with their defaults.
func limitsForm() string {
	return getLimits(&Config{Limits: runtime.Limits{}.WithDefaults()}).String()
}

// levels are the words for the log's levels.
func levels() map[string]slog.Level {
	return map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
}

func setLog(c *Config, v starlark.Value) error {
	return fields(v,
		field{"level", func(v starlark.Value) error {
			word, _ := starlark.AsString(v)
			level, ok := levels()[word]
			if c.LogLevel = level; !ok {
				return fmt.Errorf(`got %s, want "debug", "info", "warn" or "error"`, v)
			}
			return nil
		}},
		field{"format", func(v starlark.Value) error {
			word, _ := starlark.AsString(v)
			if c.LogJSON = word == "json"; !c.LogJSON && word != "text" {
				return fmt.Errorf(`got %s, want "text" or "json"`, v)
			}
			return nil
		}},
	)
}

func getLog(c *Config) starlark.Value {
	format := "text"
	if c.LogJSON {
		format = "json"
	}
	return dict(pair("level", starlark.String(strings.ToLower(c.LogLevel.String()))), pair("format", starlark.String(format)))
}

func setPath(c *Config, v starlark.Value) error {
	l, ok := v.(*starlark.List)
	if !ok {
		return fmt.Errorf("got %s, want a list of directories", v.Type())
	}
	for i := range l.Len() {
		var dir string
		if err := text(&dir, l.Index(i)); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
		if dir == "" {
			return fmt.Errorf("element %d: got an empty string, want a directory", i)
		}
		c.Path = append(c.Path, dir)
	}
	return nil
}

func getPath(c *Config) starlark.Value {
	if len(c.Path) == 0 {
		return nil
	}
	l := starlark.NewList(nil)
	for _, dir := range c.Path {
		_ = l.Append(starlark.String(dir)) // the list is not frozen
	}
	return l
}

func getPolicy(c *Config) starlark.Value {
	if len(c.Policy) == 0 {
		return nil
	}
	return c.Policy.Dict()
}

func getStore(c *Config) starlark.Value {
	if c.Store == "" {
		return nil
	}
	return starlark.String(c.Store)
}

func getThreads(c *Config) starlark.Value {
	if c.Threads == 0 {
		return nil
	}
	return starlark.MakeInt(c.Threads)
}
