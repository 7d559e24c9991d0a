package measure

import (
	"embed"
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched/workers"
	"skynet/vnet/real"
)

//go:embed scripts/*.star
var scripts embed.FS

func readScript(name string) ([]byte, error) { return scripts.ReadFile("scripts/" + name) }

// patience is how long one round may take before the measurement fails: far beyond any machine that works.
const patience = time.Minute

// host is a production node as the run command makes it, except that no handler is stopped for doing what it is measured
// for.
type host struct {
	workers *workers.Workers
	network *real.Network
	node    *runtime.Node
}

// A change makes a node different from the usual one: other limits, a log, a cluster. nil changes nothing.
type change func(*runtime.Config)

// newHost starts a node with so many workers, 0 for as many as the run command would take.
func newHost(threads int, different change) (*host, error) {
	h := &host{workers: workers.New(workers.Options{Threads: threads, Headroom: workers.Headroom})}
	h.network = real.New(real.Options{Lend: h.workers.Lend})
	c := runtime.Config{
		Name: "bench", Scheduler: h.workers, Network: h.network, Programs: runtime.NewPrograms(readScript),
		Limits: runtime.Limits{Steps: 1 << 60, Call: patience}, Handlers: goServices(),
	}
	if different != nil {
		different(&c)
	}
	node, err := runtime.NewNode(c)
	if err != nil {
		h.workers.Close()
		h.network.Close()
		return nil, err
	}
	h.node = node
	return h, nil
}

// close stops everything that newHost started, and waits.
func (h *host) close() {
	stopped := make(chan struct{})
	h.node.Stop(0, func() { close(stopped) })
	<-stopped
	h.workers.Close()
	h.network.Close()
}

// launch starts a service.
func (h *host) launch(script, name string, args ...starlark.Value) (*runtime.Address, error) {
	type outcome struct {
		address *runtime.Address
		err     error
	}
	launched := make(chan outcome, 1)
	h.node.Launch(script, name, args, nil, func(a *runtime.Address, err error) { launched <- outcome{a, err} })
	o := <-launched
	return o.address, o.err
}

// launchAll starts n services of a script.
func (h *host) launchAll(script string, n int) ([]*runtime.Address, error) {
	all := make([]*runtime.Address, n)
	for i := range all {
		var err error
		if all[i], err = h.launch(script, ""); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// each calls a command of all services at the same time and waits for all answers; it returns the first error.
func (h *host) each(services []*runtime.Address, command string, args ...starlark.Value) (err error) {
	answers := make(chan error, len(services))
	for _, s := range services {
		h.node.Request(s, command, args, nil, patience, func(_ starlark.Value, err error) { answers <- err })
	}
	for range services {
		if e := <-answers; e != nil && err == nil {
			err = fmt.Errorf("command %s: %w", command, e)
		}
	}
	return err
}

// shared is a round in which the services share n operations of a command that takes a number of operations.
func (h *host) shared(services []*runtime.Address, command string, more ...starlark.Value) round {
	return func(n int) (float64, error) {
		share := max(1, n/len(services))
		args := append([]starlark.Value{starlark.MakeInt(share)}, more...)
		begun := time.Now()
		err := h.each(services, command, args...)
		return per(time.Since(begun), share*len(services)), err
	}
}
