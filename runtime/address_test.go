package runtime

import (
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

func TestAddressProperties(t *testing.T) {
	n := &Node{name: "here"}
	properties := gopter.NewProperties(gopter.DefaultTestParametersWithSeed(1))
	properties.Property("an address arrives as it was sent", prop.ForAll(func(node string, id uint64) bool {
		a := &Address{node: node, id: id}
		v, err := n.decodeAddress(a.WireType(), a.AppendWire(nil))
		same, _ := starlark.Equal(a, v)
		return err == nil && same && v.String() == a.String()
	}, gen.AlphaString(), gen.UInt64()))
	properties.Property("equal addresses have equal hashes, others differ", prop.ForAll(func(node string, id uint64) bool {
		a, b, c := &Address{node: node, id: id}, &Address{node: node, id: id}, &Address{node: node, id: id + 1}
		h, _ := a.Hash()
		g, _ := b.Hash()
		eq, _ := a.CompareSameType(syntax.EQL, b, 1)
		neq, _ := a.CompareSameType(syntax.NEQ, c, 1)
		other, _ := a.CompareSameType(syntax.EQL, &Address{node: node + "x", id: id}, 1)
		return h == g && eq && neq && !other
	}, gen.AlphaString(), gen.UInt64()))
	properties.TestingRun(t)
}

func TestDecodeAddressRefuses(t *testing.T) {
	n := &Node{name: "here"}
	for _, c := range []struct {
		typ  int8
		data string
		want string
	}{
		{3, "12345678n", "got extension type 3, want 16 (address)"},
		{wireAddress, "1234567", "address: got fewer than 8 bytes"},
		{wireAddress, "", "address: got fewer than 8 bytes"},
	} {
		if _, err := n.decodeAddress(c.typ, []byte(c.data)); err == nil || err.Error() != c.want {
			t.Errorf("decode of type %d, %q: got %v, want %s", c.typ, c.data, err, c.want)
		}
	}
}

func FuzzDecodeAddress(f *testing.F) {
	f.Add(int8(wireAddress), []byte("12345678n1"))
	f.Fuzz(func(t *testing.T, typ int8, data []byte) {
		v, err := (&Node{name: "n1"}).decodeAddress(typ, data)
		if err != nil {
			return
		}
		if back := v.(*Address).AppendWire(nil); string(back) != string(data) {
			t.Errorf("address %v: got %q on the way back, want %q", v, back, data)
		}
	})
}
