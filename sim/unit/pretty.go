package unit

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

const (
	shortText = 72   // longer values are shown on lines of their own
	maxLines  = 1000 // of a value; what follows is only counted
	maxNested = 16   // deeper values are shown in one line
)

// brief is a value in one line of bounded length.
func brief(v starlark.Value) string {
	text := []rune(v.String())
	if len(text) > 2*shortText {
		return string(text[:2*shortText]) + "…"
	}
	return string(text)
}

// pretty is a value on as many lines as it needs to be compared by lines: what has parts has one on each line, sorted where
// their order means nothing.
func pretty(v starlark.Value) []string {
	p := printer{}
	p.value("", v, "", 0)
	if hidden := len(p.lines) - maxLines; hidden > 0 {
		return append(p.lines[:maxLines], fmt.Sprintf("… %d more lines", hidden))
	}
	return p.lines
}

type printer struct{ lines []string }

// value prints a value after what leads its first line and before what ends its last one.
func (p *printer) value(lead string, v starlark.Value, end string, depth int) {
	indent := strings.Repeat("  ", depth)
	text := v.String()
	open, parts, close := split(v)
	if depth > maxNested || len(p.lines) > 4*maxLines || len(text)+len(lead) <= shortText && !strings.Contains(text, `\n`) || len(parts) == 0 {
		p.lines = append(p.lines, indent+lead+text+end)
		return
	}
	p.lines = append(p.lines, indent+lead+open)
	separator := ","
	if _, text := v.(starlark.String); text {
		separator = ""
	}
	for _, part := range parts {
		p.value(part.lead, part.value, separator, depth+1)
	}
	p.lines = append(p.lines, indent+close+end)
}

// part is an element of a value with what is printed before it.
type part struct {
	lead  string
	value starlark.Value
}

// split takes a value apart, and says what is printed before and after its parts; it has none if it cannot be.
func split(v starlark.Value) (open string, parts []part, close string) {
	switch v := v.(type) {
	case *starlark.Dict:
		for _, item := range v.Items() {
			parts = append(parts, part{item[0].String() + ": ", item[1]})
		}
		slices.SortStableFunc(parts, func(a, b part) int { return strings.Compare(a.lead, b.lead) })
		return "{", parts, "}"
	case *starlark.List:
		return "[", elements(slices.Collect(v.Elements())), "]"
	case starlark.Tuple:
		return "(", elements(v), ")"
	case *starlark.Set:
		parts = elements(slices.Collect(v.Elements()))
		slices.SortStableFunc(parts, func(a, b part) int { return strings.Compare(a.value.String(), b.value.String()) })
		return "set([", parts, "])"
	case *starlarkstruct.Struct:
		return constructor(v) + "(", fields(v), ")"
	case starlark.String:
		return `"""`, textLines(string(v)), `"""`
	case starlark.HasAttrs:
		if v.Type() == "state" {
			return "state(", fields(v), ")"
		}
	}
	return "", nil, ""
}

func elements(values []starlark.Value) []part {
	parts := make([]part, len(values))
	for i, v := range values {
		parts[i].value = v
	}
	return parts
}

func constructor(s *starlarkstruct.Struct) string {
	if name, ok := starlark.AsString(s.Constructor()); ok {
		return name
	}
	return s.Constructor().String()
}

func fields(v starlark.HasAttrs) (parts []part) {
	for _, name := range v.AttrNames() {
		if value, err := v.Attr(name); err == nil && value != nil {
			parts = append(parts, part{name + " = ", value})
		}
	}
	return parts
}

// textLine is a line of a string, printed without quotes.
type textLine struct{ starlark.Value }

func (l textLine) String() string {
	quoted := l.Value.String()
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// textLines takes a string of several lines apart.
func textLines(text string) (parts []part) {
	if !strings.Contains(text, "\n") {
		return nil
	}
	for _, line := range strings.Split(text, "\n") {
		parts = append(parts, part{value: textLine{starlark.String(line)}})
	}
	return parts
}
