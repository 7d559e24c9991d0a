package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"runtime"
	"strings"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

var options = &syntax.FileOptions{Set: true, While: true, TopLevelControl: true, GlobalReassign: true, Recursion: true}

// eval runs a file and returns its global v, which stays mutable.
func eval(t testing.TB, src string) starlark.Value {
	t.Helper()
	predeclared := starlark.StringDict{
		"struct": starlark.NewBuiltin("struct", starlarkstruct.Make),
		"frozen": starlark.NewBuiltin("frozen", freeze),
		"maker":  starlark.NewBuiltin("maker", fromMaker),
	}
	_, program, err := starlark.SourceProgramOptions(options, "test.star", src, predeclared.Has)
	if err != nil {
		t.Fatal(err)
	}
	globals, err := program.Init(&starlark.Thread{}, predeclared)
	if err != nil {
		t.Fatal(err)
	}
	return globals["v"]
}

func freeze(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	args[0].Freeze()
	return args[0], nil
}

func fromMaker(_ *starlark.Thread, b *starlark.Builtin, _ starlark.Tuple, kw []starlark.Tuple) (starlark.Value, error) {
	return starlarkstruct.FromKeywords(b, kw), nil
}

func equal(t testing.TB, x, y starlark.Value) bool {
	t.Helper()
	if x.Type() != y.Type() || x.String() != y.String() {
		return false
	}
	eq, err := starlark.EqualDepth(x, y, MaxDepth+2)
	if err != nil {
		t.Fatal(err)
	}
	return eq
}

// values are sources of v that can be sent.
var values = []string{
	"v = None", "v = True", "v = 0", "v = 127", "v = 128", "v = 255", "v = 256", "v = 65535", "v = 65536", "v = -1", "v = -32",
	"v = -33", "v = -128", "v = -129", "v = 1 << 31", "v = 1 << 32", "v = (1 << 63) - 1", "v = 1 << 63", "v = (1 << 64) - 1",
	"v = 1 << 64", "v = -(1 << 63)", "v = -(1 << 63) - 1", "v = -(1 << 300)", "v = 1.5", "v = float('-inf')", "v = float('nan')",
	`v = ""`, `v = "häuser"`, `v = "häuser"[1:2]`, `v = b"\x00\xff"`, "v = 'x' * 70000", "v = [1, [2, [3]]]", "v = []", "v = ()",
	"v = (1,)", "v = (1, [2], (3, {}))", "v = {}", `v = {"b": 1, "a": 2, 3: [4], (5, 6): None}`, "v = set()",
	"v = set([3, 1, (2, 4)])", "v = struct()", `v = struct(x = 1, y = [2], z = struct(a = {}))`, "v = list(range(70000))",
	"v = {k: k for k in range(70000)}", "v = frozen([1, {2: [3]}])", "v = [frozen({}), frozen([]), frozen(set([1]))]",
}

func TestRoundTrip(t *testing.T) {
	for _, src := range values {
		v := eval(t, src)
		b, err := AppendValue([]byte("before"), v)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		got, err := new(Decoder).Value(b[len("before"):])
		if err != nil || !equal(t, got, v) {
			t.Errorf("%s: decoded %v, %v", src, got, err)
		}
	}
}

func TestCopyEqualsItsOriginal(t *testing.T) {
	for _, src := range values {
		v := eval(t, src)
		got, err := Copy(v)
		if err != nil || !equal(t, got, v) {
			t.Errorf("%s: copy is %v, %v", src, got, err)
		}
	}
}

// TestRefused holds Copy and AppendValue to the same path and reason.
func TestRefused(t *testing.T) {
	for _, test := range []struct{ src, want string }{
		{"def f(): pass\nv = f", "function cannot be sent in a message"},
		{"v = len", "builtin_function_or_method cannot be sent in a message"},
		{"v = [1, {'players': [1, 2, 3, len]}]", `[1]["players"][3]: builtin_function_or_method cannot be sent in a message`},
		{"v = {len: 1}", ".keys()[0]: builtin_function_or_method cannot be sent in a message"},
		{"v = {(1, 2): (len,)}", "[(1, 2)][0]: builtin_function_or_method cannot be sent in a message"},
		{"v = set([1, len])", "[1]: builtin_function_or_method cannot be sent in a message"},
		{"v = struct(a = [len])", ".a[0]: builtin_function_or_method cannot be sent in a message"},
		{"v = frozen([len])", "[0]: builtin_function_or_method cannot be sent in a message"},
		{"v = frozen({1: len})", "[1]: builtin_function_or_method cannot be sent in a message"},
		{"v = [maker(a = 1)]", "[0]: struct whose constructor is a builtin_function_or_method cannot be sent in a message"},
		{"v = [range(3)]", "[0]: range cannot be sent in a message"},
		{"v = []\nv.append(v)", "list contains itself"},
		{"v = []\nv.append((v,))", "list contains itself"},
		{"a = {}\na['a'] = [a]\nv = [0, struct(x = a)]", `[1].x["a"]: list contains itself`},
		{"v = list(range(30000))\nv.append(v)", "list contains itself"},
		{"v = []\nfor i in range(128): v = [v]", strings.Repeat("[0]", 20) + " … " + strings.Repeat("[0]", 20) +
			": nested deeper than 128"},
		{"v = [0] * (1 << 20)\nv.append(1)", "[1048576]: more than 1048576 elements in one message"},
		{"v = [{}] * 61682", "[61680]: more than 1048576 elements in one message"},
		{"v = {(1 << 400, ('k' * 100,)): len}", `[(int of 401 bits, ("kkkkkkkkkkkkkkkkkkkk…]: builtin_function_or_method cannot be sent in a message`},
		{"v = {'k' * 100: len}", `["kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…]: builtin_function_or_method cannot be sent in a message`},
	} {
		v := eval(t, test.src)
		_, err := Copy(v)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\ncopy got  %v\nwant      %s", test.src, err, test.want)
		}
		b, err := AppendValue([]byte("x"), v)
		if err == nil || err.Error() != test.want || string(b) != "x" {
			t.Errorf("%s:\nencode got %v\nwant       %s", test.src, err, test.want)
		}
	}
}

func TestRefusedArguments(t *testing.T) {
	args := starlark.Tuple{starlark.None, eval(t, "v = {'players': [len]}")}
	kwargs := []starlark.Tuple{{starlark.String("who"), eval(t, "v = [len]")}}
	for _, test := range []struct {
		args   starlark.Tuple
		kwargs []starlark.Tuple
		want   string
	}{
		{args, nil, `argument 2["players"][0]: builtin_function_or_method cannot be sent in a message`},
		{nil, kwargs, `argument who[0]: builtin_function_or_method cannot be sent in a message`},
	} {
		if _, _, err := CopyArgs(test.args, test.kwargs); err == nil || err.Error() != test.want {
			t.Errorf("copy: got %v, want %s", err, test.want)
		}
		if _, err := AppendArgs(nil, test.args, test.kwargs); err == nil || err.Error() != test.want {
			t.Errorf("encode: got %v, want %s", err, test.want)
		}
	}
}

func TestTooLongMessage(t *testing.T) {
	_, err := AppendValue(nil, starlark.String(make([]byte, MaxSize)))
	if want := "message of more than 16777216 bytes"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := new(Decoder).Value(make([]byte, MaxSize+1)); err == nil {
		t.Error("a message of more than MaxSize bytes was decoded")
	}
}

func TestCopySharesNothingMutable(t *testing.T) {
	v := eval(t, "v = [[1], {2: [3]}, ([4],), struct(a = [5]), set([6])]")
	got, err := Copy(v)
	if err != nil {
		t.Fatal(err)
	}
	before := got.String()
	l := v.(*starlark.List)
	must(t, l.Index(0).(*starlark.List).Append(starlark.None))
	must(t, l.Index(1).(*starlark.Dict).SetKey(starlark.MakeInt(9), starlark.None))
	inner, _, _ := l.Index(1).(*starlark.Dict).Get(starlark.MakeInt(2))
	must(t, inner.(*starlark.List).Append(starlark.None))
	must(t, l.Index(2).(starlark.Tuple)[0].(*starlark.List).Append(starlark.None))
	field, _ := l.Index(3).(*starlarkstruct.Struct).Attr("a")
	must(t, field.(*starlark.List).Append(starlark.None))
	must(t, l.Index(4).(*starlark.Set).Insert(starlark.None))
	if got.String() != before {
		t.Errorf("the copy became %s", got)
	}
	must(t, got.(*starlark.List).Append(starlark.None)) // a copy of something mutable is mutable
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFrozenIsShared(t *testing.T) {
	for _, src := range []string{
		"v = frozen([1])", "v = frozen([])", "v = frozen({1: [2]})", "v = frozen({})", "v = frozen(set([1]))", "v = frozen(set())",
		"v = struct(a = 1)", "v = struct(a = frozen([1]))",
	} {
		v := eval(t, src)
		if got, err := Copy(v); err != nil || got != v {
			t.Errorf("%s: got another value, %v", src, err)
		}
	}
	tuple := eval(t, "v = (1, frozen([2]))").(starlark.Tuple)
	got, err := Copy(tuple)
	if err != nil || &got.(starlark.Tuple)[0] != &tuple[0] {
		t.Errorf("an immutable tuple was copied, %v", err)
	}
}

// TestIteratedIsNotFrozen: a container that a loop is walking refuses mutation like a frozen one, and must be copied.
func TestIteratedIsNotFrozen(t *testing.T) {
	for _, src := range []string{"v = [1]", "v = []", "v = {1: 2}", "v = {}", "v = set([1])", "v = set()", `v = {" frozen ": 1}`} {
		v := eval(t, src)
		iter := v.(starlark.Iterable).Iterate()
		before := v.String()
		got, err := Copy(v)
		if err != nil || got == v || v.String() != before {
			t.Errorf("%s: an iterated value was taken for frozen or changed (%v)", src, err)
		}
		iter.Done()
		if got, err := Copy(v); err != nil || got == v || v.String() != before {
			t.Errorf("%s: after the iteration: shared or changed (%v)", src, err)
		}
	}
}

func TestCopyArgsReturnsItsArguments(t *testing.T) {
	args := starlark.Tuple{starlark.MakeInt(1), starlark.String("a"), starlark.None}
	kwargs := []starlark.Tuple{{starlark.String("k"), starlark.Float(1)}}
	var a starlark.Tuple
	var k []starlark.Tuple
	allocs := testing.AllocsPerRun(100, func() { a, k, _ = CopyArgs(args, kwargs) })
	if allocs != 0 || &a[0] != &args[0] || &k[0] != &kwargs[0] {
		t.Errorf("arguments that cannot change were copied (%v allocations)", allocs)
	}
	list := starlark.NewList([]starlark.Value{starlark.None})
	args[1], kwargs[0][1] = list, list
	a, k, err := CopyArgs(args, kwargs)
	if err != nil || a[1] == starlark.Value(list) || k[0][1] == starlark.Value(list) {
		t.Errorf("a list was not copied, %v", err)
	}
	if args[1] != starlark.Value(list) || kwargs[0][1] != starlark.Value(list) {
		t.Error("CopyArgs wrote to its arguments")
	}
	if a, k, err := CopyArgs(nil, nil); a != nil || k != nil || err != nil {
		t.Errorf("no arguments became %v, %v, %v", a, k, err)
	}
}

// address is an extension; socket can be sent nowhere; record is sent as a struct.
type opaque struct{ name string }

func (o *opaque) String() string        { return o.name }
func (o *opaque) Type() string          { return o.name }
func (o *opaque) Freeze()               {}
func (o *opaque) Truth() starlark.Bool  { return true }
func (o *opaque) Hash() (uint32, error) { return 1, nil }

type address struct{ opaque }

func (a *address) CopyForSend() (starlark.Value, error) { return a, nil }
func (a *address) WireType() int8                       { return 20 }
func (a *address) AppendWire(b []byte) []byte           { return append(b, a.name...) }

type record struct {
	opaque
	field starlark.Value
}

func (r *record) CopyForSend() (starlark.Value, error) {
	if r.name == "broken" {
		return nil, fmt.Errorf("record %s is broken", r.name)
	}
	if r.name == "local" {
		return r, nil
	}
	if r.field == nil {
		return starlarkstruct.FromKeywords(starlarkstruct.Default, nil), nil
	}
	return starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{"x": r.field}), nil
}

func TestExtensions(t *testing.T) {
	d := Decoder{Ext: func(typ int8, data []byte) (starlark.Value, error) {
		if typ != 20 {
			return nil, fmt.Errorf("unexpected type %d", typ)
		}
		return &address{opaque{string(data)}}, nil
	}}
	for _, n := range []int{0, 1, 2, 3, 4, 8, 15, 16, 17, 255, 256, 65535, 65536} {
		name := strings.Repeat("a", n)
		v := starlark.NewList([]starlark.Value{&address{opaque{name}}, starlark.None})
		b, err := AppendValue(nil, v)
		must(t, err)
		got, err := d.Value(b)
		must(t, err)
		if a := got.(*starlark.List).Index(0).(*address); a.name != name {
			t.Errorf("%d bytes came back as %d", n, len(a.name))
		}
		if _, err := new(Decoder).Value(b); err == nil || !strings.Contains(err.Error(), "unknown extension type 20") {
			t.Errorf("without Ext: got %v", err)
		}
	}
}

func TestSendables(t *testing.T) {
	frozen := starlark.NewDict(1)
	must(t, frozen.SetKey(starlark.String("k"), &record{opaque: opaque{"r"}}))
	frozen.Freeze()
	got, err := Copy(frozen)
	if err != nil || got.String() != `{"k": struct()}` {
		t.Errorf("got %v, %v, want the record's copy", got, err)
	}
	b, err := AppendValue(nil, frozen)
	must(t, err)
	if got, err := new(Decoder).Value(b); err != nil || got.String() != `{"k": struct()}` {
		t.Errorf("got %v, %v, want the record's copy", got, err)
	}
	list := starlark.NewList([]starlark.Value{starlark.None, &record{opaque: opaque{"broken"}}})
	if _, err := Copy(list); err == nil || err.Error() != "[1]: record broken is broken" {
		t.Errorf("got %v", err)
	}
	if _, err := AppendValue(nil, &record{opaque: opaque{"local"}}); err == nil || !strings.Contains(err.Error(), "to another node") {
		t.Errorf("a value without encoding: got %v", err)
	}
}

// TestSendableThatContainsItself: a value that is sent as something else is still found to contain itself, and what it
// contains is copied.
func TestSendableThatContainsItself(t *testing.T) {
	r := &record{opaque: opaque{"state"}}
	for _, inner := range []starlark.Value{r, starlark.NewList([]starlark.Value{r}), starlark.Tuple{r}} {
		r.field = inner
		want := "contains itself"
		if _, err := Copy(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("copy: got %v, want %s", err, want)
		}
		if _, err := AppendValue(nil, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("encode: got %v, want %s", err, want)
		}
	}
	list := starlark.NewList([]starlark.Value{starlark.None})
	r.field = list
	got, err := Copy(r)
	must(t, err)
	must(t, list.Append(starlark.None))
	if got.String() != "struct(x = [None])" {
		t.Errorf("got %s, which shares the list", got)
	}
}

func TestArgsRoundTrip(t *testing.T) {
	for _, src := range []string{"v = ((), {})", "v = ((1, [2], 'c'), {})", "v = ((), {'a': 1, 'b': [None]})", "v = ((1,), {'a': ()})"} {
		pair := eval(t, src).(starlark.Tuple)
		args := pair[0].(starlark.Tuple)
		kwargs := pair[1].(*starlark.Dict).Items()
		b, err := AppendArgs(nil, args, kwargs)
		must(t, err)
		gotArgs, gotKwargs, err := new(Decoder).Args(b)
		if err != nil || !equal(t, gotArgs, args) || fmt.Sprint(gotKwargs) != fmt.Sprint(kwargs) {
			t.Errorf("%s: got %v, %v, %v", src, gotArgs, gotKwargs, err)
		}
	}
}

// TestMalformedBesideHugeInt has a peer make the decoder name an integer of 16 MB, whose digits nobody could wait for.
func TestMalformedBesideHugeInt(t *testing.T) {
	const size = MaxSize - 100
	huge := append([]byte{0xc9, 0, 0, 0, 0, extInt, 0, 1}, make([]byte, size)...)
	binary.BigEndian.PutUint32(huge[1:], size+2)
	_, err := new(Decoder).Value(append(append([]byte{0x81}, huge...), 0xc1))
	if want := "[int of 134216929 bits]: byte 16777125: not the beginning of a value"; fmt.Sprint(err) != want {
		t.Errorf("huge key with a broken value: got %v, want %s", err, want)
	}
}

func TestMalformed(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", "message ends within a value that begins at byte 0 of 0"},
		{"\xc1", "byte 0: not the beginning of a value"},
		{"\x01\x02", "1 bytes after the end of the message"},
		{"\xa5ab", "message ends within a value that begins at byte 0 of 3"},
		{"\x92\x01", "array of 2 elements in the 1 bytes that remain"},
		{"\xdd\xff\xff\xff\xff\x00", "array of 4294967295 elements in the 1 bytes that remain"},
		{"\xdf\x80\x00\x00\x01\x00\x00", "map of 2147483649 entries in the 2 bytes that remain"},
		{"\x82\xa1a\x01\xa1a\x02", `.keys()[1]: key "a" occurs twice`},
		{"\x81\x90\x01", ".keys()[0]: unhashable type: list"},
		{"\x93\xd4\x02s\x01\x01", "[1]: element 1 occurs twice"},
		{"\x91\xd4\x02x", "unknown kind of array 'x'"},
		{"\x92\xd4\x02r\xa1s", ""},
		{"\x96\xd4\x02r\xa1s\xa1b\x01\xa1a\x02", `field "a" after "b", want ascending names`},
		{"\x93\xd4\x02r\xa1s\xa1b", "struct in an array of 2, want its constructor and pairs"},
		{"\xd4\x02t", "byte 0: unknown extension type 2"},
		{"\xd4\x01\x00", "big int in 1 bytes, want a sign and at least 8 bytes without leading zeros"},
		{"\xc9\xff\xff\xff\xff\x01", "message ends within a value that begins at byte 0 of 6"},
		{strings.Repeat("\x91", 129) + "\x01", strings.Repeat("[0]", 20) + " … " + strings.Repeat("[0]", 20) + ": nested deeper than 128"},
	} {
		_, err := new(Decoder).Value([]byte(test.in))
		if got := fmt.Sprint(err); got != test.want && !(err == nil && test.want == "") {
			t.Errorf("%x:\ngot  %s\nwant %s", test.in, got, test.want)
		}
	}
	for _, test := range []struct{ in, want string }{
		{"\x93\x90\x80\x01", "arguments in an array of 3, want 2"},
		{"\x92\x91\xc1\x80", "argument 1: byte 2: not the beginning of a value"},
		{"\x92\x90\x81\xa1k\xc1", "argument k: byte 5: not the beginning of a value"},
	} {
		if _, _, err := new(Decoder).Args([]byte(test.in)); fmt.Sprint(err) != test.want {
			t.Errorf("%x: got %v, want %s", test.in, err, test.want)
		}
	}
}

// TestDecodingIsBounded: 2 MiB that claim elements at every level must not take memory for all of them.
func TestDecodingIsBounded(t *testing.T) {
	in := bytes.Repeat([]byte{0xdd, 0, 0x0f, 0xff, 0xff}, 100)
	in = append(in, make([]byte, 2<<20)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := new(Decoder).Value(in); err == nil {
		t.Error("100 arrays that claim a million elements each were decoded")
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 40<<20 {
		t.Errorf("decoding took %d bytes, want less than twice the memory of MaxElements", got)
	}
}

// TestProperties compares copying and encoding with their input for random values.
func TestProperties(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 300
	properties := gopter.NewProperties(parameters)
	properties.Property("a copy and a decoded value equal their original, and have its bytes", prop.ForAll(
		func(seed uint64) (bool, error) {
			v := random(&seed, 4)
			b, err := AppendValue(nil, v)
			if err != nil {
				return false, err
			}
			decoded, err := new(Decoder).Value(b)
			if err != nil {
				return false, err
			}
			copied, err := Copy(v)
			if err != nil {
				return false, err
			}
			again, err := AppendValue(nil, decoded)
			if err != nil {
				return false, err
			}
			third, err := AppendValue(nil, copied)
			return equal(t, v, decoded) && equal(t, v, copied) && bytes.Equal(b, again) && bytes.Equal(b, third), err
		}, gen.UInt64()))
	properties.TestingRun(t)
}

// random makes a value from a seed: splitmix-like steps, so that a counterexample is one number.
func random(seed *uint64, depth int) starlark.Value {
	next := func(n uint64) uint64 {
		*seed = *seed*6364136223846793005 + 1442695040888963407
		return (*seed >> 33) % n
	}
	kinds := uint64(12)
	if depth == 0 {
		kinds = 7
	}
	n := int(next(5))
	switch next(kinds) {
	case 0:
		return starlark.None
	case 1:
		return starlark.Bool(next(2) == 0)
	case 2:
		return starlark.MakeInt64(int64(next(1<<31)<<33) >> next(64))
	case 3:
		return starlark.MakeBigInt(new(big.Int).Lsh(big.NewInt(int64(next(1000))-500), uint(next(200))))
	case 4:
		return starlark.Float(math.Ldexp(float64(next(1<<31))-1<<30, int(next(100))-50))
	case 5:
		return starlark.String(strings.Repeat(string(rune(next(300))), n))
	case 6:
		return starlark.Bytes([]byte{byte(next(256)), byte(n)})
	case 7, 8:
		elems := make([]starlark.Value, n)
		for i := range elems {
			elems[i] = random(seed, depth-1)
		}
		if n%2 == 0 {
			return starlark.Tuple(elems)
		}
		return starlark.NewList(elems)
	case 9:
		d := starlark.NewDict(n)
		for range n {
			_ = d.SetKey(random(seed, 0), random(seed, depth-1))
		}
		return d
	case 10:
		s := starlark.NewSet(n)
		for range n {
			_ = s.Insert(random(seed, 0))
		}
		return s
	}
	fields := starlark.StringDict{}
	for i := range n {
		fields[fmt.Sprint("f", i)] = random(seed, depth-1)
	}
	return starlarkstruct.FromStringDict(starlark.String("kind"), fields)
}

func FuzzDecode(f *testing.F) {
	for _, src := range values[:44] {
		v := eval(f, src)
		if b, err := AppendValue(nil, v); err == nil && len(b) < 1000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d := Decoder{Ext: func(typ int8, data []byte) (starlark.Value, error) { return &address{opaque{string(data)}}, nil }}
		_, _, _ = d.Args(in)
		v, err := d.Value(in)
		if err != nil {
			return
		}
		b, err := AppendValue(nil, v)
		if err != nil {
			t.Fatalf("decoded %v, which cannot be encoded: %v", v, err)
		}
		again, err := d.Value(b)
		if err != nil {
			t.Fatalf("decoded %v from %x, but not from %x: %v", v, in, b, err)
		}
		if b2, err := AppendValue(nil, again); err != nil || !bytes.Equal(b, b2) {
			t.Fatalf("encodings differ: %x and %x (%v)", b, b2, err)
		}
		if _, err := Copy(v); err != nil {
			t.Fatalf("decoded %v, which cannot be copied: %v", v, err)
		}
	})
}

func ExampleCopy() {
	shared := starlark.NewList([]starlark.Value{starlark.MakeInt(1)})
	sent, _ := Copy(shared)
	_ = shared.Append(starlark.MakeInt(2))
	fmt.Println(shared, sent)

	_, err := Copy(starlark.Tuple{starlark.None, starlark.Universe["len"]})
	fmt.Println(err)
	// Output:
	// [1, 2] [1]
	// [1]: builtin_function_or_method cannot be sent in a message
}

func ExampleDecoder_Args() {
	b, _ := AppendArgs(nil, starlark.Tuple{starlark.String("hits")}, []starlark.Tuple{{starlark.String("by"), starlark.MakeInt(2)}})
	args, kwargs, _ := new(Decoder).Args(b)
	fmt.Printf("%x\n%v %v\n", b, args, kwargs)
	// Output:
	// 9291a46869747381a2627902
	// ("hits",) [("by", 2)]
}

// sample is the map with 6 keys that the choice of MessagePack was measured with.
const sample = `v = {"name": "player-17", "kind": "move", "x": 12.5, "y": -3.25, "seq": 123456, "path": [1, 2, 3]}`

func BenchmarkCopyScalar(b *testing.B) {
	v := starlark.Value(starlark.MakeInt(42))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Copy(v)
	}
}

func BenchmarkCopyArgsScalars(b *testing.B) {
	args := starlark.Tuple{starlark.String("hits"), starlark.MakeInt(1)}
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = CopyArgs(args, nil)
	}
}

func BenchmarkCopyDict(b *testing.B) {
	v := eval(b, sample)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Copy(v)
	}
}

func BenchmarkCopyFrozenDict(b *testing.B) {
	v := eval(b, sample)
	v.Freeze()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Copy(v)
	}
}

func BenchmarkEncodeDict(b *testing.B) {
	v := eval(b, sample)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = AppendValue(buf[:0], v)
	}
}

func BenchmarkDecodeDict(b *testing.B) {
	in, _ := AppendValue(nil, eval(b, sample))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = new(Decoder).Value(in)
	}
}
