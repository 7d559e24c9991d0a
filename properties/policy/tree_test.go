// Package policy holds the rules of the repository as tests: which package may import which, what code that must be
// deterministic may not do, what must be documented, and what the tree may contain. A rule that is only written down
// is broken within a month; a rule that fails `go test` is not.
package policy

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/tools/go/packages"
)

const module = "skynet"

// root is the directory of go.mod, seen from this package.
const root = "../.."

// load type-checks every package of the module once for all tests, without their tests. Dependencies come from export
// data in the build cache, which is what makes this a matter of a second.
var load = sync.OnceValues(func() ([]*packages.Package, error) {
	return packages.Load(&packages.Config{Mode: loadMode, Dir: root}, "./...")
})

const loadMode = packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax |
	packages.NeedTypes | packages.NeedTypesInfo | packages.NeedModule

// tree returns the packages of the module that have code.
func tree(t *testing.T) []*packages.Package {
	t.Helper()
	pkgs, err := load()
	if err != nil {
		t.Fatalf("policy: load the module: %v", err)
	}
	pkgs = slices.DeleteFunc(slices.Clone(pkgs), func(p *packages.Package) bool { return len(p.Syntax) == 0 })
	if len(pkgs) < 3 {
		t.Fatalf("policy: load the module: got %d packages, want the whole tree", len(pkgs))
	}
	return pkgs
}

// The other tests see only what could be loaded, so a package that could not must not go unnoticed; a dependency
// without an entry in go.sum is such a case.
func TestEveryPackageTypeChecks(t *testing.T) {
	tree(t)
	pkgs, _ := load()
	packages.Visit(pkgs, nil, func(p *packages.Package) {
		for _, e := range p.Errors {
			t.Errorf("policy: load %s: %v", p.PkgPath, e)
		}
	})
}

// within reports whether the package path is below prefix, or is it.
func within(pkg, prefix string) bool { return pkg == prefix || strings.HasPrefix(pkg, prefix+"/") }

// testHelper reports whether pkg is published help for tests, such as skynet/sched/schedtest.
func testHelper(pkg string) bool { return strings.HasSuffix(pkg, "test") }

// ignored are what .gitignore names, and git's own directory.
var ignored = regexp.MustCompile(`^(\.git|bin|skynet|.*\.test|.*\.prof)$`)

var topLevel = []string{
	".ci", ".gitignore", "LICENSE", "Makefile", "README.md", "cmd", "docs", "go.mod", "go.sum", "properties", "runtime",
	"scenarios", "sched", "scripts", "sim", "vnet",
}

func TestTopLevelHoldsOnlyTheAgreedEntries(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !ignored.MatchString(e.Name()) && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("top level: got %s, want one of %v: put it in the directory whose idea it serves", e.Name(), topLevel)
		}
	}
}

// files calls visit with the slash-separated path of every file of the tree that git would keep.
func files(t *testing.T, visit func(name string, d fs.DirEntry)) {
	t.Helper()
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !strings.Contains(name, "/") && ignored.MatchString(name) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		visit(name, d)
		return nil
	})
	if err != nil {
		t.Fatalf("policy: walk the tree: %v", err)
	}
}

var vague = regexp.MustCompile(`^(utils?|commons?|types|helpers?|misc|pkg|models)(_test)?(\.[a-z]+)?$`)

func TestNamesSayWhatIsInside(t *testing.T) {
	files(t, func(name string, _ fs.DirEntry) {
		if vague.MatchString(path.Base(name)) {
			t.Errorf("%s: got a name that fits anything, want one that names the idea", name)
		}
	})
}

// unfinished is put together here so that this file does not find itself.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)

var textFile = regexp.MustCompile(`(\.(go|star|md|txt|txtar|sh|html|js|css)|/run|Makefile|\.gitignore)$`)

func TestNothingIsMarkedUnfinished(t *testing.T) {
	read := 0
	files(t, func(name string, d fs.DirEntry) {
		if !d.Type().IsRegular() || !textFile.MatchString(name) || strings.Contains(name, "testdata/fuzz/") {
			return
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Errorf("policy: read %s: %v", name, err)
		}
		read++
		for i, line := range strings.Split(string(text), "\n") {
			if mark := unfinished.FindString(line); mark != "" {
				t.Errorf("%s:%d: got %s, want it done or said in an issue", name, i+1, mark)
			}
		}
	})
	if read < 10 {
		t.Errorf("policy: got %d files to read, want the whole tree", read)
	}
}

func TestModuleFile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := mod.Module.Mod.Path; got != module {
		t.Errorf("go.mod: got module %s, want %s", got, module)
	}
	for _, r := range mod.Replace {
		t.Errorf("go.mod: got replace %s, want none: a replace is ignored when the module is used by another", r.Old.Path)
	}
	for _, r := range mod.Require {
		if r.Mod.Path == "github.com/xtaci/kcp-go/v5" && r.Mod.Version != "v5.6.24" {
			t.Errorf("go.mod: got kcp-go %s, want v5.6.24 exactly: its list of versions is not served everywhere", r.Mod.Version)
		}
	}
}
