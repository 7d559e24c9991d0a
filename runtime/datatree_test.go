package runtime

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"go.starlark.net/starlark"
)

// treeModel is what a tree should be: values by their whole paths.
type treeModel map[string]int

// under tells whether there are values below a path.
func (m treeModel) under(path string) bool {
	for p := range m {
		if strings.HasPrefix(p, path+"/") || path == "" {
			return true
		}
	}
	return false
}

// blocked tells whether no value can be at a path.
func (m treeModel) blocked(path string) bool {
	for p := range m {
		if strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return m.under(path)
}

// get prints what is at a path.
func (m treeModel) get(path string) string {
	if v, ok := m[path]; ok {
		return fmt.Sprint(v)
	}
	if path != "" && !m.under(path) {
		return "<nil>"
	}
	var parts []string
	for _, name := range names {
		if below := m.get(strings.TrimPrefix(path+"/"+name, "/")); below != "<nil>" {
			parts = append(parts, fmt.Sprintf("%q: %s", name, below))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (m treeModel) delete(path string) string {
	gone := m.get(path)
	for p := range m {
		if p == path || strings.HasPrefix(p, path+"/") {
			delete(m, p)
		}
	}
	return gone
}

// names of the tree of the test, sorted.
var names = [...]string{"a", "b", "c"}

// treeRun does the operations on both. An operation is a word and a path of one to three names.
func treeRun(ops []int) string {
	var d dataNode
	m := treeModel{}
	for i, op := range ops {
		path := []string{names[op/3%3], names[op/9%3], names[op/27%3]}[:1+op/81%3]
		whole := strings.Join(path, "/")
		got, want := "", ""
		switch op % 3 {
		case 0, 1:
			blocked := d.obstacle(path) != nil
			if blocked != m.blocked(whole) {
				return fmt.Sprintf("operation %d: %s: got an obstacle = %v, want %v", i, whole, blocked, !blocked)
			}
			if blocked {
				continue
			}
			want = m.get(whole)
			m[whole] = i
			got = fmt.Sprint(d.set(path, starlark.MakeInt(i)))
		case 2:
			want, got = m.delete(whole), "<nil>"
			if gone := d.delete(path); gone != nil {
				got = gone.get(nil).String()
			}
		}
		if got != want {
			return fmt.Sprintf("operation %d on %s: got %s, want %s", i, whole, got, want)
		}
		for _, look := range [][]string{nil, path, path[:1]} {
			if got, want := fmt.Sprint(d.get(look)), m.get(strings.Join(look, "/")); got != want {
				return fmt.Sprintf("operation %d: get %q: got %s, want %s", i, look, got, want)
			}
		}
		if empty := hollow(&d); empty != nil && len(m) > 0 {
			return fmt.Sprintf("operation %d: got an empty branch at %q", i, empty)
		}
	}
	return ""
}

// hollow finds a branch with nothing below it.
func hollow(d *dataNode) []string {
	if d.value == nil && len(d.children) == 0 {
		return []string{}
	}
	for name, child := range d.children {
		if path := hollow(child); path != nil {
			return slices.Insert(path, 0, name)
		}
	}
	return nil
}

func TestTheTreeIsItsModel(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 300
	properties := gopter.NewProperties(parameters)
	properties.Property("a tree does what its model does", prop.ForAll(treeRun, gen.SliceOf(gen.IntRange(0, 3*81*3-1))))
	properties.TestingRun(t)
}
