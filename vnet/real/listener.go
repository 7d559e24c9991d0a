package real

import (
	"sync"
	"time"

	"skynet/vnet"
)

// source yields connections.
type source interface {
	// next waits for a connection.
	next() (transport, error)
	// over reports whether err of next means that the source was closed, rather than a passing trouble.
	over(err error) bool
	addr() string
	close() error
}

type listener struct {
	net      *Network
	id       uint64
	protocol string
	source   source

	accepting sync.Mutex
	accept    func(vnet.Conn) vnet.Handler
}

// Addr implements [vnet.Listener].
func (l *listener) Addr() string { return l.source.addr() }

// Close implements [vnet.Listener].
func (l *listener) Close() error {
	l.net.shut(l.id)
	return l.source.close()
}

// The waits after a failed accept: too short burns the processor that could end the shortage, too long keeps clients
// waiting after it.
const (
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = time.Second
)

// tellEvery is how often Options.Refused is called.
const tellEvery = 10 * time.Second

// run accepts until the listener is closed. Running out of descriptors or memory passes, so it waits and goes on.
func (l *listener) run() {
	defer l.net.running.Done()
	backoff := firstBackoff
	var told time.Time
	for {
		tr, err := l.source.next()
		switch {
		case err == nil:
			backoff = firstBackoff
			l.welcome(tr)
		case l.source.over(err):
			return
		default:
			if refused := l.net.options.Refused; refused != nil && time.Since(told) >= tellEvery {
				told = time.Now()
				refused(l.Addr(), err)
			}
			l.rest(backoff)
			backoff = min(2*backoff, lastBackoff)
		}
	}
}

// rest waits for d, or until the network is closed.
func (l *listener) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.net.ctx.Done():
	}
}

// welcome asks for a handler and starts the stream.
func (l *listener) welcome(tr transport) {
	s := newStream(l.net, l.protocol, nil)
	s.attach(tr)
	if !l.net.start(s) {
		tr.close(true)
		return
	}
	go func() {
		defer l.net.forget(s)
		if tr.first(l.net.ctx) != nil || !l.admit(s) {
			tr.close(true)
			return
		}
		s.release()
		s.run()
	}()
}

// admit asks for the stream's handler; calls of accept do not overlap.
func (l *listener) admit(s *stream) bool {
	l.accepting.Lock()
	defer l.accepting.Unlock()
	s.handler = l.accept(s)
	return s.handler != nil
}
