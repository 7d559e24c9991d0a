package shrink

import "slices"

// minimise returns a part of items that still fails, and that does not if any single one of its items is taken away, as
// long as fails is truthful: ddmin of Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input (2002).
// All of items must fail. The order is kept.
func minimise[T any](items []T, fails func([]T) bool) []T {
	if len(items) > 0 && fails(nil) {
		return nil
	}
	for n := 2; len(items) >= 2; {
		smaller, chunks := reduce(items, n, fails)
		switch {
		case smaller == nil && n >= len(items):
			return items
		case smaller == nil:
			n = min(2*n, len(items))
		case chunks:
			items, n = smaller, 2
		default:
			items, n = smaller, max(n-1, 2)
		}
	}
	return items
}

// reduce cuts items into n chunks and returns the first of them that fails, else the first of their complements that
// fails, else nil.
func reduce[T any](items []T, n int, fails func([]T) bool) (smaller []T, isChunk bool) {
	cut := func(i int) (from, to int) { return i * len(items) / n, (i + 1) * len(items) / n }
	for i := range n {
		if from, to := cut(i); fails(items[from:to:to]) {
			return items[from:to:to], true
		}
	}
	if n == 2 {
		return nil, false // the complement of a half is the other half
	}
	for i := range n {
		from, to := cut(i)
		if rest := slices.Delete(slices.Clone(items), from, to); fails(rest) {
			return rest, false
		}
	}
	return nil, false
}
