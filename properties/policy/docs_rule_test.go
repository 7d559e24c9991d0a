package policy

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

func TestUndocumentedFindsWhatIsMissing(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"// F does.\nfunc F() {}", ""},
		{"// Does F.\nfunc F() {}", `F: got "Does F."`},
		{"func F() {}", "F: got nothing"},
		{"func f() {}", ""},
		{"// Fine does.\nfunc F() {}", `F: got "Fine does."`},
		{"// T is.\ntype T int\n// M does.\nfunc (T) M() {}", ""},
		{"// T is.\ntype T int\nfunc (*T) M() {}", "M: got nothing"},
		{"// T is.\ntype T[V any] struct{}\nfunc (t *T[V]) M() {}", "M: got nothing"},
		{"type t int\nfunc (t) M() {}", ""},
		{"// A T is.\ntype T int", ""},
		{"// The kinds.\nconst (\n\tA = 1\n\tB = 2\n)", ""},
		{"// The kinds.\nconst (\n\t// Wrong.\n\tA = 1\n)", `A: got "Wrong."`},
		{"const (\n\tA = 1\n)", "A: got nothing"},
		{"// Errors.\nvar E = 1", `E: got "Errors."`},
		{"// Low and High are marks.\nconst Low, High = 1, 2", ""},
	} {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "p.go", "package p\n\n"+c.src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(undocumented(fset, f), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("undocumented(%q) = %q, want %q", c.src, got, c.want)
		}
	}
}
