package policy

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// A finding is one break of the determinism contract.
type finding struct {
	pos token.Position
	msg string
}

func (f finding) String() string { return fmt.Sprintf("%s: %s", f.pos, f.msg) }

// lint returns what in pkg could make two runs of one seed differ, sorted by position. Floats are looked for only where
// every decision is made of integers. An exception is a comment on the line or on the line above,
//
//	//determinism:ok <reason>
//
// and is itself a finding if it has no reason or excuses nothing.
func lint(pkg *packages.Package, integersOnly bool) []finding {
	l := &linter{pkg: pkg, integersOnly: integersOnly, writes: writesOf(pkg)}
	for _, f := range pkg.Syntax {
		l.file(f)
	}
	slices.SortFunc(l.found, func(a, b finding) int {
		return cmp.Or(strings.Compare(a.pos.Filename, b.pos.Filename), a.pos.Line-b.pos.Line, strings.Compare(a.msg, b.msg))
	})
	return l.found
}

type linter struct {
	pkg          *packages.Package
	integersOnly bool
	writes       writes
	raw, found   []finding
}

func (l *linter) report(at ast.Node, format string, args ...any) {
	l.raw = append(l.raw, finding{l.pkg.Fset.Position(at.Pos()), fmt.Sprintf(format, args...)})
}

func (l *linter) file(f *ast.File) {
	l.raw = l.raw[:0]
	l.imports(f)
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			l.packageVars(g)
		}
	}
	ast.PreorderStack(f, nil, func(n ast.Node, stack []ast.Node) bool {
		l.node(n, stack)
		return true
	})
	l.excuse(exceptions(l.pkg.Fset, f))
}

// excuse moves the raw findings of a file to found, without those an exception covers.
func (l *linter) excuse(excs []*exception) {
	for _, f := range l.raw {
		covered := false
		for _, e := range excs {
			if e.reason != "" && (f.pos.Line == e.pos.Line || f.pos.Line == e.pos.Line+1) {
				e.used, covered = true, true
			}
		}
		if !covered {
			l.found = append(l.found, f)
		}
	}
	for _, e := range excs {
		switch {
		case e.reason == "":
			l.found = append(l.found, finding{e.pos, "determinism:ok without a reason: say why the order or the value cannot matter"})
		case !e.used:
			l.found = append(l.found, finding{e.pos, "determinism:ok excuses nothing on this line or the next: delete it"})
		}
	}
}

type exception struct {
	pos    token.Position
	reason string
	used   bool
}

func exceptions(fset *token.FileSet, f *ast.File) []*exception {
	var out []*exception
	for _, group := range f.Comments {
		for _, c := range group.List {
			if text, ok := strings.CutPrefix(c.Text, "//determinism:ok"); ok {
				reason, _, _ := strings.Cut(text, "//")
				out = append(out, &exception{pos: fset.Position(c.Pos()), reason: strings.TrimSpace(reason)})
			}
		}
	}
	return out
}

var forbiddenImports = map[string]string{
	"math/rand":    "take a *sched.Stream",
	"math/rand/v2": "take a *sched.Stream",
	"crypto/rand":  "take a *sched.Stream",
	"hash/maphash": "its seed differs in each process",
	"unsafe":       "addresses differ in each run",
}

func (l *linter) imports(f *ast.File) {
	for _, spec := range f.Imports {
		name := strings.Trim(spec.Path.Value, `"`)
		if why, bad := forbiddenImports[name]; bad {
			l.report(spec, "import of %s: %s", name, why)
		}
	}
}

// forbiddenUses maps "package.Name" to what to do instead.
var forbiddenUses = func() map[string]string {
	const (
		clock   = "the clock is the scheduler's: use Now, Wall or Turn.Now"
		timer   = "timers are the scheduler's: use NewTimer"
		machine = "the result must not depend on the machine or the environment: take it as configuration"
	)
	uses := map[string]string{
		"sync.Pool":             "what it hands out depends on the garbage collector: keep a free list",
		"reflect.Value.MapKeys": "map order: sort the keys",
	}
	for why, names := range map[string]string{
		clock: "time.Now time.Since time.Until",
		timer: "time.Sleep time.After time.AfterFunc time.NewTimer time.NewTicker time.Tick context.WithTimeout context.WithDeadline " +
			"context.WithTimeoutCause context.WithDeadlineCause",
		machine: "os.Getenv os.LookupEnv os.Environ os.ExpandEnv os.Hostname os.Getpid os.Getwd runtime.GOMAXPROCS runtime.NumGoroutine " +
			"runtime.NumCPU runtime.Gosched time.Local time.LoadLocation",
	} {
		for _, name := range strings.Fields(names) {
			uses[name] = why
		}
	}
	return uses
}()

var pointerVerb = regexp.MustCompile(`%[-+#0-9]*p\b`)

func (l *linter) node(n ast.Node, stack []ast.Node) {
	switch n := n.(type) {
	case *ast.GoStmt:
		l.report(n, "go statement: hand the work to the scheduler")
	case *ast.SelectStmt:
		if ready := communications(n); ready > 1 {
			l.report(n, "select over %d channels: the runtime picks one at random", ready)
		}
	case *ast.RangeStmt:
		if t := l.pkg.TypesInfo.TypeOf(n.X); t != nil && isMap(t) {
			l.report(n, "range over a map of type %s: range over slices.Sorted(maps.Keys(m)), or copy with maps.Copy", types.TypeString(t, types.RelativeTo(l.pkg.Types)))
		}
	case *ast.SelectorExpr:
		l.use(n, n.Sel, stack)
	case *ast.BasicLit:
		if n.Kind == token.STRING && pointerVerb.MatchString(n.Value) {
			l.report(n, "%%p prints an address, which differs in each run")
		}
	case ast.Expr, *ast.AssignStmt, *ast.IncDecStmt:
		if l.integersOnly {
			l.floats(n)
		}
	}
}

// communications counts the cases that send or receive; a default is no choice between them.
func communications(s *ast.SelectStmt) int {
	count := 0
	for _, clause := range s.Body.List {
		if clause.(*ast.CommClause).Comm != nil {
			count++
		}
	}
	return count
}

// isMap reports whether t is a map, or a type parameter that stands for maps only.
func isMap(t types.Type) bool {
	if tp, ok := t.(*types.TypeParam); ok {
		bound := tp.Underlying().(*types.Interface)
		return bound.NumEmbeddeds() == 1 && isMap(bound.EmbeddedType(0))
	}
	if union, ok := t.(*types.Union); ok {
		return union.Len() > 0 && isMap(union.Term(0).Type())
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

// use reports a forbidden function, method, type or variable of the standard library.
func (l *linter) use(n *ast.SelectorExpr, id *ast.Ident, stack []ast.Node) {
	obj := l.pkg.TypesInfo.Uses[id]
	if obj == nil || obj.Pkg() == nil {
		return
	}
	name := obj.Pkg().Path() + "." + obj.Name()
	if fn, ok := obj.(*types.Func); ok {
		name = strings.NewReplacer("(", "", ")", "", "*", "").Replace(fn.FullName())
	}
	if why, bad := forbiddenUses[name]; bad {
		l.report(n, "%s: %s", name, why)
	}
	if unordered[name] && !sorted(l.pkg.TypesInfo, stack) {
		l.report(n, "%s: map order: sort it at once with slices.Sorted or slices.SortedFunc", name)
	}
}

var unordered = map[string]bool{"maps.Keys": true, "maps.Values": true, "maps.All": true, "sync.Map.Range": true}

// sorted reports whether the call whose function is on top of the stack is an argument of slices.Sorted….
func sorted(info *types.Info, stack []ast.Node) bool {
	if len(stack) < 2 {
		return false
	}
	outer, ok := stack[len(stack)-2].(*ast.CallExpr)
	if !ok {
		return false
	}
	fn, ok := outer.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	obj := info.Uses[fn.Sel]
	return obj != nil && obj.Pkg() != nil && obj.Pkg().Path() == "slices" && strings.HasPrefix(obj.Name(), "Sorted")
}

// floats reports arithmetic and comparison of floating-point numbers, and calls that compute one; constants are exact.
func (l *linter) floats(n ast.Node) {
	const why = "float arithmetic may round differently on another architecture: use integers"
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if !l.constant(n) && (l.float(n.X) || l.float(n.Y)) {
			l.report(n, why)
		}
	case *ast.AssignStmt:
		if n.Tok != token.ASSIGN && n.Tok != token.DEFINE && l.float(n.Lhs[0]) {
			l.report(n, why)
		}
	case *ast.IncDecStmt:
		if l.float(n.X) {
			l.report(n, why)
		}
	case *ast.CallExpr:
		if tv := l.pkg.TypesInfo.Types[n.Fun]; !tv.IsType() && !l.constant(n) && l.float(n) {
			l.report(n, why)
		}
	}
}

func (l *linter) constant(e ast.Expr) bool { return l.pkg.TypesInfo.Types[e].Value != nil }

func (l *linter) float(e ast.Expr) bool {
	t := l.pkg.TypesInfo.TypeOf(e)
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&(types.IsFloat|types.IsComplex) != 0
}
