package measure

import (
	"math"
	goruntime "runtime"
	"time"

	"skynet/runtime"
)

// A load is pairs of services that talk: what most measurements measure, and what a feature of the runtime is measured
// with. A row for a feature is the same load with a change, beside the load without it:
//
//	{name: "call-limited", unit: nanoseconds, prepare: calls.with(limits).beside(calls)}
type load struct {
	script  string // each pair is a service of it, a file or a service in Go, with a service of its own that it talks to
	command string // takes a number of operations
	workers int    // 0 for as many as the run command would take
	pairs   int
	change  change
}

// The loads that several rows share: one pair on one worker.
var (
	calls   = load{script: "caller.star", command: "calls", workers: 1, pairs: 1}
	goCalls = load{script: "go-caller", command: "calls", workers: 1, pairs: 1}
)

// granted holds all services to grants, as a policy does.
func granted(c *runtime.Config) {
	c.Policy = runtime.Policy{{Script: "*", Grant: runtime.Grant{
		Modules: []string{"store", "shared"}, Call: []string{"echo.star", ".db", ".room*"}, Launch: []string{"echo.star"}, Register: []string{".echo*"},
	}}}
}

// bounded gives all services bounds of their own, but for the processor.
func bounded(c *runtime.Config) {
	c.Limits.Mailbox, c.Limits.MailboxBytes, c.Limits.Memory = 1000, 1<<20, 64<<20
	c.Limits.Timers, c.Limits.Calls, c.Limits.Handlers = 100, 100, 100
}

// metered bounds the processor time of all services.
func metered(c *runtime.Config) { c.Limits.CPU = runtime.CPU{Time: time.Second, Window: time.Second} }

// on is the load with so many workers and pairs.
func (l load) on(workers, pairs int) load {
	l.workers, l.pairs = workers, pairs
	return l
}

// doing is the load with another command.
func (l load) doing(command string) load {
	l.command = command
	return l
}

// with is the load on a node that is different.
func (l load) with(c change) load {
	l.change = c
	return l
}

// start starts a node on which the pairs are ready to talk.
func (l load) start() (*host, []*runtime.Address, error) {
	h, err := newHost(l.workers, l.change)
	if err != nil {
		return nil, nil, err
	}
	services, err := h.launchAll(l.script, l.pairs)
	if err != nil {
		h.close()
		return nil, nil, err
	}
	return h, services, nil
}

// alone prepares the load.
func (l load) alone() (*rig, error) {
	h, services, err := l.start()
	if err != nil {
		return nil, err
	}
	return &rig{round: h.shared(services, l.command), close: h.close}, nil
}

// beside prepares the load with another as its reference.
func (l load) beside(other load) func() (*rig, error) {
	return func() (*rig, error) {
		reference, err := other.alone()
		if err != nil {
			return nil, err
		}
		r, err := l.alone()
		if err != nil {
			reference.close()
			return nil, err
		}
		return &rig{round: r.round, reference: reference.round, close: func() { r.close(); reference.close() }}, nil
	}
}

// allocating prepares the load to count what one operation allocates on the heap, in objects.
func (l load) allocating() (*rig, error) {
	r, err := l.alone()
	if err != nil {
		return nil, err
	}
	work := r.round
	r.round = func(n int) (float64, error) {
		before := mallocs()
		_, err := work(n)
		each := float64(mallocs()-before) / float64(n)
		return math.Round(each*100) / 100, err // what the round itself allocates is no operation's
	}
	return r, nil
}

// mallocs is how many objects the process has allocated on the heap.
func mallocs() uint64 {
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return m.Mallocs
}
