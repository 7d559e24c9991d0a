package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"skynet/sim/history"
)

// shown is how many operations of an order evidence lists: enough to see how the state came about.
const shown = 12

// evidence explains why p is violated; r is the search that found it. It first cuts the history off behind the earliest
// completion that cannot be explained: most histories go on for long after what went wrong.
func evidence(p partition, r *search) []string {
	r, last := narrow(p, r)
	lines := []string{fmt.Sprintf("%s is not linearizable: nothing explains %s", p.name(), last.op)}
	lines = append(lines, fmt.Sprintf("longest order that fits, %d of the %d operations begun by then:", r.best.depth, len(r.calls)))
	var rows [][2]string
	placed := make(map[*call]bool)
	for n := r.best; n.parent != nil; n = n.parent {
		placed[n.call] = true
		rows = append(rows, [2]string{r.describe(n.call), r.model.print(n.state)})
	}
	rows = append(rows, [2]string{"at the start", r.model.print(r.model.initial)})
	slices.Reverse(rows)
	if skip := len(rows) - shown; skip > 0 {
		lines = append(lines, fmt.Sprintf("  (%d before)", skip))
		rows = rows[skip:]
	}
	lines = append(lines, align(rows)...)
	lines = append(lines, fmt.Sprintf("then the state is %s, and none of these can come next:", r.model.print(r.best.state)))
	return append(lines, r.stuck(placed)...)
}

// narrow searches for the shortest prefix of the partition that is violated, by halving, and returns the search of it
// and the call whose completion ends it.
func narrow(p partition, r *search) (*search, *call) {
	var ends []*call
	for i := range p.calls {
		if c := &p.calls[i]; c.known {
			ends = append(ends, c)
		}
	}
	slices.SortFunc(ends, func(a, b *call) int { return cmp.Compare(a.ret, b.ret) })
	low, high := 0, len(ends)-1 // ends[high] is known to end a violated prefix
	for low < high {
		middle := (low + high) / 2
		prefix := newSearch(r.model, r.thread, until(p.calls, ends[middle].ret), r.budget)
		switch fits := prefix.linearizable(); {
		case prefix.spent || prefix.err != nil:
			return r, ends[high]
		case fits:
			low = middle + 1
		default:
			high, r = middle, prefix
		}
	}
	return r, ends[high]
}

// stuck lists the operations that are not placed and had to come next: those begun before the first completion of any
// of them.
func (r *search) stuck(placed map[*call]bool) []string {
	first := int64(-1)
	for _, c := range r.calls {
		if !placed[c] && (first < 0 || c.ret < first) {
			first = c.ret
		}
	}
	var rows [][2]string
	for _, c := range r.calls {
		if !placed[c] && c.call < first {
			rows = append(rows, [2]string{r.describe(c), ""})
		}
	}
	return align(rows)
}

// describe prints a call as it was known at the end of the searched prefix.
func (r *search) describe(c *call) string {
	op := *c.op
	if !c.known && op.Outcome == history.OK {
		op.Outcome, op.Error = history.Unknown, "still running"
	}
	return op.String() + " " + op.Interval()
}

func (m *Model) print(s state) string {
	switch {
	case m.describe != nil:
		return m.describe(s)
	case s.value != nil:
		return s.value.String()
	}
	return s.text
}

// align prints rows in two columns.
func align(rows [][2]string) []string {
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0]))
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = strings.TrimRight(fmt.Sprintf("  %-*s  %s", width, row[0], row[1]), " ")
	}
	return lines
}
