package runtime

import (
	"fmt"
	"slices"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
)

// TestLineIsItsModel compares a line with a slice that is searched.
func TestLineIsItsModel(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests, parameters.MaxSize = 300, 400
	properties := gopter.NewProperties(parameters)
	properties.Property("a line does what its model does", prop.ForAll(func(ops []int) string {
		var l line[int, int]
		var model []int
		for i, op := range ops {
			key := op / 4
			at := slices.Index(model, key)
			switch op % 4 {
			case 0, 1:
				l.add(key, -key)
				if at < 0 {
					model = append(model, key)
				}
			case 2:
				if v, ok := l.remove(key); ok != (at >= 0) || ok && v != -key {
					return fmt.Sprintf("operation %d: remove(%d) = %d, %v, want it to be there: %v", i, key, v, ok, at >= 0)
				}
				if at >= 0 {
					model = slices.Delete(model, at, at+1)
				}
			case 3: // whoever is first leaves
				k, v, ok := l.first()
				if ok != (len(model) > 0) || ok && (k != model[0] || v != -k) {
					return fmt.Sprintf("operation %d: first() = %d, %d, %v, want the first of %v", i, k, v, ok, model)
				}
				if ok {
					l.remove(k)
					model = model[1:]
				}
			}
			var keys []int
			for k := range l.all() {
				keys = append(keys, k)
			}
			if !slices.Equal(keys, model) || l.len() != len(model) {
				return fmt.Sprintf("operation %d: got %v, %d, want %v", i, keys, l.len(), model)
			}
			if len(l.places) > 2*len(l.at)+17 && l.len() > 0 {
				return fmt.Sprintf("operation %d: got %d places for %d members", i, len(l.places), l.len())
			}
		}
		return ""
	}, gen.SliceOf(gen.IntRange(0, 159))))
	properties.TestingRun(t)
}
