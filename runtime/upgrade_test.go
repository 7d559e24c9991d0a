package runtime_test

import (
	"fmt"
	"strings"
	"testing"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

const upgradeClient = `
acked = {"n": 0, "failed": 0}

def work(target, helper, n):
    for i in range(n):
        if i % 3 == 0:
            r = skynet.pcall(skynet.call, target, "slow_incr", "a", "1ms", helper)
        else:
            r = skynet.pcall(skynet.call, target, "incr", "a")
        if r.ok:
            acked["n"] += 1
        else:
            acked["failed"] += 1
            log.error("lost", error = r.error.message)
    return (acked["n"], acked["failed"])

def exchange(target, n):
    done = 0
    for i in range(n):
        skynet.sleep("1ms")
        r = skynet.pcall(skynet.upgrade, target, ["lib/up_load_b.star", "lib/up_load_a.star", "lib/up_fails.star"][i % 3])
        if r.ok:
            done += 1
        elif "second thoughts" not in r.error.message:
            fail(r.error)
    return done
`

// upgradeLoad is a service that takes over from itself.
const upgradeLoad = `
s = state(counts = {}, ticks = 0)
plain = {"kept": []}
seen = set()

def upgrade(old):
    s.counts = old.s.counts

def incr(key):
    s.counts[key] = s.counts.get(key, 0) + 1
    return s.counts[key]

def slow_incr(key, d, helper):
    before = s.counts.get(key, 0)
    skynet.call(helper, "nap", d)
    return incr(key)

def count(key):
    return s.counts.get(key, 0)
`

// TestUpgradeUnderLoad exchanges the code of a service again and again, sometimes with a version that fails half-way, while
// clients call it: every call is answered well, and every one that was answered is counted once.
func TestUpgradeUnderLoad(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Scripts(map[string]string{
			"client.star": upgradeClient, "target.star": upgradeLoad, "lib/up_load_a.star": upgradeLoad,
			"lib/up_load_b.star": upgradeLoad + "\ndef extra():\n    return 1\n",
		})
		const clients, calls, upgrades = 8, 60, 30
		w.Node("n")
		target, helper := w.Launch("n", "target.star"), w.Launch("n", "lib/callee.star")
		boss := w.Launch("n", "client.star")
		var work []*runtimetest.Pending
		for i := range clients {
			name := fmt.Sprintf("client%d.star", i)
			w.Scripts(map[string]string{name: upgradeClient})
			work = append(work, w.Go("n", w.Launch("n", name), "work", target, helper, calls))
		}
		done := w.Go("n", boss, "exchange", target, upgrades)
		for _, p := range work {
			if v, err := p.Wait(); err != nil || v.String() != fmt.Sprintf("(%d, 0)", calls) {
				t.Errorf("work: got %v, %v, want (%d, 0)", v, err, calls)
			}
		}
		if v, err := done.Wait(); err != nil || v.String() != fmt.Sprint(upgrades-upgrades/3) {
			t.Errorf("upgrades: got %v, %v, want %d", v, err, upgrades-upgrades/3)
		}
		w.Want(fmt.Sprint(clients*calls), "n", target, "count", "a")
	})
}

// TestUpgradeFollowsOwnName: a timer of a function that has several names runs what has the function's own name after an
// upgrade, not what a map happens to name first.
func TestUpgradeFollowsOwnName(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		script := func(version string) string {
			src := "s = state(by = [])\ndef upgrade(old):\n    s.by = old.s.by\ndef look():\n    return s.by\n"
			src += "def begin():\n    skynet.timeout(0.1, tick)\ndef tick():\n    s.by.append('tick " + version + "')\n"
			for _, alias := range []string{"a", "b", "c", "x", "y", "z"} {
				src += "def " + alias + "_():\n    s.by.append('" + alias + "')\n" + alias + " = "
				if version == "1" {
					src += "tick\n"
				} else {
					src += alias + "_\n"
				}
			}
			return src
		}
		w.Scripts(map[string]string{
			"one.star": script("1"), "two.star": script("2"),
			"boss.star": "def go(target):\n    skynet.call(target, 'begin')\n    skynet.upgrade(target, 'two.star')\n    skynet.sleep('200ms')\n",
		})
		w.Node("n")
		target := w.Launch("n", "one.star")
		w.Want("None", "n", w.Launch("n", "boss.star"), "go", target)
		w.Want(`["tick 2"]`, "n", target, "look")
	})
}

// TestRenewReadsWhatHasChanged changes the files behind a cache of programs.
func TestRenewReadsWhatHasChanged(t *testing.T) {
	files := map[string]string{"main.star": "load('lib.star', 'x')\ny = x\n", "lib.star": "x = 1\n"}
	p := runtime.NewPrograms(func(name string) ([]byte, error) {
		if src, ok := files[name]; ok {
			return []byte(src), nil
		}
		return nil, fmt.Errorf("no file %s", name)
	})
	renew := func() (*runtime.Program, error) {
		t.Helper()
		return p.Renew("main.star")
	}
	first, err := renew()
	if err != nil {
		t.Fatal(err)
	}
	if same, _ := renew(); same != first {
		t.Error("Renew of an unchanged file: got another program, want the same")
	}
	x := func() string {
		t.Helper()
		globals, err := p.Load("lib.star")
		if err != nil {
			t.Fatal(err)
		}
		return globals["x"].String()
	}
	files["lib.star"] = "x = 1 // 0\n"
	if _, err := renew(); err == nil || !strings.Contains(err.Error(), "main.star:1:6: cannot load lib.star") {
		t.Errorf("Renew with a module that fails: got %v, want its place", err)
	}
	if got := x(); got != "1" {
		t.Errorf("x after a failed Renew: got %s, want the old one, 1", got)
	}
	files["lib.star"] = "x = 2\n"
	second, err := renew()
	if err != nil || second == first || x() != "2" {
		t.Errorf("Renew: got the same program: %t, %v, x = %s; want a new one and 2", second == first, err, x())
	}
	files["main.star"] = "y = = 1\n"
	if _, err := renew(); err == nil || !strings.Contains(err.Error(), "main.star:1:5") {
		t.Errorf("Renew with a syntax error: got %v, want its place", err)
	}
	if again, _ := p.Compile("main.star"); again != second {
		t.Error("Compile after a failed Renew: got another program, want the last good one")
	}
	delete(files, "main.star")
	if _, err := renew(); err == nil || !strings.Contains(err.Error(), "no file main.star") {
		t.Errorf("Renew of a file that is gone: got %v, want it to say so", err)
	}
}

// TestFailedModuleIsReadAgain mends a module that does not compile, or whose top level fails, after a script could not load it.
func TestFailedModuleIsReadAgain(t *testing.T) {
	for _, broken := range []string{"x = = 1\n", "x = 1 // 0\n", "load('none.star', 'y')\nx = y\n"} {
		for _, again := range []string{"Compile", "Renew"} {
			files := map[string]string{"main.star": "load('lib.star', 'x')\ny = x\n", "lib.star": broken}
			p := runtime.NewPrograms(func(name string) ([]byte, error) {
				if src, ok := files[name]; ok {
					return []byte(src), nil
				}
				return nil, fmt.Errorf("no file %s", name)
			})
			if _, err := p.Compile("main.star"); err == nil {
				_, err = p.Load("lib.star")
				if err == nil {
					t.Fatalf("load of %q: got no error, want one", broken)
				}
			}
			files["lib.star"] = "x = 2\n"
			if again == "Renew" {
				if _, err := p.Renew("main.star"); err != nil {
					t.Errorf("Renew after %q was mended: got %v, want no error", broken, err)
				}
			}
			if globals, err := p.Load("lib.star"); err != nil || globals["x"].String() != "2" {
				t.Errorf("%s after %q was mended: got %v, %v, want x = 2", again, broken, globals, err)
			}
		}
	}
}
