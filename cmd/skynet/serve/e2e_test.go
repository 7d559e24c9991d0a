package serve_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script is the absolute path of a script of testdata.
func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// file writes a file for a test and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// pair returns a function that starts a node of a cluster of two, a and b, with these settings of the cluster.
func pair(t *testing.T, settings string) func(name string) *process {
	t.Helper()
	ports := reserve(t, 2)
	config := file(t, "cluster.star", fmt.Sprintf(`
cluster = {"nodes": {"a": %q, "b": %q}, %s}
args = {"address": "127.0.0.1:0"}
`, ports[0], ports[1], settings))
	return func(name string) *process {
		t.Helper()
		return run(t, script(t, "node.star"), "--config", config, "--node", name)
	}
}

// TestClusterOfTwo: nodes call each other; when one is killed, its callers fail at once and the other one serves on; when
// it is back, so are the calls.
func TestClusterOfTwo(t *testing.T) {
	t.Parallel()
	node := pair(t, "")
	a, b := node("a"), node("b")
	toA, toB := connect(t, "tcp", a.ports["tcp"]), connect(t, "kcp", b.ports["kcp"])
	toA.want("at b echo hello", "b hello")
	toB.want("at a echo hello", "a hello")
	if got := toA.ask("at b fail x"); !strings.HasPrefix(got, "error remote: ") || !strings.Contains(got, "node.star:25:21") {
		t.Errorf("failure on the other node: got %q, want the error remote with its place", got)
	}

	inFlight := connect(t, "tcp", a.ports["tcp"])
	inFlight.write("at b hold x\n")
	within(t, "call on b", func() bool { return toB.ask("release y") == "nobody" && toB.ask("waiting x") == "True" })
	b.kill()
	for _, c := range []*client{inFlight, toA} {
		if c == toA {
			c.write("at b echo hello\n")
		}
		if got := c.read(); !strings.HasPrefix(got, "error unreachable: node b (") {
			t.Errorf("call of a killed node: got %q, want the error unreachable", got)
		}
	}
	toA.want("echo hello", "a hello")

	b = node("b")
	within(t, "answer of b after its restart", func() bool { return toA.ask("at b echo again") == "b again" })
	connect(t, "tcp", b.ports["tcp"]).want("at a echo again", "a again")
	a.stop()
	b.stop()
}

// TestSilentNode: calls of a node that hangs, which no connection tells, fail long before their deadline, and recover.
func TestSilentNode(t *testing.T) {
	t.Parallel()
	node := pair(t, `"heartbeat": "100ms", "silence": "500ms"`)
	a, b := node("a"), node("b")
	toA := connect(t, "tcp", a.ports["tcp"])
	hello := func() bool { return toA.ask("at b echo hello") == "b hello" }
	within(t, "answer of b", hello)
	b.signal(syscall.SIGSTOP)
	within(t, "failed call", func() bool { // it stops a moment after the signal was sent
		return strings.HasPrefix(toA.ask("at b echo hello"), "error unreachable: node b (")
	})
	toA.want("echo hello", "a hello")
	b.signal(syscall.SIGCONT)
	within(t, "answer of b", hello)
	a.stop()
	b.stop()
}

// TestDrain: SIGTERM lets a request in flight finish, takes no new stream, and ends with status 0.
func TestDrain(t *testing.T) {
	t.Parallel()
	node := pair(t, "")("a")
	address := node.ports["tcp"]
	slow, other := connect(t, "tcp", address), connect(t, "tcp", address)
	slow.write("hold x\n")
	within(t, "request in flight", func() bool { return other.ask("waiting x") == "True" })
	node.signal(syscall.SIGTERM)
	within(t, "closed port", func() bool {
		conn, err := dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	other.want("release x", "woken")
	if got := slow.read(); got != "released x" {
		t.Errorf("answer to the request in flight = %q, want %q", got, "released x")
	}
	slow.conn.Close()
	other.conn.Close()
	if got := node.exit(); got != 0 {
		t.Errorf("exit status = %d, want 0", got)
	}
}

// TestSecondSignal: a node that is draining ends at once when it is told again.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	node := pair(t, "")("a")
	slow, other := connect(t, "tcp", node.ports["tcp"]), connect(t, "tcp", node.ports["tcp"])
	slow.write("hold x\n")
	within(t, "request in flight", func() bool { return other.ask("waiting x") == "True" })
	node.signal(syscall.SIGINT)
	within(t, "log line", func() bool { return strings.Contains(node.log.String(), "msg=stopping") })
	asked := time.Now() // what comes soon belongs to the first signal
	within(t, "later time", func() bool { return time.Since(asked) >= 300*time.Millisecond })
	node.signal(syscall.SIGINT)
	if got := node.exit(); got != 1 {
		t.Errorf("exit status = %d, want 1", got)
	}
}

// TestLogThatNobodyReads takes the reader of the log away, as a restart of the program behind a pipe does, and hangs up: the node serves
// on, and ends in an orderly way.
func TestLogThatNobodyReads(t *testing.T) {
	t.Parallel()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const script = `
def init():
    skynet.every("1ms", log.info, "tick")
    socket.listen("127.0.0.1:0", lambda s: socket.write(s, "hello\n"))
`
	main := filepath.Join(dir, "main.star")
	if err = os.WriteFile(main, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	log, logged, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(binary, "run", main), exited: make(chan struct{}), ports: map[string]string{}}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, &p.stdout, logged
	p.begin()
	logged.Close()
	log.Close()
	c := connect(t, "tcp", p.ports["tcp"])
	if got := c.read(); got != "hello" {
		t.Errorf("line from a node whose log has no reader = %q, want %q", got, "hello")
	}
	end := syscall.SIGHUP
	if signal.Ignored(end) { // these tests run under nohup, and so does the node
		end = syscall.SIGTERM
	}
	p.signal(end)
	if got := p.exit(); got != 0 {
		t.Errorf("exit status after %v = %d, want 0", end, got)
	}
}

// TestGarbage: what a stranger sends to any port hurts nobody else.
func TestGarbage(t *testing.T) {
	t.Parallel()
	node := pair(t, "")
	a, b := node("a"), node("b")
	good := connect(t, "tcp", a.ports["tcp"])
	good.want("at b echo hello", "b hello")
	garbage := "\x00\xff\xfe GET / HTTP/1.1\r\n\r\n" + strings.Repeat("\xc1\x93\x7f", 4096) + "\n"
	for _, to := range []struct{ protocol, port string }{{"tcp", "cluster"}, {"tcp", "tcp"}, {"kcp", "kcp"}, {"udp", "kcp"}} {
		stranger := connect(t, to.protocol, a.ports[to.port])
		stranger.write(garbage)
		if to.port == "cluster" && !stranger.ended() {
			t.Error("the cluster port keeps a stream that speaks another protocol")
		}
		good.want("echo still", "a still")
	}
	connect(t, "kcp", a.ports["kcp"]).want("echo still", "a still")
	good.want("at b echo still", "b still")
	a.stop()
	b.stop()
}

// shipped starts a node with a script that ships, on free ports, whose store is the file.
func shipped(t *testing.T, name, store string) *process {
	t.Helper()
	config := file(t, "config.star", fmt.Sprintf("args = {'tcp': '127.0.0.1:0', 'kcp': '127.0.0.1:0'}\nstore = %q\n", store))
	return run(t, name, "--config", config)
}

// TestKV: the shipped key-value service over both transports; what it has acknowledged survives a kill.
func TestKV(t *testing.T) {
	t.Parallel()
	store := filepath.Join(t.TempDir(), "data", "kv.db")
	node := shipped(t, "kv.star", store)
	tcp, kcp := connect(t, "tcp", node.ports["tcp"]), connect(t, "kcp", node.ports["kcp"])
	tcp.want("GET colour", "NONE")
	tcp.want("SET colour dark green", "OK")
	kcp.want("GET colour", "VALUE dark green")
	kcp.want("SET shape round", "OK")
	tcp.want("SET taste sour", "OK")
	tcp.want("DEL taste", "OK")
	kcp.want("KEYS", "KEYS colour shape")

	stranger := connect(t, "tcp", node.ports["tcp"])
	if got := stranger.ask("\x00\xff\xc1 \x93 " + strings.Repeat("\xfe", 1000)); !strings.HasPrefix(got, "ERR ") {
		t.Errorf("answer to garbage = %q, want ERR and what is wrong", got)
	}
	stranger.write(strings.Repeat("\x00", 100_000)) // a line that never ends
	kcp.want("GET colour", "VALUE dark green")

	node.kill()
	node = shipped(t, "kv.star", store)
	connect(t, "tcp", node.ports["tcp"]).want("KEYS", "KEYS colour shape")
	connect(t, "kcp", node.ports["kcp"]).want("GET colour", "VALUE dark green")

	ports := fmt.Sprintf("args = {'tcp': %q, 'kcp': ''}", node.ports["tcp"])
	out, status := fails(t, "kv.star", "--config", file(t, "config.star", ports))
	if status != 2 || !strings.Contains(out, node.ports["tcp"]+": bind: address already in use") {
		t.Errorf("a second node with the same port: got status %d and %q, want 2 and the address", status, out)
	}
	out, status = fails(t, "kv.star", "--config", file(t, "config.star", fmt.Sprintf("store = %q", store)))
	if status != 2 || !strings.Contains(out, "another process has it open") {
		t.Errorf("a second node with the same store: got status %d and %q, want 2 and the reason", status, out)
	}
	node.stop()
}

// TestChat: members of the shipped chat over both transports hear the same messages in the same order.
func TestChat(t *testing.T) {
	t.Parallel()
	node := shipped(t, "chat.star", "")
	var members []*client
	for i := range 6 {
		protocol := []string{"tcp", "kcp"}[i%2]
		c := connect(t, protocol, node.ports[protocol])
		if got := c.ask(fmt.Sprintf("JOIN m%d 0", i)); !strings.HasPrefix(got, "JOINED ") {
			t.Fatalf("JOIN: got %q, want JOINED", got)
		}
		members = append(members, c)
	}
	const each = 20
	for n := range each {
		for i, c := range members {
			c.write(fmt.Sprintf("SAY message %d of %d\n", n, i))
		}
	}
	var first []string
	for i, c := range members {
		var heard []string
		for range each * len(members) {
			heard = append(heard, c.read())
		}
		if i == 0 {
			first = heard
		}
		if !slices.Equal(heard, first) {
			t.Errorf("member %d heard\n%q\nwant what the first heard\n%q", i, heard, first)
		}
	}
	for n, message := range first {
		if !strings.HasPrefix(message, fmt.Sprintf("MSG %d m", n)) {
			t.Errorf("message %d = %q, want MSG with its number", n, message)
		}
	}
	node.stop()
}
