package runtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Address names a service: on this node, or on another one. It is an immutable Starlark value; it can be compared, used
// as a key, sent in messages and, whatever node it is on, called.
//
// A number is never used twice by a node, and the upper half of the id is the node's incarnation, so that an address kept
// over a restart of its node finds nobody instead of a stranger.
type Address struct {
	node string // name of the node
	id   uint64
	svc  *Service // the service, if it is on this node
}

var (
	_ starlark.Value      = (*Address)(nil)
	_ starlark.Comparable = (*Address)(nil)
)

// Node is the name of the node the service lives on.
func (a *Address) Node() string { return a.node }

// ID is the service's number: the node's incarnation in the upper 32 bits, a counter from 1 in the lower.
func (a *Address) ID() uint64 { return a.id }

// String prints the address as Skynet does, ":0000000a", with the node's name in front.
func (a *Address) String() string { return fmt.Sprintf("%s:%08x", a.node, uint32(a.id)) }

// Type returns "address".
func (a *Address) Type() string { return "address" }

// Freeze does nothing: addresses are immutable.
func (a *Address) Freeze() {}

// Truth is always true.
func (a *Address) Truth() starlark.Bool { return true }

// Hash makes addresses usable as keys.
func (a *Address) Hash() (uint32, error) {
	h := fnv.New32a()
	h.Write(binary.BigEndian.AppendUint64([]byte(a.node), a.id))
	return h.Sum32(), nil
}

// CompareSameType compares two addresses for equality; they have no order.
func (a *Address) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	b := y.(*Address)
	same := a.id == b.id && a.node == b.node
	switch op {
	case syntax.EQL:
		return same, nil
	case syntax.NEQ:
		return !same, nil
	}
	return false, fmt.Errorf("address %s address: addresses have no order", op)
}

// CopyForSend lets addresses pass in messages by reference.
func (a *Address) CopyForSend() (starlark.Value, error) { return a, nil }

// wireAddress is the MessagePack extension type of an address.
const wireAddress = 16

// WireType returns the extension type of addresses.
func (a *Address) WireType() int8 { return wireAddress }

// AppendWire appends the id and the name of the node.
func (a *Address) AppendWire(b []byte) []byte {
	return append(binary.BigEndian.AppendUint64(b, a.id), a.node...)
}

// decodeAddress is the inverse of AppendWire; an address of this node finds its service again.
func (n *Node) decodeAddress(typ int8, data []byte) (starlark.Value, error) {
	if typ != wireAddress {
		return nil, fmt.Errorf("got extension type %d, want %d (address)", typ, wireAddress)
	}
	if len(data) < 8 {
		return nil, errors.New("address: got fewer than 8 bytes")
	}
	a := &Address{node: string(data[8:]), id: binary.BigEndian.Uint64(data)}
	if a.node == n.name {
		if svc := n.service(a.id); svc != nil {
			return svc.addr, nil
		}
	}
	return a, nil
}
