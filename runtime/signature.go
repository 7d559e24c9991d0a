package runtime

import (
	"strings"

	"go.starlark.net/starlark"
)

// misfit makes the error of a function whose arguments do not fit say what it wants, and name its def as the place. The
// interpreter names the first statement, which nobody has got to.
func misfit(fn starlark.Value, err error) error {
	f, scripted := fn.(*starlark.Function)
	eval, evaluated := err.(*starlark.EvalError)
	if !scripted || !evaluated {
		return err
	}
	eval.Msg += ", want " + signature(f)
	if last := len(eval.CallStack) - 1; last >= 0 && eval.CallStack[last].Name == f.Name() {
		eval.CallStack[last].Pos = f.Position()
	}
	return err
}

// maxDefault is how many bytes a string has that is shown as the default value of a parameter.
const maxDefault = 20

// signature is a function as its def has it: "incr(key, by=1)". A default value that is not short is shown as "…".
func signature(f *starlark.Function) string {
	var params []string
	add := func(i int) {
		name, _ := f.Param(i)
		if value := f.ParamDefault(i); value != nil {
			name += "=" + briefly(value)
		}
		params = append(params, name)
	}
	special := 0 // *args and **kwargs come last
	if f.HasVarargs() {
		special++
	}
	if f.HasKwargs() {
		special++
	}
	named := f.NumParams() - special
	positional := named - f.NumKwonlyParams()
	for i := range positional {
		add(i)
	}
	switch {
	case f.HasVarargs():
		name, _ := f.Param(named)
		params = append(params, "*"+name)
	case positional < named:
		params = append(params, "*")
	}
	for i := positional; i < named; i++ {
		add(i)
	}
	if f.HasKwargs() {
		name, _ := f.Param(f.NumParams() - 1)
		params = append(params, "**"+name)
	}
	return f.Name() + "(" + strings.Join(params, ", ") + ")"
}

// briefly is a value as a text if that is short.
func briefly(v starlark.Value) string {
	switch v := v.(type) {
	case starlark.NoneType, starlark.Bool, starlark.Float:
		return v.String()
	case starlark.Int:
		if _, small := v.Int64(); small {
			return v.String()
		}
	case starlark.String:
		if len(v) <= maxDefault {
			return v.String()
		}
	case starlark.Tuple:
		if len(v) == 0 {
			return "()"
		}
	case *starlark.List:
		if v.Len() == 0 {
			return "[]"
		}
	case *starlark.Dict:
		if v.Len() == 0 {
			return "{}"
		}
	}
	return "…"
}
