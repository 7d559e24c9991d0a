package wire

import (
	"encoding/binary"
	"errors"
	"math/big"

	"github.com/tinylib/msgp/msgp"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// Decoder decodes messages. The zero value knows no extensions. It has no state: its methods may be called from any
// goroutine, and what they return shares no memory with their input.
type Decoder struct {
	// Ext makes the value of an [Extension] of another package. data must not be kept.
	Ext func(typ int8, data []byte) (starlark.Value, error)
}

// Value decodes what [AppendValue] made. It fails with an *[Error] if data is anything else, or more.
func (d *Decoder) Value(data []byte) (starlark.Value, error) {
	m, err := d.begin(data)
	if err != nil {
		return nil, err
	}
	v, err := m.value(0)
	if err == nil {
		err = m.end()
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Args decodes what [AppendArgs] made. It fails like [Decoder.Value].
func (d *Decoder) Args(data []byte) (starlark.Tuple, []starlark.Tuple, error) {
	m, err := d.begin(data)
	if err != nil {
		return nil, nil, err
	}
	args, kwargs, err := m.call()
	if err == nil {
		err = m.end()
	}
	if err != nil {
		return nil, nil, err
	}
	return args, kwargs, nil
}

func (d *Decoder) begin(data []byte) (*decoding, *Error) {
	if len(data) > MaxSize {
		return nil, refuse("message of %d bytes, want at most %d", len(data), MaxSize)
	}
	return &decoding{ext: d.Ext, in: data, size: len(data)}, nil
}

// decoding is one message being decoded.
type decoding struct {
	budget
	ext  func(int8, []byte) (starlark.Value, error)
	in   []byte // what remains
	size int    // of the whole message
}

func (m *decoding) end() *Error {
	if len(m.in) > 0 {
		return refuse("%d bytes after the end of the message", len(m.in))
	}
	return nil
}

// bad describes a failure of the MessagePack layer at the current position.
func (m *decoding) bad(err error) *Error {
	if errors.Is(err, msgp.ErrShortBytes) {
		return refuse("message ends within a value that begins at byte %d of %d", m.size-len(m.in), m.size)
	}
	return refuse("byte %d: %v", m.size-len(m.in), err)
}

// read moves past a value that one of msgp's Read functions has read.
func (m *decoding) read(rest []byte, err error) *Error {
	if err != nil {
		return m.bad(err)
	}
	m.in = rest
	return nil
}

func (m *decoding) call() (starlark.Tuple, []starlark.Tuple, *Error) {
	n, err := m.array()
	if err != nil {
		return nil, nil, err
	}
	if n != 2 {
		return nil, nil, refuse("arguments in an array of %d, want 2", n)
	}
	if n, err = m.array(); err != nil {
		return nil, nil, err
	}
	if !m.spend(n) {
		return nil, nil, tooMany()
	}
	args := make(starlark.Tuple, n)
	for i := range args {
		if args[i], err = m.value(0); err != nil {
			return nil, nil, err.under(argument(i))
		}
	}
	if n, err = m.table(); err != nil || n == 0 {
		return args, nil, err
	}
	if !m.spend(n) {
		return nil, nil, tooMany()
	}
	kwargs := make([]starlark.Tuple, n)
	for i := range kwargs {
		name, err := m.string()
		if err != nil {
			return nil, nil, err
		}
		v, err := m.value(0)
		if err != nil {
			return nil, nil, err.under(keyword(name))
		}
		kwargs[i] = starlark.Tuple{starlark.String(name), v}
	}
	return args, kwargs, nil
}

// array reads an array's header. Every element takes at least a byte, so that the count is bounded by what remains; the
// caller spends it before making memory for it.
func (m *decoding) array() (int, *Error) {
	n, rest, err := msgp.ReadArrayHeaderBytes(m.in)
	if err != nil {
		return 0, m.bad(err)
	}
	if uint64(n) > uint64(len(rest)) {
		return 0, refuse("array of %d elements in the %d bytes that remain", n, len(rest))
	}
	m.in = rest
	return int(n), nil
}

func (m *decoding) table() (int, *Error) {
	n, rest, err := msgp.ReadMapHeaderBytes(m.in)
	if err != nil {
		return 0, m.bad(err)
	}
	if 2*uint64(n) > uint64(len(rest)) {
		return 0, refuse("map of %d entries in the %d bytes that remain", n, len(rest))
	}
	m.in = rest
	return int(n), nil
}

func (m *decoding) string() (string, *Error) {
	s, rest, err := msgp.ReadStringBytes(m.in)
	return s, m.read(rest, err)
}

func (m *decoding) value(depth int) (starlark.Value, *Error) {
	switch typ := msgp.NextType(m.in); typ {
	case msgp.NilType:
		rest, err := msgp.ReadNilBytes(m.in)
		return starlark.None, m.read(rest, err)
	case msgp.BoolType:
		v, rest, err := msgp.ReadBoolBytes(m.in)
		return starlark.Bool(v), m.read(rest, err)
	case msgp.IntType, msgp.UintType:
		return m.int()
	case msgp.Float64Type, msgp.Float32Type:
		v, rest, err := msgp.ReadFloat64Bytes(m.in)
		return starlark.Float(v), m.read(rest, err)
	case msgp.StrType:
		v, err := m.string()
		return starlark.String(v), err
	case msgp.BinType:
		v, rest, err := msgp.ReadBytesZC(m.in)
		return starlark.Bytes(v), m.read(rest, err)
	case msgp.ArrayType, msgp.MapType:
		if depth >= MaxDepth {
			return nil, tooDeep()
		}
		if typ == msgp.MapType {
			return m.dict(depth + 1)
		}
		return m.arrayValue(depth + 1)
	}
	return m.extension()
}

func (m *decoding) int() (starlark.Value, *Error) {
	if msgp.NextType(m.in) == msgp.UintType {
		v, rest, err := msgp.ReadUint64Bytes(m.in)
		return starlark.MakeUint64(v), m.read(rest, err)
	}
	v, rest, err := msgp.ReadInt64Bytes(m.in)
	return starlark.MakeInt64(v), m.read(rest, err)
}

func (m *decoding) arrayValue(depth int) (starlark.Value, *Error) {
	n, err := m.array()
	if err != nil {
		return nil, err
	}
	if n == 0 || len(m.in) < 3 || m.in[0] != 0xd4 || m.in[1] != extMarker {
		elems, err := m.elements(n, depth)
		return starlark.NewList(elems), err
	}
	kind := m.in[2]
	m.in = m.in[3:]
	switch kind {
	case markTuple:
		elems, err := m.elements(n-1, depth)
		return starlark.Tuple(elems), err
	case markSet:
		return m.set(n-1, depth)
	case markStruct:
		return m.structure(n-1, depth)
	}
	return nil, refuse("unknown kind of array %q", kind)
}

func (m *decoding) elements(n, depth int) ([]starlark.Value, *Error) {
	if !m.spend(n) {
		return nil, tooMany()
	}
	elems := make([]starlark.Value, n)
	for i := range elems {
		v, err := m.value(depth)
		if err != nil {
			return nil, err.under(index(i))
		}
		elems[i] = v
	}
	return elems, nil
}

func (m *decoding) dict(depth int) (starlark.Value, *Error) {
	n, err := m.table()
	if err != nil {
		return nil, err
	}
	if !m.spend(tableCost + 2*n) {
		return nil, tooMany()
	}
	d := starlark.NewDict(n)
	for i := range n {
		k, err := m.value(depth)
		if err != nil {
			return nil, err.under(keyIndex(i))
		}
		v, err := m.value(depth)
		if err != nil {
			return nil, err.under(item(k))
		}
		if err := d.SetKey(k, v); err != nil {
			return nil, refuse("%v", err).under(keyIndex(i))
		}
		if d.Len() != i+1 {
			return nil, refuse("key %s occurs twice", brief(k)).under(keyIndex(i))
		}
	}
	return d, nil
}

func (m *decoding) set(n, depth int) (starlark.Value, *Error) {
	if !m.spend(tableCost + n) {
		return nil, tooMany()
	}
	s := starlark.NewSet(n)
	for i := range n {
		v, err := m.value(depth)
		if err != nil {
			return nil, err.under(index(i))
		}
		if err := s.Insert(v); err != nil {
			return nil, refuse("%v", err).under(index(i))
		}
		if s.Len() != i+1 {
			return nil, refuse("element %s occurs twice", brief(v)).under(index(i))
		}
	}
	return s, nil
}

func (m *decoding) structure(n, depth int) (starlark.Value, *Error) {
	if n%2 != 1 {
		return nil, refuse("struct in an array of %d, want its constructor and pairs", n)
	}
	kind, err := m.string()
	if err != nil {
		return nil, err
	}
	if !m.spend(n / 2) {
		return nil, tooMany()
	}
	fields := make([]starlark.Tuple, n/2)
	last := ""
	for i := range fields {
		name, err := m.string()
		if err != nil {
			return nil, err
		}
		if i > 0 && name <= last {
			return nil, refuse("field %q after %q, want ascending names", name, last)
		}
		v, err := m.value(depth)
		if err != nil {
			return nil, err.under(field(name))
		}
		fields[i], last = starlark.Tuple{starlark.String(name), v}, name
	}
	return starlarkstruct.FromKeywords(starlark.String(kind), fields), nil
}

func (m *decoding) extension() (starlark.Value, *Error) {
	typ, data, rest, err := readExt(m.in)
	if err != nil {
		return nil, m.bad(err)
	}
	if typ == extInt {
		v, err := bigInt(data)
		if err != nil {
			return nil, err
		}
		m.in = rest
		return v, nil
	}
	if typ < firstExtension || m.ext == nil {
		return nil, refuse("byte %d: unknown extension type %d", m.size-len(m.in), typ)
	}
	v, err := m.ext(typ, data)
	if err != nil {
		return nil, refuse("extension type %d: %v", typ, err)
	}
	if v == nil {
		return nil, refuse("extension type %d has no value", typ)
	}
	m.in = rest
	return v, nil
}

// bigInt accepts only what the encoder makes, so that an int has one encoding.
func bigInt(data []byte) (starlark.Value, *Error) {
	if len(data) < 9 || data[0] > 1 || data[1] == 0 {
		return nil, refuse("big int in %d bytes, want a sign and at least 8 bytes without leading zeros", len(data))
	}
	x := new(big.Int).SetBytes(data[1:])
	if data[0] == 1 {
		x.Neg(x)
	}
	return starlark.MakeBigInt(x), nil
}

// readExt reads an extension of any type.
func readExt(b []byte) (typ int8, data, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, nil, msgp.ErrShortBytes
	}
	width, n := 0, uint64(0)
	switch lead := b[0]; lead {
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		n = 1 << (lead - 0xd4)
	case 0xc7, 0xc8, 0xc9:
		width = 1 << (lead - 0xc7)
	default:
		return 0, nil, nil, errors.New("not the beginning of a value")
	}
	head := 1 + width + 1
	if len(b) < head {
		return 0, nil, nil, msgp.ErrShortBytes
	}
	switch width {
	case 1:
		n = uint64(b[1])
	case 2:
		n = uint64(binary.BigEndian.Uint16(b[1:]))
	case 4:
		n = uint64(binary.BigEndian.Uint32(b[1:]))
	}
	if uint64(len(b)-head) < n {
		return 0, nil, nil, msgp.ErrShortBytes
	}
	end := head + int(n)
	return int8(b[head-1]), b[head:end], b[end:], nil
}
