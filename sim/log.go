package sim

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.starlark.net/starlark"

	"skynet/sched"
	"skynet/sched/trace"
	"skynet/sim/fact"
)

// keptLines is how many log lines a report shows at most: the last ones.
const keptLines = 200

// logbook has what the nodes of a run have logged: the last lines, for reports, and for the predicates of the verdict all
// records by their message. A log record is how a service reports a fact, such as that it leads.
type logbook struct {
	lines []line
	facts map[string]*facts // nil if nobody asks
}

// line is a log line that is printed only if somebody reads it.
type line struct {
	at    sched.Time
	level slog.Level
	name  string
	text  string
}

func (l *logbook) add(entry line) {
	if len(l.lines) >= 2*keptLines {
		l.lines = l.lines[:copy(l.lines, l.lines[keptLines:])]
	}
	l.lines = append(l.lines, entry)
}

// tail prints the last lines.
func (l *logbook) tail() []string {
	var printed []string
	for _, e := range l.lines[max(0, len(l.lines)-keptLines):] {
		printed = append(printed, fmt.Sprintf("%-10v %-5v %s: %s", time.Duration(e.at), e.level, e.name, e.text))
	}
	return printed
}

// report adds a record to the facts.
func (l *logbook) report(message string, f fact.Fact) {
	all := l.facts[message]
	if all == nil {
		all = new(facts)
		l.facts[message] = all
	}
	all.records = append(all.records, f)
}

// facts are the records of one message.
type facts struct {
	records []fact.Fact
	values  []starlark.Value // of the first records, as predicates see them
}

// count is how many there are; nil has none.
func (f *facts) count() int {
	if f == nil {
		return 0
	}
	return len(f.records)
}

// list returns the records as predicates see them.
func (f *facts) list() []starlark.Value {
	if f == nil {
		return nil
	}
	for _, r := range f.records[len(f.values):] {
		f.values = append(f.values, r.Value())
	}
	return f.values
}

// logHandler is the slog.Handler of a machine's node.
type logHandler struct{ machine *machine }

// Enabled takes every level: what a service reports does not depend on who looks.
func (h *logHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle folds the line into the trace and keeps it.
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	w := h.machine.world
	if w.closing {
		return nil
	}
	now := w.step.Now()
	w.latest = max(w.latest, now)
	text := fact.Text(r)
	w.trace.AddText(int64(now), trace.Log, h.machine.index, uint64(r.Level), 0, text)
	w.log.add(line{now, r.Level, h.machine.name, text})
	if w.log.facts != nil {
		w.log.report(r.Message, fact.Of(r, now, h.machine.name))
		w.attention = true
	}
	return nil
}

// WithAttrs is not needed by nodes: they name everything in each record.
func (h *logHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup is not needed by nodes.
func (h *logHandler) WithGroup(string) slog.Handler { return h }
