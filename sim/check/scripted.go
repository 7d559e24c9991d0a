package check

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"

	"go.starlark.net/starlark"

	"skynet/sim/history"
)

// Unknown is the result that a scripted model is given for an operation of unknown outcome. Scenarios see it under the
// name "unknown"; it equals itself only.
var Unknown starlark.Value = unknown{}

type unknown struct{}

func (unknown) String() string        { return "unknown" }
func (unknown) Type() string          { return "unknown" }
func (unknown) Freeze()               {}
func (unknown) Truth() starlark.Bool  { return starlark.False }
func (unknown) Hash() (uint32, error) { return 1, nil }

// maxScriptSteps stops a model whose step function does not end.
const maxScriptSteps = 10_000_000

// NewScripted returns a model written in Starlark.
//
//   - init is the first state: None, a bool, a number, a string, bytes, or a list, tuple, dict or set of such. States
//     are frozen, and equal exactly if Starlark says so.
//   - step(state, op, args, result) returns (True, new_state) if the operation op with the tuple args could return
//     result in state, and None, False or (False, anything) if it could not. For an operation of unknown outcome result
//     is [Unknown]; if step refuses it, it had no effect. step must be a function of its arguments alone.
//   - partition(op, args) returns the key that the operation belongs to; nil stands for a single partition.
//
// thread makes a thread for each check; nil stands for a thread without a Print and a Load. An error of the script, or a
// result of another form, is the verdict [Failed] with the place in the script.
func NewScripted(thread func() *starlark.Thread, init starlark.Value, step, partition starlark.Callable) (*Model, error) {
	if step == nil {
		return nil, errors.New("check: new scripted model: got no step function")
	}
	initial, err := newState(init)
	if err != nil {
		return nil, fmt.Errorf("check: new scripted model: init: %w", err)
	}
	if thread == nil {
		thread = func() *starlark.Thread { return &starlark.Thread{Name: "model"} }
	}
	step.Freeze()
	m := &Model{name: "custom", initial: initial, thread: thread, prepare: prepareScripted}
	m.step = func(r *search, s state, c *call) (state, bool, error) { return r.scriptedStep(step, s, c) }
	if partition != nil {
		partition.Freeze()
		m.key = func(r *search, c *call) (history.Value, error) { return r.scriptedKey(partition, c) }
	}
	return m, nil
}

func prepareScripted(c *call) error {
	args := make([]starlark.Value, len(c.args))
	for i, arg := range c.args {
		args[i] = arg.Starlark()
	}
	c.scripted = starlark.Tuple{starlark.String(c.op.Op), starlark.Tuple(args), Unknown}
	c.scripted.Freeze()
	if c.known {
		c.scripted[2] = c.op.Value.Starlark()
	}
	return nil
}

func (r *search) scriptedStep(step starlark.Callable, s state, c *call) (state, bool, error) {
	got, err := r.script(step, starlark.Tuple{s.value, c.scripted[0], c.scripted[1], c.scripted[2]})
	if err != nil {
		return s, false, fmt.Errorf("custom model: %s: %w", c.op, err)
	}
	if got == starlark.None || got == starlark.False {
		return s, false, nil
	}
	pair, ok := got.(starlark.Tuple)
	if ok && len(pair) == 2 {
		if fits, isBool := pair[0].(starlark.Bool); isBool {
			if !fits {
				return s, false, nil
			}
			if s, err = newState(pair[1]); err == nil {
				return s, true, nil
			}
		}
	}
	if err == nil {
		err = fmt.Errorf("got %s, want (True, new_state), None or False", got)
	}
	return s, false, fmt.Errorf("custom model: %s: %s: %w", c.op, where(step), err)
}

func (r *search) scriptedKey(partition starlark.Callable, c *call) (history.Value, error) {
	got, err := r.script(partition, starlark.Tuple{c.scripted[0], c.scripted[1]})
	if err != nil {
		return "", fmt.Errorf("partition: %w", err)
	}
	key, err := history.FromStarlark(got)
	if err != nil {
		return "", fmt.Errorf("partition: %s: %w", where(partition), err)
	}
	return key, nil
}

func (r *search) script(f starlark.Callable, args starlark.Tuple) (starlark.Value, error) {
	r.thread.Steps = 0
	r.thread.SetMaxExecutionSteps(maxScriptSteps)
	got, err := starlark.Call(r.thread, f, args, nil)
	var in *starlark.EvalError
	if errors.As(err, &in) {
		return nil, placed(in)
	}
	return got, err
}

// placed is an error in one line, which leads with the innermost place in a script.
func placed(err *starlark.EvalError) error {
	for i := range err.CallStack {
		if pos := err.CallStack.At(i).Pos; pos.Line > 0 {
			return fmt.Errorf("%s: %s", pos, err.Msg)
		}
	}
	return errors.New(err.Msg)
}

// where names the function and its position, if it has one.
func where(f starlark.Callable) string {
	if fn, ok := f.(*starlark.Function); ok {
		return fn.Position().String()
	}
	return f.Name()
}

func newState(v starlark.Value) (state, error) {
	text, err := appendState(nil, v, 0)
	if err != nil {
		return state{}, err
	}
	v.Freeze()
	return state{string(text), v}, nil
}

// appendState encodes a state such that two encodings are equal exactly if the values are equal in Starlark: 1 is 1.0,
// a list is no tuple, and the order of dicts and sets does not matter.
func appendState(b []byte, v starlark.Value, depth int) ([]byte, error) {
	if depth > 100 {
		return nil, errors.New("state is nested deeper than 100")
	}
	switch v := v.(type) {
	case starlark.NoneType, starlark.Bool, starlark.Int:
		return append(b, v.String()...), nil
	case starlark.Float:
		f := float64(v)
		if f == math.Trunc(f) && !math.IsInf(f, 0) {
			i, err := starlark.NumberToInt(v)
			return append(b, i.String()...), err
		}
		return strconv.AppendFloat(b, f, 'g', -1, 64), nil
	case starlark.String:
		return strconv.AppendQuote(b, string(v)), nil
	case starlark.Bytes:
		return strconv.AppendQuote(append(b, 'b'), string(v)), nil
	case *starlark.List:
		return appendElems(b, "[", v, "]", depth)
	case starlark.Tuple:
		return appendElems(b, "(", v, ")", depth)
	case *starlark.Dict:
		return appendSorted(b, "{", v.Items(), depth)
	case *starlark.Set:
		items := make([]starlark.Tuple, 0, v.Len())
		for elem := range v.Elements() {
			items = append(items, starlark.Tuple{elem})
		}
		return appendSorted(b, "set{", items, depth)
	}
	return nil, fmt.Errorf("state holds a %s, want None, bool, int, float, string, bytes, list, tuple, dict or set", v.Type())
}

func appendElems(b []byte, open string, v starlark.Indexable, closing string, depth int) ([]byte, error) {
	b = append(b, open...)
	for i := range v.Len() {
		var err error
		if b, err = appendState(b, v.Index(i), depth+1); err != nil {
			return nil, err
		}
		b = append(b, ',')
	}
	return append(b, closing...), nil
}

func appendSorted(b []byte, open string, items []starlark.Tuple, depth int) ([]byte, error) {
	texts := make([]string, len(items))
	for i, item := range items {
		text, err := appendElems(nil, "", item, ";", depth)
		if err != nil {
			return nil, err
		}
		texts[i] = string(text)
	}
	sort.Strings(texts)
	b = append(b, open...)
	for _, text := range texts {
		b = append(b, text...)
	}
	return append(b, '}'), nil
}
