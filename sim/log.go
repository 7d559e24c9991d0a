package sim

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/trace"
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
func (l *logbook) report(message string, f fact) {
	all := l.facts[message]
	if all == nil {
		all = new(facts)
		l.facts[message] = all
	}
	all.records = append(all.records, f)
}

// facts are the records of one message.
type facts struct {
	records []fact
	values  []starlark.Value // of the first records, as predicates see them
}

// fact is one record: its attributes as they were then.
type fact struct {
	at    sched.Time
	level slog.Level
	node  string
	attrs []attribute
}

type attribute struct {
	name  string
	value starlark.Value
}

// count is how many there are; nil has none.
func (f *facts) count() int {
	if f == nil {
		return 0
	}
	return len(f.records)
}

// list returns the records as predicates see them.
func (f *facts) list(message string) []starlark.Value {
	if f == nil {
		return nil
	}
	for _, r := range f.records[len(f.values):] {
		f.values = append(f.values, r.value(message))
	}
	return f.values
}

// value has the attributes, and node, time, level and message.
func (f fact) value(message string) starlark.Value {
	fields := make(starlark.StringDict, len(f.attrs)+4)
	for _, a := range f.attrs {
		fields[a.name] = a.value
	}
	fields["node"] = starlark.String(f.node)
	fields["time"] = seconds(f.at)
	fields["level"] = starlark.String(strings.ToLower(f.level.String()))
	fields["message"] = starlark.String(message)
	return starlarkstruct.FromStringDict(starlark.String("fact"), fields)
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
	text := lineOf(r)
	w.trace.AddText(int64(now), trace.Log, h.machine.index, uint64(r.Level), 0, text)
	w.log.add(line{now, r.Level, h.machine.name, text})
	if w.log.facts != nil {
		w.log.report(r.Message, fact{now, r.Level, h.machine.name, attributesOf(r)})
		w.attention = true
	}
	return nil
}

// WithAttrs is not needed by nodes: they name everything in each record.
func (h *logHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup is not needed by nodes.
func (h *logHandler) WithGroup(string) slog.Handler { return h }

// lineOf prints the message and the attributes but the node's name, which the report has already, and the marks.
func lineOf(r slog.Record) string {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "node" && !isMark(a.Value) {
			b.WriteString(" " + a.Key + "=")
			b.WriteString(textOf(a.Value))
		}
		return true
	})
	return b.String()
}

// isMark tells whether an attribute says what a line belongs to, rather than what has happened.
func isMark(v slog.Value) bool {
	if v.Kind() != slog.KindAny {
		return false
	}
	switch v.Any().(type) {
	case runtime.TraceID, runtime.SessionID:
		return true
	}
	return false
}

func textOf(v slog.Value) string {
	if value, ok := v.Any().(starlark.Value); ok {
		if s, ok := value.(starlark.String); ok {
			return string(s)
		}
		return value.String()
	}
	return v.String()
}

// attributesOf keeps what the attributes are now.
func attributesOf(r slog.Record) []attribute {
	attrs := make([]attribute, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		if !isMark(a.Value) {
			attrs = append(attrs, attribute{a.Key, snapshot(a.Value)})
		}
		return true
	})
	return attrs
}

// snapshot is a logged value as Starlark.
func snapshot(v slog.Value) starlark.Value {
	switch v.Kind() {
	case slog.KindBool:
		return starlark.Bool(v.Bool())
	case slog.KindInt64:
		return starlark.MakeInt64(v.Int64())
	case slog.KindUint64:
		return starlark.MakeUint64(v.Uint64())
	case slog.KindFloat64:
		return starlark.Float(v.Float64())
	}
	if value, ok := v.Any().(runtime.FieldValue); ok {
		return value.Value
	}
	return starlark.String(v.String())
}
