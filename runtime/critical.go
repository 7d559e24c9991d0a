package runtime

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// criticalSection is what skynet.queue returns: a lock of one service that is called with what to run. Who comes while it is
// held waits in line, first come first served; who holds it may enter again. Handlers that wait for each other's sections
// would wait for ever, so the one that would close the circle gets an error.
type criticalSection struct {
	svc     *Service
	owner   *coroutine // nil if it is free
	depth   int        // how often the owner entered
	inside  string     // what the owner runs
	waiting line[waitID, sectionWait]
}

type sectionWait struct {
	co   *coroutine
	what string
}

var _ starlark.Callable = (*criticalSection)(nil)

func skynetQueue(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return &criticalSection{svc: co.svc}, starlark.UnpackArgs(b.Name(), args, kwargs)
}

// Name is how backtraces call it.
func (q *criticalSection) Name() string          { return "queue" }
func (q *criticalSection) String() string        { return "queue" }
func (q *criticalSection) Type() string          { return "queue" }
func (q *criticalSection) Freeze()               {}
func (q *criticalSection) Truth() starlark.Bool  { return true }
func (q *criticalSection) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: queue") }
func (q *criticalSection) AttrNames() []string   { return []string{"held", "waiting"} }

// Attr offers held, whether somebody is inside, and waiting, how many handlers are in line.
func (q *criticalSection) Attr(name string) (starlark.Value, error) {
	switch name {
	case "held":
		return starlark.Bool(q.owner != nil), nil
	case "waiting":
		return starlark.MakeInt(q.waiting.len()), nil
	}
	return nil, nil
}

// CallInternal runs f(*args, **kwargs) inside and returns what it returns. A failure of f leaves the section and goes on.
func (q *criticalSection) CallInternal(th *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	b := starlark.NewBuiltin("queue", nil)
	co, err := current(th, b)
	if err != nil {
		return nil, err
	}
	if co.svc != q.svc {
		return nil, fmt.Errorf("queue: got a queue of %s, want one of this service", q.svc.label)
	}
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	j, err := callable(b, args, kwargs)
	if err != nil {
		return nil, err
	}
	if err := q.enter(co, j.what, co.boundedBy(timeout)); err != nil {
		return nil, err
	}
	defer q.leave(co)
	return starlark.Call(th, j.fn, j.args, j.kwargs)
}

// enter waits until the section is free, or is the coroutine's own.
func (q *criticalSection) enter(co *coroutine, what string, deadline sched.Time) error {
	switch q.owner {
	case nil:
		q.owner, q.depth, q.inside = co, 1, what
		return nil
	case co:
		q.depth++
		return nil
	}
	if circle := q.circle(co); circle != nil {
		return fmt.Errorf("queue: deadlock: %s", strings.Join(circle, ", "))
	}
	id := q.svc.addWait(behindWait, co, nil, deadline)
	co.waiting.behind = &q.owner
	q.waiting.add(id, sectionWait{co, what})
	co.section = q
	v, err := co.block("queue", q.inside)
	co.section = nil
	if v == starlark.True && err == nil {
		return nil // leave has made this coroutine the owner
	}
	if q.owner == co { // it was, but the coroutine has been cancelled since
		q.leave(co)
	} else {
		q.waiting.remove(id)
	}
	if err != nil {
		return err
	}
	return callErrorf(Timeout, false, "queue: %s did not leave it in time", q.inside)
}

// circle says who waits for whom if the coroutine would wait for itself, nil if not.
func (q *criticalSection) circle(co *coroutine) []string {
	var text []string
	for from, next := co, q; next != nil; {
		owner := next.owner
		text = append(text, fmt.Sprintf("%s (%s) waits for %s (%s)", from.job.what, from.place(), owner.job.what, owner.place()))
		if owner == co {
			return text
		}
		from, next = owner, owner.section
	}
	return nil
}

// place is where the script of the coroutine stands.
func (co *coroutine) place() string {
	stack := co.thread.CallStack()
	for i := range stack {
		if pos := stack.At(i).Pos; pos.Filename() != "<builtin>" {
			return pos.String()
		}
	}
	return "go"
}

// leave gives the section to the next in line.
func (q *criticalSection) leave(co *coroutine) {
	if q.owner != co {
		return
	}
	if q.depth--; q.depth > 0 {
		return
	}
	q.owner = nil
	for q.owner == nil {
		id, next, ok := q.waiting.first()
		if !ok {
			return
		}
		q.waiting.remove(id)
		if q.svc.wake(id, starlark.True, nil) {
			q.owner, q.depth, q.inside = next.co, 1, next.what
			next.co.section, next.co.waiting.behind = nil, nil // it waits no more
		}
	}
}
