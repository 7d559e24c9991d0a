package properties

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leanovate/gopter/prop"
	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sched/workers"
)

// configuration is one way to run the same scripts: what they do must not depend on it where the order is defined.
type configuration struct {
	name   string
	limits runtime.Limits
	start  func(seed uint64) (s sched.Scheduler, wait func(done <-chan struct{}), stop func())
}

// configurations are real workers, more and fewer, and the stepper in several ways. Slice makes handlers give way within.
var configurations = []configuration{
	{name: "1 worker", start: onWorkers(1)},
	{name: "2 workers", start: onWorkers(2)},
	{name: "8 workers", start: onWorkers(8)},
	{name: "2 workers, short slices", limits: runtime.Limits{Slice: 20}, start: onWorkers(2)},
	{name: "stepper, random", start: onStepper(1, true)},
	{name: "stepper, random, 4 cores, short slices", limits: runtime.Limits{Slice: 20}, start: onStepper(4, true)},
	{name: "stepper, first in first out", start: onStepper(2, false)},
}

func onWorkers(threads int) func(uint64) (sched.Scheduler, func(<-chan struct{}), func()) {
	return func(seed uint64) (sched.Scheduler, func(<-chan struct{}), func()) {
		w := workers.New(workers.Options{Threads: threads, Seed: seed})
		return w, func(done <-chan struct{}) { <-done }, w.Close
	}
}

func onStepper(cores int, random bool) func(uint64) (sched.Scheduler, func(<-chan struct{}), func()) {
	return func(seed uint64) (sched.Scheduler, func(<-chan struct{}), func()) {
		o := stepper.Options{Seed: seed}
		if random {
			o.Strategy = stepper.Random(sched.NewStream(seed, "schedule"))
		}
		step := stepper.New(o)
		node := step.NewNode(0, "node", stepper.NodeOptions{Cores: cores})
		return node, func(done <-chan struct{}) { step.Run(step.Now().Add(time.Hour), func() bool { return closed(done) }) }, node.Halt
	}
}

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// load is how much the services have to do.
type load struct{ clients, servers, calls, kills int }

// play runs the load in a configuration and returns what the ledger has to report.
func (c configuration) play(seed uint64, l load) (report string, err error) {
	s, wait, stop := c.start(seed)
	node, err := runtime.NewNode(runtime.Config{
		Scheduler: s, Limits: c.limits, Log: slog.DiscardHandler,
		Programs: runtime.NewPrograms(func(name string) ([]byte, error) { return []byte(loadScripts[name]), nil }),
	})
	if err != nil {
		return "", err
	}
	defer func() { stop(); node.Crash() }()
	done := make(chan struct{})
	var v starlark.Value
	args := starlark.Tuple{starlark.MakeInt(l.clients), starlark.MakeInt(l.servers), starlark.MakeInt(l.calls), starlark.MakeInt(l.kills)}
	node.Launch("director.star", ".director", nil, nil, func(_ *runtime.Address, launched error) {
		if launched != nil {
			err = launched
			close(done)
			return
		}
		node.Request(starlark.String(".director"), "play", args, nil, time.Minute, func(result starlark.Value, failed error) {
			v, err = result, failed
			close(done)
		})
	})
	wait(done)
	switch {
	case !closed(done):
		return "", errors.New("the load is stuck")
	case err != nil:
		return "", err
	}
	report, _ = starlark.AsString(v)
	return report, nil
}

// loadScripts are the services. Each client calls and sends to each server in turn; the ledger survives every kill and hears
// of each command that ran, from the servers, and of each answer, from the clients.
var loadScripts = map[string]string{
	"director.star": `
def play(clients, servers, calls, kills):
    ledger = skynet.newservice("ledger.star")
    for i in range(servers):
        skynet.newservice("server.star", ledger, i)
    for i in range(clients):
        skynet.newservice("client.star", ledger, i, servers, calls)
    for _ in range(kills):
        skynet.sleep("300us")
        victim = random.int(0, servers - 1)
        skynet.pcall(skynet.kill, skynet.query(".server%d" % victim))
        while not skynet.pcall(skynet.newservice, "server.star", ledger, victim).ok:
            skynet.sleep("50us")            # its name is not free yet
    return skynet.call(ledger, "report", clients, timeout = "50s")
`,
	"server.star": `
me = state(ledger = None, name = "", total = 0)

def init(ledger, i):
    me.ledger, me.name = ledger, "server%d" % i
    skynet.register("." + me.name)

def note(who, i):
    skynet.send(me.ledger, "noted", who, me.name, i)

def add(who, i):
    skynet.send(me.ledger, "ran", who, me.name, i)
    me.total += i
    if i % 5 == 0:
        skynet.sleep("100us")
    for _ in range(i % 40):
        pass
    return (who, i)
`,
	"client.star": `
def init(ledger, who, servers, calls):
    skynet.fork(_work, ledger, who, servers, calls)

def _work(ledger, who, servers, calls):
    for i in range(calls):
        server = ".server%d" % ((who + i) % servers)
        skynet.pcall(skynet.send, server, "note", who, i)
        r = skynet.pcall(skynet.call, server, "add", who, i)
        if r.ok and r.value != (who, i):
            fail("got the answer %s to call %s" % (r.value, (who, i)))
        skynet.send(ledger, "answered", who, server[1:], i, "ok" if r.ok else "maybe" if r.error.maybe else "no")
    skynet.send(ledger, "finished")
`,
	"ledger.star": `
me = state(noted = {}, ran = {}, answers = {}, finished = 0)

def noted(who, server, i):
    me.noted.setdefault("%d to %s" % (who, server), []).append(i)

def ran(who, server, i):
    me.ran.setdefault("%d to %s" % (who, server), []).append(i)

def answered(who, server, i, how):
    me.answers.setdefault("%d to %s" % (who, server), []).append([i, how])

def finished():
    me.finished += 1
    skynet.wakeup("finished")

def report(clients):
    while me.finished < clients:
        skynet.wait("finished")
    return json.encode({"noted": me.noted, "ran": me.ran, "answers": me.answers})
`,
}

// ledger is what the ledger reports, by pair: "3 to server1".
type ledger struct {
	Noted, Ran map[string][]int
	Answers    map[string][]answer
}

// answer is what a client was told of a call.
type answer struct {
	Call int
	How  string // "ok", "maybe" (it may have run) or "no" (it did not)
}

// UnmarshalJSON reads [call, how].
func (a *answer) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &[2]any{&a.Call, &a.How}) }

// wrong says what the ledger must not show, whatever was killed.
func (l *ledger) wrong(want load) string {
	answers := 0
	for pair, list := range l.Answers {
		answers += len(list)
		ran := make(map[int]int)
		for _, i := range l.Ran[pair] {
			ran[i]++
		}
		for _, a := range list {
			switch n := ran[a.Call]; {
			case a.How == "ok" && n != 1, a.How == "maybe" && n > 1, a.How == "no" && n != 0:
				return fmt.Sprintf("call %d of %s was answered %q and ran %d times", a.Call, pair, a.How, n)
			case want.kills == 0 && a.How != "ok":
				return fmt.Sprintf("call %d of %s was answered %q although nothing was killed", a.Call, pair, a.How)
			}
		}
		for what, order := range map[string][]int{"sends": l.Noted[pair], "calls": l.Ran[pair]} {
			if !slices.IsSorted(order) || len(slices.Compact(slices.Clone(order))) != len(order) {
				return fmt.Sprintf("%s of %s arrived as %v, want the order in which they were sent", what, pair, order)
			}
		}
	}
	if answers != want.clients*want.calls {
		return fmt.Sprintf("got %d answers, want one for each of %d calls", answers, want.clients*want.calls)
	}
	return ""
}

func newLoad(r *sched.Stream) load {
	return load{clients: 1 + r.IntN(6), servers: 1 + r.IntN(4), calls: 1 + r.IntN(40)}
}

// TestOneScriptEveryConfiguration runs random loads in all configurations, and wants the same ledger: each pair's messages in
// order, each call answered once and run once.
func TestOneScriptEveryConfiguration(t *testing.T) {
	law := prop.ForAll(func(seed uint64) string {
		want, l := "", newLoad(sched.NewStream(seed, "load"))
		for _, c := range configurations {
			report, err := c.play(seed, l)
			if err != nil {
				return fmt.Sprintf("%s, %+v: %v", c.name, l, err)
			}
			if wrong := judge(report, l); wrong != "" {
				return fmt.Sprintf("%s, %+v: %s", c.name, l, wrong)
			}
			if want == "" {
				want = canonical(report)
			}
			if got := canonical(report); got != want {
				return fmt.Sprintf("%s, %+v: got\n%s\nwant as with %s\n%s", c.name, l, got, configurations[0].name, want)
			}
		}
		return ""
	}, seeds())
	checkLaw(t, law, *cases)
}

// TestKillsLoseNoAnswer kills servers at random: what each caller is told must be true, in every configuration.
func TestKillsLoseNoAnswer(t *testing.T) {
	told := make(map[string]int)
	law := prop.ForAll(func(seed uint64) string {
		r := sched.NewStream(seed, "load")
		l := newLoad(r)
		l.kills = 1 + r.IntN(10)
		for _, c := range configurations {
			report, err := c.play(seed, l)
			if err != nil {
				return fmt.Sprintf("%s, %+v: %v", c.name, l, err)
			}
			if wrong := judge(report, l); wrong != "" {
				return fmt.Sprintf("%s, %+v: %s", c.name, l, wrong)
			}
			for _, how := range []string{"ok", "maybe", "no"} {
				told[how] += strings.Count(report, `"`+how+`"`)
			}
		}
		return ""
	}, seeds())
	checkLaw(t, law, *cases)
	t.Log(told)
	if *cases >= 20 && (told["ok"] == 0 || told["maybe"] == 0 || told["no"] == 0) {
		t.Errorf("answers: got %v, want some of each kind", told)
	}
}

func judge(report string, want load) string {
	var l ledger
	if err := json.Unmarshal([]byte(report), &l); err != nil {
		return err.Error()
	}
	return l.wrong(want)
}

// canonical is the report with its keys sorted.
func canonical(report string) string {
	var v any
	if err := json.Unmarshal([]byte(report), &v); err != nil {
		return err.Error()
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
