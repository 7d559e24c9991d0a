package runtimetest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"go.starlark.net/starlark"

	"skynet/runtime"
)

// Value converts what tests write to Starlark: nil, bool, int, string, []any; Starlark values stay as they are.
func Value(v any) starlark.Value {
	switch v := v.(type) {
	case nil:
		return starlark.None
	case starlark.Value:
		return v
	case bool:
		return starlark.Bool(v)
	case int:
		return starlark.MakeInt(v)
	case string:
		return starlark.String(v)
	case []any:
		return starlark.NewList(tuple(v))
	}
	panic(fmt.Sprintf("runtimetest: value: got %T, want nil, bool, int, string, []any or a Starlark value", v))
}

func tuple(args []any) starlark.Tuple {
	t := make(starlark.Tuple, len(args))
	for i, v := range args {
		t[i] = Value(v)
	}
	return t
}

// service is the name under which a script is registered.
func service(script string) string { return strings.TrimSuffix(script, ".star") }

// outcome is a result that comes once, from another goroutine in production.
type outcome struct {
	mu    sync.Mutex
	ready bool
	value starlark.Value
	err   error
}

func newOutcome() *outcome { return new(outcome) }

func (o *outcome) set(v starlark.Value, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ready {
		panic("runtimetest: got a second outcome, want one")
	}
	o.ready, o.value, o.err = true, v, err
}

func (o *outcome) done() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ready
}

func (o *outcome) get() (starlark.Value, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.value, o.err
}

// Line is a log line.
type Line struct {
	Level slog.Level
	Text  string // the message and its fields: "message key=value …"
	Plain string // the same without the session and the trace, which say what the line belongs to
}

// String returns level and text.
func (l Line) String() string { return l.Level.String() + " " + l.Text }

// logs keeps what a node logs. It implements [slog.Handler].
type logs struct {
	mu    sync.Mutex
	lines []Line
	quiet bool // nothing is kept any more
}

func (l *logs) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quiet, l.lines = true, nil
}

// Enabled implements [slog.Handler]: everything is kept, until somebody wants it quiet.
func (l *logs) Enabled(context.Context, slog.Level) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.quiet
}

// Handle implements [slog.Handler].
func (l *logs) Handle(_ context.Context, r slog.Record) error {
	text, plain := r.Message, r.Message
	r.Attrs(func(a slog.Attr) bool {
		field := fmt.Sprintf(" %s=%v", a.Key, a.Value)
		text += field
		switch a.Value.Any().(type) {
		case runtime.TraceID, runtime.SessionID:
		default:
			plain += field
		}
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, Line{Level: r.Level, Text: text, Plain: plain})
	return nil
}

// WithAttrs implements [slog.Handler]; nodes do not use it.
func (l *logs) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements [slog.Handler]; nodes do not use it.
func (l *logs) WithGroup(string) slog.Handler { return l }

func (l *logs) all() []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Line(nil), l.lines...)
}

func (l *logs) contain(parts []string) bool {
	for _, line := range l.all() {
		found := 0
		for _, part := range parts {
			if strings.Contains(line.String(), part) {
				found++
			}
		}
		if found == len(parts) {
			return true
		}
	}
	return false
}
