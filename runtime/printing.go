package runtime

import (
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// This file keeps scripts from printing what would take for ever, all memory, or all of the stack, which ends the process:
// forty lists, each of which holds the one before twice, are a thousand billion elements as a text, and no hook of the
// interpreter comes by while a value is printed.

const (
	// maxPrintDepth is how deep what is printed may be nested. The interpreter looks for cycles by going through the path to
	// each container, so the time grows with the square.
	maxPrintDepth = 1000
	// maxPrinted bounds the elements, and a sixteenth of the bytes in strings, that a text is made of.
	maxPrinted = 1 << 23
)

// printer finds out how much a value is as a text.
type printer struct {
	size int
	seen map[starlark.Value]extent // lists, dicts and states, which can contain themselves
}

// extent is how much a container is as a text.
type extent struct {
	size, height int
	open         bool // it is around the present value: a cycle, which is printed as "..."
}

// tooLargeToPrint says why values should not be printed, nil if they may be.
func tooLargeToPrint(values ...starlark.Value) error {
	var p printer
	for _, v := range values {
		if _, err := p.add(v, 0); err != nil {
			return err
		}
	}
	return nil
}

// add adds a value inside of depth containers, and returns how many containers are inside of it at most.
func (p *printer) add(v starlark.Value, depth int) (height int, err error) {
	p.size++
	switch v := v.(type) {
	case starlark.String:
		p.size += len(v) / 16
	case starlark.Bytes:
		p.size += len(v) / 16
	case *starlark.List, *starlark.Dict, *record:
		return p.once(v, depth)
	}
	if err := p.verdict(depth); err != nil {
		return 0, err
	}
	return p.parts(v, depth)
}

// once adds a container of which nothing but the extent is looked at the next time.
func (p *printer) once(v starlark.Value, depth int) (height int, err error) {
	e, again := p.seen[v]
	if !again {
		if err := p.verdict(depth); err != nil {
			return 0, err
		}
		if p.seen == nil {
			p.seen = make(map[starlark.Value]extent)
		}
		p.seen[v] = extent{open: true}
		before := p.size
		height, err := p.parts(v, depth)
		p.seen[v] = extent{size: p.size - before, height: height}
		return height, err
	}
	if e.open {
		return 0, nil
	}
	p.size += e.size
	return e.height, p.verdict(depth + e.height)
}

func (p *printer) verdict(depth int) error {
	switch {
	case depth > maxPrintDepth:
		return fmt.Errorf("too large to print: nested deeper than %d", maxPrintDepth)
	case p.size > maxPrinted:
		return fmt.Errorf("too large to print: more than %d elements", maxPrinted)
	}
	return nil
}

// parts adds the elements of a container.
func (p *printer) parts(whole starlark.Value, depth int) (height int, err error) {
	part := func(v starlark.Value) bool {
		var h int
		h, err = p.add(v, depth+1)
		height = max(height, h+1)
		return err == nil
	}
	switch v := whole.(type) {
	case starlark.Tuple:
		v.Elements()(part)
	case *starlark.List:
		v.Elements()(part)
	case *starlark.Set:
		v.Elements()(part)
	case *starlark.Dict:
		v.Entries()(func(key, e starlark.Value) bool { return part(key) && part(e) })
	case *starlarkstruct.Struct:
		for i := 0; i < v.Len() && err == nil; i++ {
			_, field := v.AttrAt(i)
			part(field)
		}
	case *record:
		for i := 0; i < len(v.values) && err == nil; i++ {
			part(v.values[i])
		}
	}
	return height, err
}

// printed is v as a text, or why it is too large for one.
func printed(v starlark.Value) string {
	if err := tooLargeToPrint(v); err != nil {
		return fmt.Sprintf("<%s: %v>", v.Type(), err)
	}
	return v.String()
}

// boundedPrinters are the words of Starlark that make texts of values, for those that are not too large.
func boundedPrinters() starlark.StringDict {
	words := make(starlark.StringDict)
	for _, name := range []string{"fail", "print", "repr", "str"} {
		words[name] = boundedPrinter(starlark.Universe[name].(*starlark.Builtin))
	}
	return words
}

func boundedPrinter(of *starlark.Builtin) *starlark.Builtin {
	return starlark.NewBuiltin(of.Name(), func(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if err := tooLargeToPrint(args...); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name(), err)
		}
		return of.CallInternal(th, args, kwargs)
	})
}
