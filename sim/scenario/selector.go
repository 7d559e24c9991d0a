package scenario

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// Selector says which nodes a fault strikes. Random selectors choose anew at each strike.
type Selector struct {
	// Kind is "list", "match", or the word of a random selector: "halves", "one", ….
	Kind string
	// Match is the pattern ("n*") of the nodes to choose from; empty means all nodes, without the clients.
	Match string
	// Count is how many some("n*", 2) chooses; 0 lets it choose how many.
	Count int
	// Groups are the explicit names of a list: one group, or for a partition several.
	Groups [][]string
}

// Cluster is who can be struck.
type Cluster struct {
	Nodes   []string // in order of creation
	Clients []string
}

// randomSelector describes a random selector: the least number of nodes it can choose from, and the size of its choice.
type randomSelector struct {
	name  string
	least int
	size  func(count, n int, s *sched.Stream) int
}

// randomSelectors are constant.
var randomSelectors = []randomSelector{
	{"halves", 2, func(_, n int, s *sched.Stream) int { return (n + s.IntN(2)) / 2 }},
	{"majority", 1, func(_, n int, _ *sched.Stream) int { return n/2 + 1 }},
	{"minority", 3, func(_, n int, s *sched.Stream) int { return 1 + s.IntN((n-1)/2) }},
	{"one", 1, func(int, int, *sched.Stream) int { return 1 }},
	{"some", 1, func(count, n int, s *sched.Stream) int {
		if count > 0 {
			return count
		}
		return 1 + s.IntN(max(1, n-1))
	}},
	{"isolate", 2, func(int, int, *sched.Stream) int { return 1 }},
	{"bridge", 3, func(_, n int, s *sched.Stream) int { return (n - 1 + s.IntN(2)) / 2 }},
	{"everyone", 1, func(_, n int, _ *sched.Stream) int { return n }},
}

func (s Selector) random() (randomSelector, bool) {
	i := slices.IndexFunc(randomSelectors, func(r randomSelector) bool { return r.name == s.Kind })
	if i < 0 {
		return randomSelector{}, false
	}
	return randomSelectors[i], true
}

// String prints the selector as its source.
func (s Selector) String() string {
	switch {
	case s.Kind == "list":
		groups := make([]string, len(s.Groups))
		for i, g := range s.Groups {
			groups[i] = quoteList(g)
		}
		return strings.Join(groups, ", ")
	case s.Kind == "match":
		return fmt.Sprintf("%q", s.Match)
	case s.Match == "" && s.Count == 0:
		return s.Kind
	case s.Match == "":
		return fmt.Sprintf("%s(%d)", s.Kind, s.Count)
	case s.Count == 0:
		return fmt.Sprintf("%s(%q)", s.Kind, s.Match)
	}
	return fmt.Sprintf("%s(%q, %d)", s.Kind, s.Match, s.Count)
}

func quoteList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// pool is who the selector can choose from.
func (s Selector) pool(c Cluster) []string {
	if s.Kind == "list" {
		return slices.Concat(s.Groups...)
	}
	if s.Match == "" {
		return c.Nodes
	}
	var names []string
	for _, name := range slices.Concat(c.Nodes, c.Clients) {
		if matches(s.Match, name) {
			names = append(names, name)
		}
	}
	return names
}

// check reports why the selector cannot choose in this cluster.
func (s Selector) check(c Cluster) error {
	pool := s.pool(c)
	if s.Kind == "list" {
		everyone := slices.Concat(c.Nodes, c.Clients)
		for _, name := range pool {
			if !slices.Contains(everyone, name) {
				return fmt.Errorf("%s: no node %q; there are %s%s", s, name, strings.Join(everyone, ", "), hint(name, everyone))
			}
		}
		return nil
	}
	least := 1
	if r, ok := s.random(); ok {
		least = max(r.least, s.Count)
	}
	if len(pool) < least {
		return fmt.Errorf("%s: got %d nodes to choose from, want at least %d", s, len(pool), least)
	}
	return nil
}

// choose returns the chosen nodes, in the cluster's order, and the others of the pool.
func (s Selector) choose(c Cluster, stream *sched.Stream) (chosen, others []string) {
	pool := s.pool(c)
	r, ok := s.random()
	if !ok {
		return pool, nil
	}
	n := min(r.size(s.Count, len(pool), stream), len(pool))
	perm := stream.Perm(len(pool))
	return pickSorted(pool, perm[:n]), pickSorted(pool, perm[n:])
}

// split returns the groups a partition makes: two nodes can talk if a group has both, or if one is in no group.
func (s Selector) split(c Cluster, stream *sched.Stream) [][]string {
	if s.Kind == "list" && len(s.Groups) > 1 {
		return s.Groups
	}
	chosen, others := s.choose(c, stream)
	switch s.Kind {
	case "halves":
		return [][]string{chosen, others}
	case "bridge":
		middle := others[stream.IntN(len(others))]
		return [][]string{append(chosen, middle), others}
	}
	var rest []string
	for _, name := range c.Nodes {
		if !slices.Contains(chosen, name) {
			rest = append(rest, name)
		}
	}
	return [][]string{chosen, rest}
}

func pickSorted(pool []string, indices []int) []string {
	slices.Sort(indices)
	names := make([]string, len(indices))
	for i, j := range indices {
		names[i] = pool[j]
	}
	return names
}

// matches reports whether a name matches a pattern of path.Match; the pattern was checked when it was read.
func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name)
	return ok
}

func checkPattern(pattern string) error {
	if pattern == "" {
		return fmt.Errorf(`got "", want a node name or a pattern such as "n*"`)
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf(`got %q, which is no pattern; want one such as "n*" or "n[12]"`, pattern)
	}
	return nil
}

// selectorWord is a selector as a Starlark value. A random selector stands alone (halves) or is called to choose
// among fewer nodes (halves("n*")).
type selectorWord struct{ word }

func newSelector(s Selector) starlark.Value {
	return &selectorWord{word{"selector", s.String(), s}}
}

// Name is the word itself.
func (w *selectorWord) Name() string { return w.plain.(Selector).Kind }

// CallInternal narrows the selector to the nodes that match a pattern.
func (w *selectorWord) CallInternal(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := w.plain.(Selector)
	if len(args) == 1 && s.Kind == "some" {
		if _, isInt := args[0].(starlark.Int); isInt {
			args = starlark.Tuple{starlark.String(s.Match), args[0]}
		}
	}
	params := []any{"match?", &s.Match}
	if s.Kind == "some" {
		params = append(params, "count?", &s.Count)
	}
	if err := unpack(s.Kind, args, kwargs, params...); err != nil {
		return nil, err
	}
	if s.Match != "" {
		if err := checkPattern(s.Match); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Kind, err)
		}
	}
	if s.Count < 0 {
		return nil, fmt.Errorf("%s: got count %d, want at least 1", s.Kind, s.Count)
	}
	return newSelector(s), nil
}

const wantSelector = `a node name, a pattern, a list of names or a selector such as one("n*")`

// asSelector reads what may stand for nodes: a selector, a name or pattern, or a list of names.
func asSelector(v starlark.Value) (Selector, error) {
	switch v := v.(type) {
	case *selectorWord:
		return v.plain.(Selector), nil
	case starlark.String:
		if err := checkPattern(string(v)); err != nil {
			return Selector{}, err
		}
		if !strings.ContainsAny(string(v), `*?[\`) {
			return Selector{Kind: "list", Groups: [][]string{{string(v)}}}, nil
		}
		return Selector{Kind: "match", Match: string(v)}, nil
	case *starlark.List, starlark.Tuple:
		names, err := asNames(v)
		return Selector{Kind: "list", Groups: [][]string{names}}, err
	}
	return Selector{}, fmt.Errorf("got %s, want %s", v.Type(), wantSelector)
}

// asNames reads a non-empty list of names.
func asNames(v starlark.Value) ([]string, error) {
	list, ok := v.(starlark.Indexable)
	if _, isText := v.(starlark.String); !ok || isText || list.Len() == 0 {
		return nil, fmt.Errorf("got %s, want a list of names", v)
	}
	names := make([]string, list.Len())
	for i := range names {
		if names[i], ok = starlark.AsString(list.Index(i)); !ok {
			return nil, fmt.Errorf("got %s in the list, want a name", list.Index(i).Type())
		}
		if slices.Contains(names[:i], names[i]) {
			return nil, fmt.Errorf("got %q twice", names[i])
		}
	}
	return names, nil
}
