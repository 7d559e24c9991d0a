package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.starlark.net/starlark"

	"skynet/runtime/link"
	"skynet/runtime/wire"
	"skynet/sched"
	"skynet/vnet"
)

// clusterLink is one stream to or from another node: the state machine of package link, fed by the network, and the
// requests that wait for an answer. As [caller] it carries the answers to the other node's requests.
type clusterLink struct {
	cluster *cluster
	peer    *peer // whom this node dialled; nil for an accepted link
	conn    vnet.Conn
	state   *link.Link
	place   int
	ready   bool        // both sides have said hello
	up      bool        // the stream is open
	gone    bool        // dropped
	remote  string      // the other node's name, once it has said hello
	queue   []*outgoing // requests that wait for the hello
	pending map[uint64]*outgoing
	watched map[uint64]uint64 // by session of a request to watch a service of this node, that service
	session uint64
	backlog int // bytes of requests since the stream's buffer was last known to be low
	unread  int // bytes of all that was written since then
	dirty   bool
	changed func()
	refused refusals

	mu       sync.Mutex // guards what the network's events touch
	in       []byte
	paused   bool // in is so long that the stream was told to wait
	opened   bool
	writable bool
	closed   bool
	reason   error
	notified bool
}

// refusals is what the log is told of what comes from outside and was refused: no more than one line each tellEvery, or whoever sends
// it could fill the log.
type refusals struct {
	next   sched.Time // when one may be told again
	untold int
}

// mayTell tells whether one may be told now; else it counts it.
func (r *refusals) mayTell(now sched.Time) bool {
	if now < r.next {
		r.untold++
		return false
	}
	r.next = now.Add(tellEvery)
	return true
}

// errPeerClosed is why a link is lost when the other node closes it in an orderly way.
var errPeerClosed = errors.New("closed by the other node")

func (l *clusterLink) position() *int { return &l.place }

func (l *clusterLink) name() string { return "node " + l.remote }

// notify wakes the cluster's service; the lock is held.
func (l *clusterLink) notify() {
	if !l.notified {
		l.notified = true
		l.cluster.svc.run(nil, l.changed)
	}
}

// Opened implements [vnet.Handler].
func (l *clusterLink) Opened(vnet.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = true
	l.notify()
}

// maxInput is the number of bytes at which a link stops reading until the cluster's service has handled them: a node that
// sends faster than they can be handled waits, instead of filling this one's memory.
const maxInput = 1 << 20

// Data implements [vnet.Handler].
func (l *clusterLink) Data(c vnet.Conn, p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in = append(l.in, p...)
	if len(l.in) >= maxInput && !l.paused {
		l.paused = true
		c.Pause()
	}
	l.notify()
}

// EOF implements [vnet.Handler]: a link that is closed for reading is of no use.
func (l *clusterLink) EOF(c vnet.Conn) { l.Closed(c, nil) }

// Writable implements [vnet.Handler].
func (l *clusterLink) Writable(vnet.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writable = true
	l.notify()
}

// Closed implements [vnet.Handler].
func (l *clusterLink) Closed(_ vnet.Conn, reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed, l.reason = true, reason
		l.notify()
	}
}

// onChange handles, in a turn of the cluster's service, what the network reported.
func (l *clusterLink) onChange() {
	l.mu.Lock()
	in, opened, writable, closed, reason := l.in, l.opened, l.writable, l.closed, l.reason
	l.in, l.opened, l.writable, l.notified = nil, false, false, false
	if l.paused && !closed {
		l.paused = false
		l.conn.Resume()
	}
	l.mu.Unlock()
	if l.gone {
		return
	}
	if writable {
		l.backlog, l.unread = 0, 0
	}
	if opened {
		l.up = true
		l.cluster.markDirty(l)
	}
	if len(in) > 0 {
		events, err := l.state.Input(l.cluster.now(), in)
		for _, e := range events {
			if l.gone {
				return
			}
			l.handle(e)
		}
		if err != nil {
			l.drop(err)
			return
		}
		l.cluster.markDirty(l)
	}
	if closed {
		if reason == nil {
			if reason = l.state.End(); reason == nil {
				reason = errPeerClosed
			}
		}
		l.drop(reason)
	}
}

// write sends what the state machine has to say.
func (l *clusterLink) write() {
	if l.gone || !l.up {
		return
	}
	if out := l.state.Output(); len(out) > 0 {
		switch full, err := l.conn.Write(out); {
		case err != nil:
			l.drop(err)
		case !full:
			l.backlog, l.unread = 0, 0
		default:
			if l.unread += len(out); l.unread > maxUnread {
				l.drop(fmt.Errorf("the other node does not read: %d bytes wait for it", l.unread))
			}
		}
	}
}

// maxBacklog bounds the bytes of requests that wait for the other node to read: beyond it, requests are refused. It has room
// for several of the largest messages.
const maxBacklog = 64 << 20

// maxUnread bounds all that waits for the other node to read: a node that asks and asks, but takes no answers, loses its link.
const maxUnread = 2 * maxBacklog

// request sends a request, or queues it until both sides have said hello.
func (l *clusterLink) request(out *outgoing) {
	if out.withdrawn {
		return
	}
	if l.backlog+len(out.payload) > maxBacklog {
		out.fail(l.cluster.svc.turn, l.cluster.node, callErrorf(Overload, false, "node %s (%s) does not read: %d bytes wait for it", l.peer.name, l.peer.address, l.backlog))
		return
	}
	l.backlog += len(out.payload)
	if !l.ready {
		l.queue = append(l.queue, out)
		return
	}
	req := link.Request{Name: out.to.name, ID: out.to.id, Command: out.command, Trace: out.trace, Payload: out.payload}
	if out.source != nil {
		if req.Deadline = out.deadline.Sub(l.cluster.now()); req.Deadline <= 0 {
			return // the caller has timed out
		}
		l.session++
		req.Session = l.session
		l.pending[req.Session] = out
		out.link, out.sent = l, req.Session
	}
	var e link.Event = req
	if out.query {
		e = link.Query{Session: req.Session, Name: out.to.name}
	}
	if err := l.send(e); err != nil {
		delete(l.pending, req.Session)
		out.fail(l.cluster.svc.turn, l.cluster.node, callErrorf(Remote, false, "call of %q: %v", out.command, err))
	}
}

// withdraw tells the other node that a watch has ended here. What was answered meanwhile, or was lost with the link, has
// ended there, too.
func (l *clusterLink) withdraw(out *outgoing) {
	if l.gone || l.pending[out.sent] != out {
		return
	}
	delete(l.pending, out.sent)
	// Only a link that is about to be dropped fails, and the table of the other node with it.
	_ = l.send(link.Request{Session: out.sent, ID: out.to.id, Command: unwatchCommand})
}

func (l *clusterLink) send(e link.Event) error {
	l.cluster.markDirty(l)
	return l.state.Send(e)
}

// handle deals with one message of the other node.
func (l *clusterLink) handle(e link.Event) {
	switch e := e.(type) {
	case link.Hello:
		l.hello(e)
	case link.Request:
		l.serve(e)
	case link.Query:
		s, err := l.cluster.find(target{name: e.Name})
		if err != nil {
			l.fail(e.Session, err)
			return
		}
		l.reply(e.Session, s.addr)
	case link.Reply:
		l.complete(e.Session, func(out *outgoing) (starlark.Value, *CallError) {
			v, err := l.cluster.node.decoder.Value(e.Payload)
			if err != nil {
				return nil, callErrorf(Remote, true, "reply to %q from node %s: %v", out.command, l.remote, err)
			}
			return v, nil
		})
	case link.Failure:
		l.complete(e.Session, func(*outgoing) (starlark.Value, *CallError) {
			return nil, &CallError{Kind: Kind(e.Kind), Message: e.Message, Backtrace: e.Backtrace, Maybe: e.Maybe}
		})
	}
}

func (l *clusterLink) hello(e link.Hello) {
	l.remote, l.ready = e.Node, true
	if l.peer != nil {
		l.peer.backoff, l.peer.retryAt = 0, 0
	}
	queue := l.queue
	l.queue, l.backlog = nil, 0
	for _, out := range queue {
		l.request(out)
	}
}

// serve puts a request of the other node into the mailbox of its service.
func (l *clusterLink) serve(e link.Request) {
	if e.Command == unwatchCommand && e.Deadline == 0 {
		l.unwatch(e)
		return
	}
	s, err := l.cluster.find(target{name: e.Name, id: e.ID})
	if err == nil {
		m := message{kind: kindOf(e), command: e.Command, source: l, session: sessionOf(e), trace: e.Trace, body: &extras{payload: bytes.Clone(e.Payload), from: l.remote}}
		m.size = requestSize(len(e.Payload))
		if m.session != 0 {
			m.deadline = l.cluster.now().Add(min(e.Deadline, maxDuration))
		}
		switch s.post(l.cluster.svc.turn, &m) {
		case putOK:
			if m.kind == watching {
				l.watched[e.Session] = s.addr.id
			}
		case putFull:
			err = s.entrust(l.cluster.svc.turn, &m)
		case putClosed:
			err = callErrorf(Dead, false, "%s has ended", s.label)
		}
	}
	switch {
	case err == nil:
	case e.Deadline > 0:
		l.fail(e.Session, err)
	default:
		l.tellRefused(e, err)
	}
}

// tellRefused logs that a message was refused that wants no reply, and how many were since the last time.
func (l *clusterLink) tellRefused(e link.Request, err error) {
	r := &l.refused
	if !r.mayTell(l.cluster.now()) {
		return
	}
	l.cluster.node.log(levelWarn, "message from another node refused", "trace", TraceID(e.Trace), "from", l.remote, "command", e.Command,
		"untold", r.untold, "error", headOf(err.Error()))
	r.untold = 0
}

// unwatch takes back a request to watch a service, behind which it arrives at the service. It comes too late if the service has
// ended, and is ignored then, as it is when it names a session that watches nothing, or does so no more.
func (l *clusterLink) unwatch(e link.Request) {
	if s, err := l.cluster.find(target{name: e.Name, id: e.ID}); err == nil {
		if l.watched[e.Session] == s.addr.id {
			delete(l.watched, e.Session)
		}
		s.run(l.cluster.svc.turn, func() { s.forgetWatcher(l, e.Session) })
	}
}

// kindOf tells a request to watch a service from one for the service.
func kindOf(e link.Request) kind {
	if e.Command == watchCommand {
		return watching
	}
	return request
}

// sessionOf is 0 for a request that wants no reply.
func sessionOf(e link.Request) uint64 {
	if e.Deadline == 0 {
		return 0
	}
	return e.Session
}

// answer sends the outcome of a request to the other node. It is called in a turn of the callee, which does the encoding.
func (l *clusterLink) answer(turn *sched.Turn, session uint64, v starlark.Value, err *CallError) {
	var payload []byte
	if err == nil {
		var e error
		if payload, e = wire.AppendValue(nil, v); e != nil {
			err = callErrorf(Remote, true, "result: %v", e)
		}
	}
	l.cluster.svc.run(turn, func() {
		delete(l.watched, session)
		if err != nil {
			l.fail(session, err)
			return
		}
		l.replyBytes(session, payload)
	})
}

func (l *clusterLink) reply(session uint64, v starlark.Value) {
	payload, err := wire.AppendValue(nil, v)
	if err != nil {
		l.fail(session, callErrorf(Remote, true, "result: %v", err))
		return
	}
	l.replyBytes(session, payload)
}

func (l *clusterLink) replyBytes(session uint64, payload []byte) {
	if err := l.send(link.Reply{Session: session, Payload: payload}); err != nil && !l.gone {
		l.fail(session, callErrorf(Remote, true, "result: %v", err))
	}
}

func (l *clusterLink) fail(session uint64, err *CallError) {
	f := link.Failure{Session: session, Kind: string(err.Kind), Message: err.Message, Backtrace: err.Backtrace, Maybe: err.Maybe}
	if err := l.send(f); err != nil && !l.gone {
		l.cluster.node.log(levelWarn, "failure cannot be sent to another node", "to", l.remote, "error", headOf(err.Error()))
	}
}

// complete answers a pending request; a reply that nobody waits for any more is dropped.
func (l *clusterLink) complete(session uint64, outcome func(*outgoing) (starlark.Value, *CallError)) {
	out, ok := l.pending[session]
	if !ok {
		return
	}
	delete(l.pending, session)
	v, err := outcome(out)
	out.source.answer(l.cluster.svc.turn, out.session, v, err)
}

// forgetExpired removes the requests whose callers have timed out.
func (l *clusterLink) forgetExpired(now sched.Time) {
	for session, out := range l.pending { //determinism:ok only removes
		if out.deadline <= now {
			delete(l.pending, session)
		}
	}
}

// drop gives the link up: every request that waits for it fails now.
func (l *clusterLink) drop(reason error) {
	if l.gone {
		return
	}
	l.gone = true
	c := l.cluster
	c.svc.removeCloser(l)
	c.remove(l)
	l.conn.Abort()
	where := "unknown"
	if l.remote != "" {
		where = "node " + l.remote
	}
	if p := l.peer; p != nil {
		where = fmt.Sprintf("node %s (%s)", p.name, p.address)
		p.link, p.lastError = nil, reason
		if !l.ready {
			p.backoff = min(max(firstBackoff, 2*p.backoff), lastBackoff)
			p.retryAt = c.now().Add(p.backoff)
		}
	}
	if l.ready || l.peer == nil && c.strangers.mayTell(c.now()) {
		level := levelWarn
		if reason == errPeerClosed {
			level = levelInfo
		}
		attrs := []any{"peer", where, "remote", l.conn.RemoteAddr(), "reason", reason.Error()}
		if n := c.strangers.untold; n > 0 && !l.ready {
			attrs = append(attrs, "untold", n)
			c.strangers.untold = 0
		}
		c.node.log(level, "link lost", attrs...)
	}
	if n := l.refused.untold; n > 0 {
		c.node.log(levelWarn, "messages from another node refused", "from", l.remote, "untold", n)
	}
	for _, out := range l.queue {
		out.fail(c.svc.turn, c.node, callErrorf(Unreachable, false, "%s: %v", where, reason))
	}
	for _, session := range inOrder(l.pending) {
		l.pending[session].fail(c.svc.turn, c.node, callErrorf(Unreachable, true, "%s: the link was lost: %v", where, reason))
	}
	for _, session := range inOrder(l.watched) {
		if s := c.node.service(l.watched[session]); s != nil {
			s.run(c.svc.turn, func() { s.forgetWatcher(l, session) })
		}
	}
	l.queue, l.pending, l.watched = nil, nil, nil
}

// inOrder are the sessions of a table.
func inOrder[V any](table map[uint64]V) []uint64 {
	sessions := make([]uint64, 0, len(table))
	for session := range table { //determinism:ok sorted below
		sessions = append(sessions, session)
	}
	slices.Sort(sessions)
	return sessions
}

// close ends the link with its node.
func (l *clusterLink) close() {
	l.cluster.svc.removeCloser(l)
	if !l.gone {
		l.write()
		l.gone = true
		l.conn.Close()
	}
}
