package scenario

import (
	"strconv"
	"strings"
)

// Source is one fault that a trouble configures: it strikes never, once or often. A fault that strikes in no run of a
// sweep, or has no effect when it does, tests nothing.
type Source struct {
	Name  string // as in [Instance.From]
	Fault Fault
}

// Sources returns all faults of the trouble, in the order of the file.
func (t Trouble) Sources() []Source {
	var all []Source
	paths := t.paths()
	for i, p := range t.Phases {
		all = p.Timing.sources(all, paths[i])
	}
	return all
}

func (t Timing) sources(all []Source, path string) []Source {
	suffixes := t.suffixes()
	for i, f := range t.Faults {
		all = append(all, Source{path + suffixes[i], f})
	}
	paths := t.memberPaths(path)
	for i, m := range t.Members {
		all = m.sources(all, paths[i])
	}
	return all
}

// paths names the phases.
func (t Trouble) paths() []string {
	var name names
	paths := make([]string, len(t.Phases))
	for i, p := range t.Phases {
		paths[i] = p.Kind
		if p.Kind == "run" {
			paths[i] = p.Timing.name()
		}
		paths[i] = name.unique(paths[i])
	}
	return paths
}

// memberPaths names the members of a timing that has this path. The names say what the members are, not where they
// stand, so that they keep their names and so their choices when another one comes or goes.
func (t Timing) memberPaths(path string) []string {
	var name names
	paths := make([]string, len(t.Members))
	for i, m := range t.Members {
		paths[i] = path + "/" + name.unique(m.name())
	}
	return paths
}

// suffixes tells the faults of one strike apart; a single one needs none.
func (t Timing) suffixes() []string {
	suffixes := make([]string, len(t.Faults))
	var name names
	for i, f := range t.Faults {
		if len(t.Faults) > 1 {
			suffixes[i] = "/" + name.unique(string(f.Kind))
		}
	}
	return suffixes
}

// name says in one word what the timing is.
func (t Timing) name() string {
	if t.Kind != "at" && t.Kind != "every" {
		return t.Kind
	}
	kinds := make([]string, len(t.Faults))
	for i, f := range t.Faults {
		kinds[i] = string(f.Kind)
	}
	return t.Kind + "-" + strings.Trim(seconds.print(t.When), `"`) + "-" + strings.Join(kinds, "+")
}

// names numbers what would have the same name: "crash", "crash-2".
type names map[string]int

func (n *names) unique(name string) string {
	if *n == nil {
		*n = names{}
	}
	(*n)[name]++
	if k := (*n)[name]; k > 1 {
		return name + "-" + strconv.Itoa(k)
	}
	return name
}
