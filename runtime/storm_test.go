package runtime_test

import (
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

var storm = map[string]string{
	"member.star": `
def echo(x):
    return x
def nap(x):
    skynet.sleep(random.int(0, 2000) / 1e6)
    return x
def leave():
    skynet.exit()
def broken():
    fail("broken")
def spin():
    n = 0
    while True:
        n += 1
def relay(to, command, *args):
    return skynet.call(to, command, timeout = 0.005, *args)
def unsendable():
    return echo
`,
	"storm.star": `
members = []
outcomes = {}
state_ = state(left = 0)

def rage(coroutines, calls):
    for _ in range(5):
        members.append(skynet.newservice("member.star"))
    state_.left = coroutines
    for i in range(coroutines):
        skynet.fork(_rage, calls)
    while state_.left:
        skynet.wait("over")
    return outcomes

def _rage(calls):
    for i in range(calls):
        kind = _one(i)
        outcomes[kind] = outcomes.get(kind, 0) + 1
    state_.left -= 1
    skynet.wakeup("over")

def _one(i):
    what = random.int(0, 99)
    to = random.choice(members)
    if what < 4:
        members[random.int(0, len(members) - 1)] = skynet.newservice("member.star")
        return "launched"
    if what < 6:
        return _kind(skynet.kill, to)
    if what < 12:
        return _kind(skynet.uniqueservice, "member.star")
    if what < 14:
        return _kind(skynet.call, skynet.uniqueservice("member.star"), "leave")
    if what < 16:
        return _kind(skynet.call, to, "spin")
    if what < 20:
        return _kind(skynet.call, to, "leave")
    if what < 24:
        return _kind(skynet.call, to, "unsendable")
    if what < 30:
        return _kind(skynet.call, to, "broken")
    if what < 45:
        return _kind(skynet.call, to, "nap", [i], timeout = 0.001)
    if what < 65:
        return _kind(skynet.call, to, "relay", random.choice(members), "nap", i)
    return _kind(skynet.call, to, "echo", {"i": [i]})

def _kind(f, *args, **kwargs):
    r = skynet.pcall(f, *args, **kwargs)
    return "ok" if r.ok else r.error.kind
`,
}

// TestStorm lets many coroutines call services that fail, hang, loop, exit and are killed and launched meanwhile: every call
// ends, in one of the ways a call may end, and the node can be stopped.
func TestStorm(t *testing.T) {
	const coroutines, calls = 30, 30
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(storm)
		w.Limits = runtime.Limits{Steps: 50_000, Slice: 2_000}
		w.Node("n", "storm.star")
		v, err := w.Call("n", "storm", "rage", coroutines, calls)
		if err != nil {
			t.Fatal(complaint(err))
		}
		known := map[string]bool{"ok": true, "launched": true, "remote": true, "dead": true, "timeout": true}
		total := 0
		for _, item := range v.(*starlark.Dict).Items() {
			n, _ := starlark.AsInt32(item[1])
			total += n
			if kind, _ := starlark.AsString(item[0]); !known[kind] {
				t.Errorf("outcomes: got %d of kind %s, want only %v", n, kind, known)
			}
		}
		if total != coroutines*calls {
			t.Errorf("outcomes: got %v, %d in all, want %d", v, total, coroutines*calls)
		}
		for kind := range known {
			if _, found, _ := v.(*starlark.Dict).Get(starlark.String(kind)); !found {
				t.Errorf("outcomes: got %v, want some of kind %s", v, kind)
			}
		}
		w.Stop("n", time.Second)
	})
}
