package runtime_test

import (
	"fmt"
	"testing"

	"skynet/runtime"
	"skynet/sched/workers"
	"skynet/vnet"
)

// pipe is a network with one stream that tells the test, one after the other, what it is asked to do.
type pipe struct {
	vnet.Network
	handler vnet.Handler
	done    chan string
	full    bool
	err     error
}

func (p *pipe) Listen(_, _ string, accept func(vnet.Conn) vnet.Handler) (vnet.Listener, error) {
	p.handler = accept(end{pipe: p})
	return port{pipe: p}, nil
}

type port struct {
	vnet.Listener
	*pipe
}

func (port) Addr() string { return "here:1" }
func (p port) Close() error {
	p.done <- "close the port"
	return nil
}

type end struct {
	vnet.Conn
	*pipe
}

func (e end) Write(p []byte) (bool, error) {
	if e.err == nil {
		e.done <- "write " + short(string(p))
	}
	return e.full, e.err
}
func (e end) Pause()             {}
func (e end) Close()             { e.done <- "close" }
func (e end) RemoteAddr() string { return "there:1" }

// short is a text, or its length.
func short(s string) string {
	if len(s) > 10 {
		return fmt.Sprint(len(s))
	}
	return s
}

// serve runs a service that has p as its one stream, which it serves with the function serve of the script.
func (p *pipe) serve(t *testing.T, script string) {
	p.done = make(chan string)
	files := scripts{"s.star": script + `
ports = []
def init():
    ports.append(socket.listen("here:1", serve))
`}
	ws := workers.New(workers.Options{Threads: 1}) // so what follows a turn is done before the next one
	n, err := runtime.NewNode(runtime.Config{Scheduler: ws, Network: p, Programs: runtime.NewPrograms(files.read)})
	if err != nil {
		t.Fatal(err)
	}
	launched := make(chan error)
	n.Launch("s.star", "", nil, nil, func(_ *runtime.Address, err error) { launched <- err })
	if err := <-launched; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stopped := make(chan struct{})
		n.Stop(0, func() { close(stopped) })
		for {
			select {
			case <-p.done: // the end of a service closes what it has left open
			case <-stopped:
				ws.Close()
				return
			}
		}
	})
}

func (p *pipe) want(t *testing.T, steps ...string) {
	t.Helper()
	for _, want := range steps {
		if got := <-p.done; got != want {
			t.Fatalf("the network was asked: got %q, want %q", got, want)
		}
	}
}

// TestWritesOfATurnAreOne has a service write many times in one turn: the network gets it after the turn, at once and in order,
// before the close of the same turn, but what is much it gets earlier.
func TestWritesOfATurnAreOne(t *testing.T) {
	p := &pipe{}
	p.serve(t, `
def serve(s):
    for part in ["a", "b", "", b"c"]:
        socket.write(s, part)
    socket.read(s)
    socket.write(s, "x" * 10000)
    socket.write(s, "y" * 10000)
    socket.write(s, "z")
`)
	p.want(t, "write abc")
	p.handler.Data(end{pipe: p}, []byte("go on"))
	p.want(t, "write 20000", "write z", "close")
}

// TestWriterWaitsForRoom tells the service, after its turn, that the network has more than enough: the next write waits until
// there is room, and nothing of it is sent before.
func TestWriterWaitsForRoom(t *testing.T) {
	p := &pipe{full: true}
	p.serve(t, `
def serve(s):
    socket.write(s, "one")
    socket.read(s)
    skynet.fork(socket.close, ports[0]) # when the next write has begun to wait
    socket.write(s, "two")
    socket.write(s, "three")
`)
	p.want(t, "write one")
	p.handler.Data(end{pipe: p}, []byte("go on"))
	p.want(t, "close the port")
	p.handler.Writable(end{pipe: p})
	p.want(t, "write twothree", "close")
}

// TestWriteAfterTheEnd fails the write that follows each turn: a later one says so, and the service stops writing.
func TestWriteAfterTheEnd(t *testing.T) {
	p := &pipe{err: vnet.ErrReset}
	p.serve(t, `
def serve(s):
    while socket.write(s, "lost"):
        socket.read(s)
`)
	for {
		select {
		case got := <-p.done:
			if got != "close" {
				t.Errorf("the network was asked: got %q, want %q", got, "close")
			}
			return
		default:
			p.handler.Data(end{pipe: p}, []byte("x"))
		}
	}
}
