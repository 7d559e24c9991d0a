package runtime

import (
	"fmt"
	"maps"

	starlarkjson "go.starlark.net/lib/json"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"skynet/runtime/wire"
)

// jsonModule is Starlark's own json, whose decode refuses what is nested deeper than a message may be: the decoder
// recurses, and a few megabytes of brackets from a client would exhaust the stack, which ends the process.
func jsonModule() *starlarkstruct.Module {
	members := maps.Clone(starlarkjson.Module.Members)
	decode := members["decode"].(*starlark.Builtin)
	members["decode"] = starlark.NewBuiltin(decode.Name(), func(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if len(args) > 0 { // the text has no name, so it comes first
			if text, ok := starlark.AsString(args[0]); ok && jsonDepth(text) > wire.MaxDepth {
				return nil, fmt.Errorf("%s: nested deeper than %d", b.Name(), wire.MaxDepth)
			}
		}
		return decode.CallInternal(th, args, kwargs)
	})
	members["encode"] = boundedPrinter(members["encode"].(*starlark.Builtin))
	return &starlarkstruct.Module{Name: starlarkjson.Module.Name, Members: members}
}

// jsonDepth is how deep the arrays and objects of a text are nested, at most. Brackets in strings do not count.
func jsonDepth(text string) (deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}
