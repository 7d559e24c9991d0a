package unit_test

import (
	"fmt"
	"testing/fstest"

	"skynet/sim/unit"
)

// Every test runs in a world of its own; a failure says what was got and what was wanted.
func Example() {
	files := fstest.MapFS{
		"counter.star": {Data: []byte(`
counts = {}

def incr(key, by = 1):
    counts[key] = counts.get(key, 0) + by
    return counts[key]
`)},
		"counter_test.star": {Data: []byte(`
def test_incr():
    counter = skynet.newservice("counter.star")
    assert.eq(skynet.call(counter, "incr", "hits"), 1)

def test_decr():
    counter = skynet.newservice("counter.star")
    assert.eq(skynet.call(counter, "incr", "hits", by = -1), 1)
`)},
	}
	f, err := unit.Load(files.ReadFile, "counter_test.star")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range f.Tests {
		r := f.Run(t.Name, unit.Options{Seed: unit.SeedOf(t.Name)})
		fmt.Println(t.Name, r.Failure == nil)
		if r.Failure != nil {
			fmt.Println(r.Failure.Line, r.Failure.Message)
		}
	}
	// Output:
	// test_incr true
	// test_decr false
	// 8 assert.eq: got -1, want 1
}
