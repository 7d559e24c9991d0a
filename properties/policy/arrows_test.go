package policy

import (
	"fmt"
	"slices"
	"sort"
	"testing"
)

// An arrow forbids imports: no package in or below from may import one in or below to, except the listed ones. Packages
// whose name ends in "test" (published helpers for tests, such as schedtest) are free, and a package may always use what
// is below it.
type arrow struct {
	from   string
	to     []string
	except []string // exact paths
	alone  bool     // from itself is meant, not what is below it
	why    string
}

const (
	downward  = "imports run downward only: sim -> runtime -> vnet -> sched"
	fewPlaces = "the world is chosen by the run command and by the worlds of sim only: all else sees interfaces"
	twoWorlds = "the two worlds share interfaces, not code"
	leaf      = "it is an end: nothing builds on it"
	justText  = "it holds Starlark and its embedding, nothing that runs"
	noSockets = "a socket of the machine does not exist in simulation: go through the interfaces of skynet/vnet"
	noRandom  = "randomness is an argument: take a *sched.Stream, whose seed the world decides"
	thin      = "the command line is thin: flags -> configuration -> a call into the packages below"
	testCode  = "test code belongs in _test.go files or in a package whose name ends in test"
)

var (
	worlds    = []string{"skynet/sched/workers", "skynet/sched/stepper", "skynet/vnet/real", "skynet/vnet/virtual"}
	upper     = []string{"skynet/sim", "skynet/scripts", "skynet/scenarios"}
	sockets   = []string{"net", "syscall", "github.com/xtaci/kcp-go/v5"}
	addresses = []string{"net/netip", "net/url"}
	random    = []string{"math/rand", "crypto/rand", "hash/maphash"}
	testTools = []string{"testing", "github.com/leanovate/gopter", "go.uber.org/goleak"}
	engines   = []string{"go.starlark.net", "github.com/anishathalye/porcupine", "go.etcd.io/bbolt", "net"}
)

var arrows = []arrow{
	// The layers.
	{from: "skynet/sched", to: append([]string{"skynet/vnet", "skynet/runtime"}, upper...), why: downward},
	{from: "skynet/sched/trace", to: []string{"skynet"}, why: "whatever happens can be recorded, so the record builds on nothing"},
	{from: "skynet/vnet", to: append([]string{"skynet/runtime"}, upper...), why: downward},
	{from: "skynet/runtime", to: upper, why: "runtime never imports sim, and is given its scripts: the same code serves players"},
	{from: "skynet/scripts", to: []string{"skynet"}, why: justText},
	{from: "skynet/scenarios", to: []string{"skynet"}, why: justText},
	{from: "skynet", to: []string{"skynet/cmd", "skynet/properties"}, why: leaf},

	// The worlds.
	{from: "skynet/runtime", to: worlds, why: fewPlaces},
	{from: "skynet/vnet", to: worlds[:2], why: fewPlaces},
	{from: "skynet/sched/workers", to: []string{"skynet/sched/stepper"}, why: twoWorlds},
	{from: "skynet/sched/stepper", to: []string{"skynet/sched/workers"}, why: twoWorlds},
	{from: "skynet/vnet/real", to: []string{"skynet/vnet/virtual"}, why: twoWorlds},
	{from: "skynet/vnet/virtual", to: []string{"skynet/vnet/real"}, why: twoWorlds},
	{from: "skynet/sim", to: []string{"skynet/sched/workers", "skynet/vnet/real"}, why: twoWorlds},
	{from: "skynet/cmd", to: []string{"skynet/sched/stepper", "skynet/vnet/virtual"}, why: fewPlaces},

	// What must be deterministic sees the machine through the seams only.
	{from: "skynet/sched", to: append(sockets, random...), why: noSockets + "; " + noRandom},
	{from: "skynet/vnet/virtual", to: append(sockets, random...), except: addresses, why: noSockets + "; " + noRandom},
	{from: "skynet/runtime", to: sockets, except: addresses, why: noSockets},
	{from: "skynet/runtime", to: random, why: noRandom},
	{from: "skynet/sim", to: sockets, except: addresses, why: noSockets},
	{from: "skynet/sim", to: random, why: noRandom},

	// Commands call; tests test.
	{from: "skynet/cmd/skynet", to: engines, alone: true, why: thin},
	{from: "skynet", to: testTools, why: testCode},
}

// breaks reports whether the arrow forbids pkg to import imported.
func (a arrow) breaks(pkg, imported string) bool {
	below := func(to string) bool { return within(imported, to) }
	meant := pkg == a.from || within(pkg, a.from) && !a.alone
	return meant && slices.ContainsFunc(a.to, below) &&
		!slices.Contains(a.except, imported) && !within(imported, pkg) && !testHelper(pkg)
}

// brokenArrows returns what the imports of pkg break, sorted.
func brokenArrows(pkg string, imports []string) []string {
	var out []string
	for _, imported := range imports {
		for _, a := range arrows {
			if a.breaks(pkg, imported) {
				out = append(out, fmt.Sprintf("%s must not import %s: %s", pkg, imported, a.why))
			}
		}
	}
	sort.Strings(out)
	return out
}

func TestImportsRunDownward(t *testing.T) {
	for _, p := range tree(t) {
		var imports []string
		for imported := range p.Imports {
			imports = append(imports, imported)
		}
		for _, complaint := range brokenArrows(p.PkgPath, imports) {
			t.Error(complaint)
		}
	}
}

func TestArrowsHaveReasons(t *testing.T) {
	for _, a := range arrows {
		if a.from == "" || len(a.to) == 0 || len(a.why) < 10 {
			t.Errorf("arrow %+v: got no reason, want one that tells a newcomer what to do", a)
		}
	}
}

func TestArrowsForbidWhatTheyShould(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		ok            bool
	}{
		{"skynet/runtime", "skynet/sim", false},
		{"skynet/runtime/starlib", "skynet/sim/check", false},
		{"skynet/runtime", "skynet/sched", true},
		{"skynet/runtime", "skynet/sched/trace", true},
		{"skynet/runtime", "skynet/sched/workers", false},
		{"skynet/runtime/cluster", "skynet/sched/stepper", false},
		{"skynet/runtime", "skynet/vnet", true},
		{"skynet/runtime", "skynet/vnet/real", false},
		{"skynet/runtime", "skynet/runtime/msg", true},
		{"skynet/runtime", "skynet/scripts", false},
		{"skynet/runtime", "net", false},
		{"skynet/runtime", "net/netip", true},
		{"skynet/runtime", "math/rand/v2", false},
		{"skynet/sched", "skynet/vnet", false},
		{"skynet/sched", "skynet/sched/trace", true},
		{"skynet/sched/stepper", "skynet/sched", true},
		{"skynet/sched/stepper", "skynet/sched/workers", false},
		{"skynet/sched/stepper", "skynet/runtime", false},
		{"skynet/sched/trace", "skynet/sched", false},
		{"skynet/vnet", "skynet/sched", true},
		{"skynet/vnet/virtual", "skynet/sched", true},
		{"skynet/vnet/virtual", "skynet/sched/stepper", false},
		{"skynet/vnet/virtual", "skynet/vnet", true},
		{"skynet/vnet/virtual", "skynet/vnet/real", false},
		{"skynet/vnet/real", "skynet/vnet", true},
		{"skynet/vnet/real", "net", true},
		{"skynet/vnet", "skynet/runtime", false},
		{"skynet/scripts", "embed", true},
		{"skynet/scripts", "skynet/runtime", false},
		{"skynet/sim", "skynet/runtime", true},
		{"skynet/sim", "skynet/sched/stepper", true},
		{"skynet/sim", "skynet/sched/workers", false},
		{"skynet/sim/world", "skynet/vnet/real", false},
		{"skynet/sim", "skynet/sim/check", true},
		{"skynet/cmd/skynet", "skynet/sim", true},
		{"skynet/cmd/skynet", "skynet/sched/workers", true},
		{"skynet/cmd/skynet", "skynet/vnet/virtual", false},
		{"skynet/cmd/skynet", "go.starlark.net/starlark", false},
		{"skynet/cmd/skynet", "skynet/cmd/skynet/measure", true},
		{"skynet/cmd/skynet/measure", "go.starlark.net/starlark", true},
		{"skynet/cmd/skynet/measure", "skynet/sched/stepper", false},
		{"skynet/runtime", "skynet/cmd/skynet/measure", false},
		{"skynet/sched/schedtest", "testing", true},
		{"skynet/sched/workers", "testing", false},
	} {
		got := brokenArrows(c.pkg, []string{c.imported})
		if (len(got) == 0) != c.ok {
			t.Errorf("%s imports %s: got %q, want allowed %v", c.pkg, c.imported, got, c.ok)
		}
	}
}
