package runtime_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/stepper"
)

// lobby brings players together: who joins waits until enough others have joined, and then gets the name of a
// room that was made for them.
type lobby struct {
	size      int // players to a room
	*floor        // what an upgrade hands over
	stopSweep func() bool
}

// floor is the state of a lobby. Upgrades exchange the lobby around it; what was begun before (a monitor, a launch) has a
// pointer to the floor and finds it as it is now.
type floor struct {
	waiting []ticket
	opened  int      // rooms so far
	rooms   []string // those that are open
}

// ticket is a player who waits.
type ticket struct {
	player starlark.Value
	since  sched.Time
	answer *runtime.Response
}

const (
	patience = 30 * time.Second     // how long a player waits at most
	glance   = 5 * time.Millisecond // how long all rooms together have to say how they are
)

func (l *lobby) Init(ctx *runtime.Context, _ starlark.Tuple, _ []starlark.Tuple) error {
	l.floor = new(floor)
	if err := l.startSweep(ctx); err != nil {
		return err
	}
	return ctx.Register(".lobby")
}

func (l *lobby) Handle(ctx *runtime.Context, command string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	switch command {
	case "join":
		var player starlark.Value
		if err := starlark.UnpackArgs(command, args, kwargs, "player", &player); err != nil {
			return nil, err
		}
		return nil, l.join(ctx, player)
	case "rooms":
		return l.report(ctx)
	}
	return nil, fmt.Errorf("lobby has no command %q", command)
}

// join keeps the answer to a player until a room is full. What it returns goes nowhere, unless the answer cannot be taken.
func (l *lobby) join(ctx *runtime.Context, player starlark.Value) error {
	answer, err := ctx.Response()
	if err != nil {
		return err
	}
	l.waiting = append(l.waiting, ticket{player, ctx.Now(), answer})
	l.waiting = slices.DeleteFunc(l.waiting, func(t ticket) bool { return !t.answer.Pending() }) // whose caller has given up
	if len(l.waiting) < l.size {
		return nil
	}
	party := slices.Clone(l.waiting[:l.size])
	l.waiting = l.waiting[l.size:] // before anything that blocks: other joins run meanwhile
	return l.open(ctx, party)
}

// open launches a room for a party and tells the players where it is.
func (f *floor) open(ctx *runtime.Context, party []ticket) error {
	names := make(starlark.Tuple, len(party))
	for i, t := range party {
		names[i] = t.player
	}
	f.opened++
	room := fmt.Sprint("room ", f.opened)
	addr, err := ctx.Launch(runtime.LaunchOptions{Script: "room.star", Args: names, Name: room})
	if err == nil {
		f.rooms = append(f.rooms, room)
		ctx.Monitor(addr, func(_ *runtime.Context, why runtime.Reason) { f.closed(room, why) })
	}
	for _, t := range party {
		if err != nil {
			_, _ = t.answer.Fail(err) // whether the player still waits does not matter
		} else {
			_, _ = t.answer.Reply(starlark.String(room))
		}
	}
	return err
}

// closed forgets a room that has ended, however it did.
func (f *floor) closed(room string, why runtime.Reason) {
	fmt.Println(room, "is closed:", why.Kind)
	f.rooms = slices.DeleteFunc(f.rooms, func(r string) bool { return r == room })
}

// report asks all rooms at the same time. A room that does not answer in time holds nobody up.
func (f *floor) report(ctx *runtime.Context) (starlark.Value, error) {
	rooms := slices.Clone(f.rooms) // f.rooms may change while the rooms are asked
	requests := make([]runtime.Request, len(rooms))
	for i, room := range rooms {
		requests[i] = runtime.Request{Dest: starlark.String(room), Command: "count"}
	}
	lines := make([]starlark.Value, len(rooms))
	err := ctx.Select(glance, requests, func(i int, v starlark.Value, err error) bool {
		if err != nil {
			v = starlark.String("no answer")
		}
		lines[i] = starlark.Tuple{starlark.String(rooms[i]), v}
		return true
	})
	return starlark.NewList(lines), err
}

// startSweep sends away, every now and then, who has waited for too long.
func (l *lobby) startSweep(ctx *runtime.Context) (err error) {
	l.stopSweep, err = ctx.Every(time.Second, "sweep", func(ctx *runtime.Context) error {
		now := ctx.Now()
		l.waiting = slices.DeleteFunc(l.waiting, func(t ticket) bool {
			late := now.Sub(t.since) > patience
			if late {
				_, _ = t.answer.Fail(errors.New("nobody else came"))
			}
			return late
		})
		return nil
	})
	return err
}

// Upgrade takes over from a lobby with rooms of another size. The timer of the old one runs the old code, so it makes way for
// a new one; the old one is stopped last, because nothing of it may be changed if the upgrade fails.
func (l *lobby) Upgrade(ctx *runtime.Context, old runtime.Handler) error {
	former, ok := old.(*lobby)
	if !ok {
		return fmt.Errorf("got a %T, want a lobby", old)
	}
	l.floor = former.floor
	if err := l.startSweep(ctx); err != nil { // the limit timers
		return err
	}
	former.stopSweep()
	return nil
}

// Exit sends everybody home who still waits.
func (l *lobby) Exit(_ *runtime.Context, why runtime.Reason) error {
	for _, t := range l.waiting {
		_, _ = t.answer.Fail(fmt.Errorf("the lobby closes (%s)", why.Kind))
	}
	return nil
}

// lobbyScripts are the services beside the lobby.
func lobbyScripts() fstest.MapFS {
	return fstest.MapFS{
		"room.star": {Data: []byte(`
s = state(players = [], frozen = False)

def init(*players):
    s.players.extend(players)

def count():
    if s.frozen:
        skynet.wait("for ever")
    return len(s.players)

def freeze():
    s.frozen = True

def close():
    skynet.ret("closing")
    skynet.exit()
`)},
		"admin.star": {Data: []byte(`
def exchange(what, to):
    skynet.upgrade(what, to)
`)},
	}
}

// A matchmaking lobby: it keeps the answers of waiting players, sends away who waits for too long, watches the rooms, asks
// them all at once, and is upgraded while players wait. It runs in simulation, so the output is the same every time.
func ExampleHandler_lobby() {
	world := stepper.New(stepper.Options{Seed: 1})
	node, err := runtime.NewNode(runtime.Config{
		Name: "n", Scheduler: world.NewNode(0, "n", stepper.NodeOptions{}), Programs: runtime.NewPrograms(lobbyScripts().ReadFile),
		Handlers: map[string]func() runtime.Handler{
			"lobby":     func() runtime.Handler { return &lobby{size: 2} },
			"big lobby": func() runtime.Handler { return &lobby{size: 3} },
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	pass := func(d time.Duration) { world.Run(world.Now().Add(d), nil) }
	launched := func(_ *runtime.Address, err error) {
		if err != nil {
			fmt.Println(err)
		}
	}
	node.Launch("lobby", "", nil, nil, launched) // it registers itself
	node.Launch("admin.star", ".admin", nil, nil, launched)
	pass(time.Millisecond)

	ask := func(to starlark.Value, command string, words ...string) {
		args := make(starlark.Tuple, len(words))
		for i, w := range words {
			args[i] = starlark.String(w)
		}
		node.Request(to, command, args, nil, time.Minute, func(v starlark.Value, err error) {
			if err != nil {
				_, reason, _ := strings.Cut(err.Error(), ": ")
				v = starlark.String(reason)
			}
			fmt.Println(command, words, v)
		})
		pass(10 * time.Millisecond)
	}
	const lobby, admin = starlark.String(".lobby"), starlark.String(".admin")
	ask(lobby, "join", "ann")
	ask(lobby, "join", "bob") // and the two have a room
	ask(lobby, "join", "cid")
	ask(admin, "exchange", ".lobby", "big lobby")
	ask(lobby, "join", "dot")
	ask(lobby, "join", "eve") // from now on it takes three; cid's answer has gone over
	ask(lobby, "rooms")

	ask(starlark.String("room 2"), "freeze")
	ask(lobby, "rooms")
	ask(starlark.String("room 1"), "close")
	ask(lobby, "rooms")

	ask(lobby, "join", "fay")
	pass(time.Minute)
	ask(lobby, "join", "gus")
	node.Stop(0, func() { fmt.Println("stopped") })
	pass(time.Second)
	// Output:
	// join [ann] "room 1"
	// join [bob] "room 1"
	// exchange [.lobby big lobby] None
	// join [cid] "room 2"
	// join [dot] "room 2"
	// join [eve] "room 2"
	// rooms [] [("room 1", 2), ("room 2", 3)]
	// freeze [] None
	// rooms [] [("room 1", 2), ("room 2", "no answer")]
	// close [] "closing"
	// room 1 is closed: exit
	// rooms [] [("room 2", "no answer")]
	// join [fay] "nobody else came"
	// room 2 is closed: stopped
	// join [gus] "the lobby closes (stopped)"
	// stopped
}
