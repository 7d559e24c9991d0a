package wire

import "go.starlark.net/starlark"

// The estimates of what values take in memory, on a 64-bit machine. They leave out what the allocator rounds up to.
const (
	valueSize     = 16  // a place for a value: every element, argument and field has one
	boxSize       = 16  // a string's or big int's header behind it
	containerSize = 64  // a list, tuple, struct, dict or set without its elements
	tableSize     = 416 // the first buckets of a dict or set
	entrySize     = 40  // an entry of a dict or set besides its key and value
)

// scalarSize is the estimated size of a scalar with its place, and 0 for what is none.
func scalarSize(v starlark.Value) int {
	switch v := v.(type) {
	case starlark.String:
		return valueSize + boxSize + len(v)
	case starlark.Int:
		if _, ok := v.Int64(); !ok {
			return valueSize + 2*boxSize + v.BigInt().BitLen()/8
		}
		return valueSize
	case starlark.Bytes:
		return valueSize + boxSize + len(v)
	case starlark.Bool, starlark.NoneType, starlark.Float:
		return valueSize
	}
	return 0
}
