package history

import (
	"fmt"
	"math/big"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// scanner reads JSON into canonical text. encoding/json would do, were it not for what a strict reader must tell apart
// and it does not: duplicate keys, integers beyond a float's precision, invalid UTF-8.
type scanner struct {
	buf []byte
	pos int
}

// scanError is what is wrong at a column, counted in bytes from 1.
type scanError struct {
	column int
	msg    string
}

func (e *scanError) Error() string { return fmt.Sprintf("column %d: %s", e.column, e.msg) }

func (s *scanner) fail(format string, args ...any) error {
	return &scanError{s.pos + 1, fmt.Sprintf(format, args...)}
}

// peek returns the next byte that is not white space, or 0 at the end.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.buf); s.pos++ {
		switch c := s.buf[s.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// next describes what is at pos, for messages.
func (s *scanner) next() string {
	if s.peek(); s.pos >= len(s.buf) {
		return "the end"
	}
	r, _ := utf8.DecodeRune(s.buf[s.pos:])
	return strconv.QuoteRune(r)
}

func (s *scanner) expect(c byte) error {
	if s.peek() != c {
		return s.fail("got %s, want '%c'", s.next(), c)
	}
	s.pos++
	return nil
}

// end wants nothing but white space to be left.
func (s *scanner) end() error {
	if s.peek(); s.pos < len(s.buf) {
		return s.fail("got %s, want the end", s.next())
	}
	return nil
}

// value appends the canonical text of the next value to b.
func (s *scanner) value(b []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, s.fail("nested deeper than %d", maxDepth)
	}
	switch c := s.peek(); {
	case c == '"':
		text, err := s.str()
		return appendString(b, text), err
	case c == '-' || c >= '0' && c <= '9':
		return s.number(b)
	case c == '[':
		return s.array(b, depth)
	case c == '{':
		return s.object(b, depth)
	}
	for _, word := range []Value{Null, True, False} {
		if end := s.pos + len(word); end <= len(s.buf) && string(s.buf[s.pos:end]) == string(word) {
			s.pos = end
			return append(b, word...), nil
		}
	}
	return nil, s.fail("got %s, want a value", s.next())
}

func (s *scanner) array(b []byte, depth int) ([]byte, error) {
	s.pos++
	b = append(b, '[')
	for first := true; ; first = false {
		if first && s.peek() == ']' {
			break
		}
		var err error
		if b, err = s.value(b, depth+1); err != nil {
			return nil, err
		}
		if s.peek() != ',' {
			break
		}
		s.pos++
		b = append(b, ',')
	}
	return append(b, ']'), s.expect(']')
}

func (s *scanner) object(b []byte, depth int) ([]byte, error) {
	var fields []field
	err := s.members(func(name string) error {
		text, err := s.value(nil, depth+1)
		fields = append(fields, field{name, text})
		return err
	})
	return appendFields(b, fields), err
}

// members walks an object: read must consume the value of the member it is given the name of.
func (s *scanner) members(read func(name string) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	var seen map[string]bool
	for first := true; ; first = false {
		if first && s.peek() == '}' {
			break
		}
		name, err := s.str()
		if err != nil {
			return err
		}
		if seen[name] {
			return s.fail("duplicate key %q", name)
		}
		if seen == nil {
			seen = make(map[string]bool)
		}
		seen[name] = true
		if err := s.expect(':'); err != nil {
			return err
		}
		if err := read(name); err != nil {
			return err
		}
		if s.peek() != ',' {
			break
		}
		s.pos++
	}
	return s.expect('}')
}

func (s *scanner) digits() int {
	from := s.pos
	for s.pos < len(s.buf) && s.buf[s.pos] >= '0' && s.buf[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - from
}

func (s *scanner) accept(chars ...byte) bool {
	for _, c := range chars {
		if s.pos < len(s.buf) && s.buf[s.pos] == c {
			s.pos++
			return true
		}
	}
	return false
}

func (s *scanner) number(b []byte) ([]byte, error) {
	from := s.pos
	s.accept('-')
	if whole := s.pos; s.digits() == 0 {
		return nil, s.fail("got %s, want a digit", s.next())
	} else if s.pos-whole > 1 && s.buf[whole] == '0' {
		s.pos = whole
		return nil, s.fail("got a number with a leading 0")
	}
	float := false
	if s.accept('.') {
		if float = true; s.digits() == 0 {
			return nil, s.fail("got %s, want a digit", s.next())
		}
	}
	if s.accept('e', 'E') {
		s.accept('+', '-')
		if float = true; s.digits() == 0 {
			return nil, s.fail("got %s, want a digit", s.next())
		}
	}
	text := string(s.buf[from:s.pos])
	if text == "-0" {
		text = "0"
	}
	if !float {
		return append(b, text...), nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		s.pos = from
		return nil, s.fail("got %s, want a float of 64 bits", text)
	}
	return appendFloat(b, f, "number")
}

// str reads a string and returns its content.
func (s *scanner) str() (string, error) {
	if s.peek() != '"' {
		return "", s.fail("got %s, want a string", s.next())
	}
	s.pos++
	var b []byte
	for {
		from := s.pos
		for s.pos < len(s.buf) && s.buf[s.pos] != '"' && s.buf[s.pos] != '\\' && s.buf[s.pos] >= ' ' {
			s.pos++
		}
		run := s.buf[from:s.pos]
		if !utf8.Valid(run) {
			s.pos = from
			return "", s.fail("got a string that is not UTF-8")
		}
		if b == nil && s.pos < len(s.buf) && s.buf[s.pos] == '"' {
			s.pos++
			return string(run), nil // the usual case: no escapes, one copy
		}
		b = append(b, run...)
		switch {
		case s.accept('"'):
			return string(b), nil
		case s.accept('\\'):
			var err error
			if b, err = s.escape(b); err != nil {
				return "", err
			}
		case s.pos >= len(s.buf):
			return "", s.fail("got the end, want a closing quote")
		default:
			return "", s.fail("got a control character in a string")
		}
	}
}

func (s *scanner) escape(b []byte) ([]byte, error) {
	if s.pos >= len(s.buf) {
		return nil, s.fail("got the end, want a closing quote")
	}
	c := s.buf[s.pos]
	s.pos++
	switch c {
	case '"', '\\', '/':
		return append(b, c), nil
	case 'b':
		return append(b, '\b'), nil
	case 'f':
		return append(b, '\f'), nil
	case 'n':
		return append(b, '\n'), nil
	case 'r':
		return append(b, '\r'), nil
	case 't':
		return append(b, '\t'), nil
	case 'u':
		return s.unicode(b)
	}
	s.pos--
	return nil, s.fail("got escape \\%c", c)
}

// unicode reads the digits of an escaped code unit, and its second half if it is the first of a surrogate pair.
func (s *scanner) unicode(b []byte) ([]byte, error) {
	r, err := s.hex4()
	if err != nil {
		return nil, err
	}
	if utf16.IsSurrogate(r) {
		if !s.accept('\\') || !s.accept('u') {
			return nil, s.fail("got half of a surrogate pair")
		}
		low, err := s.hex4()
		if err != nil {
			return nil, err
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return nil, s.fail("got half of a surrogate pair")
		}
	}
	return utf8.AppendRune(b, r), nil
}

func (s *scanner) hex4() (rune, error) {
	if s.pos+4 <= len(s.buf) {
		if u, err := strconv.ParseUint(string(s.buf[s.pos:s.pos+4]), 16, 32); err == nil {
			s.pos += 4
			return rune(u), nil
		}
	}
	return 0, s.fail("got an escape without four hex digits")
}

// Starlark returns v as a frozen Starlark value; objects become dicts. A Value that no function of this package made
// may hold no JSON: it becomes a string.
func (v Value) Starlark() starlark.Value {
	s := scanner{buf: []byte(v.text())}
	x, err := s.starlark()
	if err != nil || s.end() != nil {
		return starlark.String(v)
	}
	x.Freeze()
	return x
}

func (s *scanner) starlark() (starlark.Value, error) {
	switch s.peek() {
	case '"':
		text, err := s.str()
		return starlark.String(text), err
	case '[':
		return s.starlarkList()
	case '{':
		d := starlark.NewDict(0)
		err := s.members(func(name string) error {
			x, err := s.starlark()
			if err != nil {
				return err
			}
			return d.SetKey(starlark.String(name), x)
		})
		return d, err
	}
	b, err := s.value(nil, 0)
	if err != nil {
		return nil, err
	}
	return scalar(string(b)), nil
}

func (s *scanner) starlarkList() (starlark.Value, error) {
	s.pos++
	var elems []starlark.Value
	for s.peek() != ']' {
		if len(elems) > 0 {
			if err := s.expect(','); err != nil {
				return nil, err
			}
		}
		x, err := s.starlark()
		if err != nil {
			return nil, err
		}
		elems = append(elems, x)
	}
	s.pos++
	return starlark.NewList(elems), nil
}

// scalar returns the value of the canonical text of null, a boolean or a number.
func scalar(text string) starlark.Value {
	switch Value(text) {
	case Null:
		return starlark.None
	case True, False:
		return starlark.Bool(Value(text) == True)
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return starlark.MakeInt64(i)
	}
	if i, ok := new(big.Int).SetString(text, 10); ok {
		return starlark.MakeBigInt(i)
	}
	f, _ := strconv.ParseFloat(text, 64) // canonical, so it parses
	return starlark.Float(f)
}
