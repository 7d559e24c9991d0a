package runtime

import (
	"fmt"

	"go.starlark.net/starlark"
)

// maxRange bounds a range. It takes no memory itself, but whatever goes through it inside the interpreter (list, sorted, zip, max,
// list.extend, a call with *range, …) does so in one step, which no hook can end: list(range(1 << 40)) would end the process.
const maxRange = 1 << 24

// boundedRange is range, for what is not too long.
func boundedRange() *starlark.Builtin {
	of := starlark.Universe["range"].(*starlark.Builtin)
	return starlark.NewBuiltin(of.Name(), func(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		v, err := of.CallInternal(th, args, kwargs)
		if err != nil {
			return nil, err
		}
		if n := starlark.Len(v); n > maxRange || n < 0 { // it overflows
			return nil, fmt.Errorf("%s: got %v, want one of at most %d numbers; count with while", b.Name(), v, maxRange)
		}
		return v, nil
	})
}
