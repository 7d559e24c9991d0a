package stepper

import (
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched"
)

// firing is one timer's firing.
type firing struct {
	timer int
	at    sched.Time
}

// model is the timer queue as one would write it without thinking of speed: a list, sorted when it is run.
type model struct {
	now   sched.Time
	set   []firing // in the order of their settings
	fired []firing
}

func (m *model) stop(timer int) {
	m.set = slices.DeleteFunc(m.set, func(f firing) bool { return f.timer == timer })
}

func (m *model) reset(timer int, at sched.Time) {
	m.stop(timer)
	m.set = append(m.set, firing{timer, max(at, m.now)})
}

func (m *model) run(until sched.Time) {
	sort.SliceStable(m.set, func(i, j int) bool { return m.set[i].at < m.set[j].at })
	due := 0
	for due < len(m.set) && m.set[due].at <= until {
		due++
	}
	m.fired = append(m.fired, m.set[:due]...)
	m.set = slices.Clone(m.set[due:])
	m.now = until
}

// TestTimersAgainstModel does random operations on the stepper's timers and on the model, and wants the same firings
// in the same order at the same times. Times are few, so that many are equal.
func TestTimersAgainstModel(t *testing.T) {
	const timers = 30
	agree := func(ops []uint32) bool {
		s := New(Options{})
		n := s.NewNode(0, "n", NodeOptions{})
		var m model
		var fired []firing
		var set [timers]sched.Timer
		for i := range set {
			set[i] = n.NewTimer(func() { fired = append(fired, firing{i, s.Now()}) })
		}
		for _, op := range ops {
			timer, value := int(op>>8)%timers, sched.Time(op>>16)%40
			switch op % 8 {
			case 0:
				set[timer].Stop()
				m.stop(timer)
			case 1:
				until := s.Now() + value/8
				if out := s.Run(until, nil); out == Idle {
					s.now = until // an idle stepper has no reason to move
				}
				m.run(until)
			default:
				at := s.Now() + value - 5
				set[timer].Reset(at)
				m.reset(timer, at)
			}
			if len(m.set) != len(s.future)+s.enabled.len() {
				return false
			}
		}
		s.Run(sched.Time(time.Hour), nil)
		m.run(sched.Time(time.Hour))
		return slices.Equal(fired, m.fired)
	}
	params := gopter.DefaultTestParametersWithSeed(1)
	params.MinSuccessfulTests = 500
	params.MaxSize = 300
	properties := gopter.NewProperties(params)
	properties.Property("timers fire as the model's", prop.ForAll(agree, gen.SliceOf(gen.UInt32())))
	properties.TestingRun(t)
}

// TestEnabledAgainstModel takes from anywhere in the list and from a plain slice.
func TestEnabledAgainstModel(t *testing.T) {
	agree := func(ops []uint16) bool {
		var l enabled[int]
		var plain []int
		for i, op := range ops {
			if op%3 > 0 || len(plain) == 0 {
				l.push(sched.Action{Seq: uint64(i)}, i)
				plain = append(plain, i)
				continue
			}
			at := int(op/3) % len(plain)
			if l.find(uint64(plain[at])) != at || l.take(at) != plain[at] {
				return false
			}
			plain = slices.Delete(plain, at, at+1)
		}
		for i, a := range l.actions() {
			if a.Seq != uint64(plain[i]) || l.vals[l.head+i] != plain[i] {
				return false
			}
		}
		return l.len() == len(plain)
	}
	params := gopter.DefaultTestParametersWithSeed(2)
	params.MinSuccessfulTests = 500
	params.MaxSize = 300
	properties := gopter.NewProperties(params)
	properties.Property("list is the slice", prop.ForAll(agree, gen.SliceOf(gen.UInt16())))
	properties.TestingRun(t)
}

// TestMemoryIsFlat runs a busy node for long and wants the queues to stay as large as what they hold needs.
func TestMemoryIsFlat(t *testing.T) {
	s := New(Options{Strategy: Random(sched.NewStream(1))})
	n := s.NewNode(0, "n", NodeOptions{Cores: 2})
	for i := range 20 {
		n.Ready(busy(i))
		var timer sched.Timer
		timer = n.NewTimer(func() { timer.Reset(s.Now().Add(time.Duration(i+1) * time.Microsecond)) })
		timer.Reset(0)
	}
	s.Run(sched.Time(100*time.Millisecond), nil)
	if s.Steps() < 300_000 {
		t.Fatalf("steps: got %d, want at least 300,000", s.Steps())
	}
	for what, size := range map[string]int{
		"future": cap(s.future), "enabled": cap(s.enabled.acts), "queue": cap(n.queue.acts),
	} {
		if size > 128 {
			t.Errorf("capacity of %s after %d steps: got %d, want at most 128", what, s.Steps(), size)
		}
	}
}

// busy always has more to do.
type busy uint64

func (b busy) TaskID() uint64 { return uint64(b) }

func (b busy) Run(turn *sched.Turn) bool {
	turn.Messages++
	return true
}
