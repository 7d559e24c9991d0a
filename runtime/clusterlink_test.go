package runtime

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

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

// FuzzWatches plays a node that watches two services of another one, takes that back, twice, too late, or what it never asked for,
// in any order and cut into any pieces. The tables of the two are what a model says, and who is in one when its service ends hears
// of it once.
func FuzzWatches(f *testing.F) {
	f.Add([]byte{0, 8, 2, 2, 7, 10, 7})            // a watch is taken back twice
	f.Add([]byte{2, 0, 7, 6, 7, 2, 0, 7})          // before it, and when its service has ended
	f.Add([]byte{0, 9, 3, 4, 12, 7, 14, 6, 7})     // of the wrong service, of an unknown one
	f.Add([]byte{0, 0, 0, 1, 1, 26, 5, 13, 7, 6})  // that wants an answer
	f.Add([]byte{0, 1, 0, 1, 18, 7, 6, 14, 10, 2}) // after both have ended
	f.Fuzz(func(t *testing.T, ops []byte) {
		world := stepper.New(stepper.Options{Seed: 1})
		n, err := NewNode(Config{Name: "b", Scheduler: world.NewNode(0, "b", stepper.NodeOptions{}), Programs: NewPrograms(nil)})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Crash()
		stream := &recorder{}
		l := n.cluster.newLink(nil)
		l.conn, l.up = stream, true
		peer := link.New(link.Config{Self: "a", Dialer: true}, 0)
		services := []*Service{n.newService("x", nil), n.newService("y", nil)}
		watched := []map[uint64]bool{{}, {}} // the model: the sessions in the tables
		said := func(session uint64, what string) string { return fmt.Sprintf("%d %s", session, what) }
		var want []string
		session := uint64(0)
		send := func(r link.Request) {
			if err := peer.Send(r); err != nil {
				t.Fatal(err)
			}
		}
		deliver := func(piece int) {
			for out := slices.Clone(peer.Output()); len(out) > 0; out = out[min(piece, len(out)):] {
				l.Data(stream, out[:min(piece, len(out))])
			}
			world.Run(world.Now().Add(time.Second), nil)
		}
		for _, op := range ops {
			which, rest := int(op>>3&1), uint64(op>>4)
			id := services[which].addr.id
			switch op & 7 {
			case 0, 1: // watches
				session++
				if services[which].phase == ending {
					want = append(want, said(session, "dead"))
				} else {
					watched[which][session] = true
				}
				send(link.Request{Session: session, ID: id, Command: watchCommand, Deadline: maxDuration})
			case 2: // takes the watch of a session back, if this is its service
				at := session - min(rest, session)
				delete(watched[which], at)
				send(link.Request{Session: at, ID: id, Command: unwatchCommand})
			case 3:
				send(link.Request{Session: session, ID: 1 << 40, Command: unwatchCommand})
			case 4: // the services of the runtime are none of its business
				send(link.Request{Session: session, ID: n.system.addr.id, Command: unwatchCommand})
			case 5: // it is no command that can be called
				session++
				if services[which].phase == ending {
					want = append(want, said(session, "dead"))
				} else {
					want = append(want, said(session, "remote"))
				}
				send(link.Request{Session: session, ID: id, Command: unwatchCommand, Deadline: maxDuration})
			case 6:
				deliver(1 << 20)
				services[which].kill(nil, Reason{Kind: Killed})
				for _, s := range slices.Sorted(maps.Keys(watched[which])) {
					want = append(want, said(s, "ended"))
				}
				clear(watched[which])
				world.Run(world.Now().Add(time.Second), nil)
			case 7:
				deliver(int(rest) + 1)
			}
		}
		deliver(1 << 20)
		for i, s := range services {
			var got []uint64
			for to := range s.watchers.all() {
				got = append(got, to.session)
			}
			if want := slices.Sorted(maps.Keys(watched[i])); !slices.Equal(got, want) {
				t.Errorf("service %d is watched by the sessions %v, want %v", i, got, want)
			}
		}
		events, err := peer.Input(0, stream.out)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			switch e := e.(type) {
			case link.Reply:
				got = append(got, said(e.Session, "ended"))
			case link.Failure:
				got = append(got, said(e.Session, e.Kind))
			}
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("answers: got %q, want %q", got, want)
		}
	})
}

// recorder is a stream that keeps what is written to it.
type recorder struct {
	flow
	out []byte
}

func (r *recorder) Write(p []byte) (bool, error) {
	r.out = append(r.out, p...)
	return false, nil
}
