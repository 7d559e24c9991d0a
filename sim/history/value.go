package history

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// Value is an argument or a result: its canonical JSON text, compact, with the keys of objects sorted. A string rather
// than a tree, because checkers compare and hash values far more often than they look inside. The zero value counts as
// [Null].
type Value string

// Null is the value of nothing.
const Null Value = "null"

// The two booleans.
const (
	True  Value = "true"
	False Value = "false"
)

// maxDepth bounds the nesting of a value: far above any use, and low enough for every reader's stack. It also ends the
// walk through a list that contains itself.
const maxDepth = 200

// Int returns the value of an integer.
func Int(i int64) Value { return Value(strconv.FormatInt(i, 10)) }

// Bool returns the value of a boolean.
func Bool(b bool) Value { return Value(strconv.FormatBool(b)) }

// String returns the value of a string; bytes that are not UTF-8 become U+FFFD.
func String(s string) Value { return Value(appendString(nil, s)) }

// List returns the value of a list.
func List(elems ...Value) Value {
	b := []byte{'['}
	for i, e := range elems {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e.text()...)
	}
	return Value(append(b, ']'))
}

// ParseValue reads one JSON value. Its error names the column.
func ParseValue(text string) (Value, error) {
	s := scanner{buf: []byte(text)}
	b, err := s.value(nil, 0)
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return "", fmt.Errorf("history: parse value: %w", err)
	}
	return Value(b), nil
}

func (v Value) text() string {
	if v == "" {
		return string(Null)
	}
	return string(v)
}

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v == "" || v == Null }

// Elems returns the elements of a list, and false for any other value.
func (v Value) Elems() ([]Value, bool) {
	if len(v) == 0 || v[0] != '[' {
		return nil, false
	}
	var elems []Value
	s := scanner{buf: []byte(v), pos: 1}
	for s.peek() != ']' {
		if len(elems) > 0 {
			s.pos++ // the comma
		}
		b, err := s.value(nil, 0)
		if err != nil {
			return nil, false
		}
		elems = append(elems, Value(b))
	}
	return elems, true
}

// Text returns the content of a string, and false for any other value.
func (v Value) Text() (string, bool) {
	if len(v) == 0 || v[0] != '"' {
		return "", false
	}
	s := scanner{buf: []byte(v)}
	text, err := s.str()
	return text, err == nil
}

// FromStarlark returns the value of v. What has no JSON form (functions, sets, bytes, strings that are not UTF-8,
// infinities, containers that contain themselves) is an error that names the path to it.
func FromStarlark(v starlark.Value) (Value, error) {
	b, err := appendStarlark(nil, v, "value", 0)
	if err != nil {
		return "", fmt.Errorf("history: encode %w", err)
	}
	return Value(b), nil
}

func appendStarlark(b []byte, v starlark.Value, path string, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("value: nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case starlark.NoneType:
		return append(b, Null...), nil
	case starlark.Bool:
		return strconv.AppendBool(b, bool(v)), nil
	case starlark.Int:
		return append(b, v.String()...), nil
	case starlark.Float:
		return appendFloat(b, float64(v), path)
	case starlark.String:
		if !utf8.ValidString(string(v)) {
			return nil, fmt.Errorf("%s: got string %q, want UTF-8", path, string(v))
		}
		return appendString(b, string(v)), nil
	case *starlark.Dict:
		return appendDict(b, v, path, depth)
	case *starlark.List:
		return appendIndexable(b, v, path, depth)
	case starlark.Tuple:
		return appendIndexable(b, v, path, depth)
	}
	return nil, fmt.Errorf("%s: got %s, want None, bool, int, float, string, list, tuple or dict", path, v.Type())
}

func appendFloat(b []byte, f float64, path string) ([]byte, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, fmt.Errorf("%s: got %v, want a finite float", path, f)
	}
	from := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	for _, c := range b[from:] {
		if c == '.' || c == 'e' {
			return b, nil
		}
	}
	return append(b, ".0"...), nil // so that it is read as a float again
}

func appendIndexable(b []byte, v starlark.Indexable, path string, depth int) ([]byte, error) {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendStarlark(b, v.Index(i), path+"["+strconv.Itoa(i)+"]", depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendDict(b []byte, d *starlark.Dict, path string, depth int) ([]byte, error) {
	fields := make([]field, 0, d.Len())
	for _, item := range d.Items() {
		key, ok := starlark.AsString(item[0])
		if !ok || !utf8.ValidString(key) {
			return nil, fmt.Errorf("%s: got key %s, want a string in UTF-8", path, item[0])
		}
		text, err := appendStarlark(nil, item[1], path+"["+strconv.Quote(key)+"]", depth+1)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field{key, text})
	}
	return appendFields(b, fields), nil
}

// field is one member of an object: its name and its canonical text.
type field struct {
	name string
	text []byte
}

func appendFields(b []byte, fields []field) []byte {
	sort.Slice(fields, func(i, j int) bool { return fields[i].name < fields[j].name })
	b = append(b, '{')
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, f.name), ':')
		b = append(b, f.text...)
	}
	return append(b, '}')
}

const hex = "0123456789abcdef"

// appendString quotes s with as few escapes as JSON allows.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += size
			continue
		}
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
		i++
	}
	return append(b, '"')
}
