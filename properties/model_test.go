package properties

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/prop"
	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/stepper"
)

// The packages hold their queues to reference models themselves: the mailbox and the wait table of runtime, the timers of
// sched/stepper, the streams of vnet/virtual, the disk. Here is what only shows in the whole: a service as its callers see
// it, and a call to another node as its caller is told of it.

// outcomes is a cluster whose verdict is the reference model of a call across the network; see its scenario.
var outcomes = &subject{
	from: "../properties/testdata/outcomes.star", most: 7, names: "n%d", clients: `, timeout = "100ms"`,
	nodes: `w.nodes("n", {n}, main = "../properties/testdata/outcomes_node.star", disk = {disk})`,
	work: `def work(c):
    for _ in range({ops}):
        c.op("do", c.fresh())
        c.sleep(c.int(0, 40) / 1000)
`,
}

func TestOutcomesInAnyCluster(t *testing.T) { testSubject(t, outcomes) }

// receiver and sender are the scripts of the queue; the log is the order of events.
const (
	receiver = `
def take(i, steps):
    log.info("took", i = i)
    for _ in range(steps):
        pass
    return i
`
	sender = `
def run(program):
    for verb, i, n in program:
        if verb == "sleep":
            skynet.sleep("%dus" % n)
        elif verb == "kill":
            log.info("killed", i = i)
            skynet.pcall(skynet.kill, skynet.query(".receiver"))
        else:
            log.info(verb, i = i)
            r = skynet.pcall(getattr(skynet, verb), ".receiver", "take", i, n)
            log.info("ok" if r.ok and r.value in (None, i) else r.error.kind if r.error else "wrong", i = i)
`
)

// step is one entry of a sender's program.
type step struct {
	verb string
	i, n int
}

// newPrograms draws what each sender does. About every third case kills the receiver.
func newPrograms(r *sched.Stream) [][]step {
	programs := make([][]step, 1+r.IntN(4))
	id := 0
	for s := range programs {
		for range r.IntN(40) {
			id++
			p := step{pick(r, "send", "send", "send", "call", "sleep"), id, r.IntN(400)}
			if r.IntN(20) == 0 {
				p.n *= 20 // some slices long; the senders are done within one, so that no two of their steps come apart
			}
			programs[s] = append(programs[s], p)
		}
	}
	if r.IntN(3) == 0 {
		programs[0] = append(programs[0], step{verb: "kill"})
	}
	return programs
}

// queue is the model: a bounded queue with one consumer, and what each producer was told.
type queue struct {
	limit  int
	waits  []int
	took   map[int]bool
	open   map[int]string // who was not told yet: send or call
	last   map[int]bool   // who came when the queue was full but for one that may be on its way to an idle consumer
	killed bool
	dead   bool // somebody was told so
}

// event lets the model do what happened; the answer says what is wrong with it.
func (q *queue) event(what string, i int) string {
	switch what {
	case "killed":
		q.killed = true
	case "took":
		if q.killed || len(q.waits) == 0 || q.waits[0] != i {
			return fmt.Sprintf("took %d, want the first of %v (killed: %v)", i, q.waits, q.killed)
		}
		q.waits, q.took[i] = q.waits[1:], true
	case "send", "call":
		q.open[i] = what
		if len(q.waits) <= q.limit && !q.dead {
			q.last[i] = len(q.waits) == q.limit
			q.waits = append(q.waits, i)
		}
	default:
		verb, isOpen := q.open[i]
		delete(q.open, i)
		if !isOpen {
			return fmt.Sprintf("%d was answered (%s) a second time", i, what)
		}
		return q.answer(verb, what, i)
	}
	return ""
}

// answer judges what the producer of i was told.
func (q *queue) answer(verb, what string, i int) string {
	queued := slices.Contains(q.waits, i)
	right := false
	switch what {
	case "ok":
		right = q.took[i] || verb == "send" && queued
	case "overload": // the message of a kill takes a place, too
		right = (!queued || q.last[i]) && !q.took[i] || q.killed && len(q.waits) >= q.limit-1
		q.waits = slices.DeleteFunc(q.waits, func(j int) bool { return j == i })
	case "dead":
		right, q.dead = q.killed, true
	}
	if right {
		return ""
	}
	return fmt.Sprintf("%s of %d came to %q; taken: %v, queued: %v, killed: %v", verb, i, what, q.took[i], q.waits, q.killed)
}

// end is what must hold when nothing happens any more.
func (q *queue) end() string {
	if len(q.open) > 0 {
		return fmt.Sprintf("never answered: %v", q.open)
	}
	if len(q.waits) > 0 && !q.killed {
		return fmt.Sprintf("never taken: %v", q.waits)
	}
	return ""
}

// TestServiceIsABoundedQueue lets several services send to and call one, which may be killed, and compares every event with
// the model.
func TestServiceIsABoundedQueue(t *testing.T) {
	answers := make(map[string]int)
	law := prop.ForAll(func(seed uint64) string {
		r := sched.NewStream(seed, "queue")
		q := &queue{limit: 1 + r.IntN(6), took: make(map[int]bool), open: make(map[int]string), last: make(map[int]bool)}
		node := newSimNode(seed, 1+r.IntN(3), runtime.Limits{Mailbox: q.limit})
		defer node.Crash()
		wrong := ""
		node.log = func(what string, i int) {
			answers[what]++
			if wrong == "" {
				wrong = q.event(what, i)
			}
		}
		node.launch("receiver.star", ".receiver")
		for s, program := range newPrograms(r) {
			name := fmt.Sprintf(".sender%d", s)
			node.launch("sender.star", name)
			node.Request(starlark.String(name), "run", starlark.Tuple{programValue(program)}, nil, time.Hour, func(_ starlark.Value, err error) {
				if err != nil && wrong == "" {
					wrong = err.Error()
				}
			})
		}
		node.step.Run(sched.Time(time.Hour), nil)
		if wrong == "" {
			wrong = q.end()
		}
		return wrong
	}, seeds())
	checkLaw(t, law, 5**cases)
	for _, what := range []string{"took", "ok", "overload", "dead"} {
		if answers[what] == 0 && *cases >= 20 {
			t.Errorf("events: got no %q among %v, want some", what, answers)
		}
	}
}

// checkLaw tries a law and prints its counterexample.
func checkLaw(t *testing.T, law gopter.Prop, runs int) {
	t.Helper()
	if r := law.Check(parameters(runs)); !r.Passed() {
		t.Fatalf("%s %v\nfor %v\nrepeat: %s", strings.Join(r.Labels, "\n"), r.Error, r.Args, repeat(t))
	}
}

func programValue(program []step) starlark.Value {
	list := starlark.NewList(nil)
	for _, s := range program {
		list.Append(starlark.Tuple{starlark.String(s.verb), starlark.MakeInt(s.i), starlark.MakeInt(s.n)})
	}
	return list
}

// simNode is one node on a stepper of its own.
type simNode struct {
	*runtime.Node
	step *stepper.Stepper
	log  func(what string, i int)
}

func newSimNode(seed uint64, cores int, limits runtime.Limits) *simNode {
	n := &simNode{step: stepper.New(stepper.Options{Seed: seed, Strategy: stepper.Random(sched.NewStream(seed, "schedule"))})}
	programs := runtime.NewPrograms(func(name string) ([]byte, error) {
		return []byte(map[string]string{"receiver.star": receiver, "sender.star": sender}[name]), nil
	})
	var err error
	n.Node, err = runtime.NewNode(runtime.Config{
		Scheduler: n.step.NewNode(0, "n", stepper.NodeOptions{Cores: cores}), Programs: programs, Limits: limits, Log: n,
	})
	if err != nil {
		panic(err)
	}
	return n
}

func (n *simNode) launch(script, name string) {
	ready := false
	n.Launch(script, name, nil, nil, func(_ *runtime.Address, err error) {
		if err != nil {
			panic(err)
		}
		ready = true
	})
	n.step.Run(sched.Time(time.Hour), func() bool { return ready })
}

// Enabled implements [slog.Handler].
func (n *simNode) Enabled(_ context.Context, level slog.Level) bool { return level == slog.LevelInfo }

// Handle implements [slog.Handler]: it passes on what the scripts log.
func (n *simNode) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "i" {
			n.log(r.Message, int(a.Value.Int64()))
		}
		return true
	})
	return nil
}

// WithAttrs implements [slog.Handler]; nodes do not use it.
func (n *simNode) WithAttrs([]slog.Attr) slog.Handler { return n }

// WithGroup implements [slog.Handler]; nodes do not use it.
func (n *simNode) WithGroup(string) slog.Handler { return n }
