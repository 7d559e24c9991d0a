package sweep

import (
	"slices"
	"strings"

	"skynet/sim/history"
)

// Operation is what became of the clients' operations of one name, over all seeds.
type Operation struct {
	Name              string
	OK, Fail, Unknown uint64
	Why               string // how the first that was not ok ended; empty if there is none, or if that was never heard
}

// Refused are the operations of which not one was answered in any run: a history of those proves nothing.
func (s *Summary) Refused() []Operation {
	var refused []Operation
	for _, o := range s.Operations {
		if o.OK == 0 {
			refused = append(refused, o)
		}
	}
	return refused
}

// operations counts a history, in the order of the names.
func operations(h history.History) []Operation {
	var all []Operation
	for i := range h.Operations {
		op := &h.Operations[i]
		one := Operation{Name: op.Op, Why: op.Error}
		switch op.Outcome {
		case history.OK:
			one.OK = 1
		case history.Fail:
			one.Fail = 1
		default:
			one.Unknown = 1
		}
		all = addOperation(all, one)
	}
	return all
}

// addOperation adds counts to those of the same name.
func addOperation(all []Operation, o Operation) []Operation {
	i, found := slices.BinarySearchFunc(all, o.Name, func(a Operation, name string) int { return strings.Compare(a.Name, name) })
	if !found {
		return slices.Insert(all, i, o)
	}
	to := &all[i]
	to.OK, to.Fail, to.Unknown = to.OK+o.OK, to.Fail+o.Fail, to.Unknown+o.Unknown
	if to.Why == "" {
		to.Why = o.Why
	}
	return all
}
