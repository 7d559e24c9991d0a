package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/xtaci/kcp-go/v5"
)

// patience is how long a test waits for what must happen; it is never used up unless the test fails.
const patience = 20 * time.Second

// within polls until ok, or fails the test.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for end := time.Now().Add(patience); !ok(); <-pause.C {
		if time.Now().After(end) {
			t.Fatalf("got no %s within %v", what, patience)
		}
	}
}

// build makes the binary once for all tests.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "skynet")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "skynet")
	out, err := exec.Command("go", "build", "-o", binary, "skynet/cmd/skynet").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
})

// transcript is what a process has written so far.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// process is a running node.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout transcript
	log    transcript
	exited chan struct{}
	ports  map[string]string // of the ready line
}

// run starts "skynet run" and waits until it is ready.
func run(t *testing.T, args ...string) *process {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(binary, append([]string{"run"}, args...)...), exited: make(chan struct{}), ports: map[string]string{}}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = t.TempDir(), &p.stdout, &p.log
	p.begin()
	return p
}

// begin starts the process and waits until it is ready.
func (p *process) begin() {
	t := p.t
	t.Helper()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the status is in ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("log of %v:\n%s", p.cmd.Args[1:], p.log.String())
		}
	})
	within(t, "ready line", func() bool {
		select {
		case <-p.exited:
			t.Fatalf("the node ended: %v", p.cmd.ProcessState)
		default:
		}
		return strings.HasSuffix(p.stdout.String(), "\n")
	})
	for _, field := range strings.Fields(p.stdout.String()) {
		if name, value, ok := strings.Cut(field, "="); ok {
			p.ports[name] = value
		}
	}
}

// fails runs "skynet run" to its end and returns what it wrote to the standard error, and its status.
func fails(t *testing.T, args ...string) (stderr string, status int) {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"run"}, args...)...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stderr = t.TempDir(), &out
	_ = cmd.Run() // the status is in ProcessState
	return out.String(), cmd.ProcessState.ExitCode()
}

// kill ends the process as a power cut does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %v: %v", s, err)
	}
}

// exit waits for the end and returns the status.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("the node did not end within %v", patience)
		return -1
	}
}

// stop ends the process as an operator does.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if got := p.exit(); got != 0 {
		p.t.Errorf("exit status after SIGTERM = %d, want 0", got)
	}
}

// client speaks a line protocol.
type client struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Reader
}

func connect(t *testing.T, protocol, address string) *client {
	t.Helper()
	conn, err := dial(protocol, address)
	if err != nil {
		t.Fatalf("dial %s %s: %v", protocol, address, err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t, conn, bufio.NewReader(conn)}
}

func dial(protocol, address string) (net.Conn, error) {
	if protocol == "kcp" {
		session, err := kcp.DialWithOptions(address, nil, 0, 0)
		if err != nil {
			return nil, err
		}
		session.SetNoDelay(1, 10, 2, 1)
		return session, nil
	}
	return net.DialTimeout(protocol, address, patience)
}

func (c *client) write(text string) {
	c.t.Helper()
	c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatalf("write %q: %v", text, err)
	}
}

func (c *client) read() string {
	c.t.Helper()
	c.conn.SetDeadline(time.Now().Add(patience))
	line, err := c.lines.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read: got %q, %v, want a line", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// ask sends a line and returns the answer.
func (c *client) ask(line string) string {
	c.t.Helper()
	c.write(line + "\n")
	return c.read()
}

// want asks and compares.
func (c *client) want(line, answer string) {
	c.t.Helper()
	if got := c.ask(line); got != answer {
		c.t.Errorf("%s: got %q, want %q", line, got, answer)
	}
}

// ended reports whether the peer has ended the stream, in whatever way.
func (c *client) ended() bool {
	c.conn.SetDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, c.conn)
	timeout := net.Error(nil)
	return !(errors.As(err, &timeout) && timeout.Timeout())
}

var reserved atomic.Int32 // how many ports reserve has tried

// reserve finds free ports outside of the range from which the system takes those of outgoing connections, so that a
// node that is restarted finds its port free.
func reserve(t *testing.T, n int) []string {
	t.Helper()
	var found []string
	for range 1000 {
		if len(found) == n {
			break
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+(os.Getpid()+int(reserved.Add(1)))%12000))
		if err != nil {
			continue
		}
		found = append(found, l.Addr().String())
		l.Close()
	}
	if len(found) < n {
		t.Fatalf("got %d free ports, want %d", len(found), n)
	}
	return found
}
