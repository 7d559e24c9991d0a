package runtime

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/google/pprof/profile"
	"go.starlark.net/starlark"

	"skynet/sched"
)

// samplePeriod is the number of Starlark steps from one sample to the next: a tenth of a millisecond. It is a prime, so that it
// keeps no step with a loop.
const samplePeriod = 9973

// stepNanoseconds is what a step takes on average: 10,000 take about 90 µs.
const stepNanoseconds = 9

// stepProfile collects samples of what scripts execute. Samples are counted in steps, so in simulation a run has one profile,
// whatever the machine.
type stepProfile struct {
	mu      sync.Mutex
	started sched.Time
	wall    int64
	index   map[string]*stackSample
	samples []*stackSample // in the order they were first seen
}

// stackSample is a stack of a service that was seen count times.
type stackSample struct {
	address, script string
	frames          []codeFrame // innermost first
	count           int64
}

// codeFrame is a line of a function.
type codeFrame struct {
	function, file string
	begin, line    int32
}

// StartProfile begins to take samples of the Starlark code that the node's services execute, one in about 10,000 steps.
// It is an error if that was begun already.
func (n *Node) StartProfile() error {
	p := &stepProfile{started: n.sched.Now(), wall: n.sched.Wall(), index: make(map[string]*stackSample)}
	if !n.profile.CompareAndSwap(nil, p) {
		return errors.New("runtime: StartProfile: a profile is being taken already")
	}
	return nil
}

// StopProfile ends what StartProfile began and writes the samples as a gzipped profile for `go tool pprof`: steps and the
// nanoseconds they are estimated to take, labelled with the service and its script. It is an error if none was begun.
func (n *Node) StopProfile(w io.Writer) error {
	p := n.profile.Swap(nil)
	if p == nil {
		return errors.New("runtime: StopProfile: no profile is being taken")
	}
	if err := p.export(n.sched.Now()).Write(w); err != nil {
		return fmt.Errorf("runtime: StopProfile: %w", err)
	}
	return nil
}

// sample takes the sample that is due, if any, and sets the next one. Threads are pooled and count their steps over all their
// handlers, so short handlers are seen as often as their share.
func (co *coroutine) sample() {
	w, steps, p := &co.long, co.thread.Steps, co.svc.node.profile.Load()
	if p == nil {
		w.sampleAt = 0
		return
	}
	if w.sampleAt != 0 && steps >= w.sampleAt {
		p.take(co)
	}
	if w.sampleAt <= steps || w.sampleAt > steps+samplePeriod {
		w.sampleAt = steps + samplePeriod
	}
}

// take adds the stack of a coroutine that runs.
func (p *stepProfile) take(co *coroutine) {
	th := co.thread
	frames := make([]codeFrame, th.CallStackDepth())
	var key strings.Builder
	key.WriteString(co.svc.label)
	for i := range frames {
		frames[i] = codeFrameOf(th.DebugFrame(i))
		f := &frames[i]
		fmt.Fprintf(&key, "\n%s %s:%d", f.function, f.file, f.line)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.index[key.String()]
	if s == nil {
		s = &stackSample{address: co.svc.addr.String(), script: co.svc.running(), frames: frames}
		p.index[key.String()] = s
		p.samples = append(p.samples, s)
	}
	s.count++
}

func codeFrameOf(f starlark.DebugFrame) codeFrame {
	pos := f.Position()
	c := codeFrame{function: f.Callable().Name(), file: pos.Filename(), line: pos.Line}
	if fn, ok := f.Callable().(*starlark.Function); ok {
		c.begin = fn.Position().Line
	}
	return c
}

// export makes a profile of the samples.
func (p *stepProfile) export(now sched.Time) *profile.Profile {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := &profile.Profile{
		SampleType:        []*profile.ValueType{{Type: "steps", Unit: "count"}, {Type: "time", Unit: "nanoseconds"}},
		DefaultSampleType: "steps",
		PeriodType:        &profile.ValueType{Type: "steps", Unit: "count"},
		Period:            samplePeriod,
		TimeNanos:         p.wall,
		DurationNanos:     int64(now.Sub(p.started)),
	}
	functions, locations := make(map[codeFrame]*profile.Function), make(map[codeFrame]*profile.Location)
	for _, s := range p.samples {
		sample := &profile.Sample{
			Value: []int64{s.count * samplePeriod, s.count * samplePeriod * stepNanoseconds},
			Label: map[string][]string{"service": {s.address}, "script": {s.script}},
		}
		for _, f := range s.frames {
			if locations[f] == nil {
				locations[f] = location(out, functions, f)
			}
			sample.Location = append(sample.Location, locations[f])
		}
		out.Sample = append(out.Sample, sample)
	}
	return out
}

// location adds a line, and its function if that is new.
func location(out *profile.Profile, functions map[codeFrame]*profile.Function, f codeFrame) *profile.Location {
	whole := f
	whole.line = 0
	fn := functions[whole]
	if fn == nil {
		fn = &profile.Function{
			ID: uint64(len(out.Function) + 1), Name: f.function, SystemName: f.function, Filename: f.file, StartLine: int64(f.begin),
		}
		functions[whole] = fn
		out.Function = append(out.Function, fn)
	}
	l := &profile.Location{ID: uint64(len(out.Location) + 1), Line: []profile.Line{{Function: fn, Line: int64(f.line)}}}
	out.Location = append(out.Location, l)
	return l
}
