package diag

import (
	"fmt"
	"strings"
	"unicode"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// maxFrames bounds a backtrace: endless recursion has as many frames as its limit allows, all alike. The first and the
// last half of them are shown.
const maxFrames = 20

// width is how many characters of a source line are shown; of a longer one, those around the caret.
const width = 120

type formatter struct {
	source func(file string) ([]byte, bool)
	names  []string
	out    strings.Builder
}

func (f *formatter) problem(p problem) {
	line, _ := f.line(p.pos)
	msg, hint := f.hint(p.msg, line, p.pos)
	fmt.Fprintf(&f.out, "%s: %s\n", p.pos, msg)
	f.excerpt(line, p.pos)
	if hint != "" {
		fmt.Fprintf(&f.out, "hint: did you mean %s?\n", hint)
	} else if other := notPython(msg, line); other != "" {
		fmt.Fprintf(&f.out, "hint: %s\n", other)
	}
	if p.context != "" {
		fmt.Fprintf(&f.out, "while: %s\n", p.context)
	}
	for _, stack := range p.stacks {
		f.backtrace(stack)
	}
}

// line returns the source line at pos, without its end; ok is false if the source is not at hand or shorter.
func (f *formatter) line(pos syntax.Position) (line string, ok bool) {
	if f.source == nil || pos.Line < 1 {
		return "", false
	}
	text, ok := f.source(pos.Filename())
	if !ok {
		return "", false
	}
	rest := string(text)
	for range pos.Line - 1 {
		if _, rest, ok = strings.Cut(rest, "\n"); !ok {
			return "", false
		}
	}
	line, _, _ = strings.Cut(rest, "\n")
	return strings.TrimRight(line, "\r"), true
}

// excerpt shows a source line under its number, with a caret below the column.
func (f *formatter) excerpt(line string, pos syntax.Position) {
	if strings.TrimSpace(line) == "" {
		return
	}
	text, caret := clip([]rune(line), int(pos.Col)-1)
	number := fmt.Sprintf("%4d", pos.Line)
	fmt.Fprintf(&f.out, "%s | %s\n", number, printable(text))
	if caret >= 0 {
		fmt.Fprintf(&f.out, "%s | %s^\n", strings.Repeat(" ", len(number)), blank(text[:caret]))
	}
}

// clip cuts a long line to what is around the caret and returns where the caret is then; it is -1 if the column is
// unknown, and at most one past the end.
func clip(line []rune, caret int) ([]rune, int) {
	caret = min(caret, len(line))
	if len(line) <= width {
		return line, caret
	}
	from := min(max(caret-width/2, 0), len(line)-width)
	cut := append([]rune(nil), line[from:from+width]...)
	if from > 0 {
		cut[0] = '…'
	}
	if from+width < len(line) {
		cut[width-1] = '…'
	}
	return cut, caret - from
}

// printable replaces what could confuse a terminal, so that a script cannot move its cursor.
func printable(line []rune) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, string(line))
}

// blank returns white space as wide as line: tabs stay tabs.
func blank(line []rune) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, string(line))
}

// backtrace shows the calls that led to an error, the innermost last as Python does, each with its source line.
func (f *formatter) backtrace(stack starlark.CallStack) {
	frames := make([]starlark.CallFrame, 0, len(stack))
	for _, fr := range stack {
		if scripted(fr.Pos) {
			frames = append(frames, fr)
		}
	}
	if len(frames) == 0 {
		return
	}
	f.out.WriteString("Traceback (most recent call last):\n")
	for i, fr := range frames {
		switch hidden := len(frames) - maxFrames; {
		case hidden <= 0 || i < maxFrames/2 || i >= maxFrames/2+hidden:
			f.frame(fr)
		case i == maxFrames/2:
			fmt.Fprintf(&f.out, "  … %d more calls …\n", hidden)
		}
	}
}

func (f *formatter) frame(fr starlark.CallFrame) {
	fmt.Fprintf(&f.out, "  %s: in %s\n", fr.Pos, fr.Name)
	if line, ok := f.line(fr.Pos); ok && strings.TrimSpace(line) != "" {
		text, _ := clip([]rune(strings.TrimSpace(line)), 0)
		fmt.Fprintf(&f.out, "    %s\n", printable(text))
	}
}
