package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// deterministic are the packages, with all below them, whose every decision must follow from the seed.
var deterministic = []string{"skynet/runtime", "skynet/sched/stepper", "skynet/sched/trace", "skynet/vnet/virtual", "skynet/sim"}

// seams are packages that both worlds share; what is below them is not.
var seams = []string{"skynet/sched", "skynet/vnet"}

// integersOnly are the packages that decide when something happens.
var integersOnly = []string{"skynet/sched", "skynet/sched/stepper", "skynet/vnet/virtual"}

func TestDeterminism(t *testing.T) {
	checked := 0
	for _, p := range tree(t) {
		below := func(prefix string) bool { return within(p.PkgPath, prefix) }
		if !slices.ContainsFunc(deterministic, below) && !slices.Contains(seams, p.PkgPath) || testHelper(p.PkgPath) {
			continue
		}
		checked++
		for _, f := range lint(p, slices.ContainsFunc(integersOnly, below)) {
			t.Error(f)
		}
	}
	if checked < 3 {
		t.Errorf("policy: got %d deterministic packages, want those of %v", checked, deterministic)
	}
}

// TestLintFindsViolations runs the lint over a package that breaks every rule; what must be found stands behind
// "// want" on its line, as in the analysis tests of golang.org/x/tools, and nothing else may be found.
func TestLintFindsViolations(t *testing.T) {
	pkgs, err := packages.Load(&packages.Config{Mode: loadMode}, "./testdata/determinism")
	if err != nil || len(pkgs) != 1 || len(pkgs[0].Errors) > 0 {
		t.Fatalf("policy: load testdata: %v %v", err, pkgs)
	}
	wants := wantMarks(t, pkgs[0])
	if len(wants) < 30 {
		t.Fatalf("testdata: got %d marks, want one for each rule", len(wants))
	}
	for _, f := range lint(pkgs[0], true) {
		if !wants.match(f) {
			t.Errorf("unexpected: %s", f)
		}
	}
	for line, patterns := range wants {
		for _, p := range patterns {
			t.Errorf("%s: got nothing that matches %q", line, p)
		}
	}
}

// marks are the patterns still to be found, by "file:line".
type marks map[string][]*regexp.Regexp

var wantMark = regexp.MustCompile("// want (.*)$")
var wantPattern = regexp.MustCompile(`"([^"]*)"`)

func wantMarks(t *testing.T, pkg *packages.Package) marks {
	t.Helper()
	m := marks{}
	for _, f := range pkg.Syntax {
		for _, group := range f.Comments {
			for _, c := range group.List {
				mark := wantMark.FindStringSubmatch(c.Text)
				if mark == nil {
					continue
				}
				pos := pkg.Fset.Position(c.Pos())
				key := fmt.Sprintf("%s:%d", base(pos.Filename), pos.Line)
				for _, p := range wantPattern.FindAllStringSubmatch(mark[1], -1) {
					m[key] = append(m[key], regexp.MustCompile(p[1]))
				}
			}
		}
	}
	return m
}

func (m marks) match(f finding) bool {
	key := fmt.Sprintf("%s:%d", base(f.pos.Filename), f.pos.Line)
	for i, p := range m[key] {
		if p.MatchString(f.msg) {
			m[key] = slices.Delete(m[key], i, i+1)
			return true
		}
	}
	return false
}

func TestFindingNamesItsPlace(t *testing.T) {
	f := finding{msg: "go statement"}
	f.pos.Filename, f.pos.Line, f.pos.Column = "a.go", 3, 7
	if got, want := f.String(), "a.go:3:7: go statement"; !strings.HasPrefix(got, want) {
		t.Errorf("finding.String() = %q, want %q", got, want)
	}
}
