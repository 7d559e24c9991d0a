package runtime

import (
	"errors"
	"fmt"

	"go.starlark.net/starlark"
)

// errCancelled unwinds a coroutine that was cancelled. Scripts cannot catch it.
var errCancelled = errors.New("cancelled")

// forkedTask is the handle of a forked coroutine: what skynet.fork returns.
type forkedTask struct {
	svc       *Service
	job       job        // what it is going to do, until it begins
	co        *coroutine // nil before it begins and after it has ended
	what      string
	cancelled bool // before it began
	ended     bool
}

func (t *forkedTask) String() string        { return fmt.Sprintf("task(%s)", t.what) }
func (t *forkedTask) Type() string          { return "task" }
func (t *forkedTask) Freeze()               {}
func (t *forkedTask) Truth() starlark.Bool  { return starlark.Bool(!t.ended) }
func (t *forkedTask) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: task") }
func (t *forkedTask) AttrNames() []string   { return []string{"cancel", "done"} }

// Attr offers cancel(), which reports whether it came in time, and done().
func (t *forkedTask) Attr(name string) (starlark.Value, error) {
	switch name {
	case "cancel":
		return starlark.NewBuiltin("task.cancel", func(th *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
				return nil, err
			}
			co, err := current(th, b)
			if err != nil {
				return nil, err
			}
			return t.cancel(co)
		}), nil
	case "done":
		return starlark.NewBuiltin("task.done", func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return starlark.Bool(t.ended), starlark.UnpackArgs(b.Name(), args, kwargs)
		}), nil
	}
	return nil, nil
}

// cancel ends the task; by is the coroutine that asks for it.
func (t *forkedTask) cancel(by *coroutine) (starlark.Value, error) {
	switch {
	case t.ended:
		return starlark.False, nil
	case t.drop():
		return starlark.True, nil
	}
	return starlark.True, by.cancel(t.co)
}

// drop cancels a task that has not begun; it reports whether that is so.
func (t *forkedTask) drop() bool {
	if t.ended || t.co != nil {
		return false
	}
	t.cancelled, t.ended = true, true
	return true
}

// cancel ends another coroutine of the service where it is suspended, or the coroutine itself, which the error it then gets
// unwinds. The request it handles is answered with an error.
func (co *coroutine) cancel(other *coroutine) error {
	if other == co {
		co.cancelled = true
		return errCancelled
	}
	other.cancelled = true
	if _, waits := co.svc.waits.take(other.wait); waits { // else it is queued already
		co.svc.runq.push(runnable{co: other})
	}
	return nil
}

// skynetCancel ends what skynet.fork, skynet.timeout or skynet.every returned, or the coroutine of a number, which
// skynet.task lists. False says that it was over already.
func skynetCancel(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "task", &v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case *forkedTask:
		return v.cancel(co)
	case *timerValue:
		return starlark.Bool(v.cancel(co.svc)), nil
	case starlark.Int:
		if n, ok := v.Uint64(); ok {
			return co.svc.cancelNumber(co, n)
		}
	}
	return nil, fmt.Errorf("%s: got %s, want a task, a timer, or the number of a handler", b.Name(), v.Type())
}

func (s *Service) cancelNumber(by *coroutine, number uint64) (starlark.Value, error) {
	if by.id == number {
		return nil, by.cancel(by)
	}
	for _, co := range s.live {
		if co.id == number {
			return starlark.True, by.cancel(co)
		}
	}
	return starlark.False, nil
}

func skynetFork(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	j, err := callable(b, args, kwargs)
	if err == nil {
		err = co.svc.roomForFork()
	}
	if err != nil {
		return nil, err
	}
	j.trace = co.traceID()
	return co.svc.forkTask(j), nil
}
