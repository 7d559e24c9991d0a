package runtime

import (
	"fmt"
	"log/slog"
	"strconv"
	"unicode/utf8"
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
	attrs := append(marks, "command", what, "error", headOf(msg))
	if backtrace != "" {
		attrs = append(attrs, "backtrace", "\n"+indent(endsOf(backtrace)))
	}
	s.log(levelError, "handler failed", attrs...)
}

// maxLogged is how many bytes of an error's text, and of a backtrace, a log line carries: who called gets all of it, but a log
// is for people, and a script can fail with megabytes.
const maxLogged = 4 << 10

// headOf is the text of an error as a log line carries it. What is cut is only counted.
func headOf(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	n := runeStart(text, maxLogged)
	return fmt.Sprintf("%s… (%s bytes more)", text[:n], grouped(len(text)-n))
}

// endsOf is a backtrace, or another long text, as a log line carries it: of a long one the first calls and the last, since the cause
// stands at its end.
func endsOf(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	from, to := runeStart(text, maxLogged/2), runeStart(text, len(text)-maxLogged/2)
	return fmt.Sprintf("%s… (%s bytes more) …%s", text[:from], grouped(to-from), text[to:])
}

// runeStart is the last place at or before i where a character begins.
func runeStart(text string, i int) int {
	for back := range utf8.UTFMax {
		if back <= i && utf8.RuneStart(text[i-back]) {
			return i - back
		}
	}
	return i // these are no characters at all
}

// grouped is a number with its thousands apart: "7,995,904".
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
