package runtime

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
)

// mailboxModel is what a mailbox should be: a slice and two flags.
type mailboxModel struct {
	queue        []uint64 // sessions
	busy, closed bool
}

const modelLimit = 6

func (m *mailboxModel) put(k kind, session uint64) putResult {
	switch {
	case m.closed:
		return putClosed
	case k == request && len(m.queue) >= modelLimit:
		return putFull
	}
	m.queue = append(m.queue, session)
	if m.busy {
		return putOK
	}
	m.busy = true
	return putReady
}

func (m *mailboxModel) take() (session uint64, ok bool) {
	if len(m.queue) == 0 {
		m.busy = false
		return 0, false
	}
	session, m.queue = m.queue[0], m.queue[1:]
	return session, true
}

func (m *mailboxModel) settle() bool {
	m.busy = len(m.queue) > 0
	return m.busy
}

func (m *mailboxModel) close() []uint64 {
	left := m.queue
	m.queue, m.closed = nil, true
	return left
}

// mailboxStep does operation op on both and compares what they say.
func mailboxStep(b *mailbox, m *mailboxModel, op int, session uint64) (difference string) {
	compare := func(what string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			difference = fmt.Sprintf("%s: got %v, want %v", what, got, want)
		}
	}
	var out message
	switch {
	case op < 6:
		compare("put of a request", b.put(&message{kind: request, session: session}), m.put(request, session))
	case op < 8:
		compare("put of a reply", b.put(&message{kind: reply, session: session}), m.put(reply, session))
	case op < 14:
		ok := b.take(&out) == took
		want, wantOK := m.take()
		if !ok {
			out = message{}
		}
		compare("take", fmt.Sprint(out.session, ok), fmt.Sprint(want, wantOK))
	case op < 16:
		compare("settle", b.settle(), m.settle())
	case session%4 == 0:
		var left []uint64
		for _, l := range b.close() {
			left = append(left, l.session)
		}
		compare("close", left, m.close())
	}
	compare("length", b.length(), len(m.queue))
	return difference
}

func TestMailboxIsItsModel(t *testing.T) {
	properties := gopter.NewProperties(gopter.DefaultTestParametersWithSeed(1))
	properties.Property("a mailbox does what its model does", prop.ForAll(func(ops []int) string {
		b, m := &mailbox{limit: modelLimit}, &mailboxModel{}
		for i, op := range ops {
			if difference := mailboxStep(b, m, op, uint64(i+1)); difference != "" {
				return fmt.Sprintf("operation %d: %s", i, difference)
			}
		}
		return ""
	}, gen.SliceOf(gen.IntRange(0, 16))))
	properties.TestingRun(t)
}

// TestMailboxGrows pushes a burst through a mailbox, whose ring wraps around and is given back.
func TestMailboxGrows(t *testing.T) {
	b := &mailbox{limit: 5000}
	var m message
	next := uint64(0)
	for i := range uint64(5000) {
		b.put(&message{session: i})
		if i%3 == 0 {
			if b.take(&m); m.session != next {
				t.Fatalf("take: got %d, want %d", m.session, next)
			}
			next++
		}
	}
	for b.take(&m) == took {
		if m.session != next {
			t.Fatalf("take: got %d, want %d", m.session, next)
		}
		next++
	}
	if next != 5000 || b.ring != nil {
		t.Errorf("after a burst: got %d messages and a ring of %d, want 5000 and none", next, len(b.ring))
	}
}

// TestMailboxLosesNothing lets several goroutines put while one takes: every message arrives, in the order of its sender, and
// the owner is told exactly when it is not busy.
func TestMailboxLosesNothing(t *testing.T) {
	const senders, each = 4, 2000
	b := &mailbox{limit: senders * each}
	ready := make(chan struct{}, senders*each)
	var putters sync.WaitGroup
	for s := range senders {
		putters.Go(func() {
			for i := range each {
				if b.put(&message{session: uint64(s)<<32 | uint64(i)}) == putReady {
					ready <- struct{}{}
				}
			}
		})
	}
	var next [senders]uint64
	var m message
	for got := 0; got < senders*each; {
		<-ready
		for b.take(&m) == took {
			got++
			s := m.session >> 32
			if uint32(m.session) != uint32(next[s]) {
				t.Fatalf("message of sender %d: got %d, want %d", s, uint32(m.session), next[s])
			}
			next[s]++
		}
	}
	putters.Wait()
	if b.busy || len(ready) > 0 {
		t.Errorf("at the end: got busy %v and %d more reports, want an idle mailbox", b.busy, len(ready))
	}
}

func TestCloseReturnsWhatIsLeft(t *testing.T) {
	b := &mailbox{limit: 10}
	for i := range uint64(7) {
		b.put(&message{session: i})
	}
	var m message
	b.take(&m)
	var left []uint64
	for _, l := range b.close() {
		left = append(left, l.session)
	}
	if want := []uint64{1, 2, 3, 4, 5, 6}; !slices.Equal(left, want) {
		t.Errorf("left: got %v, want %v", left, want)
	}
	if got := b.put(&message{}); got != putClosed {
		t.Errorf("put after close: got %d, want %d", got, putClosed)
	}
}
