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
	paused bool
}

func (f *flow) Pause()  { f.paused = true }
func (f *flow) Resume() { f.paused = false }

// TestLinkStopsReading floods a link whose service does not come to its turn.
func TestLinkStopsReading(t *testing.T) {
	n := &Node{name: "b", sched: stepper.New(stepper.Options{}).NewNode(0, "b", stepper.NodeOptions{})}
	c := &cluster{node: n, svc: &Service{node: n}}
	c.svc.mail.busy = true // its turn does not come
	stream := &flow{}
	l := c.newLink(nil)
	l.conn, l.up = stream, true

	peer := link.New(link.Config{Self: "a", Dialer: true}, 0)
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
