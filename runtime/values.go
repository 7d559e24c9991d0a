package runtime

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/runtime/wire"
)

// newResult makes the value of pcall.
func newResult(ok bool, value, err starlark.Value) starlark.Value {
	return starlarkstruct.FromKeywords(starlark.String("result"), []starlark.Tuple{
		{starlark.String("ok"), starlark.Bool(ok)}, {starlark.String("value"), value}, {starlark.String("error"), err},
	})
}

// record is state(...): a mutable set of fields, for those who prefer s.x += 1 to a dict. The fields are fixed when it is
// made, so that a misspelt one is an error. In a message it arrives as a struct.
type record struct {
	names  []string // sorted
	values []starlark.Value
	frozen bool
}

var (
	_ starlark.HasSetField = (*record)(nil)
	_ wire.Sendable        = (*record)(nil)
)

func stateBuiltin(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) > 0 {
		return nil, fmt.Errorf("%s: got %d positional arguments, want only name = value", b.Name(), len(args))
	}
	sort.SliceStable(kwargs, func(i, j int) bool { return kwargs[i][0].(starlark.String) < kwargs[j][0].(starlark.String) })
	r := &record{names: make([]string, len(kwargs)), values: make([]starlark.Value, len(kwargs))}
	for i, kw := range kwargs {
		r.names[i], r.values[i] = string(kw[0].(starlark.String)), kw[1]
	}
	return r, nil
}

func (r *record) index(name string) int {
	if i := sort.SearchStrings(r.names, name); i < len(r.names) && r.names[i] == name {
		return i
	}
	return -1
}

func (r *record) String() string {
	var b strings.Builder
	b.WriteString("state(")
	for i, name := range r.names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name + " = ")
		if r.within(r.values[i], make(map[starlark.Value]bool)) {
			b.WriteString("...") // a cycle, which would print for ever
		} else {
			b.WriteString(r.values[i].String())
		}
	}
	return b.String() + ")"
}

// within tells whether v holds r, at whatever depth. What is in seen has been looked at.
func (r *record) within(v starlark.Value, seen map[starlark.Value]bool) bool {
	var parts []starlark.Value
	switch v := v.(type) {
	case *record:
		if v == r {
			return true
		}
		parts = v.values
	case starlark.Tuple:
		parts = v
	case *starlark.List:
		parts = slices.Collect(v.Elements())
	case *starlark.Dict:
		for _, value := range v.Entries() {
			parts = append(parts, value)
		}
	case *starlarkstruct.Struct:
		for _, name := range v.AttrNames() {
			value, _ := v.Attr(name)
			parts = append(parts, value)
		}
	}
	if _, tuple := v.(starlark.Tuple); !tuple && len(parts) > 0 { // a tuple is no key, and only part of a cycle
		if seen[v] {
			return false
		}
		seen[v] = true
	}
	return slices.ContainsFunc(parts, func(part starlark.Value) bool { return r.within(part, seen) })
}

func (r *record) Type() string         { return "state" }
func (r *record) Truth() starlark.Bool { return true }
func (r *record) AttrNames() []string  { return r.names }

func (r *record) Freeze() {
	if !r.frozen {
		r.frozen = true
		for _, v := range r.values {
			v.Freeze()
		}
	}
}

func (r *record) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: state") }

func (r *record) Attr(name string) (starlark.Value, error) {
	if i := r.index(name); i >= 0 {
		return r.values[i], nil
	}
	return nil, nil
}

func (r *record) SetField(name string, v starlark.Value) error {
	if r.frozen {
		return fmt.Errorf("cannot set .%s of a frozen state", name)
	}
	if i := r.index(name); i >= 0 {
		r.values[i] = v
		return nil
	}
	return starlark.NoSuchAttrError(fmt.Sprintf("state has no field .%s%s", name, hint(name, r.names)))
}

// Held calls f for the fields, for the estimate of a service's memory.
func (r *record) Held(f func(starlark.Value) bool) {
	for _, v := range r.values {
		if !f(v) {
			return
		}
	}
}

// CopyForSend makes a struct of the fields, which is copied in turn.
func (r *record) CopyForSend() (starlark.Value, error) {
	fields := make(starlark.StringDict, len(r.names))
	for i, name := range r.names {
		fields[name] = r.values[i]
	}
	return starlarkstruct.FromStringDict(starlarkstruct.Default, fields), nil
}
