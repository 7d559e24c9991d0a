package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"skynet/sim/history"
)

// Model is a sequential specification: what a service would answer if it did one operation after the other. Models are
// immutable and may be used concurrently.
type Model struct {
	name    string
	initial state
	perKey  bool

	// prepare reads the arguments and the result of c.op, less the key if perKey is set, into c.
	prepare func(c *call) error
	// step says whether the operation can happen in s with its result, and what the state is then. An unknown result
	// must be accepted where the operation can have an effect; where it has none the search goes on without one.
	step func(r *search, s state, c *call) (next state, ok bool, err error)
	// key names the partition, if the model has its own idea of it.
	key func(r *search, c *call) (history.Value, error)
	// describe prints a state; without it the state's text is printed.
	describe func(s state) string
	// thread makes the thread that a scripted model runs on.
	thread func() *starlark.Thread
}

// Name returns the model's name.
func (m *Model) Name() string {
	if m.perKey && m.name != "kv" {
		return m.name + "/key"
	}
	return m.name
}

// PerKey returns the model whose operations take a key before their other arguments, with one independent m for each
// key. That is far cheaper to check than one model of everything.
func (m *Model) PerKey() *Model {
	per := *m
	per.perKey = true
	return &per
}

// state is a model's state: states are equal exactly if their texts are. Stock models need no more than the text;
// scripted ones keep the value it encodes too.
type state struct {
	text  string
	value starlark.Value
}

// call is an operation in the form that models step through.
type call struct {
	op   *history.Operation
	run  *search
	args []history.Value
	id   int32 // position within the search
	verb verb
	// known is false if the result is not known, and the call may take effect until the end of time.
	known bool
	// pure calls have no effect: they are left out if their result is unknown.
	pure bool

	// call and ret bound the search: twice the indexes of the events, so that there is room between two of them.
	call, ret int64

	// What prune goes by: the value that the call introduces, the one it proves to be there, whether it proves
	// something not to be there, and whether it does neither in a way that prune understands.
	adds, sees     history.Value
	seesAll        []history.Value // like sees, for a read of many
	denies, opaque bool

	scripted starlark.Tuple // arguments of the step function after the state
}

// verb is what a call does, whatever it is called in the history.
type verb uint8

const (
	read verb = iota
	write
	compareAndSet
	remove
	extend
	enqueue
	dequeue
	add
	contains
	acquire
	release
	use
)

// verbs maps spellings to verbs, for one model.
type verbs map[string]verb

var (
	registerVerbs = verbs{
		"read": read, "get": read, "write": write, "put": write, "set": write,
		"cas": compareAndSet, "compare_and_set": compareAndSet, "compare_and_swap": compareAndSet,
	}
	kvVerbs = verbs{
		"read": read, "get": read, "write": write, "put": write, "set": write,
		"cas": compareAndSet, "compare_and_set": compareAndSet, "compare_and_swap": compareAndSet,
		"delete": remove, "del": remove, "remove": remove, "append": extend,
	}
	queueVerbs = verbs{
		"enqueue": enqueue, "put": enqueue, "push": enqueue, "send": enqueue, "offer": enqueue,
		"dequeue": dequeue, "get": dequeue, "pop": dequeue, "take": dequeue, "receive": dequeue, "poll": dequeue,
	}
	setVerbs = verbs{
		"add": add, "insert": add, "put": add, "remove": remove, "delete": remove, "del": remove,
		"contains": contains, "has": contains, "member": contains,
		"read": read, "get": read, "members": read, "list": read,
	}
	lockVerbs = verbs{
		"acquire": acquire, "lock": acquire, "release": release, "unlock": release, "use": use, "write": use,
	}
)

// known lists the spellings, for messages.
func (v verbs) known() string {
	return strings.Join(slices.Sorted(maps.Keys(v)), " ")
}

// find sets the verb of c and checks the number of arguments: least to most.
func (v verbs) find(c *call, arity func(verb) (least, most int)) error {
	what, ok := v[c.op.Op]
	if !ok {
		return fmt.Errorf("got operation %q, want one of: %s", c.op.Op, v.known())
	}
	c.verb = what
	least, most := arity(what)
	if n := len(c.args); n < least || n > most {
		want := fmt.Sprint(least)
		if least != most {
			want = fmt.Sprintf("%d or %d", least, most)
		}
		return fmt.Errorf("%s: got %d arguments, want %s", c.op.Op, n, want)
	}
	return nil
}

// exactly returns the arity of a table of verbs that each take one number of arguments.
func exactly(arity map[verb]int) func(verb) (least, most int) {
	return func(v verb) (int, int) { n := arity[v]; return n, n }
}

func wantBool(c *call) error {
	if v := c.op.Value; c.known && v != history.True && v != history.False {
		return fmt.Errorf("%s: got result %s, want true or false", c.op.Op, v)
	}
	return nil
}

var modelNames = []string{"kv", "lock", "queue", "register", "set"}

// Names returns the names of the stock models, sorted.
func Names() []string { return slices.Clone(modelNames) }

// Named returns the stock model of that name; "/key" behind the name makes it [Model.PerKey].
func Named(name string) (*Model, error) {
	base, perKey := strings.CutSuffix(name, "/key")
	var m *Model
	switch base {
	case "register":
		m = Register()
	case "kv":
		return KV(), nil
	case "queue":
		m = Queue()
	case "set":
		m = Set()
	case "lock":
		m = Lock()
	default:
		return nil, fmt.Errorf("check: got model %q, want one of: %s", name, strings.Join(modelNames, " "))
	}
	if perKey {
		m = m.PerKey()
	}
	return m, nil
}
