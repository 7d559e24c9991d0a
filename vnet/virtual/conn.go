package virtual

import (
	"fmt"
	"slices"

	"skynet/sched"
	"skynet/sched/trace"
	"skynet/vnet"
)

// conn is one end of a stream; out and in are the two directions as this end sees them.
type conn struct {
	host     *Host
	id       uint64
	protocol string
	handler  vnet.Handler // nil for the far end of a dialled stream until it is accepted
	local    string
	remote   string
	port     int // the far end's listening port, on the far end of a dialled stream
	out, in  *pipe
	alarm    sched.Timer // the dial's or the idle timeout

	open    bool // connected: what is written may leave
	closing bool // Close was called
	dead    bool // the handler has heard Closed, or will and nothing else
	orderly bool // dead by Close: what still arrives is discarded until the peer has heard the end
	paused  bool
	ended   bool // EOF was told
	heard   sched.Time
}

var _ vnet.Conn = (*conn)(nil)

func newConn(h *Host, protocol string, handler vnet.Handler, local, remote string) *conn {
	c := &conn{host: h, id: h.newID(), protocol: protocol, handler: handler, local: local, remote: remote}
	h.conns = append(h.conns, c)
	return c
}

// connect makes the far end and the two directions, and sends the first packet.
func (c *conn) connect(to *site, port int) {
	far := &conn{protocol: c.protocol, port: port, remote: c.local}
	c.out = newPipe(c.host.site.to(to), c, far)
	c.in = newPipe(to.to(c.host.site), far, c)
	c.out.back, c.in.back = c.in, c.out
	far.out, far.in = c.in, c.out
	if c.protocol == vnet.KCP { // no handshake
		c.host.after(c.now(), trace.Net, c.id, netOpened, c.opened)
		return
	}
	c.alarm = c.host.after(c.now().Add(c.host.fabric.options.DialTimeout), trace.Timer, c.id, 0, c.unanswered)
	c.out.push(opening, 0)
}

// unanswered gives up dialling, because of what keeps the request or the answer from arriving.
func (c *conn) unanswered() {
	if c.dead || c.open {
		return
	}
	by := c.out.by
	if !c.out.stalled {
		by = c.in.by
	}
	if by != nil {
		by.effects.TimedOut++
	}
	c.fail(vnet.ErrTimeout)
}

func (c *conn) now() sched.Time { return c.host.fabric.timeline.Now() }

// admit lets the far end of a dialled stream into the host it has reached; false says that nobody listens.
func (c *conn) admit(h *Host) bool {
	l := h.listener(c.protocol, c.port)
	if l == nil {
		return false
	}
	c.host, c.id, c.local = h, h.newID(), h.addr(c.port)
	h.conns = append(h.conns, c)
	if c.handler = l.accept(c); c.handler == nil {
		c.leave(netFailed)
		return false
	}
	h.trace(c.id, netAccepted)
	if c.dead {
		return true
	}
	c.open = true
	c.listen()
	return true
}

// opened is told to the side that dialled.
func (c *conn) opened() {
	if c.dead {
		return
	}
	if c.alarm != nil {
		c.alarm.Stop()
	}
	c.open = true
	c.host.trace(c.id, netOpened)
	c.listen()
	c.handler.Opened(c)
	if c.dead {
		return
	}
	c.out.pump()
	if c.closing {
		c.linger()
	}
}

// listen starts the idle timeout of a KCP stream.
func (c *conn) listen() {
	if c.protocol != vnet.KCP {
		return
	}
	c.heard = c.now()
	idle := c.host.fabric.options.IdleTimeout
	c.alarm = c.host.after(c.heard.Add(idle), trace.Timer, c.id, 0, func() {
		if c.dead {
			return
		}
		if c.now().Sub(c.heard) >= idle {
			c.fail(vnet.ErrTimeout)
			return
		}
		c.alarm.Reset(c.heard.Add(idle))
	})
}

// ID implements [vnet.Conn].
func (c *conn) ID() uint64 { return c.id }

// LocalAddr implements [vnet.Conn].
func (c *conn) LocalAddr() string { return c.local }

// RemoteAddr implements [vnet.Conn].
func (c *conn) RemoteAddr() string { return c.remote }

// Write implements [vnet.Conn].
func (c *conn) Write(p []byte) (full bool, err error) {
	if c.dead || c.closing {
		return false, fmt.Errorf("vnet: write %s %s: %w", c.protocol, c.remote, vnet.ErrClosed)
	}
	return c.out.write(p), nil
}

// Pause implements [vnet.Conn].
func (c *conn) Pause() { c.paused = true }

// Resume implements [vnet.Conn].
func (c *conn) Resume() {
	if !c.paused || c.dead {
		return
	}
	c.paused = false
	if c.in.ready > 0 || c.in.finished {
		c.host.after(c.now(), trace.Deliver, c.in.link.id, c.in.number, c.in.flush)
	}
}

// Close implements [vnet.Conn].
func (c *conn) Close() {
	if c.dead || c.closing {
		return
	}
	c.closing = true
	if c.open {
		c.out.pump()
		c.linger()
	}
}

// linger bounds how long a closed stream goes on sending what is buffered.
func (c *conn) linger() {
	if c.dead { // everything has left
		return
	}
	if c.alarm != nil {
		c.alarm.Stop()
	}
	c.alarm = c.host.after(c.now().Add(c.host.fabric.options.CloseTimeout), trace.Timer, c.id, 0, func() {
		if c.dead {
			return
		}
		if c.out.stalled && c.out.by != nil {
			c.out.by.effects.TimedOut++
		}
		c.out.reset()
		c.finish(c.reason(vnet.ErrTimeout))
	})
}

// flushed follows Close once everything has left.
func (c *conn) flushed() {
	if !c.dead {
		c.orderly = true
		c.finish(nil)
	}
}

// shut closes with the whole host: Closed is told at once, what is buffered is still sent.
func (c *conn) shut() {
	if c.dead {
		return
	}
	c.closing, c.orderly = true, c.open // a stream that is not open yet has no end to send
	if c.handler == nil {               // accept has closed its host
		c.out.reset()
		c.finish(nil)
		return
	}
	c.leave(netClosed)
	if c.open {
		c.out.pump()
	} else if c.out != nil {
		c.out.reset()
	}
	c.handler.Closed(c, nil)
}

// Abort implements [vnet.Conn].
func (c *conn) Abort() {
	if c.dead {
		return
	}
	if c.out != nil {
		c.out.reset()
	}
	c.finish(c.reason(vnet.ErrClosed))
}

// finish ends this side from within a call of its owner, so that Closed follows later.
func (c *conn) finish(reason error) {
	c.leave(code(reason))
	c.host.after(c.now(), trace.Net, c.id, code(reason), func() {
		if c.handler != nil && !c.host.crashed { // no handler: accept has aborted the stream and refused it
			c.handler.Closed(c, reason)
		}
	})
}

// fail ends this side from within an action of its node.
func (c *conn) fail(reason error) {
	if c.dead {
		return
	}
	if c.out != nil {
		c.out.clear()
	}
	c.leave(code(reason))
	c.handler.Closed(c, c.reason(reason))
}

func code(reason error) uint64 {
	if reason == nil {
		return netClosed
	}
	return netFailed
}

func (c *conn) reason(err error) error {
	return fmt.Errorf("vnet: %s %s: %w", c.protocol, c.remote, err)
}

// leave takes the stream from its host; from here on nothing but Closed is told.
func (c *conn) leave(what uint64) {
	c.dead = true
	if c.alarm != nil {
		c.alarm.Stop()
	}
	h := c.host
	if i := slices.Index(h.conns, c); i >= 0 {
		h.conns = slices.Delete(h.conns, i, i+1)
	}
	h.trace(c.id, what)
}

// broken ends both sides, as a middle box does that has lost its memory.
func (c *conn) broken(effects *Effects) {
	if c.protocol == vnet.KCP {
		return
	}
	effects.Reset++
	effects.BytesLost += uint64(c.out.clear() + c.in.clear())
	far := c.in.src
	c.finish(c.reason(vnet.ErrReset))
	if far.handler != nil && !far.dead {
		far.finish(far.reason(vnet.ErrReset))
	}
}

// crash ends this side without a word.
func (c *conn) crash(effects *Effects) {
	c.dead = true
	if c.alarm != nil {
		c.alarm.Stop()
	}
	c.host.trace(c.id, netCrashed)
	effects.Reset++
	effects.BytesLost += uint64(c.out.halt() + c.in.discard())
}
