package runtime

import (
	"testing"

	"skynet/runtime/link"
	"skynet/sched/stepper"
	"skynet/vnet"
)

// flow is a stream of which only the flow control is of interest.
type flow struct {
	vnet.Conn
	paused, aborted bool
	full            bool
}

func (f *flow) Pause()                     { f.paused = true }
func (f *flow) Resume()                    { f.paused = false }
func (f *flow) Write([]byte) (bool, error) { return f.full, nil }
func (f *flow) Abort()                     { f.aborted = true }
func (f *flow) RemoteAddr() string         { return "a:1" }

// accepted returns a link that a node "a" has opened, and that node's end of it. Its service does not come to its turn.
func accepted(stream *flow) (*clusterLink, *link.Link) {
	n := &Node{name: "b", sched: stepper.New(stepper.Options{}).NewNode(0, "b", stepper.NodeOptions{})}
	c := &cluster{node: n, svc: &Service{node: n}}
	c.svc.mail.busy = true
	l := c.newLink(nil)
	l.conn, l.up = stream, true
	return l, link.New(link.Config{Self: "a", Dialer: true}, 0)
}

// TestLinkStopsReading floods a link whose service does not come to its turn.
func TestLinkStopsReading(t *testing.T) {
	stream := &flow{}
	l, peer := accepted(stream)
	if err := peer.Send(link.Request{Name: "x", Command: "get", Payload: make([]byte, maxInput)}); err != nil {
		t.Fatal(err)
	}
	out := peer.Output()
	l.Data(stream, out[:maxInput-1])
	if stream.paused {
		t.Errorf("after %d bytes: got a paused stream, want it to go on", maxInput-1)
	}
	l.Data(stream, out[maxInput-1:maxInput])
	if !stream.paused {
		t.Errorf("after %d bytes: got a stream that goes on, want it paused", maxInput)
	}
	l.onChange()
	if stream.paused || l.remote != "a" {
		t.Errorf("after they were handled: got paused = %v and a link to %q, want a stream that goes on, to \"a\"", stream.paused, l.remote)
	}
}

// TestLinkOfANodeThatTakesNoAnswers answers a node that does not read.
func TestLinkOfANodeThatTakesNoAnswers(t *testing.T) {
	stream := &flow{}
	l, peer := accepted(stream)
	l.Data(stream, peer.Output())
	l.onChange()
	answer := make([]byte, 8<<20)
	say := func() {
		l.replyBytes(1, answer)
		l.write()
	}
	for range 2 * maxUnread / len(answer) { // it reads
		say()
	}
	stream.full = true
	for range maxUnread/len(answer) - 1 {
		say()
	}
	if stream.aborted {
		t.Errorf("after less than %d bytes: got a link that is gone, want it to live", maxUnread)
	}
	l.Writable(stream)
	l.onChange()
	for range maxUnread/len(answer) - 1 {
		say()
	}
	if stream.aborted {
		t.Errorf("after it has read again: got a link that is gone, want it to live")
	}
	say()
	if !stream.aborted || !l.gone {
		t.Errorf("after more than %d bytes: got a link that lives, want it gone", maxUnread)
	}
}
