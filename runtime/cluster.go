package runtime

import (
	"cmp"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime/link"
	"skynet/runtime/wire"
	"skynet/sched"
	"skynet/vnet"
)

// Cluster is what a node knows of its cluster.
type Cluster struct {
	// Listen is the TCP address at which other nodes reach this one; empty accepts nobody.
	Listen string
	// Nodes are the addresses of the nodes, by name. A node that is not in it is unreachable.
	Nodes map[string]string
	// Heartbeat is how often an idle link says that it is alive; default 1 s. Silence is after how long without a word
	// from the peer a link is given up and its pending calls fail; default 3 s. Smaller values notice a dead
	// peer sooner and take a slow one for dead.
	Heartbeat, Silence time.Duration
}

// WithDefaults returns the settings with every zero duration set to its default.
func (c Cluster) WithDefaults() Cluster {
	c.Heartbeat = cmp.Or(c.Heartbeat, link.DefaultHeartbeat)
	c.Silence = cmp.Or(c.Silence, link.DefaultSilence)
	return c
}

// The pause before a node that could not be reached is dialled again: it doubles from the first to the last. Calls in
// between fail at once.
const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 2 * time.Second
)

// cluster is the node's part of its cluster: one link to each peer that a call was made to, and the links of the peers
// that call this node. Each direction has its own link, so requests from A to B arrive in order, and so do the replies;
// between a reply and a request of the other direction there is no order. Everything runs in turns of svc.
type cluster struct {
	node     *Node
	svc      *Service
	config   Cluster
	peers    map[string]*peer
	links    []*clusterLink // all that are open, in the order they opened
	dirty    []*clusterLink // those with output to write
	beating  bool           // the next beat is set
	exported sync.Map       // name -> *Service, for other nodes only
	listener vnet.Listener

	strangers refusals // streams that ended before their node had said who it is
}

// peer is the way to one other node.
type peer struct {
	name, address string
	link          *clusterLink // nil when there is none
	retryAt       sched.Time
	backoff       time.Duration
	lastError     error
}

// target names a service of another node: by name, or by id.
type target struct {
	name string
	id   uint64
}

func (t target) String() string {
	if t.name != "" {
		return t.name
	}
	return fmt.Sprintf(":%08x", uint32(t.id))
}

// outgoing is a request on its way to another node.
type outgoing struct {
	source   caller // nil for a send
	session  uint64
	deadline sched.Time
	to       target
	command  string
	payload  []byte
	trace    uint64
	query    bool // asks for the address of to.name

	// Of a watch, for its withdrawal, in turns of the cluster's service.
	withdrawn bool
	link      *clusterLink // that it was sent over, nil before
	sent      uint64       // its session there
}

func (n *Node) openCluster(config Cluster) error {
	config = config.WithDefaults()
	c := &cluster{node: n, config: config, peers: make(map[string]*peer)}
	c.svc = n.newService("cluster", nil)
	c.svc.setLimits(n.limits.ofRuntime())
	c.svc.afterTurn = c.flush
	n.cluster = c
	for name, address := range config.Nodes { //determinism:ok fills a map
		c.peers[name] = &peer{name: name, address: address}
	}
	if config.Listen == "" {
		return nil
	}
	if n.net == nil {
		return fmt.Errorf("runtime: cluster of node %s: no network to listen on", n.name)
	}
	l, err := n.net.Listen(vnet.TCP, config.Listen, c.accept)
	if err != nil {
		return fmt.Errorf("runtime: cluster of node %s: listen on %s: %w", n.name, config.Listen, err)
	}
	c.listener = l
	c.svc.addCloser(&listener{svc: c.svc, l: l})
	return nil
}

// ClusterAddr is the address at which the node listens for its cluster, with the real port; empty if it does not.
func (n *Node) ClusterAddr() string {
	if n.cluster.listener == nil {
		return ""
	}
	return n.cluster.listener.Addr()
}

// callNode is cluster.call.
func (co *coroutine) callNode(node, name, command string, args starlark.Tuple, kwargs []starlark.Tuple, timeout time.Duration) (starlark.Value, error) {
	n := co.svc.node
	if node == n.name {
		return co.call(starlark.String(name), command, args, kwargs, timeout)
	}
	return co.callRemote(node, target{name: name}, command, args, kwargs, timeout, false)
}

func (co *coroutine) callRemote(node string, to target, command string, args starlark.Tuple, kwargs []starlark.Tuple, timeout time.Duration, query bool) (starlark.Value, error) {
	if err := co.mayBlock("call"); err != nil {
		return nil, err
	}
	_, callee, err := co.askRemote(node, to, command, args, kwargs, co.deadlineFor(cmp.Or(timeout, co.svc.limits.Call)), query, nil)
	if err != nil {
		return nil, err
	}
	co.asked = command
	return co.block("call", callee)
}

// askRemote is ask for a service of another node.
func (co *coroutine) askRemote(node string, to target, command string, args starlark.Tuple, kwargs []starlark.Tuple, deadline sched.Time, query bool, fire func(outcome)) (waitID, string, error) {
	s := co.svc
	if !query { // which tells an address, and grants nothing
		if err := co.mayReach(node, to); err != nil {
			return 0, "", err
		}
	}
	payload, err := wire.AppendArgs(nil, args, kwargs)
	if err != nil {
		return 0, "", fmt.Errorf("call of %q on node %s: %w", command, node, err)
	}
	if deadline <= s.turn.Now {
		return 0, "", callErrorf(Timeout, false, "call of %q on node %s: the deadline of the request being handled has passed", command, node)
	}
	if err := s.roomForCall(); err != nil {
		return 0, "", err
	}
	id := s.addWait(callWait, co.unless(fire), fire, deadline)
	s.node.cluster.submit(s.turn, node, &outgoing{
		source: s, session: uint64(id), deadline: deadline, to: to, command: command, payload: payload, trace: co.traceID(), query: query,
	})
	return id, node + " " + to.String(), nil
}

// sendRemote is cluster.send.
func (co *coroutine) sendRemote(node string, to target, command string, args starlark.Tuple, kwargs []starlark.Tuple) error {
	if err := co.mayReach(node, to); err != nil {
		return err
	}
	payload, err := wire.AppendArgs(nil, args, kwargs)
	if err != nil {
		return fmt.Errorf("send of %q to node %s: %w", command, node, err)
	}
	co.svc.node.cluster.submit(co.svc.turn, node, &outgoing{to: to, command: command, payload: payload, trace: co.traceID()})
	return nil
}

// submit hands a request to the cluster's service.
func (c *cluster) submit(turn *sched.Turn, node string, out *outgoing) {
	m := message{kind: event, body: func() { c.route(node, out) }}
	if c.svc.post(turn, &m) == putClosed {
		out.fail(turn, c.node, callErrorf(Unreachable, false, "node %s is stopping", c.node.name))
	}
}

// withdraw takes a watch back that was submitted in an earlier turn, or earlier in this one: that comes after it.
func (c *cluster) withdraw(turn *sched.Turn, out *outgoing) {
	c.svc.run(turn, func() {
		out.withdrawn = true // if it waits for the other node's hello
		if out.link != nil {
			out.link.withdraw(out)
		}
	})
}

// fail answers a request that will not be answered by its callee.
func (out *outgoing) fail(turn *sched.Turn, n *Node, err *CallError) {
	if out.source != nil {
		out.source.answer(turn, out.session, nil, err)
		return
	}
	n.log(levelWarn, "message to another node is lost", "trace", TraceID(out.trace), "command", out.command, "to", out.to.String(), "error", headOf(err.Error()))
}

// route writes a request to the link of its node, which is opened if there is none.
func (c *cluster) route(node string, out *outgoing) {
	p := c.peers[node]
	if p == nil {
		out.fail(c.svc.turn, c.node, callErrorf(Unreachable, false, "no node has the name %q%s", node, hint(node, c.nodeNames())))
		return
	}
	if p.link == nil {
		now := c.now()
		if now < p.retryAt {
			out.fail(c.svc.turn, c.node, callErrorf(Unreachable, false, "node %s (%s): %v; next attempt in %v", p.name, p.address, p.lastError, p.retryAt.Sub(now)))
			return
		}
		if err := c.dial(p); err != nil {
			out.fail(c.svc.turn, c.node, callErrorf(Unreachable, false, "node %s (%s): %v", p.name, p.address, err))
			return
		}
	}
	p.link.request(out)
}

func (c *cluster) now() sched.Time { return c.node.sched.Now() }

func (c *cluster) nodeNames() []string {
	names := make([]string, 0, len(c.peers))
	for name := range c.peers { //determinism:ok sorted below
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (c *cluster) dial(p *peer) error {
	if c.node.net == nil {
		return errors.New("this node has no network")
	}
	l := c.newLink(p)
	conn, err := c.node.net.Dial(vnet.TCP, p.address, l)
	if err != nil {
		return err
	}
	l.conn, p.link = conn, l
	c.add(l)
	return nil
}

// accept is called by the network for every stream another node opens.
func (c *cluster) accept(conn vnet.Conn) vnet.Handler {
	l := c.newLink(nil)
	l.conn, l.up = conn, true
	ended := goCaller(func(starlark.Value, *CallError) { conn.Abort() }) // the cluster has, before it knew of the stream
	m := message{kind: event, body: func() { c.add(l) }, source: ended, session: 1}
	if c.svc.post(nil, &m) == putClosed {
		return nil
	}
	return l
}

func (c *cluster) newLink(p *peer) *clusterLink {
	l := &clusterLink{cluster: c, peer: p, place: -1, pending: make(map[uint64]*outgoing), watched: make(map[uint64]uint64)}
	config := link.Config{
		Self: c.node.name, Incarnation: uint64(c.node.incarnation), Dialer: p != nil,
		Heartbeat: c.config.Heartbeat, Silence: c.config.Silence,
	}
	if p != nil {
		config.Peer = p.name
	}
	l.state = link.New(config, c.now())
	l.changed = l.onChange
	return l
}

// add takes up a link; the first one starts the heartbeats.
func (c *cluster) add(l *clusterLink) {
	c.svc.addCloser(l)
	c.links = append(c.links, l)
	c.beatLater()
}

// beatLater sets the next beat. There is one for all links, also if the last of them goes and another comes before it.
func (c *cluster) beatLater() {
	if c.beating || len(c.links) == 0 {
		return
	}
	c.beating = true
	c.svc.addWait(otherWait, nil, func(outcome) { c.beat() }, c.now().Add(c.config.Heartbeat))
}

// beat lets every link say that it is alive, and find out whether its peer still is.
func (c *cluster) beat() {
	c.beating = false
	now := c.now()
	for _, l := range append([]*clusterLink(nil), c.links...) {
		if err := l.state.Tick(now); err != nil {
			l.drop(err)
			continue
		}
		l.forgetExpired(now)
		c.markDirty(l)
	}
	c.beatLater()
}

func (c *cluster) markDirty(l *clusterLink) {
	if !l.dirty {
		l.dirty = true
		c.dirty = append(c.dirty, l)
	}
}

// flush writes what the links have to say, once for all the messages of a turn.
func (c *cluster) flush() {
	for _, l := range c.dirty {
		l.dirty = false
		l.write()
	}
	c.dirty = c.dirty[:0]
}

func (c *cluster) remove(l *clusterLink) {
	for i, other := range c.links {
		if other == l {
			c.links = append(c.links[:i], c.links[i+1:]...)
			return
		}
	}
}

// find returns the service that a request from another node is for.
func (c *cluster) find(to target) (*Service, *CallError) {
	if to.name != "" {
		if s, ok := c.exported.Load(to.name); ok {
			return s.(*Service), nil
		}
		if s := c.node.lookup(to.name); s != nil {
			return s, nil
		}
		return nil, callErrorf(Dead, false, "node %s has no service with the name %q%s", c.node.name, to.name, hint(to.name, c.node.Names()))
	}
	s := c.node.service(to.id)
	switch {
	case s == nil:
		return nil, callErrorf(Dead, false, "%s%v has ended", c.node.name, to)
	case s == c.svc || s == c.node.system:
		return nil, callErrorf(Denied, false, "%s belongs to the runtime", s.label)
	}
	return s, nil
}

// export gives a service a name that other nodes can call.
func (n *Node) export(name string, s *Service) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := s.mayClaim(&n.cluster.exported, name); err != nil {
		return err
	}
	s.claim(&n.cluster.exported, name)
	return nil
}

// exporting is the table of the names for other nodes, and how one is given.
func (n *Node) exporting() (*sync.Map, func(name string, s *Service) error) {
	return &n.cluster.exported, n.export
}
