package runtime_test

import (
	"errors"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// answering is a puppet that answers in all the other ways.
func answering() puppet {
	var n notes
	var held []*runtime.Response
	return puppet{
		"notes": n.take,
		"ret": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
			waits, err := ctx.Ret(args[0])
			_, second := ctx.Ret(args[0])
			_, third := ctx.Response()
			fourth := ctx.Redirect(starlark.String("callee"), "one", nil, nil)
			n.add("%v %v %v", waits, err, second == third && third == fourth && second != nil)
			return starlark.String("nobody hears this"), second
		},
		"ret_function": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
			_, err := ctx.Ret(starlark.NewBuiltin("f", nil))
			return said(err)
		},
		"redirect": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
			err := ctx.Redirect(args[0], string(args[1].(starlark.String)), args[2:], []starlark.Tuple{{starlark.String("k"), starlark.MakeInt(1)}})
			if err != nil {
				return said(err)
			}
			return starlark.String("nobody hears this"), nil
		},
		"keep": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
			r, err := ctx.Response()
			held = append(held, r)
			return nil, err
		},
		"pending": func(*runtime.Context, starlark.Tuple) (starlark.Value, error) {
			return starlark.Bool(len(held) > 0 && held[0].Pending()), nil
		},
		"reply": func(_ *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
			_, refused := held[0].Reply(starlark.NewBuiltin("f", nil))
			waited, err := held[0].Reply(args[0])
			_, second := held[0].Fail(errors.New("too late"))
			n.add("%v %v %v %v", refused != nil, waited, err, second != nil)
			held = held[1:]
			return starlark.None, nil
		},
		"fail": func(_ *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
			waited, err := held[0].Fail(errors.New("no, not that"))
			held = held[1:]
			return starlark.Bool(waited), err
		},
	}
}

func TestContextAnswers(t *testing.T) {
	withPuppet(t, answering, func(t *testing.T, w *runtimetest.World) {
		pending := func() bool {
			v, err := w.Call("n", "puppet", "pending")
			return err == nil && v == starlark.True
		}
		w.Want("5", "n", "puppet", "ret", 5)
		untilNoted(w, "true <nil> true")
		w.Want(`"builtin_function_or_method cannot be sent in a message"`, "n", "puppet", "ret_function")
		w.Want(`((1, "x"), {"k": 1})`, "n", "puppet", "redirect", "callee", "echo", 1, "x")
		w.Want(`"dead: no service has the name \".nobody\""`, "n", "puppet", "redirect", ".nobody", "echo")
		later := w.Go("n", "puppet", "keep")
		w.Until("the response is taken", pending)
		w.Want("None", "n", "puppet", "reply", "later")
		if v, err := later.Wait(); err != nil || v != starlark.String("later") {
			t.Errorf("response: got %v, %v, want later", v, err)
		}
		untilNoted(w, "true <nil> true true true <nil> true")
		later = w.Go("n", "puppet", "keep")
		w.Until("another response is taken", pending)
		w.Want("True", "n", "puppet", "fail")
		_, err := later.Wait()
		wantKind(t, err, "remote: no, not that")
	})
}

// TestContextResponseIsBounded keeps a response beyond the deadline of its request.
func TestContextResponseIsBounded(t *testing.T) {
	withPuppet(t, answering, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"client.star": "def ask():\n    return skynet.pcall(skynet.call, 'puppet', 'keep', timeout = '2ms').error.kind\n"})
		w.Launch("n", "client.star")
		w.Want(`"timeout"`, "n", "client", "ask")
		w.Until("the response is over", func() bool {
			v, err := w.Call("n", "puppet", "pending")
			return err == nil && v == starlark.False
		})
		w.Want("False", "n", "puppet", "fail")
	})
}

func TestContextQueue(t *testing.T) {
	withPuppet(t, func() puppet {
		var n notes
		var p, q, shared runtime.Queue
		inside := func(ctx *runtime.Context, q *runtime.Queue, timeout time.Duration, f func() error) error {
			err := q.Do(ctx, timeout, f)
			if err != nil {
				n.add("%v", err)
			}
			return err
		}
		hold := func(first, second *runtime.Queue) func(*runtime.Context) error {
			return func(ctx *runtime.Context) error {
				return inside(ctx, first, 0, func() error {
					if err := ctx.Sleep(time.Millisecond); err != nil {
						return err
					}
					return inside(ctx, second, 0, func() error { n.add("both"); return nil })
				})
			}
		}
		return puppet{
			"notes": n.take,
			"nested": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				var depth int64
				err := q.Do(ctx, 0, func() error {
					return q.Do(ctx, 0, func() error { depth = 2; return nil })
				})
				return starlark.MakeInt64(depth), err
			},
			"failing": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				return nil, q.Do(ctx, 0, func() error { return errors.New("inside") })
			},
			"deadlock": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				ctx.Fork("first", hold(&p, &q))
				ctx.Fork("second", hold(&q, &p))
				return starlark.None, nil
			},
			"timeout": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				ctx.Fork("holder", func(ctx *runtime.Context) error {
					return shared.Do(ctx, 0, func() error { return ctx.Sleep(time.Hour) })
				})
				if err := ctx.GiveWay(); err != nil {
					return nil, err
				}
				return said(shared.Do(ctx, time.Millisecond, func() error { return nil }))
			},
		}
	}, func(t *testing.T, w *runtimetest.World) {
		w.Want("2", "n", "puppet", "nested")
		_, err := w.Call("n", "puppet", "failing")
		wantKind(t, err, "remote: inside")
		w.Want("2", "n", "puppet", "nested")
		w.Want("None", "n", "puppet", "deadlock")
		w.Until("one gets in, the other hears why not", func() bool {
			v, err := w.Call("n", "puppet", "notes")
			if err != nil {
				return false
			}
			text := string(v.(starlark.String))
			return len(text) > 0 && text[len(text)-4:] == "both"
		})
		v, err := w.Call("n", "puppet", "notes")
		if err != nil {
			t.Fatal(err)
		}
		wantParts(t, v.String(), "queue: deadlock: second (go) waits for first (go), first (go) waits for second (go)")
		w.Want(`"timeout: queue: holder did not leave it in time"`, "n", "puppet", "timeout")
	})
}

// TestContextQueueOfAnotherService shares a queue between two services.
func TestContextQueueOfAnotherService(t *testing.T) {
	var q runtime.Queue
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		q = runtime.Queue{}
		enters := func() runtime.Handler {
			return puppet{"do": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				return starlark.None, q.Do(ctx, 0, func() error { return nil })
			}}
		}
		w.Handlers = map[string]func() runtime.Handler{"puppet": enters, "other": enters}
		w.Node("n")
		w.Want("None", "n", w.Launch("n", "puppet"), "do")
		_, err := w.Call("n", w.Launch("n", "other"), "do")
		wantKind(t, err, "remote: queue: got a queue of n:00000003 puppet, want one of this service")
	})
}
