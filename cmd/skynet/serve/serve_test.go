package serve_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/pprof/profile"

	"skynet/cmd/skynet/serve"
	"skynet/runtime/config"
	"skynet/runtime/store"
)

// begin runs a node in this process; the files are its working directory, the first one its main script. The result of
// Run arrives on the channel.
func begin(t *testing.T, settings string, files ...string) (signals chan os.Signal, ready chan serve.Ready, ended chan error, log *transcript) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Parse("config.star", []byte(strings.ReplaceAll(settings, "DIR", dir)), "")
	if err != nil {
		t.Fatal(err)
	}
	signals, ready, ended, log = make(chan os.Signal, 2), make(chan serve.Ready, 1), make(chan error, 1), new(transcript)
	shipped := fstest.MapFS{"common.star": {Data: []byte("where = 'shipped'\n")}, "only.star": {Data: []byte("where = 'only shipped'\n")}}
	go func() {
		ended <- serve.Run(serve.Options{
			Main: filepath.Join(dir, files[0]), Config: c, Shipped: shipped, Signals: signals, Log: log,
			Ready: func(r serve.Ready) { ready <- r },
		})
	}()
	return signals, ready, ended, log
}

// receive waits for a value.
func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("got no %s within %v", what, patience)
		panic("unreachable")
	}
}

func TestRunUntilSignal(t *testing.T) {
	t.Parallel()
	signals, ready, ended, _ := begin(t, "cluster = {'listen': '127.0.0.1:0'}", "main.star", `
def init():
    socket.listen("127.0.0.1:0", print)
    socket.close(socket.listen("127.0.0.1:0", print)) # is not open any more
    socket.listen("127.0.0.1:0", print, protocol = "kcp")
`)
	r := receive(t, "ready", ready)
	if r.Node != "node" || r.Cluster == "" || len(r.Ports) != 2 || r.Ports[0].Protocol != "tcp" || r.Ports[1].Protocol != "kcp" {
		t.Errorf("got %+v, want the node, its cluster port, and the ports of its service", r)
	}
	if want := "ready node=node cluster=" + r.Cluster + " tcp=" + r.Ports[0].Address + " kcp=" + r.Ports[1].Address; r.String() != want {
		t.Errorf("got the line %q, want %q", r, want)
	}
	signals <- syscall.SIGTERM
	if err := receive(t, "end", ended); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

// TestMainExits: the node serves on when its main service ends, even in init.
func TestMainExits(t *testing.T) {
	t.Parallel()
	signals, ready, ended, log := begin(t, "", "main.star", `
def init():
    skynet.newservice("other.star")
    skynet.exit()
`, "other.star", `
def init():
    skynet.timeout(0.01, lambda: log.info("still here"))
`)
	receive(t, "ready", ready)
	within(t, "log line", func() bool { return strings.Contains(log.String(), "still here") })
	signals <- syscall.SIGTERM
	if err := receive(t, "end", ended); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

// TestSignalBeforeReady: a node that is told to stop while init still runs gives it the drain time, then stops.
func TestSignalBeforeReady(t *testing.T) {
	t.Parallel()
	signals, ready, ended, log := begin(t, "drain = '1ms'", "main.star", `
def init():
    log.info("waiting")
    skynet.wait("never")
`)
	within(t, "log line", func() bool { return strings.Contains(log.String(), "msg=waiting") })
	signals <- syscall.SIGINT
	if err := receive(t, "end", ended); err != nil || len(ready) > 0 {
		t.Errorf("Run = %v after %d ready lines, want nil after none", err, len(ready))
	}
}

// TestSignalTwiceAtOnce: one request to stop may arrive twice, as from timeout(1); the node drains all the same.
func TestSignalTwiceAtOnce(t *testing.T) {
	t.Parallel()
	signals, ready, ended, log := begin(t, "", "main.star", `
def exit():
    skynet.sleep("50ms")
    log.info("tidied up")
`)
	receive(t, "ready", ready)
	signals <- syscall.SIGTERM
	signals <- syscall.SIGTERM
	if err := receive(t, "end", ended); err != nil || !strings.Contains(log.String(), "tidied up") {
		t.Errorf("Run = %v, log:\n%s\nwant nil, and the function exit to its end", err, log)
	}
}

// TestBusyNodeStops: services in endless loops are ended when the drain time is over.
func TestBusyNodeStops(t *testing.T) {
	t.Parallel()
	signals, ready, ended, _ := begin(t, "drain = '50ms'\nlimits = {'steps': 1 << 60}", "main.star", `
def loop():
    while True:
        pass

def init():
    skynet.newservice("loop.star")
    skynet.fork(loop)
`, "loop.star", `
def loop():
    while True:
        pass

def init():
    skynet.timeout(0.001, loop)
`)
	receive(t, "ready", ready)
	signals <- syscall.SIGTERM
	if err := receive(t, "end", ended); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

// TestHangingHooksDoNotHoldUpTheNode: what many functions exit take that never return is bounded as a whole.
func TestHangingHooksDoNotHoldUpTheNode(t *testing.T) {
	t.Parallel()
	signals, ready, ended, log := begin(t, "drain = '10ms'\nlimits = {'call': '100ms'}", "main.star", `
def init():
    for _ in range(1000):
        skynet.newservice("hook.star")
`, "hook.star", `
def exit():
    skynet.wait("never")
`)
	receive(t, "ready", ready)
	signals <- syscall.SIGTERM
	if err := receive(t, "end", ended); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if text := log.String(); strings.Count(text, "services killed: the stop takes too long") != 1 || !strings.Contains(text, "limit=110ms") {
		t.Errorf("log: got\n%s\nwant one line about the services that were killed", text)
	}
}

// TestStoreIsSynced: what a node has put is on disk after its orderly end.
func TestStoreIsSynced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "er", "x.db")
	signals, ready, ended, _ := begin(t, "store = '"+path+"'", "main.star", `store.put("colour", "green")`)
	receive(t, "ready", ready)
	signals <- syscall.SIGTERM
	if err := receive(t, "end", ended); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, ok, err := s.Get("colour"); err != nil || !ok || !strings.Contains(string(got), "green") {
		t.Errorf("got %q, %v, %v, want what was put", got, ok, err)
	}
}

// TestInitFails: the node is gone when Run returns; goleak and the free store would tell.
func TestInitFails(t *testing.T) {
	t.Parallel()
	_, ready, ended, _ := begin(t, "store = 'DIR/x.db'", "main.star", `
def init():
    socket.listen("127.0.0.1:0", print)
    skynet.newservice("main.star", 1)
`)
	err := receive(t, "end", ended)
	start := (*serve.StartError)(nil)
	if !errors.As(err, &start) || !strings.Contains(start.Diagnosis, "main.star:") || len(ready) > 0 {
		t.Errorf("Run = %v, want a StartError with a place", err)
	}
}

// TestScriptsAreFound: beside the main script first, then along the path, then among the shipped ones.
func TestScriptsAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, load, want string
		files            []string
	}{
		{"beside", "common.star", "beside", []string{"common.star", "where = 'beside'", "lib/common.star", "where = 'lib'"}},
		{"path", "common.star", "lib", []string{"lib/common.star", "where = 'lib'"}},
		{"shipped", "common.star", "shipped", nil},
		{"below", "sub/x.star", "below", []string{"sub/x.star", "where = 'below'"}},
		{"empty path", "only.star", "only shipped", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			main := []string{"main.star", `load("` + c.load + `", "where")` + "\nlog.info('loaded', where = where)\n", "lib/other.star", ""}
			signals, ready, ended, log := begin(t, "path = ['DIR/lib']\nlog = {'format': 'json'}", append(main, c.files...)...)
			select {
			case <-ready:
			case err := <-ended:
				t.Fatal(err)
			}
			signals <- syscall.SIGTERM
			if err := receive(t, "end", ended); err != nil {
				t.Error(err)
			}
			if want := `"where":"` + c.want + `"`; !strings.Contains(log.String(), want) {
				t.Errorf("log:\n%s\nwant %s in it", log, want)
			}
		})
	}
}

// TestLogFields: a script's values are numbers, strings and so on in JSON lines, at or above the level that is asked for.
func TestLogFields(t *testing.T) {
	t.Parallel()
	signals, ready, ended, log := begin(t, "log = {'format': 'json', 'level': 'warn'}", "main.star", `
log.info("too low")
log.warn("fields", i = 3, big = 1 << 70, f = 0.5, inf = float("inf"), s = "a b", b = True, n = None, d = {"k": [1]})
`)
	receive(t, "ready", ready)
	signals <- syscall.SIGTERM
	if err := receive(t, "end", ended); err != nil {
		t.Error(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(log.String()), &got); err != nil {
		t.Fatalf("log %q: %v, want one line of JSON", log, err)
	}
	for key, want := range map[string]any{
		"level": "WARN", "msg": "fields", "i": 3.0, "big": "1180591620717411303424", "f": 0.5, "inf": "+inf",
		"s": "a b", "b": true, "n": "None", "d": `{"k": [1]}`,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s = %#v, want %#v", key, v, want)
		}
	}
}

// TestNameInLogs wants the lines of a node that was given a name to have it, and those of any other not to say node=node.
func TestNameInLogs(t *testing.T) {
	t.Parallel()
	main := filepath.Join(t.TempDir(), "main.star")
	if err := os.WriteFile(main, []byte("log.info('hello')\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"":      {"msg=hello service=\"node:00000003 ", "msg=ready\n", "msg=stopping signal="},
		"node":  {"msg=hello node=node service=\"node:00000003 ", "msg=ready node=node\n"},
		"game1": {"msg=hello node=game1 service=\"game1:00000003 ", "msg=ready node=game1\n", "msg=stopping node=game1 signal="},
	} {
		c, err := config.Parse("", nil, name)
		if err != nil {
			t.Fatal(err)
		}
		signals, log := make(chan os.Signal, 1), new(transcript)
		err = serve.Run(serve.Options{
			Main: main, Config: c, Signals: signals, Log: log, Ready: func(serve.Ready) { signals <- syscall.SIGTERM },
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range want {
			if !strings.Contains(log.String(), part) {
				t.Errorf("node %q: got the log\n%swant %q in it", name, log, part)
			}
		}
		if name == "" && strings.Contains(log.String(), "node=") {
			t.Errorf("a node without a name: got the log\n%swant no node= in it", log)
		}
	}
}

// TestProfile wants the function that works to be in the profile of a run.
func TestProfile(t *testing.T) {
	t.Parallel()
	main := filepath.Join(t.TempDir(), "main.star")
	if err := os.WriteFile(main, []byte("def _work():\n    for i in range(100000):\n        pass\ndef init():\n    _work()\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	var out bytes.Buffer
	err = serve.Run(serve.Options{
		Main: main, Config: c, Signals: signals, Profile: &out, Ready: func(serve.Ready) { signals <- syscall.SIGTERM },
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	found := slices.ContainsFunc(p.Function, func(f *profile.Function) bool { return f.Name == "_work" && f.Filename == main })
	if !found {
		t.Errorf("profile: got %v, want _work of %s in it", p, main)
	}
}
