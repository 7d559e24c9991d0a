// Package wire makes messages values: it copies what a service sends to another service of its node, and encodes what
// it sends to another node, under the same rules, so that local and remote calls behave alike.
//
// # Guarantees
//
//   - After [Copy] the sender and the receiver share no mutable state. Immutable and frozen values are shared, not
//     copied.
//   - What [Copy] refuses, [AppendValue] refuses with the same path and reason, and the reverse, but for two things that
//     only matter between nodes: the size in bytes, and a [Sendable] that is no [Extension].
//   - A decoded value equals the encoded one, with the same types (a tuple stays a tuple) and the same order of keys.
//     Equal values of the same types and order have equal bytes, but for 0.0 and -0.0.
//   - [Decoder] never panics and never reads beyond its input. Its memory is bounded by [MaxElements], whatever the
//     bytes say.
//
// A value that occurs twice in a message arrives as two values: sharing inside a message is not kept, neither locally
// nor remotely.
package wire

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// The limits of one message. They hold for copying, encoding and decoding.
const (
	// MaxDepth is how deep containers may be nested.
	MaxDepth = 128

	// MaxElements bounds the elements of all containers together. An element counts 1; a dict or set counts 16
	// besides its elements, because an empty one takes half a kilobyte of memory for one byte of message.
	MaxElements = 1 << 20

	// MaxSize bounds the encoded bytes.
	MaxSize = 16 << 20

	tableCost = 16
)

// Sendable is a value of another package that may be sent. Its dynamic type must be comparable, such as a pointer.
type Sendable interface {
	starlark.Value

	// CopyForSend returns the value itself if it is immutable, else a value of Starlark's own kinds that is received in
	// its place, such as a struct of its fields. What that contains is copied in turn, and must not be copied here:
	// a value that contains itself would never end. Only an [Extension] can return itself and be sent to another node.
	CopyForSend() (starlark.Value, error)
}

// Extension is a value that has a MessagePack extension type, for example the address of a service.
type Extension interface {
	Sendable

	// WireType is the extension type, from 16 to 127; the types below are this package's own.
	WireType() int8

	// AppendWire appends the value's bytes, without any header.
	AppendWire(b []byte) []byte
}

// Error says which value of a message cannot be sent, or where the bytes of a message are wrong.
type Error struct {
	Path   string // where, in Starlark's notation: `argument 2["players"][3]`; empty for the value itself
	Reason string // for example "function cannot be sent in a message"

	endless bool           // a limit was exceeded, perhaps because a container contains itself
	inner   starlark.Value // the innermost container around that, once known
}

// Error returns the path and the reason. The middle of a path longer than a line is left out.
func (e *Error) Error() string {
	const end = 60
	path := e.Path
	if len(path) > 2*end+10 {
		path = path[:end] + " … " + path[len(path)-end:]
	}
	if path == "" {
		return e.Reason
	}
	return path + ": " + e.Reason
}

func refuse(format string, args ...any) *Error { return &Error{Reason: fmt.Sprintf(format, args...)} }

// under adds a step at the front of the path. Paths are built while an error returns, so that they cost nothing when
// there is none.
func (e *Error) under(step string) *Error {
	e.Path = step + e.Path
	return e
}

// left tells the error that it returns through container v. A container that is met twice on the way out contains
// itself; the path then ends at its outermost occurrence. So cycles need no bookkeeping while there is no error.
func (e *Error) left(v starlark.Value) *Error {
	switch {
	case !e.endless:
	case e.inner == nil:
		e.inner = v
	case e.inner == v:
		e.Path, e.Reason = "", v.Type()+" contains itself"
	}
	return e
}

// standsFor tells the error that container w was made for v: a v that contains itself makes another w each time.
func (e *Error) standsFor(w, v starlark.Value) *Error {
	if e.inner == w {
		e.inner = nil
	}
	return e.left(v)
}

func unsendable(v starlark.Value) *Error {
	if v == nil { // code in Go can make such a value
		return refuse("nil cannot be sent in a message")
	}
	return refuse("%s cannot be sent in a message", v.Type())
}

func tooDeep() *Error {
	return &Error{Reason: fmt.Sprintf("nested deeper than %d", MaxDepth), endless: true}
}

func tooMany() *Error {
	return &Error{Reason: fmt.Sprintf("more than %d elements in one message", MaxElements), endless: true}
}

// budget counts the elements of one message.
type budget struct{ used int }

func (b *budget) spend(n int) bool {
	b.used += n
	return b.used <= MaxElements
}

func argument(i int) string      { return "argument " + strconv.Itoa(i+1) }
func keyword(name string) string { return "argument " + name }
func index(i int) string         { return "[" + strconv.Itoa(i) + "]" }
func keyIndex(i int) string      { return ".keys()[" + strconv.Itoa(i) + "]" }
func field(name string) string   { return "." + name }
func kwName(kw starlark.Tuple) string {
	name, _ := starlark.AsString(kw[0])
	return name
}

// item names the value of a key.
func item(k starlark.Value) string { return "[" + brief(k) + "]" }

// brief prints a key for a path, which a person reads. Of what may be long it looks at the beginning only: the digits of an
// integer of some megabytes, which a peer can send, would take minutes to compute.
func brief(k starlark.Value) string {
	switch v := k.(type) {
	case starlark.Int:
		if _, ok := v.Int64(); !ok {
			return fmt.Sprintf("int of %d bits", v.BigInt().BitLen())
		}
	case starlark.Tuple:
		return briefTuple(v)
	case *starlarkstruct.Struct:
		return fmt.Sprintf("struct of %d", v.Len())
	case starlark.String:
		return cut(v[:min(len(v), longest+utf8.UTFMax)].String())
	case starlark.Bytes:
		return cut(v[:min(len(v), longest)].String())
	}
	return cut(k.String())
}

func briefTuple(t starlark.Tuple) string {
	text := "("
	for i, v := range t {
		if len(text) > longest {
			return cut(text)
		}
		if i > 0 {
			text += ", "
		}
		text += brief(v)
	}
	if len(t) == 1 {
		text += ","
	}
	return cut(text + ")")
}

// longest is how many bytes of a key a path shows.
const longest = 40

// cut returns the beginning of a text that is too long.
func cut(text string) string {
	if len(text) <= longest {
		return text
	}
	n := longest
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}
