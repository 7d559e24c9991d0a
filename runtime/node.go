package runtime

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime/link"
	"skynet/runtime/store"
	"skynet/runtime/wire"
	"skynet/sched"
	"skynet/sched/trace"
	"skynet/vnet"
)

// DefaultName is the name of a node that is not given any.
const DefaultName = "node"

// Config is what a node is made of. Scheduler and Programs are required.
type Config struct {
	// Name is the node's name in its cluster, [DefaultName] if empty. It is the first part of every address. Log lines have
	// it as "node" unless it is empty.
	Name string

	// Incarnation tells this life of the node from its earlier ones: it should grow with every start. It becomes the
	// upper half of addresses.
	Incarnation uint32

	// Scheduler runs the services. The node does not stop it.
	Scheduler sched.Scheduler

	// Network is the node's network; without one, socket and cluster fail. The node does not close it.
	Network vnet.Network

	// Store is the node's durable store; without one, the store module fails. The node does not close it.
	Store store.Store

	// Programs compiles and caches scripts.
	Programs *Programs

	// Coroutines is a pool to share with nodes that run on the same workers; nil makes one that ends with the node.
	Coroutines *Coroutines

	// Log receives the log lines of services and of the node; nil discards them.
	Log slog.Handler

	// Handlers are services written in Go, which scripts launch by name like a script.
	Handlers map[string]func() Handler

	// Limits; the zero value of each field means its default.
	Limits Limits

	// Policy says what services may do by their script; without one, that is up to who launches them.
	Policy Policy

	// Env is what skynet.getenv returns: a dict of values that can be sent, by strings. It is copied; nil is empty.
	Env *starlark.Dict

	// Cluster names the other nodes. Without it the node can still be dialled if Cluster.Listen is set.
	Cluster Cluster

	// Heap stops handlers while the heap of the process is too large; nil stops none. It is for production, since what it does
	// depends on the machine. It must not be shared with another node; if Programs is, the watch of the node made last stops what loads.
	Heap *HeapWatch

	// Abort is called, at most once and in a turn of the service that asks, when a service wants the node to end (skynet.abort). It must
	// not block; most owners call [Node.Stop]. Without it no service can ask for that.
	Abort func(why string)

	// Trace records messages in simulation; nil in production. Index is the node's index there.
	Trace *trace.Trace
	Index int32
}

// Node is a running node: a set of services on a scheduler. Its exported methods may be called from any goroutine in
// production; in simulation everything happens on the stepper's loop.
type Node struct {
	name        string
	named       bool // log lines have the name
	incarnation uint32
	index       int32
	sched       sched.Scheduler
	net         vnet.Network
	store       store.Store
	programs    *Programs
	coroutines  *Coroutines
	ownPool     bool
	heap        *HeapWatch // nil if nobody watches it
	logTo       slog.Handler
	handlers    map[string]func() Handler
	limits      Limits
	policy      Policy
	trace       *trace.Trace
	decoder     wire.Decoder

	services sync.Map // id (uint64) -> *Service
	names    sync.Map // name -> *Service
	env      sync.Map // key -> frozen starlark.Value
	counter  atomic.Uint32
	lives    atomic.Int64 // how many services there are, those of the runtime included
	dying    atomic.Int64 // how many have closed their mailbox, but not told everybody yet
	traces   atomic.Uint64
	profile  atomic.Pointer[stepProfile] // being taken; nil if none is

	traceBase uint32 // the upper half of trace ids

	mu      sync.Mutex
	unique  map[string]*uniqueLaunch
	queries map[string]*line[waitRef, struct{}] // who waits for a name

	shared     sharedTables
	multicast  multicasts
	datacenter datacenter

	system  *Service // runs the node's own coroutines: calls from Go, draining
	cluster *cluster
	stopped atomic.Bool // no service is launched any more

	abort   func(why string) // nil if no service can end the node
	aborted atomic.Bool
}

// waitRef is a wait of a coroutine as somebody else keeps it, to end it by an answer.
type waitRef struct {
	svc *Service
	id  waitID
}

// NewNode makes a node. It runs nothing yet, except that it listens for its cluster if it is told to.
func NewNode(c Config) (*Node, error) {
	if c.Scheduler == nil || c.Programs == nil {
		return nil, errors.New("runtime: NewNode: Scheduler and Programs are required")
	}
	c.Limits = c.Limits.WithDefaults()
	if err := c.Limits.check(); err != nil {
		return nil, fmt.Errorf("runtime: NewNode: limits: %w", err)
	}
	n := &Node{
		name: cmp.Or(c.Name, DefaultName), named: c.Name != "", incarnation: c.Incarnation, index: c.Index,
		abort: c.Abort,
		sched: c.Scheduler, net: c.Network, store: c.Store, programs: c.Programs,
		coroutines: c.Coroutines, heap: c.Heap, logTo: c.Log, handlers: c.Handlers, limits: c.Limits, policy: slices.Clone(c.Policy), trace: c.Trace,
		unique: make(map[string]*uniqueLaunch), queries: make(map[string]*line[waitRef, struct{}]),
	}
	if err := n.policy.check(n.programs.restricted); err != nil {
		return nil, fmt.Errorf("runtime: NewNode: %w", err)
	}
	if c.Env != nil {
		for _, item := range c.Env.Items() {
			key, _ := starlark.AsString(item[0])
			if err := n.setenv(key, item[1]); err != nil {
				return nil, fmt.Errorf("runtime: NewNode: env: %s: %w", key, err)
			}
		}
	}
	if c.Heap != nil {
		c.Programs.heap.Store(c.Heap)
	}
	n.traceBase = traceBase(n.name, n.incarnation)
	n.decoder = wire.Decoder{Ext: n.decodeAddress}
	if n.coroutines == nil {
		n.coroutines, n.ownPool = NewCoroutines(c.Scheduler.Workers()), true
	}
	n.system = n.newService("system", nil)
	n.system.setLimits(n.limits.ofRuntime())
	if err := n.openCluster(c.Cluster); err != nil {
		return nil, err
	}
	return n, nil
}

// Name is the node's name.
func (n *Node) Name() string { return n.name }

// newService makes a service of the runtime, which has no start message.
func (n *Node) newService(what string, prog *Program) *Service {
	s := n.makeService(what, prog)
	n.enlist(s)
	return s
}

// makeService makes a service that nobody can find yet.
func (n *Node) makeService(what string, prog *Program) *Service {
	id := uint64(n.incarnation)<<32 | uint64(n.counter.Add(1))
	s := &Service{node: n, what: what, script: prog}
	s.addr = &Address{node: n.name, id: id, svc: s}
	s.label = s.addr.String() + " " + what
	s.mail.clock = n.sched
	s.setLimits(&n.limits)
	return s
}

// enlist puts a service on the list of those that live.
func (n *Node) enlist(s *Service) {
	n.services.Store(s.addr.id, s)
	n.lives.Add(1)
}

func (n *Node) service(id uint64) *Service {
	if s, ok := n.services.Load(id); ok {
		return s.(*Service)
	}
	return nil
}

// register gives a service a name on this node.
func (n *Node) register(name string, s *Service) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := s.mayClaim(&n.names, name); err != nil {
		return err
	}
	n.entitle(s, name)
	return nil
}

// naming is the table of the names on this node, and how one is given.
func (n *Node) naming() (*sync.Map, func(name string, s *Service) error) { return &n.names, n.register }

// entitle gives a service a name that it may claim, and tells those who wait for it. The node's lock is held.
func (n *Node) entitle(s *Service, name string) {
	s.claim(&n.names, name)
	if waiting := n.queries[name]; waiting != nil {
		for q := range waiting.all() {
			q.svc.answer(nil, uint64(q.id), s.addr, nil)
		}
		delete(n.queries, name)
	}
}

// mayClaim tells why a service may not have a name in a table: one has one owner at a time, a service any number of them. The node's
// lock is held.
func (s *Service) mayClaim(table *sync.Map, name string) error {
	if name == "" || len(name) > link.MaxName {
		return fmt.Errorf("got a name of %d bytes, want 1 to %d", len(name), link.MaxName)
	}
	if s.gone {
		return fmt.Errorf("%s has ended", s.label)
	}
	if other, taken := table.Load(name); taken && other != s {
		return fmt.Errorf("%q is the name of %s already", name, other.(*Service).label)
	}
	return nil
}

// claim gives a service a name that it may claim, until it ends. The node's lock is held.
func (s *Service) claim(table *sync.Map, name string) {
	if _, taken := table.LoadOrStore(name, s); taken {
		return
	}
	s.names = append(s.names, claim{table, name})
	known := s.names
	s.known.Store(&known)
}

// forgetQuery removes a query that is over, unless register has answered it.
func (n *Node) forgetQuery(name string, q waitRef) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if waiting := n.queries[name]; waiting != nil {
		if waiting.remove(q); waiting.len() == 0 {
			delete(n.queries, name)
		}
	}
}

// lookup finds a name.
func (n *Node) lookup(name string) *Service {
	if s, ok := n.names.Load(name); ok {
		return s.(*Service)
	}
	return nil
}

// forget removes a service from all tables.
func (n *Node) forget(s *Service) {
	n.unname(s)
	n.delist(s)
}

// delist takes a service out of the list of those that live.
func (n *Node) delist(s *Service) {
	if _, live := n.services.LoadAndDelete(s.addr.id); live {
		n.lives.Add(-1)
	}
}

// unname takes a service's names, and lets it have no more.
func (n *Node) unname(s *Service) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s.gone = true
	for _, c := range s.names {
		c.table.Delete(c.name)
	}
	if u := n.unique[s.what]; u != nil && u.svc == s {
		delete(n.unique, s.what)
	}
}

// Services lists the live services in the order of their launch.
func (n *Node) Services() []*Service {
	ids := slices.Sorted(keys[uint64](&n.services))
	all := make([]*Service, 0, len(ids))
	for _, id := range ids {
		if s := n.service(id); s != nil {
			all = append(all, s)
		}
	}
	return all
}

// Names lists the registered names, sorted.
func (n *Node) Names() []string { return slices.Sorted(keys[string](&n.names)) }

// keys lists the keys of a concurrent map, in no order.
func keys[K any](m *sync.Map) iter.Seq[K] {
	return func(yield func(K) bool) {
		m.Range(func(k, _ any) bool { return yield(k.(K)) }) //determinism:ok every caller sorts
	}
}

// Launch starts a script (or a Go handler) as a service; name, unless empty, is registered for it before its first
// message. done is called in a turn, with the address once init has returned, or at once if the node has ended; it must not
// block.
func (n *Node) Launch(script, name string, args starlark.Tuple, kwargs []starlark.Tuple, done func(*Address, error)) {
	n.LaunchWith(LaunchOptions{Script: script, Name: name, Args: args, Kwargs: kwargs}, done)
}

// enter makes the system service call f in one of its turns; if the node ends before that, or has ended, failed is called.
func (n *Node) enter(what string, f func(), failed goCaller) {
	m := message{kind: event, command: what, body: f, source: failed, session: 1}
	if n.system.post(nil, &m) == putClosed {
		failed(nil, callErrorf(Dead, false, "%s: node %s has ended", what, n.name))
	}
}

// Request calls a command of a service, named by a registered name or an [Address]. done is called in a turn with the
// outcome, within the timeout (0 means the node's default), or at once if the node has ended; it must not block.
func (n *Node) Request(dest starlark.Value, command string, args starlark.Tuple, kwargs []starlark.Tuple, timeout time.Duration,
	done func(starlark.Value, error),
) {
	n.enter("call of "+command, func() {
		n.system.fork(job{what: command, then: done, native: func(co *coroutine) (starlark.Value, error) {
			return co.call(dest, command, args, kwargs, timeout)
		}})
	}, func(_ starlark.Value, err *CallError) { done(nil, err) })
}

// Call is Request for Go code that may block. It must not be called in a turn, nor in simulation.
func (n *Node) Call(dest starlark.Value, command string, args starlark.Tuple, timeout time.Duration) (starlark.Value, error) {
	type outcome struct {
		v   starlark.Value
		err error
	}
	ch := make(chan outcome, 1)
	n.Request(dest, command, args, nil, timeout, func(v starlark.Value, err error) { ch <- outcome{v, err} })
	o := <-ch
	return o.v, o.err
}

// goCaller is Go code that waits for an answer.
type goCaller func(starlark.Value, *CallError)

func (f goCaller) answer(_ *sched.Turn, _ uint64, v starlark.Value, err *CallError) { f(v, err) }
func (f goCaller) name() string                                                     { return "go" }

// The levels of log lines.
const (
	levelDebug = slog.LevelDebug
	levelInfo  = slog.LevelInfo
	levelWarn  = slog.LevelWarn
	levelError = slog.LevelError
)

// log writes a line of the node itself.
func (n *Node) log(level slog.Level, msg string, attrs ...any) {
	if n.logTo == nil || !n.logTo.Enabled(context.Background(), level) {
		return
	}
	r := slog.NewRecord(time.Unix(0, n.sched.Wall()), level, msg, 0)
	if n.named {
		r.Add("node", n.name)
	}
	r.Add(attrs...)
	// A log that cannot be written has nowhere to complain.
	_ = n.logTo.Handle(context.Background(), r)
}

// log writes a line of a service.
func (s *Service) log(level slog.Level, msg string, attrs ...any) {
	s.node.log(level, msg, append([]any{"service", s.label}, attrs...)...)
}

// nextTrace is a new trace id: what a request from outside, a connection or a timer sets off carries it from service to
// service, so that the log lines of all of them can be found together. Its upper half tells nodes and their lives apart.
func (n *Node) nextTrace() uint64 { return uint64(n.traceBase)<<32 | n.traces.Add(1)&0xffffffff }

func traceBase(name string, incarnation uint32) uint32 {
	h := fnv.New32a()
	h.Write(binary.BigEndian.AppendUint32([]byte(name), incarnation))
	return h.Sum32()
}
