package runtime

import (
	"cmp"
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"skynet/vnet"
)

func socketLibrary() *library {
	return newLibrary(
		"socket",
		member{"listen", socketListen},
		member{"open", socketOpen},
		member{"read", socketRead},
		member{"readline", socketReadline},
		member{"write", socketWrite},
		member{"close", socketClose},
	)
}

// socketListen accepts streams and runs handler(socket) for each in a coroutine of its own; when the handler returns, its
// socket is closed.
func socketListen(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var address string
	var handler starlark.Callable
	protocol := vnet.TCP
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "address", &address, "handler", &handler, "protocol?", &protocol); err != nil {
		return nil, err
	}
	s := co.svc
	if s.node.net == nil {
		return nil, fmt.Errorf("%s: node %s has no network", b.Name(), s.node.name)
	}
	l, err := s.node.net.Listen(protocol, address, func(c vnet.Conn) vnet.Handler {
		k := newSocket(s)
		k.conn = c
		ended := goCaller(func(starlark.Value, *CallError) { c.Close() }) // the service has, before it knew of the stream
		m := message{kind: event, body: func() { s.serve(k, handler) }, source: ended, session: 1}
		if s.post(nil, &m) == putClosed {
			return nil
		}
		return k
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	v := &listener{svc: s, l: l}
	s.addCloser(v)
	return v, nil
}

func (s *Service) serve(k *socket, handler starlark.Callable) {
	s.addCloser(k)
	trace := s.node.nextTrace()
	s.fork(job{fn: handler, args: starlark.Tuple{k}, what: handler.Name(), trace: trace, then: func(_ starlark.Value, err error) {
		if !s.unwinding() { // else the exit hook may say good-bye, and the end of the service closes it
			k.close()
		}
		if err != nil && err != errKilled {
			s.logFailure(marks(0, trace), handler.Name(), err)
		}
	}})
}

// socketOpen connects, or fails with the error unreachable or timeout.
func socketOpen(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	var address string
	protocol := vnet.TCP
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "address", &address, "protocol?", &protocol); err != nil {
		return nil, err
	}
	s := co.svc
	if s.node.net == nil {
		return nil, fmt.Errorf("%s: node %s has no network", b.Name(), s.node.name)
	}
	if err := co.mayBlock("open"); err != nil {
		return nil, err
	}
	co.charge()
	k := newSocket(s)
	k.reader = s.addWait(otherWait, co, nil, co.now().Add(cmp.Or(timeout, s.limits.Call)))
	if k.conn, err = s.node.net.Dial(protocol, address, k); err != nil {
		s.waits.take(k.reader)
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	s.addCloser(k)
	v, err := co.block("open", address)
	k.reader = 0
	if err == nil {
		err = k.opened(v == starlark.True, b.Name(), address)
	}
	if err != nil {
		k.close() // also if the coroutine was cancelled: nobody else has the socket
		return nil, err
	}
	return k, nil
}

// opened tells why a connection was not made, nil if it was; inTime says whether anything was heard of it by the deadline.
func (k *socket) opened(inTime bool, name, address string) error {
	if !inTime {
		return callErrorf(Timeout, false, "%s: %s does not answer", name, address)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return callErrorf(Unreachable, false, "%s: %s: %v", name, address, k.reason)
	}
	return nil
}

// plainSocket returns the socket of a call with so many positional arguments and no other, the usual way to call, without
// what UnpackArgs allocates. It is nil for any other call.
func plainSocket(args starlark.Tuple, kwargs []starlark.Tuple, count int) *socket {
	if len(args) != count || len(kwargs) > 0 {
		return nil
	}
	k, _ := args[0].(*socket)
	return k
}

// socketRead returns exactly n bytes, or without n whatever there is; less at the end of the stream, then None.
func socketRead(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if k := plainSocket(args, kwargs, 1); k != nil {
		return k.read(co, b, 0, pattern{limit: maxRead})
	}
	return readBytes(co, b, args, kwargs)
}

// readBytes is socketRead with any arguments.
func readBytes(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	var k *socket
	var count starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "socket", &k, "n??", &count); err != nil {
		return nil, err
	}
	n := 0 // whatever there is
	if count != nil {
		if err := starlark.AsInt(count, &n); err != nil {
			return nil, fmt.Errorf("%s: n: %w", b.Name(), err)
		}
		switch {
		case n < 0 || n > maxRead:
			return nil, fmt.Errorf("%s: n: got %d, want 0 to %d", b.Name(), n, maxRead)
		case n == 0:
			return starlark.String(""), nil
		}
	}
	return k.read(co, b, timeout, pattern{n: n, limit: maxRead})
}

// socketReadline returns the next line without its separator. What follows the last separator of a stream is no line: it
// may be the half of one that was cut off, and "DEL a" must not be done for "DEL abc".
func socketReadline(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if k := plainSocket(args, kwargs, 1); k != nil {
		return k.read(co, b, 0, pattern{separator: "\n", limit: defaultLine})
	}
	return readLine(co, b, args, kwargs)
}

// readLine is socketReadline with any arguments.
func readLine(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	var k *socket
	sep, limit := "\n", defaultLine
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "socket", &k, "separator?", &sep, "limit?", &limit); err != nil {
		return nil, err
	}
	switch {
	case sep == "":
		return nil, fmt.Errorf("%s: separator: got an empty string, want one byte or more", b.Name())
	case limit < 1 || limit > maxRead:
		return nil, fmt.Errorf("%s: limit: got %d, want 1 to %d", b.Name(), limit, maxRead)
	}
	return k.read(co, b, timeout, pattern{separator: sep, limit: limit})
}

func socketWrite(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if k := plainSocket(args, kwargs, 2); k != nil {
		return k.writeValue(co, b, 0, args[1])
	}
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	k, v, err := writeArgs(b, args, kwargs)
	if err != nil {
		return nil, err
	}
	return k.writeValue(co, b, timeout, v)
}

func writeArgs(b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (k *socket, v starlark.Value, err error) {
	err = starlark.UnpackArgs(b.Name(), args, kwargs, "socket", &k, "data", &v)
	return k, v, err
}

func (k *socket) writeValue(co *coroutine, b *starlark.Builtin, timeout time.Duration, v starlark.Value) (starlark.Value, error) {
	switch data := v.(type) {
	case starlark.String:
		return k.write(co, b, timeout, string(data))
	case starlark.Bytes:
		return k.write(co, b, timeout, string(data))
	}
	return nil, fmt.Errorf("%s: data: got %s, want string or bytes", b.Name(), v.Type())
}

func socketClose(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "socket", &v); err != nil {
		return nil, err
	}
	co.charge()
	switch c := v.(type) {
	case *socket:
		c.close()
	case *listener:
		c.close()
	default:
		return nil, fmt.Errorf("%s: got %s, want a socket or a listener", b.Name(), v.Type())
	}
	return starlark.None, nil
}
