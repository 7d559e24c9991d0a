package sim

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/runtime/wire"
	"skynet/sched/trace"
)

// keptLines is how many log lines a report shows at most: the last ones.
const keptLines = 200

// logbook has what the nodes of a run have logged: the last lines, for reports, and for the predicates of the verdict all
// records by their message. A log record is how a service reports a fact, such as that it leads.
type logbook struct {
	lines []string
	facts map[string][]starlark.Value // nil if nobody asks
	total int
}

// tail returns the last lines.
func (l *logbook) tail() []string { return l.lines[max(0, len(l.lines)-keptLines):] }

func (l *logbook) add(line string) {
	if len(l.lines) >= 2*keptLines {
		l.lines = l.lines[:copy(l.lines, l.tail())]
	}
	l.lines = append(l.lines, line)
	l.total++
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
	w.log.add(fmt.Sprintf("%-10v %-5v %s: %s", time.Duration(now), r.Level, h.machine.name, text))
	if w.log.facts != nil {
		w.log.facts[r.Message] = append(w.log.facts[r.Message], h.fact(r))
		w.attention = true
	}
	return nil
}

// WithAttrs is not needed by nodes: they name everything in each record.
func (h *logHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup is not needed by nodes.
func (h *logHandler) WithGroup(string) slog.Handler { return h }

// lineOf prints the message and the attributes but the node's name, which the report has already.
func lineOf(r slog.Record) string {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "node" {
			b.WriteString(" " + a.Key + "=")
			b.WriteString(textOf(a.Value.Any()))
		}
		return true
	})
	return b.String()
}

func textOf(v any) string {
	if s, ok := v.(starlark.String); ok {
		return string(s)
	}
	return fmt.Sprint(v)
}

// fact is a record as predicates see it: its attributes, and node, time, level and message.
func (h *logHandler) fact(r slog.Record) starlark.Value {
	fields := make(starlark.StringDict, r.NumAttrs()+4)
	r.Attrs(func(a slog.Attr) bool {
		fields[a.Key] = snapshot(a.Value.Any())
		return true
	})
	fields["node"] = starlark.String(h.machine.name)
	fields["time"] = seconds(h.machine.world.step.Now())
	fields["level"] = starlark.String(strings.ToLower(r.Level.String()))
	fields["message"] = starlark.String(r.Message)
	return starlarkstruct.FromStringDict(starlark.String("fact"), fields)
}

// snapshot is what a logged value is now.
func snapshot(v any) starlark.Value {
	value, ok := v.(starlark.Value)
	if !ok {
		return starlark.String(fmt.Sprint(v))
	}
	copied, err := wire.Copy(value)
	if err != nil { // a function, say
		return starlark.String(value.String())
	}
	copied.Freeze()
	return copied
}
