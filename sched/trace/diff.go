package trace

import (
	"fmt"
	"strings"
	"time"
)

// Two runs that should be equal and are not are compared in two passes: the checkpoints tell the window of events in
// which the runs began to differ ([FirstWindow]); both are run again with a [Recorder] of that window as their sink, and
// the recordings tell the event ([FirstDivergence]). So no run is ever kept in memory as a whole.

// FirstWindow returns the range of event indexes, from inclusive and to exclusive, in which the first difference of two
// runs lies, given the checkpoints of both. If no common checkpoint differs, the range begins after the last of them and
// has no end (to is the largest uint64): the runs are equal or differ there.
func FirstWindow(a, b []uint64) (from, to uint64) {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return uint64(i) * Every, uint64(i+1) * Every
		}
	}
	return uint64(n) * Every, ^uint64(0)
}

// Recorder keeps the events of a range of indexes. Its Sink is made to be a trace's.
type Recorder struct {
	from, to uint64
	events   []Event
}

// Window returns a recorder of the events from index from, inclusive, to index to, exclusive.
func Window(from, to uint64) *Recorder { return &Recorder{from: from, to: to} }

// Sink keeps e if it is in the window.
func (r *Recorder) Sink(e Event) {
	if r.from <= e.Index && e.Index < r.to {
		r.events = append(r.events, e)
	}
}

// Events returns what was recorded, in order.
func (r *Recorder) Events() []Event { return r.events }

// Divergence is the first event in which two recordings differ; a nil side has ended before.
type Divergence struct {
	A, B *Event
}

// FirstDivergence compares two recordings of the same window, nil if they are equal.
func FirstDivergence(a, b []Event) *Divergence {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return &Divergence{&a[i], &b[i]}
		}
	}
	switch {
	case len(a) > n:
		return &Divergence{A: &a[n]}
	case len(b) > n:
		return &Divergence{B: &b[n]}
	}
	return nil
}

// String prints both events, one to a line.
func (d *Divergence) String() string {
	side := func(e *Event) string {
		if e == nil {
			return "(the run has ended)"
		}
		return e.String()
	}
	return "first run:  " + side(d.A) + "\nsecond run: " + side(d.B)
}

// String prints the event on one line, for example "#17 1.5ms node 2 timer 4 0". A text is quoted.
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %v ", e.Index, time.Duration(e.Time))
	if e.Node < 0 {
		b.WriteString("world")
	} else {
		fmt.Fprintf(&b, "node %d", e.Node)
	}
	fmt.Fprintf(&b, " %v %d %d", e.Kind, e.A, e.B)
	if e.Text != "" {
		fmt.Fprintf(&b, " %q", e.Text)
	}
	return b.String()
}
