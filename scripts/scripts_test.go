package scripts_test

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"skynet/runtime/runtimetest"
	"skynet/scripts"
	"skynet/sim/unit"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // kcp-go's global timers never end
		goleak.IgnoreTopFunction("github.com/xtaci/kcp-go/v5.(*TimedSched).sched"),
		goleak.IgnoreTopFunction("github.com/xtaci/kcp-go/v5.(*TimedSched).prepend"))
}

// TestFS wants every script in the binary, and no test.
func TestFS(t *testing.T) {
	shipped, err := fs.Glob(scripts.FS, "*")
	if err != nil {
		t.Fatal(err)
	}
	all, err := fs.Glob(os.DirFS("."), "*.star")
	if err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(all, func(name string) bool { return strings.HasSuffix(name, unit.Suffix) })
	if !slices.Equal(shipped, want) {
		t.Errorf("scripts in the binary: got %q, want %q: name them in scripts.go", shipped, want)
	}
}

// TestUnits runs the tests in Starlark, which are examples of such tests as well.
func TestUnits(t *testing.T) {
	names, err := fs.Glob(os.DirFS("."), "*"+unit.Suffix)
	if err != nil || len(names) < 2 {
		t.Fatalf("tests in Starlark: got %q, %v, want several", names, err)
	}
	for _, name := range names {
		f, err := unit.Load(os.ReadFile, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range f.Tests {
			t.Run(name+"/"+test.Name, func(t *testing.T) {
				for seed := range uint64(10) {
					if r := f.Run(test.Name, unit.Options{Seed: seed}); r.Failure != nil {
						t.Fatalf("seed %d:\n%s", seed, r.Failure.Text)
					}
				}
			})
		}
	}
}

// serve starts a node "server" with a script that listens on TCP port 1 and KCP port 2, and a node "client".
func serve(t *testing.T, w *runtimetest.World, script string) {
	t.Helper()
	src, err := fs.ReadFile(scripts.FS, script)
	if err != nil {
		t.Fatal(err)
	}
	client, err := os.ReadFile("testdata/client.star")
	if err != nil {
		t.Fatal(err)
	}
	w.Scripts(map[string]string{script: string(src), "client.star": string(client)})
	w.Cluster("server", "client")
	w.Node("server")
	w.Launch("server", script, "server:1", "server:2")
	w.Node("client", "client.star")
}

// both runs a body over TCP and over KCP.
func both(t *testing.T, script string, body func(t *testing.T, w *runtimetest.World, protocol, address string)) {
	for protocol, address := range map[string]string{"tcp": "server:1", "kcp": "server:2"} {
		t.Run(protocol, func(t *testing.T) {
			runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
				serve(t, w, script)
				body(t, w, protocol, address)
			})
		})
	}
}

func TestKV(t *testing.T) {
	both(t, "kv.star", func(_ *testing.T, w *runtimetest.World, protocol, address string) {
		w.Want(`["NONE", "OK", "VALUE green as grass", "OK", "KEYS colour shape", "KEYS shape", "OK", "NONE", "NONE", "BYE"]`,
			"client", "client", "ask", protocol, address,
			"GET colour", "SET colour green as grass", "get colour", "SET shape round", "KEYS", "KEYS s", "DEL colour",
			"DEL colour", "GET colour\r", "QUIT")
	})
}

func TestKVRefuses(t *testing.T) {
	both(t, "kv.star", func(_ *testing.T, w *runtimetest.World, protocol, address string) {
		const want = `, want GET key, SET key text, DEL key, KEYS [prefix] or QUIT`
		w.Want(`["ERR got \"\"`+want+`", "ERR got \"SET key\"`+want+`", "ERR got \"GET a b\"`+want+`", `+
			`"OK", "VALUE x", "ERR got more than 65536 bytes in a line"]`,
			"client", "client", "ask", protocol, address,
			"", "SET key", "GET a b", "SET key x", "GET key", strings.Repeat("x", 70_000))
	})
}

// What was acknowledged is there after a crash, and other nodes can call the service.
func TestKVSurvives(t *testing.T) {
	runtimetest.RunVirtual(t, func(_ *testing.T, w *runtimetest.World) {
		serve(t, w, "kv.star")
		w.Want(`["OK", "OK", "OK", "BYE"]`, "client", "client", "ask", "tcp", "server:1", "SET a 1", "SET b 2", "DEL a", "QUIT")
		w.Crash("server")
		w.Node("server")
		w.Launch("server", "kv.star", "server:1", "server:2")
		w.Want(`["NONE", "VALUE 2", "BYE"]`, "client", "client", "ask", "tcp", "server:1", "GET a", "GET b", "QUIT")
		w.Want(`"2"`, "client", "client", "remote", "server", ".kv", "get", "b")
		w.Want(`["b"]`, "client", "client", "remote", "server", ".kv", "keys")
	})
}

// What a broken connection cut off is not taken for a line.
func TestCutOffLine(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		serve(t, w, "kv.star")
		w.Want("None", "client", "client", "open", "a", "tcp", "server:1", "SET key value")
		w.Want(`["OK"]`, "client", "client", "read", "a", 1)
		w.Want("None", "client", "client", "cut", "a", "SET key val")
		w.Want(`["VALUE value"]`, "client", "client", "ask", "tcp", "server:1", "GET key")
	})
}

func TestChat(t *testing.T) {
	both(t, "chat.star", func(_ *testing.T, w *runtimetest.World, protocol, address string) {
		w.Want("None", "client", "client", "open", "a", protocol, address, "JOIN ann")
		w.Want(`["JOINED 0"]`, "client", "client", "read", "a", 1)
		w.Want("None", "client", "client", "open", "b", protocol, address, "JOIN bob", "SAY hello ann")
		w.Want(`["MSG 0 bob hello ann"]`, "client", "client", "read", "a", 1)
		w.Want("None", "client", "client", "write", "a", "SAY hello bob", "QUIT")
		w.Want(`["MSG 1 ann hello bob", "BYE"]`, "client", "client", "read", "a", 2)
		w.Want(`["JOINED 0", "MSG 0 bob hello ann", "MSG 1 ann hello bob"]`, "client", "client", "read", "b", 3)
		w.Want("None", "client", "client", "open", "a", protocol, address, "JOIN ann 1")
		w.Want(`["JOINED 1", "MSG 1 ann hello bob"]`, "client", "client", "read", "a", 2)
	})
}

func TestChatRefuses(t *testing.T) {
	both(t, "chat.star", func(_ *testing.T, w *runtimetest.World, protocol, address string) {
		const want = `, want JOIN name [next], then SAY text, PING or QUIT`
		w.Want(`["ERR got \"SAY hello\"`+want+`", "ERR got \"JOIN\"`+want+`", "JOINED 0", "ERR got \"JOIN bob\"`+want+`", `+
			`"PONG", "ERR got more than 4096 bytes in a line", "BYE"]`,
			"client", "client", "ask", protocol, address,
			"SAY hello", "JOIN", "JOIN ann", "JOIN bob", "PING", strings.Repeat("x", 5000), "SAY this is lost")
	})
}

// Who joins again replaces his former connection. KCP has no way to tell him.
func TestChatJoinsAgain(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		serve(t, w, "chat.star")
		w.Want("None", "client", "client", "open", "old", "tcp", "server:1", "JOIN ann")
		w.Want(`["JOINED 0"]`, "client", "client", "read", "old", 1)
		w.Want("None", "client", "client", "open", "new", "tcp", "server:1", "JOIN ann")
		w.Want(`["JOINED 0"]`, "client", "client", "read", "new", 1)
		w.Want(`[None]`, "client", "client", "read", "old", 1)
		w.Want("None", "client", "client", "write", "new", "SAY still here")
		w.Want(`["MSG 0 ann still here"]`, "client", "client", "read", "new", 1)
	})
}

// A member that does not read delays nobody, and hears later what the room remembers, and how much it does not.
func TestChatSlowMember(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		serve(t, w, "chat.star")
		w.Want("None", "client", "client", "open", "slow", "tcp", "server:1", "JOIN slow")
		w.Want("2499", "client", "client", "say", "server", 2500)
		w.Want(`["JOINED 2500", "MSG 2500 ann not me"]`, "client", "client", "ask", "tcp", "server:1", "JOIN ann", "SAY not me")
		w.Want("None", "client", "client", "open", "late", "tcp", "server:1", "JOIN bob 0")
		w.Want(`["JOINED 0", "LOST 1000", "MSG 1000 room 1000"]`, "client", "client", "read", "late", 3)
		w.Want(`["JOINED 0", "MSG 0 room 0"]`, "client", "client", "read", "slow", 2)
	})
}
