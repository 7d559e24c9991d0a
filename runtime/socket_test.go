package runtime_test

import (
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime/runtimetest"
	"skynet/vnet"
	"skynet/vnet/virtual"
)

// TestSockets calls every test_ function of the scripts in testdata/socket, with a protocol and the address of a server on
// another node.
func TestSockets(t *testing.T) {
	scripts := testScripts(t)
	for _, c := range []struct{ name, protocol, script string }{
		{"tcp", vnet.TCP, "socket/both.star"},
		{"kcp", vnet.KCP, "socket/both.star"},
		{"tcp only", vnet.TCP, "socket/tcp.star"},
	} {
		t.Run(c.name, func(t *testing.T) {
			runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
				runScripts(t, w, scripts, c.script, c.protocol)
			})
		})
	}
}

// runScripts runs the socket tests of one script, each with a client and a server of its own on one node each.
func runScripts(t *testing.T, w *runtimetest.World, scripts map[string]string, name, protocol string) {
	w.Scripts(scripts)
	for _, match := range testFunction.FindAllStringSubmatch(scripts[name], -1) {
		test := match[1]
		w.Cluster("client", "server")
		w.Node("server")
		w.Launch("server", "lib/server.star", protocol)
		at, err := w.Call("server", "lib/server", "address")
		if err != nil {
			t.Fatal(err)
		}
		w.Node("client")
		a := w.Launch("client", name)
		if _, err := w.Call("client", a, test, protocol, string(at.(starlark.String))); err != nil {
			t.Errorf("%s: %v", test, complaint(err))
		}
		w.Crash("client")
		w.Crash("server")
	}
}

// TestSocketOfAServiceThatEnds connects while the service that listens is busy with its last message: the stream, which it
// has never seen, is closed.
func TestSocketOfAServiceThatEnds(t *testing.T) {
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"server.star": `
def init():
    at.append(socket.listen(skynet.node() + ":0", lambda s: socket.read(s)))
at = []
def address():
    return at[0].address
def leave():
    late = skynet.now() + 0.1
    while skynet.now() < late:
        pass
    skynet.exit()
`, "client.star": `
def read(address):
    return socket.read(socket.open(address), timeout = 5)
`})
		w.Node("server", "server.star")
		w.Node("client", "client.star")
		at, err := w.Call("server", "server", "address")
		if err != nil {
			t.Fatal(err)
		}
		left := w.Go("server", "server", "leave")
		w.Want("None", "client", "client", "read", string(at.(starlark.String)))
		if _, err := left.Wait(); err == nil {
			t.Error("leave: got a reply, want an error: the service has ended")
		}
	})
}

// TestSocketFaults is what only a virtual network can do on demand.
func TestSocketFaults(t *testing.T) {
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(testScripts(t))
		w.Scripts(map[string]string{"client.star": `
opened = []
def open(address, timeout = "1s"):
    s = socket.open(address, timeout = timeout)
    socket.write(s, "lines\n")
    opened.append(s)
def talk(line, timeout = "1s"):
    socket.write(opened[-1], line + "\n")
    return socket.readline(opened[-1], timeout = timeout)
def why():
    return opened[-1].error
`})
		w.Node("server")
		w.Launch("server", "lib/server.star", vnet.TCP)
		w.Node("client", "client.star")
		at, err := w.Call("server", "lib/server", "address")
		if err != nil {
			t.Fatal(err)
		}

		w.Fabric().Reset("client", "server")
		if _, err := w.Call("client", "client", "open", at); err != nil {
			t.Fatal(err)
		}
		w.Want(`"<a>"`, "client", "client", "talk", "a")
		w.Fabric().Reset("client", "server")
		w.Want("None", "client", "client", "talk", "b")
		w.Want(`"vnet: tcp server:49152: connection reset by peer"`, "client", "client", "why")

		cut := w.Fabric().Cut(nil, nil)
		_, err = w.Call("client", "client", "open", at)
		wantKind(t, err, "timeout: socket.open: ", "does not answer")
		cut.End()
		if _, err := w.Call("client", "client", "open", at); err != nil {
			t.Fatal(err)
		}
		slow := w.Fabric().ExtraLatency(nil, nil, virtual.Constant(600*time.Millisecond))
		_, err = w.Call("client", "client", "talk", "late")
		wantKind(t, err, "timeout: socket.readline: ")
		slow.End()
		w.Crash("server")
		_, err = w.Call("client", "client", "open", at)
		wantKind(t, err, "timeout: socket.open: ")
	})
}
