package runtime

import (
	"fmt"
	"log/slog"
)

// TraceID is what a log line belongs to: everything that one request from outside, one connection or one timer has set off,
// in whatever services and on whatever nodes, has the same. In log lines it is the attribute "trace". 0 is no id.
type TraceID uint64

// String returns 16 hexadecimal digits.
func (t TraceID) String() string { return fmt.Sprintf("%016x", uint64(t)) }

// MarshalText is String, for the handlers of log/slog.
func (t TraceID) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// SessionID is the number that the caller of a request has given it. In the log lines of the handler that will answer it, it
// is the attribute "session".
type SessionID uint64

// marks are the attributes that say what a log line belongs to. A session of 0 is none.
func marks(session, trace uint64) []any {
	if session == 0 {
		return []any{"trace", TraceID(trace)}
	}
	return []any{"session", SessionID(session), "trace", TraceID(trace)}
}

// log writes a line of the handler that the coroutine runs.
func (co *coroutine) log(level slog.Level, msg string, attrs ...any) {
	co.svc.log(level, msg, append(marks(co.session, co.traceID()), attrs...)...)
}

// logFailure reports that the job of the coroutine has failed.
func (co *coroutine) logFailure(err error) {
	m := marks(co.session, co.traceID())
	if co.session != 0 && co.source != nil {
		m = append(m, "source", co.source.name())
	}
	co.svc.logFailure(m, co.job.what, err)
}

// logFailure reports a failed handler with its stack.
func (s *Service) logFailure(marks []any, what string, err error) {
	msg, backtrace := describe(err)
	attrs := append(marks, "command", what, "error", msg)
	if backtrace != "" {
		attrs = append(attrs, "backtrace", "\n"+indent(backtrace))
	}
	s.log(levelError, "handler failed", attrs...)
}
