package runtime_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// puppet is a service in Go whose commands are what a test says.
type puppet map[string]func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error)

func (p puppet) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (p puppet) Handle(ctx *runtime.Context, command string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	f := p[command]
	if f == nil {
		return nil, fmt.Errorf("puppet has no command %q", command)
	}
	return f(ctx, args)
}

// notes are what services in Go have seen, for one puppet.
type notes []string

func (n *notes) add(format string, args ...any) { *n = append(*n, fmt.Sprintf(format, args...)) }

// take is a command that returns the notes.
func (n *notes) take(*runtime.Context, starlark.Tuple) (starlark.Value, error) {
	return starlark.String(strings.Join(*n, " ")), nil
}

// withPuppet runs a test in both worlds, on a node with a puppet and a service of lib/callee.star, "callee".
func withPuppet(t *testing.T, make func() puppet, test func(t *testing.T, w *runtimetest.World)) {
	withLimits(t, runtime.Limits{}, make, test)
}

// withLimits is withPuppet for a node with limits.
func withLimits(t *testing.T, limits runtime.Limits, make func() puppet, test func(t *testing.T, w *runtimetest.World)) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Limits = limits
		w.Scripts(testScripts(t))
		w.Handlers = map[string]func() runtime.Handler{"puppet": func() runtime.Handler { return make() }}
		w.Node("n")
		w.Launch("n", "puppet")
		launchAs(t, w, "n", "callee", "lib/callee.star")
		test(t, w)
	})
}

// untilNoted waits until the notes of the puppet are want.
func untilNoted(w *runtimetest.World, want string) {
	w.Until("notes: "+want, func() bool {
		v, err := w.Call("n", "puppet", "notes")
		return err == nil && v == starlark.String(want)
	})
}

// said turns an error into a result, so that a test can look at it.
func said(err error) (starlark.Value, error) {
	if err == nil {
		return starlark.None, nil
	}
	return starlark.String(err.Error()), nil
}

// address is a, or None.
func address(a *runtime.Address, err error) (starlark.Value, error) {
	if a == nil {
		return starlark.None, err
	}
	return a, err
}

// kill has a script kill a service.
func kill(w *runtimetest.World, a *runtime.Address) error {
	w.Scripts(map[string]string{"killer.star": "def kill(a):\n    skynet.kill(a)\n"})
	_, err := w.Call("n", w.Launch("n", "killer.star"), "kill", a)
	return err
}

func untilDead(w *runtimetest.World, name string) {
	w.Until(name+" has ended", func() bool {
		_, err := w.Call("n", name, "any")
		return errors.Is(err, &runtime.CallError{Kind: runtime.Dead})
	})
}

func TestContextLaunch(t *testing.T) {
	launch := func(l runtime.LaunchOptions) func(*runtime.Context, starlark.Tuple) (starlark.Value, error) {
		return func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) { return address(ctx.Launch(l)) }
	}
	unique := runtime.LaunchOptions{Script: "lib/callee.star", Kwargs: []starlark.Tuple{{starlark.String("step"), starlark.MakeInt(8)}}}
	callee := runtime.LaunchOptions{Script: "lib/callee.star", Args: starlark.Tuple{starlark.MakeInt(7)}, Name: ".named", Limits: runtime.Limits{Steps: 2000}}
	withPuppet(t, func() puppet {
		return puppet{
			"launch":  launch(callee),
			"missing": launch(runtime.LaunchOptions{Script: "missing.star"}),
			"unique": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				return address(ctx.LaunchUnique(unique))
			},
			"linked": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				return address(ctx.LaunchLinked(runtime.LaunchOptions{Script: "lib/mortal.star"}))
			},
			"query": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
				return address(ctx.Query(string(args[0].(starlark.String)), 2*time.Millisecond))
			},
		}
	}, func(t *testing.T, w *runtimetest.World) {
		w.Want("n:00000005", "n", "puppet", "launch")
		w.Want(`[("init", 7)]`, "n", ".named", "notes")
		w.Want("n:00000005", "n", "puppet", "query", ".named")
		w.Want("None", "n", "puppet", "query", ".nobody")
		_, err := w.Call("n", ".named", "spin")
		wantKind(t, err, "remote: ", "step budget of 2000 exceeded")
		_, err = w.Call("n", "puppet", "launch")
		wantKind(t, err, "remote: ", "launch lib/callee.star", `".named" is the name of`)
		_, err = w.Call("n", "puppet", "missing")
		wantKind(t, err, "remote: ", "launch missing.star", "no such script")
		one, err := w.Call("n", "puppet", "unique")
		if err != nil {
			t.Fatal(err)
		}
		w.Want(one.String(), "n", "puppet", "unique")
		w.Want(`[("init", 8)]`, "n", one, "notes")
		v, err := w.Call("n", "puppet", "linked")
		if err != nil {
			t.Fatal(err)
		}
		linked := v.(*runtime.Address)
		w.Go("n", linked, "spin")
		if err := kill(w, linked); err != nil {
			t.Fatal(err)
		}
		untilDead(w, "puppet")
	})
}

func TestContextEnds(t *testing.T) {
	withPuppet(t, func() puppet {
		var n notes
		var cancel func() bool
		return puppet{
			"notes": n.take,
			"watch": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
				cancel = ctx.Monitor(args[0].(*runtime.Address), func(_ *runtime.Context, why runtime.Reason) { n.add("%s", why.Kind) })
				return starlark.None, nil
			},
			"cancel": func(*runtime.Context, starlark.Tuple) (starlark.Value, error) { return starlark.Bool(cancel()), nil },
			"kill": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
				return said(ctx.Kill(args[0]))
			},
			"stop": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
				why, err := ctx.Stop(args[0], 0)
				return starlark.String(why.Kind), err
			},
			"link": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
				return said(ctx.Link(args[0]))
			},
			"unlink": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
				was, err := ctx.Unlink(args[0])
				return starlark.Bool(was), err
			},
		}
	}, func(t *testing.T, w *runtimetest.World) {
		mortal := func() *runtime.Address { return w.Launch("n", "lib/mortal.star") }
		a := mortal()
		w.Want("None", "n", "puppet", "watch", a)
		w.Want("True", "n", "puppet", "cancel")
		w.Want("False", "n", "puppet", "cancel")
		w.Want("None", "n", "puppet", "watch", a)
		w.Want("None", "n", "puppet", "kill", a)
		untilNoted(w, "killed")
		w.Want("False", "n", "puppet", "cancel")
		w.Want("None", "n", "puppet", "watch", a)
		untilNoted(w, "killed gone")
		w.Want(`"gone"`, "n", "puppet", "stop", a)
		w.Want(`"dead: no service has the name \".nobody\""`, "n", "puppet", "kill", ".nobody")
		a = mortal()
		w.Want("None", "n", "puppet", "watch", a)
		w.Want(`"stopped"`, "n", "puppet", "stop", a)
		untilNoted(w, "killed gone stopped")
		a = mortal()
		w.Want("None", "n", "puppet", "link", a)
		w.Want("True", "n", "puppet", "unlink", a)
		w.Want("False", "n", "puppet", "unlink", a)
		w.Want("None", "n", "puppet", "link", a)
		w.Want("None", "n", "puppet", "kill", a)
		untilDead(w, "puppet")
	})
}

func TestContextTime(t *testing.T) {
	withPuppet(t, func() puppet {
		var n notes
		var cancels []func() bool
		note := func(text string) func(*runtime.Context) error {
			return func(*runtime.Context) error { n.add("%s", text); return nil }
		}
		return puppet{
			"notes": n.take,
			"after": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				_, err1 := ctx.After(2*time.Millisecond, "late", note("late"))
				_, err2 := ctx.After(time.Millisecond, "fails", func(*runtime.Context) error { return errors.New("on purpose") })
				_, err3 := ctx.After(-time.Second, "at once", note("now"))
				never, err4 := ctx.After(time.Millisecond, "never", note("never"))
				if err := errors.Join(err1, err2, err3, err4); err != nil {
					return nil, err
				}
				return starlark.Tuple{starlark.Bool(never()), starlark.Bool(never())}, nil
			},
			"every": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				cancel, err := ctx.Every(0, "tick", func(ctx *runtime.Context) error {
					n.add("tick")
					if len(n) == 5 {
						cancels[0]()
					}
					return errors.Join(ctx.Sleep(3*time.Millisecond), errors.New("goes on all the same"))
				})
				cancels = append(cancels, cancel)
				return starlark.None, err
			},
			"cancel": func(*runtime.Context, starlark.Tuple) (starlark.Value, error) {
				return starlark.Bool(cancels[0]()), nil
			},
			"give_way": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				if err := ctx.Send(ctx.Self(), "note", nil); err != nil {
					return nil, err
				}
				before := len(n)
				err := ctx.GiveWay()
				return starlark.MakeInt(len(n) - before), err
			},
			"note": func(*runtime.Context, starlark.Tuple) (starlark.Value, error) {
				n.add("mail")
				return starlark.None, nil
			},
		}
	}, func(t *testing.T, w *runtimetest.World) {
		w.Want("(True, False)", "n", "puppet", "after")
		untilNoted(w, "now late")
		w.Logged("n", "ERROR handler failed", "command=fails", "on purpose")
		w.Want("None", "n", "puppet", "every")
		untilNoted(w, "now late tick tick tick")
		w.Logged("n", "ERROR handler failed", "command=tick", "goes on all the same")
		w.Want("False", "n", "puppet", "cancel")
		w.Want("1", "n", "puppet", "give_way")
		untilNoted(w, "now late tick tick tick mail")
	})
}

// TestContextTimersAreCounted: timers in Go are held to the limit timers, and exceed it with the error that scripts get.
func TestContextTimersAreCounted(t *testing.T) {
	withLimits(t, runtime.Limits{Timers: 3}, func() puppet {
		var cancels []func() bool
		nothing := func(*runtime.Context) error { return nil }
		keep := func(cancel func() bool, err error) (starlark.Value, error) {
			if err != nil {
				return nil, err
			}
			cancels = append(cancels, cancel)
			return starlark.None, nil
		}
		return puppet{
			"after": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				return keep(ctx.After(time.Hour, "late", nothing))
			},
			"at_once": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				return keep(ctx.After(0, "at once", nothing))
			},
			"every": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				return keep(ctx.Every(time.Millisecond, "tick", nothing))
			},
			"cancel": func(*runtime.Context, starlark.Tuple) (starlark.Value, error) {
				cancel := cancels[0]
				cancels = cancels[1:]
				return starlark.Bool(cancel()), nil
			},
		}
	}, func(t *testing.T, w *runtimetest.World) {
		full := func() {
			t.Helper()
			for _, command := range []string{"after", "at_once", "every"} {
				_, err := w.Call("n", "puppet", command)
				wantKind(t, err, "remote: overload: n:00000003 puppet: got 3 pending timers and one more, want at most 3 (limit timers)")
			}
		}
		w.Want("None", "n", "puppet", "every")
		w.Want("None", "n", "puppet", "after")
		w.Want("None", "n", "puppet", "after")
		full()
		_, err := w.Call("n", w.Launch("n", "lib/gated.star"), "timers", 4)
		wantKind(t, err, "got 3 pending timers and one more, want at most 3 (limit timers)") // a script
		w.Want("True", "n", "puppet", "cancel")                                              // the periodic one
		w.Want("None", "n", "puppet", "at_once")
		w.Until("the timer due at once has fired", func() bool {
			_, err := w.Call("n", "puppet", "every")
			return err == nil
		})
		full()
	})
}

func TestContextWait(t *testing.T) {
	withPuppet(t, func() puppet {
		var n notes
		return puppet{
			"notes": n.take,
			"wait": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
				ctx.Fork("wait", func(ctx *runtime.Context) error {
					woken, err := ctx.Wait(args[0], 0)
					n.add("woken:%v", woken)
					return err
				})
				return starlark.None, nil
			},
			"wait_briefly": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
				woken, err := ctx.Wait(args[0], time.Millisecond)
				return starlark.Bool(woken), err
			},
			"wakeup": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
				woken, err := ctx.Wakeup(args[0])
				return starlark.Bool(woken), err
			},
		}
	}, func(t *testing.T, w *runtimetest.World) {
		w.Want("False", "n", "puppet", "wakeup", "token")
		w.Want("False", "n", "puppet", "wait_briefly", "token")
		w.Want("None", "n", "puppet", "wait", "token")
		w.Until("somebody waits", func() bool {
			_, err := w.Call("n", "puppet", "wait_briefly", "token")
			return err != nil && strings.Contains(err.Error(), `another coroutine waits for "token" already`)
		})
		w.Want("True", "n", "puppet", "wakeup", "token")
		w.Want("False", "n", "puppet", "wakeup", "token")
		untilNoted(w, "woken:true")
		_, err := w.Call("n", "puppet", "wait_briefly", []any{})
		wantKind(t, err, "remote: ", "unhashable")
	})
}

func TestContextSelect(t *testing.T) {
	request := func(command string, args ...starlark.Value) runtime.Request {
		return runtime.Request{Dest: starlark.String("callee"), Command: command, Args: args}
	}
	one := request("one", starlark.MakeInt(1))
	nap := request("nap", starlark.String("3ms"))
	keyed := runtime.Request{Dest: starlark.String("callee"), Command: "echo", Kwargs: []starlark.Tuple{{starlark.String("k"), starlark.MakeInt(2)}}}
	selects := func(timeout time.Duration, most int, requests ...runtime.Request) func(*runtime.Context, starlark.Tuple) (starlark.Value, error) {
		return func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
			var n notes
			err := ctx.Select(timeout, requests, func(i int, v starlark.Value, err error) bool {
				var call *runtime.CallError
				if errors.As(err, &call) {
					n.add("%d:%s", i, call.Kind)
				} else {
					n.add("%d:%v", i, v)
				}
				return len(n) < most
			})
			if err != nil {
				return nil, err
			}
			return n.take(nil, nil)
		}
	}
	withPuppet(t, func() puppet {
		return puppet{
			"order":      selects(0, 9, nap, one, keyed, request("broken", starlark.String("boom"))),
			"leave":      selects(0, 1, nap, one),
			"deadline":   selects(2*time.Millisecond, 9, request("park"), one),
			"nobody":     selects(0, 9, runtime.Request{Dest: starlark.String(".nobody"), Command: "x"}),
			"nothing":    selects(0, 9),
			"unsendable": selects(0, 9, one, request("one", starlark.NewBuiltin("f", nil))),
		}
	}, func(t *testing.T, w *runtimetest.World) {
		w.Want(`"1:1 2:((), {\"k\": 2}) 3:remote 0:\"slept\""`, "n", "puppet", "order")
		w.Want(`"1:1"`, "n", "puppet", "leave")
		w.Want(`"1:1 0:timeout"`, "n", "puppet", "deadline")
		w.Want(`"0:dead"`, "n", "puppet", "nobody")
		w.Want(`""`, "n", "puppet", "nothing")
		_, err := w.Call("n", "puppet", "unsendable")
		wantKind(t, err, "remote: ", "request 2: ", "argument 1", "cannot be sent")
	})
}
