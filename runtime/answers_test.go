package runtime_test

import (
	"flag"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
)

// How many calls the property makes in each world. A night's worth, ten million:
//
//	go test ./runtime -run AnsweredOnce -calls 10000000 -timeout 0
var answeredCalls = flag.Int("calls", 60_000, "calls that TestEveryCallIsAnsweredOnce makes in each world")

// rage is what the property draws: a node, and how roughly it is treated.
type rage struct {
	Seed    uint64
	Members int // services that are called
	Window  int // calls under way
	Mailbox int
	Policy  int // of a full mailbox
	Kills   int // in 1,000 calls, as are the others
	Exits   int
	Stops   int
	Upgrade int
}

// rageMember is a service that does with a request whatever can be done with one.
const rageMember = `
kept = []
section = skynet.queue()
s = state(count = 0)

def upgrade(old):
    s.count = old.s.count
    kept.extend(old.kept)

def exit():
    s.count += 1
    if s.count % 2:
        skynet.sleep("100us")

def echo(other):
    s.count += 1
    return s.count

def nap(other):
    skynet.sleep(random.int(0, 300) / 1e6)

def broken(other):
    fail("broken")

def unsendable(other):
    return echo

def loop(other):
    n = 0
    while True:
        n += 1

def park(other):
    skynet.wait(skynet.genid(), timeout = "2ms")

def park_longer(other):
    skynet.wait(skynet.genid())

def relay(other):
    return skynet.call(other, "echo", skynet.self(), timeout = "1ms")

def early(other):
    skynet.ret(1)
    skynet.pcall(skynet.call, other, "nap", skynet.self(), timeout = "1ms")
    return 2

def later(other):
    kept.append(skynet.response())
    if len(kept) > 5:
        r = kept.pop(0)
        if r.pending():
            r.reply(len(kept))

def later_by_timer(other):
    skynet.timeout("100us", skynet.response().fail, "late")

def forget(other):
    skynet.response()

def redirect(other):
    skynet.redirect(other, random.choice(["echo", "nap", "broken", "later", "redirect", "park"]), skynet.self())

def fan(other):
    n = 0
    for r in skynet.select([skynet.request(other, c, skynet.self()) for c in ["echo", "broken", "park", "nap"]], timeout = "500us"):
        n += 1
        if n == 3:
            break
    return n

def critical(other):
    return section(lambda: (skynet.sleep("50us"), skynet.pcall(skynet.call, other, "echo", skynet.self(), timeout = "200us")) and 1)

def cancelled(other):
    t = skynet.fork(skynet.sleep, 1)
    t.cancel()
    skynet.cancel(1 << 60)

def cancel_others(other):
    for i in range(3):
        skynet.cancel(skynet.genid())

def forks(other):
    skynet.fork(skynet.pcall, skynet.call, other, "echo", skynet.self(), timeout = "1ms")

def refuses(other):
    skynet.refuse("not I")

def leave(other):
    skynet.exit()

def _private(other):
    pass
`

// commands are what a member is asked, by weight.
const rageCommands = "echo echo echo echo echo echo nap nap broken unsendable loop park relay relay early later later " +
	"later_by_timer forget redirect redirect redirect fan fan critical critical cancelled cancel_others forks refuses _private nothing init"

// rager makes the calls, and counts how often each is answered.
type rager struct {
	plan    rage
	answers []atomic.Uint32
	left    atomic.Int64
	members []*runtime.Address
}

func (r *rager) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

// Handle makes the calls and waits for the last answer.
func (r *rager) Handle(ctx *runtime.Context, _ string, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	commands := strings.Fields(rageCommands)
	for range r.plan.Members {
		if err := r.launch(ctx, -1); err != nil {
			return nil, err
		}
	}
	rnd := ctx.Rand()
	for i := range r.answers {
		if err := r.makeRoom(ctx, int64(r.plan.Window)); err != nil {
			return nil, err
		}
		command := commands[rnd.IntN(len(commands))]
		if rnd.IntN(500) == 0 {
			command = "park_longer" // only the end of its service answers it
		}
		to, other := r.members[rnd.IntN(len(r.members))], r.members[rnd.IntN(len(r.members))]
		r.left.Add(1)
		deadline := ctx.Now().Add(time.Duration(rnd.IntN(3_000)+1) * time.Microsecond)
		ctx.Ask(to, command, starlark.Tuple{other}, deadline, func(*runtime.CallError) {
			r.answers[i].Add(1)
			r.left.Add(-1)
		})
		if err := r.meddle(ctx, rnd.IntN(1_000)); err != nil {
			return nil, err
		}
	}
	for _, a := range r.members {
		_ = ctx.Kill(a) // it may have ended by itself
	}
	return starlark.None, r.makeRoom(ctx, 1)
}

// makeRoom waits until fewer than window calls are under way; what hangs is killed at last.
func (r *rager) makeRoom(ctx *runtime.Context, window int64) error {
	for tries := 1; r.left.Load() >= window; tries++ {
		if tries%10 == 0 {
			if err := r.replace(ctx, ctx.Kill); err != nil {
				return err
			}
		}
		if err := ctx.Sleep(50 * time.Microsecond); err != nil {
			return err
		}
	}
	return nil
}

// meddle now and then ends a service in one way or another, or exchanges its code.
func (r *rager) meddle(ctx *runtime.Context, dice int) error {
	ways := []struct {
		share int
		do    func(starlark.Value) error
	}{
		{r.plan.Kills, ctx.Kill},
		{r.plan.Exits, func(a starlark.Value) error { return ctx.Send(a, "leave", starlark.Tuple{a}) }},
		{r.plan.Stops, func(a starlark.Value) error { _, err := ctx.Stop(a, 200*time.Microsecond); return err }},
	}
	for _, way := range ways {
		if dice < way.share {
			return r.replace(ctx, way.do)
		}
		dice -= way.share
	}
	if dice < r.plan.Upgrade {
		a := r.members[ctx.Rand().IntN(len(r.members))]
		_ = ctx.Upgrade(a, "rage2.star", 500*time.Microsecond) // it may be too busy, or have ended
	}
	return nil
}

// replace ends a member in the given way and puts another in its place.
func (r *rager) replace(ctx *runtime.Context, end func(starlark.Value) error) error {
	i := ctx.Rand().IntN(len(r.members))
	_ = end(r.members[i]) // it may have ended by itself
	_ = ctx.Kill(r.members[i])
	return r.launch(ctx, i)
}

func (r *rager) launch(ctx *runtime.Context, i int) error {
	a, err := ctx.Launch(runtime.LaunchOptions{Script: "rage1.star"})
	if err != nil {
		return err
	}
	if i < 0 {
		r.members = append(r.members, a)
	} else {
		r.members[i] = a
	}
	return nil
}

// run makes calls in a world; it returns what is wrong with the answers.
func (plan rage) run(t *testing.T, w *runtimetest.World, calls int) string {
	t.Helper()
	r := &rager{plan: plan, answers: make([]atomic.Uint32, calls)}
	w.Limits = runtime.Limits{
		Steps: 20_000, Slice: 2_000, Mailbox: plan.Mailbox, Handlers: 300, Call: 5 * time.Millisecond,
		Overflow: []runtime.Overflow{runtime.Refuse, runtime.DropOldest, runtime.Block}[plan.Policy],
	}
	w.Handlers = map[string]func() runtime.Handler{"rager.star": func() runtime.Handler { return r }}
	w.Scripts(map[string]string{"rage1.star": rageMember, "rage2.star": rageMember + "\ndef more(other):\n    return 1\n"})
	w.Node("n", "rager.star")
	w.Quiet("n")
	if _, err := w.Call("n", "rager", "rage"); err != nil {
		return complaint(err)
	}
	w.Stop("n", time.Second)
	for i := range r.answers {
		if got := r.answers[i].Load(); got != 1 {
			return fmt.Sprintf("call %d was answered %d times", i, got)
		}
	}
	return ""
}

// TestEveryCallIsAnsweredOnce makes calls while services fail, hang, loop, exit, are stopped, killed, upgraded and
// overloaded: whatever happens to a request, it is answered exactly once.
func TestEveryCallIsAnsweredOnce(t *testing.T) {
	const each = 20_000
	perWorld := func(t *testing.T, newWorld func(t *testing.T, seed uint64) *runtimetest.World) {
		parameters := gopter.DefaultTestParameters()
		parameters.MinSuccessfulTests = max(1, *answeredCalls/each)
		parameters.MaxShrinkCount = 20
		parameters.Workers = 1
		properties := gopter.NewProperties(parameters)
		draw := func(most int) gopter.Gen { return gen.IntRange(0, most) }
		properties.Property("every call is answered once", prop.ForAll(
			func(seed uint64, members, window, mailbox, policy, kills, exits, stops, upgrades int) string {
				plan := rage{seed, members + 1, window + 8, mailbox + 1, policy, kills, exits, stops, upgrades}
				var wrong string
				t.Run("plan", func(t *testing.T) { wrong = plan.run(t, newWorld(t, seed), min(each, *answeredCalls)) })
				if wrong != "" {
					return fmt.Sprintf("%+v: %s", plan, wrong)
				}
				return ""
			},
			gen.UInt64(), draw(7), draw(200), draw(100), draw(2), draw(5), draw(5), draw(3), draw(10),
		))
		properties.TestingRun(t)
	}
	t.Run("workers", func(t *testing.T) {
		perWorld(t, func(t *testing.T, _ uint64) *runtimetest.World { return runtimetest.NewReal(t) })
	})
	t.Run("stepper", func(t *testing.T) { perWorld(t, runtimetest.NewVirtual) })
}
