package scenario

import (
	"fmt"
	"slices"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Check is one part of a verdict.
type Check struct {
	// Kind is "linearizable", "always", "never", "sometimes" or "eventually".
	Kind string
	// Name is unique among the checks of a scenario.
	Name string
	// Predicate takes the state view s. It is nil for linearizable, and for a sometimes that services report by name.
	Predicate starlark.Callable
	// Within is how long after the heal an eventually may take.
	Within time.Duration
	// Model, Per and States belong to linearizable. Per is "key" if the operations on each first argument are checked
	// by themselves, otherwise empty. States bounds the search; when it is used up the verdict is "unknown".
	Model  Model
	Per    string
	States int
	// Pos is where the check was written.
	Pos syntax.Position
}

// Model is the sequential behaviour that a history is checked against.
type Model struct {
	// Name is one of Models, or "custom".
	Name string
	// Init is the first state of a custom model. It is frozen.
	Init starlark.Value
	// Step of a custom model takes (state, op, args, result) and returns the next state, or None if the result is not
	// possible in that state. Partition, which may be nil, takes (op, args) and returns the key of the operation.
	Step, Partition starlark.Callable
}

// Models are the names of the models that are built in. It is constant.
var Models = []string{"register", "kv", "queue", "set", "lock"}

const (
	defaultStates = 200_000
	defaultWithin = 10 * time.Second
)

func (c *Check) word() *word { return &word{"check", fmt.Sprintf("%s(%q)", c.Kind, c.Name), *c} }

// newLinearizable is linearizable(model, per, states, name).
func newLinearizable(thread *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := Check{Kind: b.Name(), States: defaultStates, Pos: callerPos(thread)}
	var model starlark.Value
	if err := unpack(c.Kind, args, kwargs, "model", &model, "per??", &c.Per, "states?", &c.States, "name?", &c.Name); err != nil {
		return nil, err
	}
	var err error
	if c.Model, err = asModel(model); err != nil {
		return nil, fmt.Errorf("%s: for parameter model: %w", c.Kind, err)
	}
	if c.Per != "" {
		err = choose(c.Per, "key")
	}
	if err == nil && c.States < 1 {
		err = fmt.Errorf("got states = %d, want at least 1", c.States)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Kind, err)
	}
	if c.Name == "" {
		c.Name = c.Kind + "-" + c.Model.Name
	}
	return c.word(), nil
}

func asModel(v starlark.Value) (Model, error) {
	if m, ok := unwrap[Model](v); ok {
		return m, nil
	}
	name, ok := starlark.AsString(v)
	if !ok {
		return Model{}, fmt.Errorf("got %s, want %s, or model(...)", v.Type(), orList(Models))
	}
	return Model{Name: name}, choose(name, Models...)
}

// newModel is model(init, step, partition).
func newModel(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	m := Model{Name: "custom"}
	if err := unpack(fn, args, kwargs, "init", &m.Init, "step", &m.Step, "partition??", &m.Partition); err != nil {
		return nil, err
	}
	if err := takes(m.Step, 4, "(state, op, args, result)"); err != nil {
		return nil, fmt.Errorf("%s: for parameter step: %w", fn, err)
	}
	if m.Partition != nil {
		if err := takes(m.Partition, 2, "(op, args)"); err != nil {
			return nil, fmt.Errorf("%s: for parameter partition: %w", fn, err)
		}
	}
	m.Init.Freeze()
	return &word{"model", fmt.Sprintf("model(init = %s, step = %s)", m.Init, m.Step.Name()), m}, nil
}

// newPredicate is always, never, sometimes and eventually.
func newPredicate(thread *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := Check{Kind: b.Name(), Pos: callerPos(thread)}
	within := quantity{unit: seconds, n: int64(defaultWithin)}
	params := []any{"name", &c.Name, "predicate", &c.Predicate}
	switch c.Kind {
	case "sometimes":
		params[2] = "predicate??"
	case "eventually":
		params = append(params, "within?", &within)
		c.Within = defaultWithin
	}
	if err := unpack(c.Kind, args, kwargs, params...); err != nil {
		return nil, err
	}
	if c.Kind == "eventually" {
		c.Within = time.Duration(within.n)
	}
	if c.Name == "" {
		return nil, fmt.Errorf(`%s: got name "", want a name for the report`, c.Kind)
	}
	if c.Predicate != nil {
		if err := takes(c.Predicate, 1, "(s)"); err != nil {
			return nil, fmt.Errorf("%s: for parameter predicate: %w", c.Kind, err)
		}
	}
	return c.word(), nil
}

// newChecks is checks(check, …).
func newChecks(fn string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := unpack(fn, nil, kwargs); err != nil {
		return nil, err
	}
	all, err := unwrapAll[Check](fn, args, "linearizable(...), always(...), never(...), sometimes(...) or eventually(...)")
	if err == nil && len(all) == 0 {
		err = fmt.Errorf(`%s: got no check, want at least one such as linearizable("kv")`, fn)
	}
	for i, c := range all {
		if slices.ContainsFunc(all[:i], func(other Check) bool { return other.Name == c.Name }) {
			return nil, fmt.Errorf("%s: argument %d: got the name %q twice, want a name for each", fn, i+1, c.Name)
		}
	}
	return &word{"checks", fmt.Sprintf("%s(%d)", fn, len(all)), all}, err
}

// takes checks how many arguments a function can be called with.
func takes(f starlark.Callable, n int, want string) error {
	fn, ok := f.(*starlark.Function)
	if !ok {
		return nil
	}
	most, required := fn.NumParams()-fn.NumKwonlyParams(), 0
	if fn.HasKwargs() {
		most--
	}
	if fn.HasVarargs() {
		most--
	}
	for i := range most {
		if fn.ParamDefault(i) == nil {
			required++
		}
	}
	if n < required || n > most && !fn.HasVarargs() {
		return fmt.Errorf("got %s, which takes %d arguments, want a function of %d: %s", fn.Name(), most, n, want)
	}
	return nil
}

// callerPos is where the script calls the built-in that runs.
func callerPos(thread *starlark.Thread) syntax.Position {
	if thread.CallStackDepth() < 2 {
		return inFile("<builtin>")
	}
	return thread.CallFrame(1).Pos
}
