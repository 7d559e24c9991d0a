package measure

import (
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"
)

// crowd is how many services a fan-out reaches.
const crowd = 10_000

// fanning prepares a service that sends one message to each of a crowd. One operation is one such message, from the first
// send until the last is handled.
func fanning() (*rig, error) {
	h, err := newHost(1, nil)
	if err != nil {
		return nil, err
	}
	b := newBell()
	speaker, err := h.launch("speaker.star", "", b)
	if err != nil {
		h.close()
		return nil, err
	}
	round := func(n int) (float64, error) {
		size := min(n, crowd)
		if _, err := h.ask(speaker, "gather", starlark.MakeInt(size)); err != nil {
			return 0, err
		}
		passes := max(1, n/size)
		begun := time.Now()
		for range passes {
			b.expect(size)
			if _, err := h.ask(speaker, "speak"); err != nil {
				return 0, err
			}
			<-b.rung
		}
		return per(time.Since(begun), passes*size), nil
	}
	return &rig{round: round, close: h.close}, nil
}

// bell is a value that services are given to ring: how the measurement learns that all have got their message, without
// another message.
type bell struct {
	left atomic.Int64
	rung chan struct{} // told when the last has rung
}

func newBell() *bell { return &bell{rung: make(chan struct{}, 1)} }

// expect makes the bell tell when it has been rung n times.
func (b *bell) expect(n int) { b.left.Store(int64(n)) }

func (b *bell) Name() string          { return "bell" }
func (b *bell) String() string        { return "bell" }
func (b *bell) Type() string          { return "bell" }
func (b *bell) Freeze()               {}
func (b *bell) Truth() starlark.Bool  { return true }
func (b *bell) Hash() (uint32, error) { return 1, nil }

// CallInternal rings.
func (b *bell) CallInternal(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
	if b.left.Add(-1) == 0 {
		b.rung <- struct{}{}
	}
	return starlark.None, nil
}

// CopyForSend lets the bell be sent as it is: it may be rung from anywhere.
func (b *bell) CopyForSend() (starlark.Value, error) { return b, nil }
