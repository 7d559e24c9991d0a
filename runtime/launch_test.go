package runtime_test

import (
	"testing"

	"skynet/runtime/runtimetest"
)

// TestFoundWhileLaunched looks for services by name from another worker, as fast as it can, and uses what it finds at once, which may
// be before the launch has come to its end: it finds whole services, whose init comes before all else, and who launches one
// that is killed first is told.
func TestFoundWhileLaunched(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{
			"found.star": "s = state(ready = False)\ndef init():\n    s.ready = True\ndef ready():\n    return s.ready\n",
			"launches.star": `
def all(rounds):
    for i in range(rounds):
        r = skynet.pcall(skynet.newservice, "found", launch = {"name": "found"})
        if r.ok:
            skynet.pcall(skynet.kill, r.value)
        elif r.error.kind != "dead":
            fail(r.error)
        while skynet.query("found"):
            skynet.give_way()
    return True
`,
			"finds.star": `
s = state(over = False)
def over():
    s.over = True
def find():
    n = 0
    while not s.over:
        found = skynet.query("found")
        if not found:
            skynet.give_way()
            continue
        n += 1
        if n % 2:
            skynet.kill(found)
        r = skynet.pcall(skynet.call, found, "ready")
        if r.value != True and r.error.kind != "dead":
            fail(r)
`,
		})
		w.Node("n", "launches.star", "finds.star")
		finds := w.Go("n", "finds", "find")
		w.Want("True", "n", "launches", "all", 2_000)
		w.Call("n", "finds", "over")
		if _, err := finds.Wait(); err != nil {
			t.Error(err)
		}
	})
}
