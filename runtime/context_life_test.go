package runtime_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

func TestContextFacts(t *testing.T) {
	withPuppet(t, func() puppet {
		return puppet{
			"source": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				return address(ctx.Source(), nil)
			},
			"source_of_a_call": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				return ctx.Call(ctx.Self(), "source", nil, 0)
			},
			"genid": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				first := ctx.GenID()
				return starlark.Bool(ctx.GenID() > first), nil
			},
			"env": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				if v := ctx.Getenv("key"); v != nil {
					return v, errors.New("key is set already")
				}
				list := starlark.NewList([]starlark.Value{starlark.MakeInt(1)})
				if err := ctx.Setenv("key", list); err != nil {
					return nil, err
				}
				if err := list.Append(starlark.MakeInt(2)); err != nil {
					return nil, err
				}
				return ctx.Getenv("key"), nil
			},
			"setenv": func(ctx *runtime.Context, args starlark.Tuple) (starlark.Value, error) {
				return said(ctx.Setenv("key", args[0]))
			},
			"setenv_function": func(ctx *runtime.Context, _ starlark.Tuple) (starlark.Value, error) {
				return said(ctx.Setenv("f", starlark.NewBuiltin("f", nil)))
			},
		}
	}, func(t *testing.T, w *runtimetest.World) {
		w.Want("n:00000001", "n", "puppet", "source") // the node's own service, for Go
		w.Want("n:00000003", "n", "puppet", "source_of_a_call")
		w.Want("True", "n", "puppet", "genid")
		w.Want("[1]", "n", "puppet", "env")
		w.Want(`"setenv: \"key\" is set already, to [1]"`, "n", "puppet", "setenv", 2)
		w.Want(`"setenv: builtin_function_or_method cannot be sent in a message"`, "n", "puppet", "setenv_function")
	})
}

// tally is a service in Go that takes over from itself; refuses is one that cannot.
type tally struct {
	count   int
	version int
	refuses bool
}

func (h *tally) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

func (h *tally) Handle(ctx *runtime.Context, command string, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	switch command {
	case "upgrade_other":
		return said(ctx.Upgrade(args[0], string(args[1].(starlark.String)), 0))
	case "exit":
		ctx.Exit()
	}
	h.count++
	return starlark.Tuple{starlark.MakeInt(h.version), starlark.MakeInt(h.count)}, nil
}

func (h *tally) Upgrade(ctx *runtime.Context, old runtime.Handler) error {
	if h.refuses {
		return errors.New("not from that one")
	}
	if err := ctx.Sleep(1); err == nil || !strings.Contains(err.Error(), "cannot block in upgrade") {
		return errors.New("could block in upgrade")
	}
	began := false
	offloaded := ctx.Offload(func() error { began = true; return nil })
	suspended := ctx.Suspend("nothing", func(func()) { began = true })
	if offloaded == nil || suspended == nil || began {
		return errors.New("what blocks has begun in upgrade")
	}
	h.count = old.(*tally).count
	return nil
}

func (h *tally) Exit(ctx *runtime.Context, why runtime.Reason) error {
	ctx.Log("tally ends", "version", h.version, "count", h.count, "why", string(why.Kind))
	return errors.New("on purpose")
}

func TestContextUpgrade(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Handlers = map[string]func() runtime.Handler{
			"tally":  func() runtime.Handler { return &tally{version: 1} },
			"tally2": func() runtime.Handler { return &tally{version: 2} },
			"picky":  func() runtime.Handler { return &tally{refuses: true} },
			"worker": func() runtime.Handler { return new(worker) },
			"boss":   func() runtime.Handler { return new(tally) },
		}
		w.Node("n")
		w.Launch("n", "boss")
		w.Launch("n", "tally")
		w.Launch("n", "lib/callee.star")
		upgrade := func(to, want string) {
			t.Helper()
			w.Want(want, "n", "boss", "upgrade_other", "tally", to)
		}
		w.Want("(1, 1)", "n", "tally", "count")
		upgrade("picky", `"remote: upgrade: not from that one"`)
		upgrade("worker", `"remote: upgrade: *runtime_test.worker has no Upgrade method, so nothing would carry the state over"`)
		upgrade("lib/callee.star", `"remote: upgrade: n:00000004 tally: a script and a service in Go cannot take over from each other"`)
		upgrade("missing.star", `"remote: upgrade of n:00000004 tally: script \"missing.star\": no such script"`)
		w.Want("(1, 2)", "n", "tally", "count")
		upgrade("tally2", "None")
		w.Want("(2, 3)", "n", "tally", "count")
		w.Want("(2, 4)", "n", "tally", "exit")
		w.Logged("n", "tally ends", "version=2", "count=4", "why=exit")
		w.Logged("n", "ERROR handler failed", "command=exit", "on purpose")
		untilDead(w, "tally")
	})
}

// contextMethods are the methods of Context, as the package's source declares them.
func contextMethods(t *testing.T) map[string]*ast.FuncDecl {
	t.Helper()
	methods := make(map[string]*ast.FuncDecl)
	for _, name := range []string{"handler.go", "context.go", "shared.go", "datacenter.go", "multicast.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv != nil && fn.Name.IsExported() {
				if star, ok := fn.Recv.List[0].Type.(*ast.StarExpr); ok && star.X.(*ast.Ident).Name == "Context" {
					methods[fn.Name.Name] = fn
				}
			}
		}
	}
	return methods
}

// TestContextIsComplete wants every method of Context documented, used by a test of both worlds, and in docs/go-services.md.
func TestContextIsComplete(t *testing.T) {
	var tests strings.Builder
	for _, name := range []string{"handler_test.go", "context_test.go", "context_answer_test.go", "context_life_test.go", "suspend_test.go", "abort_test.go", "shared_test.go", "sharing_example_test.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	manual, err := os.ReadFile("../docs/go-services.md")
	if err != nil {
		t.Fatal(err)
	}
	methods := contextMethods(t)
	if len(methods) < 30 {
		t.Fatalf("got %d methods of Context, want all", len(methods))
	}
	for name, fn := range methods {
		if !strings.HasPrefix(fn.Doc.Text(), name+" ") {
			t.Errorf("%s: got the comment %q, want one that starts with its name", name, fn.Doc.Text())
		}
		if !regexp.MustCompile(`\bctx\.` + name + `\(`).MatchString(tests.String()) {
			t.Errorf("Context.%s: no test uses it", name)
		}
		if !regexp.MustCompile("`" + name + `\b`).Match(manual) {
			t.Errorf("Context.%s: docs/go-services.md does not have it", name)
		}
	}
}
