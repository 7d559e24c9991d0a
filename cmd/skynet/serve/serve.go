// Package serve runs a node of production: it puts the machine's scheduler, network and disk under the runtime, launches
// the main script, and takes everything down again in order when it is told to stop.
//
// # Guarantees
//
//   - Nothing has begun when [Run] returns a [*StartError], and nothing is left running.
//   - A first signal drains: no stream is accepted and no service launched any more, what is in flight may finish within
//     the drain time, then services end, streams send what they have buffered, and the store is synced and closed. Services that
//     have not ended after the drain time and the limit call are killed.
//   - The node outlives its main service, which may exit, in init too, once it has launched the others.
package serve

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"skynet/runtime"
	"skynet/runtime/config"
	"skynet/runtime/store"
	"skynet/sched/workers"
	"skynet/vnet/real"
)

// mainName is the name under which the main service is registered.
const mainName = ".main"

// ErrAborted is returned when a second signal came before the node had stopped. Its services may still be running and
// what they stored may not be synced: the process should exit.
var ErrAborted = errors.New("a second signal ended the node before it had drained")

// Options is what a node is started with. Main, Config and Signals are required.
type Options struct {
	// Main is the path of the first service's script, or the name of a shipped one.
	Main string
	// Config is the node's configuration.
	Config *config.Config
	// Shipped holds the scripts that every node can use by name; nil has none.
	Shipped fs.FS
	// Signals delivers what ends the node: the first one drains it, a second one makes Run return at once.
	Signals <-chan os.Signal
	// Log receives the log lines; nil discards them. It is written to by many goroutines, one line at a time.
	Log io.Writer
	// Ready is called once, when init of the main script has returned; nil is not called.
	Ready func(Ready)
	// Profile receives, when the node has stopped, a gzipped profile of the Starlark code it has run, for `go tool pprof`; nil
	// takes none.
	Profile io.Writer
}

// Ready describes a node that has started.
type Ready struct {
	Node    string
	Cluster string      // where other nodes reach it; empty if they do not
	Ports   []Listening // what its services listen on, in the order they began
}

// String returns one line: "ready node=NAME cluster=ADDRESS tcp=ADDRESS kcp=ADDRESS …", without what there is none of.
func (r Ready) String() string {
	line := "ready node=" + r.Node
	if r.Cluster != "" {
		line += " cluster=" + r.Cluster
	}
	for _, p := range r.Ports {
		line += " " + p.Protocol + "=" + p.Address
	}
	return line
}

// Run starts a node and returns when it has stopped: nil after an orderly end, a [*StartError] if it did not start,
// [ErrAborted] after a second signal, an [*AbortError] if a service has ended the node.
func Run(o Options) error {
	scripts := &scripts{main: o.Main, path: o.Config.Path, shipped: o.Shipped}
	if err := scripts.check(); err != nil {
		return &StartError{Err: err}
	}
	programs := runtime.NewPrograms(scripts.read)
	if err := programs.Check(o.Main); err != nil {
		return diagnose(err, programs)
	}
	h, err := open(o, programs)
	if err != nil {
		return &StartError{Err: err}
	}
	if o.Profile != nil {
		if err := h.node.StartProfile(); err != nil {
			return errors.Join(err, h.close())
		}
	}
	started := make(chan error, 1)
	h.node.Launch(o.Main, mainName, o.Config.Args, o.Config.Kwargs, func(_ *runtime.Address, err error) { started <- err })
	drain := o.Config.Drain
	select {
	case why := <-h.aborted:
		err = &AbortError{why}
	case err = <-started:
		if why, ok := h.isAborted(); ok { // in init, which may have ended nevertheless
			err = &AbortError{why}
			break
		}
		if err != nil && !errors.Is(err, &runtime.CallError{Kind: runtime.Dead}) { // dead is a main service that called exit
			err, drain = initFailed(o.Main, err, programs), 0
			break
		}
		err = nil
		h.ready(o.Ready)
		select {
		case why := <-h.aborted:
			err = &AbortError{why}
		case signal := <-o.Signals:
			h.log.Info("stopping", "signal", signal.String(), "drain", drain)
		}
	case signal := <-o.Signals:
		h.log.Info("stopping before init has returned", "signal", signal.String(), "drain", drain)
	}
	err = h.stop(drain, o.Signals, err)
	if o.Profile != nil {
		err = errors.Join(err, h.node.StopProfile(o.Profile))
	}
	return err
}

// isAborted reports whether and why a service wants the node to end. It tells each time at most once.
func (h *house) isAborted() (why string, ok bool) {
	select {
	case why = <-h.aborted:
		return why, true
	default:
		return "", false
	}
}

// house is a node and what is below it.
type house struct {
	log     *slog.Logger
	store   store.Store // nil if the node has none
	workers *workers.Workers
	network *network
	node    *runtime.Node
	aborted chan string // why a service wants the node to end
	heap    *heapWatch  // nil if the heap has no limit
}

// open makes everything that stands below the services, or nothing.
func open(o Options, programs *runtime.Programs) (*house, error) {
	c := o.Config
	handler := newLog(o.Log, c)
	h := &house{log: slog.New(handler), aborted: make(chan string, 1)}
	name := "" // node=node in every line would say nothing
	if !c.Unnamed {
		name = c.Name
		h.log = h.log.With("node", name)
	}
	seed, err := entropy()
	if err != nil {
		return nil, err
	}
	if h.store, err = openStore(c.Store); err != nil {
		return nil, err
	}
	h.workers = workers.New(workers.Options{Threads: c.Threads, Seed: seed, Headroom: workers.Headroom})
	h.network = &network{log: h.log, Network: real.New(real.Options{Lend: h.workers.Lend, Refused: func(address string, err error) {
		h.log.Warn("connections are not accepted", "address", address, "error", err.Error())
	}})}
	h.heap = watchHeap(c.Limits.Heap, workers.Headroom)
	h.node, err = runtime.NewNode(runtime.Config{
		Name: name, Incarnation: incarnation(time.Now()), Scheduler: h.workers, Network: h.network, Store: h.store,
		Programs: programs, Log: handler, Limits: c.Limits, Policy: c.Policy, Env: c.Env, Cluster: c.Cluster, Heap: h.heap.watch(),
		Abort: func(why string) { h.aborted <- why }, // once
	})
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// incarnation is the time of the start in tenths of a second: a node is not restarted faster. It grows until 2038, and is
// not used twice in 13 years.
func incarnation(start time.Time) uint32 { return uint32(start.UnixMilli() / 100) }

// entropy is the seed of the random streams in production.
func entropy() (uint64, error) {
	var seed [8]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return 0, fmt.Errorf("serve: read the system's entropy: %w", err)
	}
	return binary.LittleEndian.Uint64(seed[:]), nil
}

// openStore opens the store's file and makes the directory it is in; without a path there is no store.
func openStore(path string) (store.Store, error) {
	if path == "" {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("serve: make the directory of the store: %w", err)
	}
	return store.OpenBolt(path)
}

func newLog(w io.Writer, c *config.Config) slog.Handler {
	w = cmp.Or[io.Writer](w, io.Discard)
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogJSON {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// ready tells the world that the node serves.
func (h *house) ready(tell func(Ready)) {
	r := Ready{Node: h.node.Name(), Cluster: h.node.ClusterAddr()}
	for _, p := range h.network.ports() {
		if p.Address != r.Cluster {
			r.Ports = append(r.Ports, p)
		}
	}
	h.log.Info("ready")
	if tell != nil {
		tell(r)
	}
}

// sameSignal is how soon after the first signal another one belongs to it: timeout(1) and some process managers signal a
// process and then its group, so one request to stop arrives twice.
const sameSignal = 250 * time.Millisecond

// stop takes the node down; a signal meanwhile abandons it, but not one that comes at once.
func (h *house) stop(drain time.Duration, signals <-chan os.Signal, cause error) error {
	stopped := make(chan error, 1)
	go func() {
		drained := make(chan struct{})
		h.node.Stop(drain, func() { close(drained) })
		<-drained
		stopped <- h.close()
	}()
	began := time.Now()
	for {
		select {
		case err := <-stopped:
			h.log.Info("stopped")
			return errors.Join(cause, err)
		case <-signals:
			if time.Since(began) >= sameSignal {
				return errors.Join(cause, ErrAborted)
			}
		}
	}
}

// close closes what stands below the node, in the order in which one uses the other.
func (h *house) close() error {
	h.workers.Close() // first, so that what the last turns have written is with the network
	err := h.network.Close()
	h.heap.close()
	if h.store != nil {
		err = errors.Join(err, h.store.Close())
	}
	return err
}
