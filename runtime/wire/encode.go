package wire

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/tinylib/msgp/msgp"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// The encoding is MessagePack. None, bools, floats (always 64 bits), strings, bytes, lists and dicts are its own types;
// ints take the shortest of its forms. What it has no type for:
//
//   - An int beyond 64 bits is extension 1: a byte 0 or 1 for the sign, then the magnitude, big-endian.
//   - A tuple, set or struct is an array whose first element is extension 2 with one byte, 't', 's' or 'r'. A struct
//     has its constructor's name next, then name and value of each field in ascending order of the names.
const (
	extInt    = 1
	extMarker = 2

	// firstExtension is the lowest type an Extension may have.
	firstExtension = 16

	markTuple  = 't'
	markSet    = 's'
	markStruct = 'r'
)

// AppendValue appends the encoding of v to b. It fails with an *[Error] if v, or something in it, cannot be sent; b is
// then returned unchanged in length.
func AppendValue(b []byte, v starlark.Value) ([]byte, error) {
	e := encoder{b: b, start: len(b)}
	if err := e.value(v, 0); err != nil {
		return b, err
	}
	return e.b, nil
}

// AppendArgs appends the encoding of the arguments of a call: an array of the positional ones and a map of the named
// ones. It fails like [AppendValue].
func AppendArgs(b []byte, args starlark.Tuple, kwargs []starlark.Tuple) ([]byte, error) {
	e := encoder{b: b, start: len(b)}
	e.b = msgp.AppendArrayHeader(e.b, 2)
	e.b = msgp.AppendArrayHeader(e.b, uint32(len(args)))
	for i, v := range args {
		if err := e.element(v, 0); err != nil {
			return b, err.under(argument(i))
		}
	}
	e.b = msgp.AppendMapHeader(e.b, uint32(len(kwargs)))
	for _, kw := range kwargs {
		name := kwName(kw)
		e.b = msgp.AppendString(e.b, name)
		if err := e.element(kw[1], 0); err != nil {
			return b, err.under(keyword(name))
		}
	}
	return e.b, nil
}

// encoder encodes one message. Its recursion follows copier's, so that both refuse the same.
type encoder struct {
	budget
	b     []byte
	start int // where the message begins in b
}

func (e *encoder) element(v starlark.Value, depth int) *Error {
	if !e.spend(1) {
		return tooMany()
	}
	return e.value(v, depth)
}

func (e *encoder) value(v starlark.Value, depth int) *Error {
	if e.scalar(v) {
		return e.fits()
	}
	if depth >= MaxDepth {
		return tooDeep()
	}
	switch v := v.(type) {
	case starlark.Tuple:
		return e.tuple(v, depth+1)
	case *starlark.List:
		return e.list(v, depth+1)
	case *starlark.Dict:
		return e.dict(v, depth+1)
	case *starlark.Set:
		return e.set(v, depth+1)
	case *starlarkstruct.Struct:
		return e.structure(v, depth+1)
	case Extension:
		return e.extension(v)
	case Sendable:
		return e.sendable(v, depth+1)
	}
	return unsendable(v)
}

func (e *encoder) fits() *Error {
	if got := len(e.b) - e.start; got > MaxSize {
		return refuse("message of more than %d bytes", MaxSize)
	}
	return nil
}

// scalar appends v if it is one.
func (e *encoder) scalar(v starlark.Value) bool {
	switch v := v.(type) {
	case starlark.NoneType:
		e.b = msgp.AppendNil(e.b)
	case starlark.Bool:
		e.b = msgp.AppendBool(e.b, bool(v))
	case starlark.Int:
		e.int(v)
	case starlark.Float:
		f := float64(v)
		if f != f {
			f = math.NaN() // all NaNs are equal in Starlark
		}
		e.b = msgp.AppendFloat64(e.b, f)
	case starlark.String:
		e.b = msgp.AppendString(e.b, string(v))
	case starlark.Bytes:
		e.b = msgp.AppendBytesHeader(e.b, uint32(len(v)))
		e.b = append(e.b, v...)
	default:
		return false
	}
	return true
}

func (e *encoder) int(v starlark.Int) {
	if i, ok := v.Int64(); ok && i < 0 {
		e.b = msgp.AppendInt64(e.b, i)
		return
	}
	if u, ok := v.Uint64(); ok {
		e.b = msgp.AppendUint64(e.b, u)
		return
	}
	e.bigInt(v.BigInt())
}

func (e *encoder) bigInt(x *big.Int) {
	magnitude := x.Bytes()
	e.b = appendExtHeader(e.b, extInt, 1+len(magnitude))
	sign := byte(0)
	if x.Sign() < 0 {
		sign = 1
	}
	e.b = append(append(e.b, sign), magnitude...)
}

// marked begins an array that stands for a tuple, a set or a struct.
func (e *encoder) marked(kind byte, n int) {
	e.b = msgp.AppendArrayHeader(e.b, uint32(n+1))
	e.b = append(appendExtHeader(e.b, extMarker, 1), kind)
}

func (e *encoder) tuple(t starlark.Tuple, depth int) *Error {
	e.marked(markTuple, len(t))
	for i, v := range t {
		if err := e.element(v, depth); err != nil {
			return err.under(index(i))
		}
	}
	return nil
}

func (e *encoder) list(l *starlark.List, depth int) *Error {
	e.b = msgp.AppendArrayHeader(e.b, uint32(l.Len()))
	for i := range l.Len() {
		if err := e.element(l.Index(i), depth); err != nil {
			return err.under(index(i)).left(l)
		}
	}
	return nil
}

func (e *encoder) dict(d *starlark.Dict, depth int) *Error {
	if !e.spend(tableCost) {
		return tooMany()
	}
	e.b = msgp.AppendMapHeader(e.b, uint32(d.Len()))
	i := 0
	for k, v := range d.Entries() {
		if err := e.element(k, depth); err != nil {
			return err.under(keyIndex(i)).left(d)
		}
		if err := e.element(v, depth); err != nil {
			return err.under(item(k)).left(d)
		}
		i++
	}
	return nil
}

func (e *encoder) set(s *starlark.Set, depth int) *Error {
	if !e.spend(tableCost) {
		return tooMany()
	}
	e.marked(markSet, s.Len())
	i := 0
	for v := range s.Elements() {
		if err := e.element(v, depth); err != nil {
			return err.under(index(i)).left(s)
		}
		i++
	}
	return nil
}

func (e *encoder) structure(s *starlarkstruct.Struct, depth int) *Error {
	name, err := constructor(s)
	if err != nil {
		return err
	}
	e.marked(markStruct, 1+2*s.Len())
	e.b = msgp.AppendString(e.b, string(name))
	for i := range s.Len() {
		name, v := s.AttrAt(i)
		e.b = msgp.AppendString(e.b, name)
		if err := e.element(v, depth); err != nil {
			return err.under(field(name)).left(s)
		}
	}
	return nil
}

// extension writes the value's bytes first and then makes room for the header, whose size depends on them.
func (e *encoder) extension(v Extension) *Error {
	typ := v.WireType()
	if typ < firstExtension {
		return refuse("extension type %d, want %d to 127", typ, firstExtension)
	}
	start := len(e.b)
	e.b = v.AppendWire(e.b)
	var header [6]byte
	h := appendExtHeader(header[:0], typ, len(e.b)-start)
	e.b = append(e.b, h...)
	copy(e.b[start+len(h):], e.b[start:len(e.b)-len(h)])
	copy(e.b[start:], h)
	return e.fits()
}

func (e *encoder) sendable(v Sendable, depth int) *Error {
	w, err := v.CopyForSend()
	if err != nil {
		return refuse("%v", err)
	}
	if w == starlark.Value(v) {
		return refuse("%s cannot be sent to another node", v.Type())
	}
	if err := e.value(w, depth); err != nil {
		return err.standsFor(w, v)
	}
	return nil
}

func appendExtHeader(b []byte, typ int8, n int) []byte {
	switch {
	case n == 1, n == 2, n == 4, n == 8, n == 16:
		fixed := [...]byte{1: 0xd4, 2: 0xd5, 4: 0xd6, 8: 0xd7, 16: 0xd8}
		return append(b, fixed[n], byte(typ))
	case n <= math.MaxUint8:
		return append(b, 0xc7, byte(n), byte(typ))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, 0xc8), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xc9), uint32(n))
	}
	return append(b, byte(typ))
}
