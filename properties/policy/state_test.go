package policy

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/packages"
)

// packageVars reports the variables of a package-level declaration that are state: two seeds that share the process
// would share it. What is left are error sentinels, functions and tables that nothing writes to.
func (l *linter) packageVars(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		for _, id := range spec.(*ast.ValueSpec).Names {
			obj := l.pkg.TypesInfo.Defs[id]
			if obj == nil || id.Name == "_" {
				continue
			}
			if at, written := l.writes.vars[obj]; written {
				l.report(id, "package-level variable %s is written, or its address taken, at %s:%d: seeds that share a process would share it",
					id.Name, base(at.Filename), at.Line)
			} else if what := l.mutable(obj.Type(), nil); what != "" {
				l.report(id, "package-level variable %s is or holds %s: seeds that share a process would share it", id.Name, what)
			}
		}
	}
}

func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// immutable are types of other packages that hold pointers but never change once made.
var immutable = map[string]bool{
	"*regexp.Regexp": true, "embed.FS": true, "*strings.Replacer": true, "*go.starlark.net/syntax.FileOptions": true,
}

// mutable says what in t can change without an assignment to the variable itself, or "". Slices, arrays, maps and
// pointers to structs of this package are tables as long as nothing assigns to their elements and fields; interfaces
// are taken for sentinels.
func (l *linter) mutable(t types.Type, seen []types.Type) string {
	if immutable[t.String()] {
		return ""
	}
	for _, s := range seen {
		if types.Identical(s, t) {
			return ""
		}
	}
	seen = append(seen, t)
	if n, ok := t.(*types.Named); ok && n.Obj().Pkg() != nil {
		if p := n.Obj().Pkg().Path(); p == "sync" || p == "sync/atomic" {
			return "a " + p + "." + n.Obj().Name()
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		if n, ok := u.Elem().(*types.Named); ok && n.Obj().Pkg() == l.pkg.Types && !l.writes.fields[n.Origin().Obj()] {
			return l.mutable(n, seen)
		}
		return "a pointer to " + types.TypeString(u.Elem(), (*types.Package).Name)
	case *types.Chan:
		return "a channel"
	case *types.Slice:
		return l.mutable(u.Elem(), seen)
	case *types.Array:
		return l.mutable(u.Elem(), seen)
	case *types.Map:
		return l.mutable(u.Elem(), seen)
	case *types.Struct:
		for f := range u.Fields() {
			if what := l.mutable(f.Type(), seen); what != "" {
				return what
			}
		}
	}
	return ""
}

// writes are what a package changes: variables of its own level, in whole or in part, and fields of struct types. Taking
// an address counts as a change, since it cannot be seen what comes of it; what init does is over before any run begins.
type writes struct {
	vars   map[types.Object]token.Position // and where first
	fields map[*types.TypeName]bool
}

func writesOf(pkg *packages.Package) writes {
	w := writes{map[types.Object]token.Position{}, map[*types.TypeName]bool{}}
	note := func(e ast.Expr) {
		obj := w.noteFields(pkg, e)
		if _, known := w.vars[obj]; !known && obj != nil {
			w.vars[obj] = pkg.Fset.Position(e.Pos())
		}
	}
	for _, f := range pkg.Syntax {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return n.Recv != nil || n.Name.Name != "init"
			case *ast.AssignStmt:
				for _, e := range n.Lhs {
					note(e)
				}
			case *ast.IncDecStmt:
				note(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					note(n.X)
				}
			case *ast.RangeStmt:
				if n.Tok == token.ASSIGN {
					note(n.Key)
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear" || id.Name == "copy") {
					note(n.Args[0])
				}
				noteReceiver(pkg, n, note)
			}
			return true
		})
	}
	return w
}

// noteReceiver notes v in v.M() if M has a pointer receiver and v is a value, since the compiler takes its address.
func noteReceiver(pkg *packages.Package, call *ast.CallExpr, note func(ast.Expr)) {
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	sel := pkg.TypesInfo.Selections[fn]
	if sel == nil || sel.Kind() != types.MethodVal {
		return
	}
	_, wants := sel.Obj().(*types.Func).Signature().Recv().Type().(*types.Pointer)
	_, has := sel.Recv().Underlying().(*types.Pointer)
	if wants && !has {
		note(fn.X)
	}
}

// noteFields notes the types whose fields an assignment to e changes, and returns the package-level variable at the
// root of e, such as v in v.f, v[i] or *v, if there is one.
func (w writes) noteFields(pkg *packages.Package, e ast.Expr) types.Object {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.SelectorExpr:
			if sel := pkg.TypesInfo.Selections[x]; sel != nil {
				w.noteType(sel.Recv())
			}
			e = x.X
		case *ast.Ident:
			obj, ok := pkg.TypesInfo.Uses[x].(*types.Var)
			if !ok || obj.Parent() != pkg.Types.Scope() {
				return nil
			}
			return obj
		default:
			return nil
		}
	}
}

func (w writes) noteType(t types.Type) {
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := t.(*types.Named); ok {
		w.fields[n.Origin().Obj()] = true
	}
}
