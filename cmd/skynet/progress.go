package main

import (
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"
	"time"
)

// How often progress is shown: a terminal's line is redrawn ten times a second, which is as much as an eye can use; a
// log gets a line every ten seconds, so that a short sweep adds none.
const (
	redraw = 100 * time.Millisecond
	repeat = 10 * time.Second
)

// tally is how far a sweep is.
type tally struct {
	name                string
	done, total, failed uint64
	steps               uint64 // of all runs so far
}

// progress shows a tally while it grows: on a terminal as one line that is redrawn, elsewhere as a plain line now and
// then. It is not safe for concurrent use.
type progress struct {
	out         io.Writer
	tty         bool
	columns     int // of the terminal: a line that wraps cannot be redrawn
	now         func() time.Time
	begun, last time.Time
	drawn       bool // the terminal's line holds something
}

// newProgress shows progress on the standard error of s.
func newProgress(s *State) *progress {
	at := s.Now()
	return &progress{out: s.Stderr, tty: s.StderrTTY, columns: s.Columns, now: s.Now, begun: at, last: at}
}

// update shows t, unless something was shown a moment ago.
func (p *progress) update(t tally) {
	p.show(func(elapsed time.Duration) string { return t.line(elapsed, p.tty) })
}

// show shows a line, unless something was shown a moment ago. Errors of the writer are ignored: progress is a courtesy.
func (p *progress) show(line func(elapsed time.Duration) string) {
	at, every := p.now(), repeat
	if p.tty {
		every = redraw
	}
	if at.Sub(p.last) < every {
		return
	}
	p.last = at
	text := line(at.Sub(p.begun))
	if p.tty {
		p.drawn = true
		text = cut(text, p.columns-1) // the last column stays free: some terminals wrap when it is filled
		fmt.Fprintf(p.out, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintln(p.out, text)
}

// cut shortens a line to so many characters, or leaves it if that is not positive.
func cut(line string, columns int) string {
	runes := []rune(line)
	if columns <= 0 || len(runes) <= columns {
		return line
	}
	return string(runes[:columns-1]) + "…"
}

// done clears the terminal's line, so that the summary takes its place.
func (p *progress) done() {
	if p.drawn {
		p.drawn = false
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// line is the tally after the elapsed time; the bar is for terminals.
func (t tally) line(elapsed time.Duration, bar bool) string {
	var b strings.Builder
	b.WriteString(t.name + " ")
	if bar {
		b.WriteString(t.bar(20) + " ")
	}
	fmt.Fprintf(&b, "%d/%d seeds, %d failed", t.done, t.total, t.failed)
	if ms := uint64(elapsed.Milliseconds()); ms > 0 {
		fmt.Fprintf(&b, ", %s seeds/s, %s steps/s", short(t.done*1000/ms), short(t.steps*1000/ms))
	}
	if t.done > 0 && t.done < t.total {
		each, rest := uint64(max(elapsed, 0))/t.done, t.total-t.done
		if high, left := bits.Mul64(each, rest); high == 0 && left <= math.MaxInt64 { // else: centuries
			fmt.Fprintf(&b, ", %v left", time.Duration(left).Round(time.Second))
		}
	}
	return b.String()
}

// bar is a bar of the given width.
func (t tally) bar(width uint64) string {
	full := width
	if t.total > 0 {
		full = min(t.done, t.total) * width / t.total
	}
	return "[" + strings.Repeat("#", int(full)) + strings.Repeat(".", int(width-full)) + "]"
}

// short prints a number in three digits or so: 950, 1.2k, 34k, 5.6M.
func short(n uint64) string {
	for _, unit := range []struct {
		size uint64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		switch {
		case n >= 10*unit.size:
			return fmt.Sprintf("%d%s", n/unit.size, unit.name)
		case n >= unit.size:
			return fmt.Sprintf("%d.%d%s", n/unit.size, n%unit.size*10/unit.size, unit.name)
		}
	}
	return fmt.Sprint(n)
}
