package measure

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"sync"

	"go.starlark.net/starlark"

	"skynet/runtime"
)

// echoing prepares n TCP connections on loopback to a service that echoes, and n to a bare Go echo server as the reference,
// both of this process. The clients are processes of their own on the same processors.
func echoing(n int, client func() *exec.Cmd) func() (*rig, error) {
	return func() (_ *rig, err error) {
		if client == nil {
			return nil, errors.New("no command for the process of the clients (Options.Client)")
		}
		var open closers
		defer func() {
			if err != nil {
				open.close()
			}
		}()
		address, err := serveStarlark(&open)
		if err != nil {
			return nil, err
		}
		bare, err := serveBare(&open)
		if err != nil {
			return nil, err
		}
		r := &rig{close: open.close}
		if r.round, err = startClients(&open, client(), address, n); err != nil {
			return nil, err
		}
		r.reference, err = startClients(&open, client(), bare, n)
		return r, err
	}
}

// closers close what a rig has opened, the last first.
type closers []func()

func (c *closers) push(f func()) { *c = append(*c, f) }

func (c *closers) close() {
	for _, f := range slices.Backward(*c) {
		f()
	}
	*c = nil
}

// serveStarlark starts the Starlark echo service and returns where it listens.
func serveStarlark(open *closers) (address string, err error) {
	h, err := newHost(0, nil)
	if err != nil {
		return "", err
	}
	open.push(h.close)
	service, err := h.launch("stream.star", "")
	if err != nil {
		return "", err
	}
	v, err := h.node.Call(service, "listen", nil, patience)
	if err != nil {
		return "", err
	}
	address, ok := starlark.AsString(v)
	if !ok {
		return "", fmt.Errorf("listen: got %s, want an address", v.Type())
	}
	return address, nil
}

// serveBare starts a Go echo server, a goroutine for each connection that reads and writes, and returns where it listens.
func serveBare(open *closers) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { echo(c) })
		}
	})
	open.push(func() { l.Close(); running.Wait() })
	return l.Addr().String(), nil
}

func echo(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// clustered prepares two nodes of this process, each with a scheduler and a network of its own and half of the processors,
// that talk over TCP on loopback, with n services of one that call a service of the other.
func clustered(n int) func() (*rig, error) {
	return func() (_ *rig, err error) {
		var open closers
		defer func() {
			if err != nil {
				open.close()
			}
		}()
		callee, err := newHost(1, member("callee", runtime.Cluster{Listen: "127.0.0.1:0"}))
		if err != nil {
			return nil, err
		}
		open.push(callee.close)
		if _, err := callee.launch("echo.star", ".echo"); err != nil {
			return nil, err
		}
		caller, err := newHost(1, member("caller", runtime.Cluster{Nodes: map[string]string{"callee": callee.node.ClusterAddr()}}))
		if err != nil {
			return nil, err
		}
		open.push(caller.close)
		services, err := caller.launchAll("remote.star", n)
		return &rig{round: caller.shared(services, "calls", starlark.String("callee")), close: open.close}, err
	}
}

// member makes a node one of a cluster.
func member(name string, cluster runtime.Cluster) change {
	return func(c *runtime.Config) { c.Name, c.Cluster = name, cluster }
}
