package check

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"skynet/sim/history"
)

const null = string(history.Null)

// Register is one value that is read, written, and compared and set.
func Register() *Model {
	arity := exactly(map[verb]int{read: 0, write: 1, compareAndSet: 2})
	return &Model{
		name: "register", initial: state{text: null}, step: cellStep,
		prepare: func(c *call) error { return prepareCell(c, registerVerbs, arity) },
	}
}

// KV is a map, checked key by key.
func KV() *Model {
	arity := exactly(map[verb]int{read: 0, write: 1, compareAndSet: 2, remove: 0, extend: 1})
	return &Model{
		name: "kv", initial: state{text: null}, step: cellStep, perKey: true,
		prepare: func(c *call) error { return prepareCell(c, kvVerbs, arity) },
	}
}

func prepareCell(c *call, table verbs, arity func(verb) (int, int)) error {
	if err := table.find(c, arity); err != nil {
		return err
	}
	switch c.verb {
	case read:
		c.pure, c.sees = true, c.op.Value
	case write:
		c.adds = c.args[0]
	case remove:
		c.adds = history.Null
	case extend:
		c.opaque = true
	case compareAndSet:
		if c.known && c.op.Value == history.False {
			c.denies = true
		} else {
			c.sees, c.adds = c.args[0], c.args[1]
		}
		return wantBool(c)
	}
	return nil
}

func cellStep(_ *search, s state, c *call) (state, bool, error) {
	switch c.verb {
	case read:
		return s, !c.known || s.text == string(c.op.Value), nil
	case write:
		return state{text: string(c.args[0])}, true, nil
	case remove:
		return state{text: null}, true, nil
	case extend:
		next, ok := appended(history.Value(s.text), c.args[0])
		return state{text: string(next)}, ok, nil
	}
	swap := s.text == string(c.args[0])
	if c.known && swap != (c.op.Value == history.True) {
		return s, false, nil
	}
	if swap {
		s.text = string(c.args[1])
	}
	return s, true, nil
}

// appended is what append makes of the value v; it cannot be done to a value that is neither a list nor a string.
func appended(v, more history.Value) (history.Value, bool) {
	if elems, ok := v.Elems(); ok {
		return history.List(append(elems, more)...), true
	}
	tail, tailIsText := more.Text()
	if v.IsNull() {
		if tailIsText {
			return more, true
		}
		return history.List(more), true
	}
	text, ok := v.Text()
	return history.String(text + tail), ok && tailIsText
}

// Queue hands out values in the order they came in. Its state is one value per line: no canonical value holds a line
// break.
func Queue() *Model {
	arity := exactly(map[verb]int{enqueue: 1, dequeue: 0})
	return &Model{
		name: "queue", step: queueStep, describe: describeLines,
		prepare: func(c *call) error {
			if err := queueVerbs.find(c, arity); err != nil {
				return err
			}
			if c.verb == enqueue {
				if c.adds = c.args[0]; c.adds.IsNull() {
					return fmt.Errorf("%s: got null, which cannot be told from an empty queue", c.op.Op)
				}
			} else if c.known && !c.op.Value.IsNull() {
				c.sees = c.op.Value
			}
			return nil
		},
	}
}

func queueStep(_ *search, s state, c *call) (state, bool, error) {
	if c.verb == enqueue {
		return state{text: s.text + string(c.args[0]) + "\n"}, true, nil
	}
	head, rest, ok := strings.Cut(s.text, "\n")
	if !ok {
		head = null
	}
	return state{text: rest}, !c.known || head == string(c.op.Value), nil
}

func describeLines(s state) string {
	return "[" + strings.ReplaceAll(strings.TrimSuffix(s.text, "\n"), "\n", ", ") + "]"
}

// Set is a set of values. Its state is one element per line, sorted.
func Set() *Model {
	arity := exactly(map[verb]int{add: 1, remove: 1, contains: 1, read: 0})
	return &Model{
		name: "set", step: setStep, describe: describeLines,
		prepare: func(c *call) error {
			if err := setVerbs.find(c, arity); err != nil {
				return err
			}
			return prepareSet(c)
		},
	}
}

func prepareSet(c *call) error {
	switch c.verb {
	case add:
		c.adds = c.args[0]
	case remove:
		c.opaque = true // an unknown one that nobody notices would have to be told from one that matters
	case contains:
		c.pure = true
		if c.op.Value == history.True {
			c.sees = c.args[0]
		}
		return wantBool(c)
	case read:
		c.pure = true
		if !c.known {
			return nil
		}
		elems, ok := c.op.Value.Elems()
		if !ok {
			return fmt.Errorf("%s: got result %s, want a list", c.op.Op, c.op.Value)
		}
		slices.Sort(elems)
		c.args, c.seesAll = elems, elems
	}
	return nil
}

func setStep(_ *search, s state, c *call) (state, bool, error) {
	elems := strings.SplitAfter(s.text, "\n")
	elems = elems[:len(elems)-1]
	if c.verb == read {
		return s, !c.known || slices.EqualFunc(elems, c.args, func(a string, b history.Value) bool {
			return a[:len(a)-1] == string(b)
		}), nil
	}
	line := string(c.args[0]) + "\n"
	at := sort.Search(len(elems), func(i int) bool { return elems[i][:len(elems[i])-1] >= string(c.args[0]) })
	in := at < len(elems) && elems[at] == line
	switch {
	case c.verb == contains:
		return s, !c.known || in == (c.op.Value == history.True), nil
	case c.verb == add && !in:
		elems = slices.Insert(elems, at, line)
	case c.verb == remove && in:
		elems = slices.Delete(elems, at, at+1)
	default:
		return s, true, nil
	}
	return state{text: strings.Join(elems, "")}, true, nil
}

// Lock is a lock, with or without fencing tokens.
func Lock() *Model {
	return &Model{name: "lock", initial: lockState{}.encode(), prepare: prepareLock, step: lockStep, describe: describeLock}
}

// lockState is the state of a lock: its text is "used given owner".
type lockState struct {
	given int64  // the highest token given, 0 without any
	used  int64  // the highest token used
	owner string // empty if it is free
}

func (l lockState) encode() state {
	return state{text: strconv.FormatInt(l.used, 10) + " " + strconv.FormatInt(l.given, 10) + " " + l.owner}
}

func decodeLock(s state) (l lockState) {
	used, rest, _ := strings.Cut(s.text, " ")
	given, owner, _ := strings.Cut(rest, " ")
	l.used, _ = strconv.ParseInt(used, 10, 64) // encode wrote it
	l.given, _ = strconv.ParseInt(given, 10, 64)
	l.owner = owner
	return l
}

func describeLock(s state) string {
	l := decodeLock(s)
	text := "free"
	if l.owner != "" {
		text = "held by " + l.owner
	}
	if l.given > 0 {
		text += fmt.Sprintf(", token %d", l.given)
	}
	if l.used > 0 {
		text += fmt.Sprintf(", used %d", l.used)
	}
	return text
}

func prepareLock(c *call) error {
	err := lockVerbs.find(c, func(v verb) (int, int) {
		if v == use {
			return 1, 1
		}
		return 0, 1
	})
	if err != nil {
		return err
	}
	if c.verb == use {
		if _, err := token(c.args[0]); err != nil {
			return fmt.Errorf("%s: %w", c.op.Op, err)
		}
		return wantBool(c)
	}
	if len(c.args) == 0 {
		c.args = []history.Value{history.String(c.op.Who())}
	}
	if c.verb == acquire && c.known && granted(c) && c.op.Value != history.True {
		if _, err := token(c.op.Value); err != nil {
			return fmt.Errorf("%s: result: %w", c.op.Op, err)
		}
	}
	return nil
}

func token(v history.Value) (int64, error) {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("got token %s, want a number from 1", v)
	}
	return n, nil
}

// granted is false if the answer was that nothing happened.
func granted(c *call) bool { return !c.op.Value.IsNull() && c.op.Value != history.False }

func lockStep(_ *search, s state, c *call) (state, bool, error) {
	l := decodeLock(s)
	var ok bool
	switch c.verb {
	case acquire:
		ok = l.acquire(c)
	case release:
		ok = l.release(c)
	case use:
		ok = l.use(c)
	}
	return l.encode(), ok, nil
}

func (l *lockState) acquire(c *call) bool {
	owner := string(c.args[0])
	switch {
	case !c.known:
		// Its token is lost too, so nothing can be said about the tokens after it.
		if l.owner == "" {
			l.owner = owner
		}
		return true
	case !granted(c):
		return true
	case c.op.Value == history.True:
		free := l.owner == ""
		l.owner = owner
		return free
	}
	t, _ := token(c.op.Value) // prepareLock has read it
	higher := t > l.given
	l.given, l.owner = t, owner
	return higher
}

func (l *lockState) release(c *call) bool {
	if c.known && c.op.Value == history.False {
		return true
	}
	held := l.owner == string(c.args[0])
	if held {
		l.owner = ""
	}
	return held || l.given > 0 || !c.known
}

func (l *lockState) use(c *call) bool {
	t, _ := token(c.args[0])
	fresh := t >= l.used
	if c.known && fresh != (c.op.Value == history.True) {
		return false
	}
	l.used = max(l.used, t)
	return true
}
