package main

import (
	"fmt"
	"strings"
	"time"

	"skynet/sim/unit"
)

// shownLines is how many log lines a failure shows without --verbose: the last ones.
const shownLines = 10

// printTest prints a test that has run: one that passed only if asked to.
func (x *suite) printTest(r testRun) error {
	if r.Failure == nil && !x.verbose {
		return nil
	}
	var b strings.Builder
	verdict := x.green("ok")
	if r.Failure != nil {
		verdict = x.red("FAIL")
	}
	fmt.Fprintf(&b, "%s%s %s: %s", verdict, pad(r.Failure == nil), x.file.Name, r.Test.Name)
	if x.verbose {
		fmt.Fprintf(&b, " (%v of virtual time, %v)", r.Virtual, r.wall.Round(time.Microsecond))
	}
	b.WriteString("\n")
	if r.Failure != nil {
		b.WriteString(indented(r.Failure.Text, "  "))
	}
	x.logs(&b, r.Logs)
	if r.Failure != nil {
		fmt.Fprintf(&b, "  repeat: %s\n", x.repeat(r))
	}
	_, err := x.Stdout.Write([]byte(b.String()))
	return err
}

// pad makes both verdicts equally wide, colour or not.
func pad(ok bool) string {
	if ok {
		return "  "
	}
	return ""
}

// logs prints the lines that were logged, or the last ones.
func (x *suite) logs(b *strings.Builder, lines []unit.Line) {
	if len(lines) == 0 {
		return
	}
	b.WriteString("  log:\n")
	if hidden := len(lines) - shownLines; hidden > 0 && !x.verbose {
		fmt.Fprintf(b, "    … %s before; -v has them all\n", counted(hidden, "line"))
		lines = lines[hidden:]
	}
	for _, l := range lines {
		text := strings.ReplaceAll(strings.TrimRight(l.Text, "\n"), "\n", "\n    ")
		if l.Service != "" {
			text = l.Service + ": " + text
		}
		fmt.Fprintf(b, "    %-8v %-5v %s\n", l.At, l.Level, text)
	}
}

// indented puts something before every line of a text.
func indented(text, before string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(before + line)
	}
	return b.String()
}

// printFile is the last line of a file.
func (x *suite) printFile() error {
	text := fmt.Sprintf("%s   %s: %s", x.green("ok"), x.file.Name, counted(len(x.runs), "test"))
	if x.failed > 0 {
		text = fmt.Sprintf("%s %s: %d of %s failed", x.red("FAIL"), x.file.Name, x.failed, counted(len(x.runs), "test"))
	}
	if skipped := len(x.file.Tests) - len(x.runs); skipped > 0 {
		text += fmt.Sprintf(" (%d not chosen)", skipped)
	}
	_, err := fmt.Fprintf(x.Stdout, "%s in %v\n", text, x.wall.Round(time.Millisecond))
	return err
}

// printBroken says why a file does not load.
func (x *suite) printBroken() error {
	e := x.file.broken
	_, err := fmt.Fprintf(x.Stdout, "%s %s: does not load\n%s", x.red("FAIL"), e.File, indented(e.Failure.Text, "  "))
	return err
}

// print prints the last line of several files.
func (t testTotal) print(s *State) error {
	verdict, text := s.green("ok")+"  ", counted(t.tests, "test")+" passed"
	if t.tests == 0 {
		text = "no test ran"
	}
	if t.failed > 0 {
		verdict, text = s.red("FAIL"), fmt.Sprintf("%d of %s failed", t.failed, counted(t.tests, "test"))
	}
	if t.broken > 0 {
		verdict, text = s.red("FAIL"), fmt.Sprintf("%s, %s did not load", text, counted(t.broken, "file"))
	}
	_, err := fmt.Fprintf(s.Stdout, "%s %s\n", verdict, text)
	return err
}
