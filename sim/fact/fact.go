// Package fact keeps log records: as the line that a report shows, and as the fact that a script can look at. A log record
// is how a service says what it knows, such as that it leads.
package fact

import (
	"log/slog"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/runtime"
	"skynet/sched"
)

// Fact is one log record: its attributes are those of then, whatever became of the values since.
type Fact struct {
	At      sched.Time
	Level   slog.Level
	Node    string
	Message string
	attrs   []attribute
}

type attribute struct {
	name  string
	value starlark.Value
}

// Of keeps a record that a node has logged at that time.
func Of(r slog.Record, at sched.Time, node string) Fact {
	f := Fact{At: at, Level: r.Level, Node: node, Message: r.Message, attrs: make([]attribute, 0, r.NumAttrs())}
	r.Attrs(func(a slog.Attr) bool {
		if !isMark(a.Value) {
			f.attrs = append(f.attrs, attribute{a.Key, snapshot(a.Value)})
		}
		return true
	})
	return f
}

// Value is a struct that has the attributes, and node, time, level and message.
func (f Fact) Value() starlark.Value {
	fields := make(starlark.StringDict, len(f.attrs)+4)
	for _, a := range f.attrs {
		fields[a.name] = a.value
	}
	fields["node"] = starlark.String(f.Node)
	fields["time"] = starlark.Float(time.Duration(f.At).Seconds())
	fields["level"] = starlark.String(strings.ToLower(f.Level.String()))
	fields["message"] = starlark.String(f.Message)
	return starlarkstruct.FromStringDict(starlark.String("fact"), fields)
}

// Attr is the value of an attribute as text, "" if there is none of that name.
func (f Fact) Attr(name string) string {
	for _, a := range f.attrs {
		if a.name == name {
			return plain(a.value)
		}
	}
	return ""
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

// Text prints the message and the attributes but the node's name, which every report has already, and the marks.
func Text(r slog.Record) string {
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

func textOf(v slog.Value) string {
	if value, ok := v.Any().(starlark.Value); ok {
		return plain(value)
	}
	return v.String()
}

// plain is a value without the quotes of a string.
func plain(v starlark.Value) string {
	if s, ok := v.(starlark.String); ok {
		return string(s)
	}
	return v.String()
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
