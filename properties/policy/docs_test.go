package policy

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

func TestPackagesHaveOnePackageComment(t *testing.T) {
	for _, p := range tree(t) {
		var with []string
		for _, f := range p.Syntax {
			if f.Doc != nil {
				with = append(with, filepath.Base(p.Fset.Position(f.Package).Filename))
			}
		}
		if len(with) != 1 {
			t.Errorf("%s: got package comments in %q, want exactly one", p.PkgPath, with)
		}
	}
}

func TestExportedIdentifiersAreDocumented(t *testing.T) {
	for _, p := range tree(t) {
		for _, f := range p.Syntax {
			for _, complaint := range undocumented(p.Fset, f) {
				t.Error(complaint)
			}
		}
	}
}

// undocumented returns a complaint for each exported package-level identifier of f, methods included, without a comment
// that begins with its name. A group of constants or variables may share the comment of the group.
func undocumented(fset *token.FileSet, f *ast.File) []string {
	var out []string
	complain := func(id *ast.Ident, got string) {
		out = append(out, fset.Position(id.Pos()).String()+": "+id.Name+": got "+got+", want a doc comment that starts with "+id.Name)
	}
	check := func(id *ast.Ident, docs ...*ast.CommentGroup) {
		if got := firstDoc(docs); id.IsExported() && !startsWith(got, id.Name) {
			complain(id, quoteStart(got))
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if receiverExported(d) {
				check(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			checkSpecs(d, check)
		}
	}
	return out
}

func checkSpecs(d *ast.GenDecl, check func(id *ast.Ident, docs ...*ast.CommentGroup)) {
	grouped := d.Lparen.IsValid() && d.Doc != nil
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			check(s.Name, s.Doc, d.Doc)
		case *ast.ValueSpec:
			if grouped && s.Doc == nil {
				continue // the comment of the group speaks for it
			}
			for i, id := range s.Names {
				if i > 0 {
					break // "Low, High = 1, 2": the comment starts with the first name
				}
				check(id, s.Doc, d.Doc)
			}
		}
	}
}

func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

func firstDoc(docs []*ast.CommentGroup) string {
	for _, d := range docs {
		if d != nil {
			return d.Text()
		}
	}
	return ""
}

// startsWith accepts an article before the name, as the standard library does for types.
func startsWith(doc, name string) bool {
	for _, article := range []string{"A ", "An ", "The "} {
		doc = strings.TrimPrefix(doc, article)
	}
	rest, ok := strings.CutPrefix(doc, name)
	return ok && (rest == "" || !token.IsIdentifier(rest[:1]))
}

func quoteStart(doc string) string {
	if doc == "" {
		return "nothing"
	}
	first, _, _ := strings.Cut(doc, "\n")
	return `"` + first + `"`
}
