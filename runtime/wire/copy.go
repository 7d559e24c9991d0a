package wire

import (
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// Copy returns v as its receiver may have it: v itself if nothing in it can change any more, else a copy. It fails with
// an *[Error] if v, or something in it, cannot be sent. It must run where v's owner runs, since it reads v.
func Copy(v starlark.Value) (starlark.Value, error) {
	if scalar(v) {
		return v, nil
	}
	var c copier
	w, _, err := c.value(v, 0)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// CopyArgs copies the arguments of a call. It returns the slices it was given if nothing in them needed to be copied,
// and never writes to them.
func CopyArgs(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Tuple, []starlark.Tuple, error) {
	args, kwargs, _, err := CopySized(args, kwargs)
	return args, kwargs, err
}

// CopySized is CopyArgs that estimates, in the same pass, how many bytes of memory the arguments take. What is shared and not
// copied counts too: the message keeps it alive.
func CopySized(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Tuple, []starlark.Tuple, int, error) {
	if size, ok := allScalar(args, kwargs); ok {
		return args, kwargs, size, nil
	}
	var c copier
	outArgs, outKwargs := args, kwargs
	for i, v := range args {
		w, changed, err := c.element(v, 0)
		if err != nil {
			return nil, nil, 0, err.under(argument(i))
		}
		if changed {
			outArgs = own(outArgs, args)
			outArgs[i] = w
		}
	}
	for i, kw := range kwargs {
		w, changed, err := c.element(kw[1], 0)
		if err != nil {
			return nil, nil, 0, err.under(keyword(kwName(kw)))
		}
		if changed {
			outKwargs = own(outKwargs, kwargs)
			outKwargs[i] = starlark.Tuple{kw[0], w}
		}
	}
	return outArgs, outKwargs, c.size, nil
}

// own returns out if it is no longer the original, else a copy of it that may be written to.
func own[S ~[]E, E any](out, original S) S {
	if &out[0] != &original[0] {
		return out
	}
	return append(make(S, 0, len(original)), original...)
}

func scalar(v starlark.Value) bool {
	switch v.(type) {
	case starlark.String, starlark.Int, starlark.Bool, starlark.NoneType, starlark.Float, starlark.Bytes:
		return true
	}
	return false
}

// allScalar spares the usual call the copier, which lives on the heap.
func allScalar(args starlark.Tuple, kwargs []starlark.Tuple) (size int, ok bool) {
	for _, v := range args {
		n := scalarSize(v)
		if n == 0 {
			return 0, false
		}
		size += n
	}
	for _, kw := range kwargs {
		n := scalarSize(kw[1])
		if n == 0 {
			return 0, false
		}
		size += n
	}
	return size, len(args)+len(kwargs) <= MaxElements
}

// copier copies one message. Its methods report whether what they return differs from what they were given.
type copier struct {
	budget
	size int // estimated bytes of what was looked at
}

// element copies an element of a container at the given depth.
func (c *copier) element(v starlark.Value, depth int) (w starlark.Value, changed bool, err *Error) {
	if !c.spend(1) {
		return nil, false, tooMany()
	}
	if n := scalarSize(v); n > 0 {
		c.size += n
		return v, false, nil
	}
	c.size += containerSize
	return c.value(v, depth)
}

// value copies a value that is no scalar, inside of depth containers.
func (c *copier) value(whole starlark.Value, depth int) (starlark.Value, bool, *Error) {
	if depth >= MaxDepth {
		return nil, false, tooDeep()
	}
	switch v := whole.(type) {
	case starlark.Tuple:
		if w, changed, err := c.tuple(v, depth+1); changed || err != nil {
			return w, true, err
		}
		return whole, false, nil // not v, which would be boxed anew
	case *starlark.List:
		return c.list(v, depth+1)
	case *starlark.Dict:
		if !c.spend(tableCost) {
			return nil, false, tooMany()
		}
		c.size += tableSize + entrySize*v.Len()
		return c.dict(v, depth+1)
	case *starlark.Set:
		if !c.spend(tableCost) {
			return nil, false, tooMany()
		}
		c.size += tableSize + entrySize*v.Len()
		return c.set(v, depth+1)
	case *starlarkstruct.Struct:
		return c.structure(v, depth+1)
	case Sendable:
		return c.sendable(v, depth+1)
	}
	return nil, false, unsendable(whole)
}

func (c *copier) tuple(t starlark.Tuple, depth int) (starlark.Tuple, bool, *Error) {
	out := t
	for i, v := range t {
		w, changed, err := c.element(v, depth)
		if err != nil {
			return nil, false, err.under(index(i))
		}
		if changed {
			out = own(out, t)
			out[i] = w
		}
	}
	return out, len(t) > 0 && &out[0] != &t[0], nil
}

func (c *copier) list(l *starlark.List, depth int) (starlark.Value, bool, *Error) {
	var out []starlark.Value
	if !frozenList(l) {
		out = make([]starlark.Value, 0, l.Len())
	}
	for i := range l.Len() {
		w, changed, err := c.element(l.Index(i), depth)
		if err != nil {
			return nil, false, err.under(index(i)).left(l)
		}
		if changed && out == nil {
			out = elements(l, i)
		}
		if out != nil {
			out = append(out, w)
		}
	}
	if out == nil {
		return l, false, nil
	}
	return starlark.NewList(out), true, nil
}

// elements returns the first n elements of l, with room for all.
func elements(l *starlark.List, n int) []starlark.Value {
	out := make([]starlark.Value, n, l.Len())
	for i := range out {
		out[i] = l.Index(i)
	}
	return out
}

func (c *copier) dict(d *starlark.Dict, depth int) (starlark.Value, bool, *Error) {
	if frozenDict(d) {
		changed, err := c.dictInto(nil, d, depth)
		if !changed || err != nil {
			return d, false, err
		}
	}
	out := starlark.NewDict(d.Len())
	_, err := c.dictInto(out, d, depth)
	return out, true, err
}

// dictInto copies the items of d; without out it only looks whether they would change.
func (c *copier) dictInto(out, d *starlark.Dict, depth int) (changed bool, err *Error) {
	i := 0
	for k, v := range d.Entries() {
		k2, kc, err := c.element(k, depth)
		if err != nil {
			return false, err.under(keyIndex(i)).left(d)
		}
		v2, vc, err := c.element(v, depth)
		if err != nil {
			return false, err.under(item(k)).left(d)
		}
		changed = changed || kc || vc
		if out != nil {
			if err := out.SetKey(k2, v2); err != nil {
				return false, refuse("%v", err).under(keyIndex(i))
			}
		}
		i++
	}
	return changed, nil
}

func (c *copier) set(s *starlark.Set, depth int) (starlark.Value, bool, *Error) {
	if frozenSet(s) {
		changed, err := c.setInto(nil, s, depth)
		if !changed || err != nil {
			return s, false, err
		}
	}
	out := starlark.NewSet(s.Len())
	_, err := c.setInto(out, s, depth)
	return out, true, err
}

func (c *copier) setInto(out, s *starlark.Set, depth int) (changed bool, err *Error) {
	i := 0
	for v := range s.Elements() {
		w, vc, err := c.element(v, depth)
		if err != nil {
			return false, err.under(index(i)).left(s)
		}
		changed = changed || vc
		if out != nil {
			if err := out.Insert(w); err != nil {
				return false, refuse("%v", err).under(index(i))
			}
		}
		i++
	}
	return changed, nil
}

func (c *copier) structure(s *starlarkstruct.Struct, depth int) (starlark.Value, bool, *Error) {
	if _, err := constructor(s); err != nil {
		return nil, false, err
	}
	var fields []starlark.Tuple // nil until something changed
	for i := range s.Len() {
		name, v := s.AttrAt(i)
		w, changed, err := c.element(v, depth)
		if err != nil {
			return nil, false, err.under(field(name)).left(s)
		}
		if changed && fields == nil {
			fields = fieldsOf(s)
		}
		if changed {
			fields[i][1] = w
		}
	}
	if fields == nil {
		return s, false, nil
	}
	return starlarkstruct.FromKeywords(s.Constructor(), fields), true, nil
}

func (c *copier) sendable(v Sendable, depth int) (starlark.Value, bool, *Error) {
	w, err := v.CopyForSend()
	if err != nil {
		return nil, false, refuse("%v", err)
	}
	if w == starlark.Value(v) || scalar(w) {
		return w, w != starlark.Value(v), nil
	}
	out, _, e := c.value(w, depth)
	if e != nil {
		return nil, false, e.standsFor(w, v)
	}
	return out, true, nil
}

// constructor returns the name of the struct's kind. A struct made by a provider has a function for it, which cannot
// cross a network.
func constructor(s *starlarkstruct.Struct) (starlark.String, *Error) {
	name, ok := s.Constructor().(starlark.String)
	if !ok {
		return "", refuse("struct whose constructor is a %s cannot be sent in a message", s.Constructor().Type())
	}
	return name, nil
}

func fieldsOf(s *starlarkstruct.Struct) []starlark.Tuple {
	fields := make([]starlark.Tuple, s.Len())
	for i := range fields {
		name, v := s.AttrAt(i)
		fields[i] = starlark.Tuple{starlark.String(name), v}
	}
	return fields
}
