package check

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"
	"go.starlark.net/starlark"

	"skynet/sim/history"
)

// visualStates bounds the search behind a picture, per partition: porcupine records every order it tries.
const visualStates = 100_000

// visualOrders is how many of the orders tried, the longest first, a picture keeps per partition: each is as long as
// the history.
const visualOrders = 32

// Visualize returns porcupine's picture of the history: one self-contained HTML page that shows for each partition the
// orders tried, and where each of them ends. The same history gives the same bytes. The horizontal axis is the order of
// events; the virtual times are in the details of an operation.
func Visualize(m *Model, h history.History) ([]byte, error) {
	parts, err := searches(m, h)
	if err != nil {
		return nil, fmt.Errorf("check: visualize: %w", err)
	}
	pm := pictureModel(m, parts)
	_, info := porcupine.CheckOperationsVerbose(pm, nil, 0) // its Partition has the operations
	for _, r := range parts {
		if r.err != nil {
			return nil, fmt.Errorf("check: visualize: %w", r.err)
		}
		r.spent, r.budget = false, math.MaxInt // porcupine steps through the orders once more to describe the states
	}
	orders := info.PartialLinearizations() // shared with info, so this takes effect there
	for i := range orders {
		slices.SortFunc(orders[i], func(a, b []int) int {
			return cmp.Or(cmp.Compare(len(b), len(a)), slices.Compare(a, b))
		})
		orders[i] = orders[i][:min(len(orders[i]), visualOrders)]
	}
	var page bytes.Buffer
	err = porcupine.Visualize(pm, info, &page)
	return page.Bytes(), err
}

// searches prepares one search per partition that has calls left. porcupine runs them in parallel: each has a
// thread of its own.
func searches(m *Model, h history.History) ([]*search, error) {
	newThread := func() *starlark.Thread {
		if m.thread == nil {
			return nil
		}
		return m.thread()
	}
	parts, err := split(m, newThread(), h)
	if err != nil {
		return nil, err
	}
	var all []*search
	for _, p := range parts {
		r := newSearch(m, newThread(), p.calls, visualStates)
		if r.best = r.start(); len(r.calls) > 0 {
			all = append(all, r)
		}
	}
	return all, nil
}

func pictureModel(m *Model, parts []*search) porcupine.Model {
	pm := (&search{model: m}).porcupine()
	pm.Partition = func([]porcupine.Operation) [][]porcupine.Operation {
		lanes := make(map[int]int) // processes numbered from 0 without gaps, as porcupine wants them
		ops := make([][]porcupine.Operation, len(parts))
		for i, r := range parts {
			ops[i] = r.operations()
			for j := range ops[i] {
				op := &ops[i][j]
				lane, ok := lanes[op.ClientId]
				if !ok {
					lane = len(lanes)
					lanes[op.ClientId] = lane
				}
				op.ClientId, op.Metadata = lane, r.calls[j].op.Interval()
			}
		}
		return ops
	}
	pm.DescribeOperation = func(input, _ any) string { return input.(*call).op.String() }
	pm.DescribeState = func(s any) string { return m.print(s.(*node).state) }
	return pm
}
