package scenario

import (
	"fmt"
	"slices"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"skynet/sched"
)

// World is who exists at the start of a run.
type World struct {
	Nodes   []Node
	Clients []Client
	rules   []netRule
}

// Node is one simulated machine.
type Node struct {
	Name   string
	Group  string           // the name given to w.nodes
	Main   string           // script file of the node's first service, relative to where the scenario's files are
	Args   starlark.Tuple   // positional arguments of its init
	Kwargs []starlark.Tuple // keyword arguments of its init, each a (name, value) pair
	Config *starlark.Dict   // configuration of the node, frozen; never nil
	Disk   Disk
	Speed  int             // percent of the normal processor speed
	Cores  int             // how many services run at a time
	Skew   time.Duration   // of the wall clock at the start
	Pos    syntax.Position // of the call of w.nodes
}

// Disk says how a node's disk behaves. The zero value is a disk that keeps everything and takes no time.
type Disk struct {
	LoseUnsynced bool // a crash loses what was not synced
	Sync         Span // how long a sync takes, in nanoseconds, drawn for each
}

// Client is one process that runs the work of the scenario.
type Client struct {
	Name    string
	Group   string        // the name given to w.clients
	Service string        // registered name of the service that gets the operations
	Nodes   []string      // where that service is
	Timeout time.Duration // of one operation, after which its outcome is unknown
	Sticky  bool          // keeps to one node until an operation on it fails; otherwise draws one for each operation
}

// Link is the behaviour of the network from one node to another.
type Link struct {
	Latency                  Dist
	Loss, Duplicate, Reorder uint32 // parts per million of the packets
	Bandwidth                int64  // bytes per second, 0 for unlimited
}

// Dist is a distribution of durations.
type Dist struct {
	// Shape is "fixed" (always Low), "uniform" (from Low to High), "lognormal" (median Low, 99th percentile High),
	// "exponential" (mean Low), or empty for no latency.
	Shape     string
	Low, High time.Duration
}

// netRule is one w.net: it overrides what earlier rules say of the properties it sets.
type netRule struct {
	from, to                 patterns
	oneWay                   bool
	latency                  *Dist
	loss, duplicate, reorder quantity
	bandwidth                quantity
}

// patterns are names or patterns, any of which may match.
type patterns []string

// Unpack reads a pattern or a list of them.
func (p *patterns) Unpack(v starlark.Value) error {
	if s, ok := starlark.AsString(v); ok {
		*p = patterns{s}
	} else if names, err := asNames(v); err == nil {
		*p = names
	} else {
		return fmt.Errorf("got %s, want a name, a pattern or a list of them", v.Type())
	}
	for _, s := range *p {
		if err := checkPattern(s); err != nil {
			return err
		}
	}
	return nil
}

func (p patterns) match(name string) bool {
	return slices.ContainsFunc(p, func(s string) bool { return matches(s, name) })
}

// Link returns the behaviour of the network from one node or client to another.
func (w *World) Link(from, to string) Link {
	var l Link
	for _, r := range w.rules {
		if r.from.match(from) && r.to.match(to) || !r.oneWay && r.from.match(to) && r.to.match(from) {
			r.apply(&l)
		}
	}
	return l
}

func (r netRule) apply(l *Link) {
	if r.latency != nil {
		l.Latency = *r.latency
	}
	for _, p := range []struct {
		q   quantity
		ppm *uint32
	}{{r.loss, &l.Loss}, {r.duplicate, &l.Duplicate}, {r.reorder, &l.Reorder}} {
		if p.q.set {
			*p.ppm = uint32(p.q.n)
		}
	}
	if r.bandwidth.set {
		l.Bandwidth = r.bandwidth.n
	}
}

// Cluster is who faults can strike.
func (w *World) Cluster() Cluster {
	var c Cluster
	for _, n := range w.Nodes {
		c.Nodes = append(c.Nodes, n.Name)
	}
	for _, client := range w.Clients {
		c.Clients = append(c.Clients, client.Name)
	}
	return c
}

// BuildWorld calls the scenario's world(w) and returns what it describes. Randomness that the world asks for comes from
// the stream, which must not be nil. It may be called for several runs at the same time.
func BuildWorld(sc *Scenario, stream *sched.Stream) (*World, error) {
	b := &builder{stream: stream, taken: map[string]bool{}}
	thread := newThread("world")
	if _, err := starlark.Call(thread, sc.World, starlark.Tuple{b.value()}, nil); err != nil {
		return nil, located(sc.File, err)
	}
	if err := b.finish(sc.Clients); err != nil {
		return nil, errorAt(callablePos(sc.File, sc.World), "%s", err)
	}
	return &b.world, nil
}

// builder is the w of world(w).
type builder struct {
	world  World
	stream *sched.Stream
	nodes  []patterns // for each client, where its service may be
	clocks []clockRule
	taken  map[string]bool // names of nodes and clients
}

type clockRule struct {
	match patterns
	skew  Span
}

// finish resolves what refers to nodes by pattern, and keeps only the given clients, all of them if there are none.
func (b *builder) finish(keep []string) error {
	if len(b.world.Nodes) == 0 {
		return fmt.Errorf(`world: got no nodes, want w.nodes("n", 3, main = "node.star")`)
	}
	if len(b.world.Clients) == 0 {
		return fmt.Errorf(`world: got no clients, want w.clients("c", 5)`)
	}
	for i := range b.world.Clients {
		if err := b.connect(&b.world.Clients[i], b.nodes[i]); err != nil {
			return err
		}
	}
	if err := b.setClocks(); err != nil {
		return err
	}
	if err := b.checkNet(); err != nil {
		return err
	}
	return b.keep(keep)
}

func (b *builder) connect(c *Client, where patterns) error {
	for _, n := range b.world.Nodes {
		if where.match(n.Name) {
			c.Nodes = append(c.Nodes, n.Name)
		}
	}
	if len(c.Nodes) == 0 {
		return fmt.Errorf("w.clients: %q: got nodes = %q, which match no node", c.Group, []string(where))
	}
	return nil
}

func (b *builder) setClocks() error {
	for _, rule := range b.clocks {
		struck := false
		for i := range b.world.Nodes {
			if n := &b.world.Nodes[i]; rule.match.match(n.Name) {
				n.Skew, struck = time.Duration(rule.skew.Draw(b.stream)), true
			}
		}
		if !struck {
			return fmt.Errorf("w.clock: got %q, which match no node", []string(rule.match))
		}
	}
	return nil
}

// checkNet refuses rules for links that do not exist: a misspelt one would change nothing, silently.
func (b *builder) checkNet() error {
	c := b.world.Cluster()
	everyone := slices.Concat(c.Nodes, c.Clients)
	for _, rule := range b.world.rules {
		for _, p := range []patterns{rule.from, rule.to} {
			if !slices.ContainsFunc(everyone, p.match) {
				return fmt.Errorf("w.net: got %q, which match no node and no client", []string(p))
			}
		}
	}
	return nil
}

func (b *builder) keep(names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(b.world.Clients, func(c Client) bool { return c.Name == name }) {
			return fmt.Errorf("clients: got %q, which is no client of the world", name)
		}
	}
	if len(names) > 0 {
		b.world.Clients = slices.DeleteFunc(b.world.Clients, func(c Client) bool { return !slices.Contains(names, c.Name) })
	}
	return nil
}

// claim makes the names of a group: name1 to nameN.
func (b *builder) claim(group string, count int) ([]string, starlark.Value, error) {
	if group == "" || count < 1 || count > maxGroup {
		return nil, nil, fmt.Errorf("got name %q and count %d, want a name and a count from 1 to %d", group, count, maxGroup)
	}
	if len(b.taken)+count > maxMembers {
		return nil, nil, fmt.Errorf("got %d nodes and clients, want at most %d", len(b.taken)+count, maxMembers)
	}
	names := make([]string, count)
	tuple := make(starlark.Tuple, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d", group, i+1)
		tuple[i] = starlark.String(names[i])
		if b.taken[names[i]] {
			return nil, nil, fmt.Errorf("the name %q is taken", names[i])
		}
		b.taken[names[i]] = true
	}
	return names, tuple, nil
}

// The bounds of a world: a group is one call of w.nodes or w.clients, the members are all nodes and clients.
const (
	maxGroup   = 1000
	maxMembers = 10_000
)
