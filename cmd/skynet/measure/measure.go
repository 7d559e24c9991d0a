// Package measure measures the runtime and the simulator on this machine.
//
// A figure without the speed of the machine says little, and machines are noisy. So each measurement is made in short
// rounds that take turns with rounds of a ping-pong over an unbuffered Go channel, and with rounds of the measurement's own
// reference if it has one (a bare Go echo server, one worker instead of two); the medians of the rounds are reported. What
// disturbs the machine disturbs all of them.
package measure

import (
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"skynet/runtime/diag"
)

// Options say how to measure. The zero value measures as long as the bench command does.
type Options struct {
	// Rounds is how many rounds each measurement has; 0 means 15. The median needs a few of them to forget disturbances.
	Rounds int
	// Round is how long a round of the measurement should take, 0 means 70 ms. The rounds of the ping-pong take a
	// quarter of it.
	Round time.Duration
	// Part divides the size of the measurements that have a size of their own, such as a million timers; 0 means 1.
	// The figures mean what their names say with 1 only: more is for seeing that everything works.
	Part int
	// Client makes the command of a process that calls [Client] with its standard streams. The measurements named tcp-echo need
	// it, and no other does.
	Client func() *exec.Cmd
}

func (o Options) withDefaults() Options {
	if o.Rounds <= 0 {
		o.Rounds = 15
	}
	if o.Round <= 0 {
		o.Round = 70 * time.Millisecond
	}
	o.Part = max(1, o.Part)
	return o
}

// Result is one figure. The names of its JSON fields are stable.
type Result struct {
	Name string `json:"name"`
	// Value is the figure in Unit: "ns" for one operation, "bytes", "ms", "allocs", or operations a second, such as "calls/s".
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// PingPong is the time of one ping-pong over an unbuffered channel, in ns, in the same seconds.
	PingPong float64 `json:"pingpong_ns"`
	// Ratio is the time of one operation divided by PingPong, for rates too; 0 for a figure in bytes, ms or allocs.
	Ratio float64 `json:"ratio"`
	// Reference is the figure of the measurement's own reference, in Unit, and OfReference how many times as fast as it
	// the measurement is: above 1 is faster. Both are 0 for a measurement without one.
	Reference   float64 `json:"reference,omitempty"`
	OfReference float64 `json:"of_reference,omitempty"`

	// Bar says what the design asks for, "" for nothing, and Met whether this figure reaches it.
	Bar string `json:"-"`
	Met bool   `json:"-"`
}

// A measurement is one thing that can be measured.
type measurement struct {
	name, unit string
	bar        bar
	fixed      int // how many operations a round has, if not as many as fit into its time
	rounds     int // how many rounds there are at the most, if long ones
	prepare    func() (*rig, error)
}

// A bar is what the design asks for.
type bar struct {
	text string
	met  func(Result) bool
}

// A rig is a measurement that is set up and waits for its rounds.
type rig struct {
	round     round
	reference round // nil without one
	close     func()
}

// A round performs about n operations and returns the cost of one: in ns, or for figures that are no times the figure.
type round func(n int) (cost float64, err error)

// The units that are no time of an operation.
const (
	nanoseconds  = "ns"
	milliseconds = "ms"
	bytes        = "bytes"
	allocations  = "allocs"
)

// Names lists what can be measured, in the order in which it is.
func Names() []string {
	var names []string
	for _, m := range measurements(Options{}) {
		names = append(names, m.name)
	}
	return names
}

// An UnknownError is a name of nothing that can be measured.
type UnknownError struct{ Name string }

// Error names what was probably meant.
func (e *UnknownError) Error() string {
	msg := fmt.Sprintf("unknown measurement %q", e.Name)
	near := e.Near()
	switch last := len(near) - 1; {
	case last > 0:
		msg += fmt.Sprintf("; did you mean %s or %s?", strings.Join(near[:last], ", "), near[last])
	case last == 0:
		msg += fmt.Sprintf("; did you mean %s?", near[0])
	}
	return msg
}

// Near lists what was probably meant: the one name that is spelt nearly like it, or else those that have it as a part, such as
// all of "echo". It is empty if there is nothing of the kind.
func (e *UnknownError) Near() []string {
	if near, ok := diag.Nearest(e.Name, Names()); ok {
		return []string{near}
	}
	word := strings.ToLower(strings.Trim(e.Name, "-"))
	if word == "" {
		return nil
	}
	return slices.DeleteFunc(Names(), func(name string) bool { return !strings.Contains("-"+name+"-", "-"+word+"-") })
}

// Run makes the named measurements, all if none is named, in the order of [Names], each once. before is called before each with how
// many are done and how many there are. It fails with an [*UnknownError] before anything is measured. It takes all
// processors, so nothing else should run meanwhile.
func Run(o Options, names []string, before func(name string, done, total int)) ([]Result, error) {
	chosen, err := choose(o, names)
	if err != nil {
		return nil, err
	}
	results := []Result{}
	for i, m := range chosen {
		before(m.name, i, len(chosen))
		r, err := m.run(o.withDefaults())
		if err != nil {
			return nil, fmt.Errorf("measure: %s: %w", m.name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

func choose(o Options, names []string) ([]measurement, error) {
	all := measurements(o)
	known := Names()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, &UnknownError{name}
		}
	}
	if len(names) > 0 {
		all = slices.DeleteFunc(all, func(m measurement) bool { return !slices.Contains(names, m.name) })
	}
	return all, nil
}

// run sets the measurement up and takes its rounds in turns with those of the ping-pong and of the reference.
func (m measurement) run(o Options) (Result, error) {
	runtime.GC() // nobody pays for the garbage of the measurement before
	r, err := m.prepare()
	if err != nil {
		return Result{}, err
	}
	defer r.close()
	counts, err := m.calibrate(r, o)
	if err != nil {
		return Result{}, err
	}
	rounds := []round{pingPong, r.round, r.reference}
	costs := make([][]float64, len(rounds))
	for range m.most(o.Rounds) {
		for i, round := range rounds {
			if round == nil {
				continue
			}
			cost, err := round(counts[i])
			if err != nil {
				return Result{}, err
			}
			costs[i] = append(costs[i], cost)
		}
	}
	return m.result(median(costs[0]), median(costs[1]), median(costs[2])), nil
}

// most is how many rounds there are of the number wanted.
func (m measurement) most(wanted int) int {
	if m.rounds > 0 {
		return min(m.rounds, wanted)
	}
	return wanted
}

// calibrate finds how many operations the rounds of the ping-pong, the measurement and its reference have.
func (m measurement) calibrate(r *rig, o Options) (counts [3]int, err error) {
	if counts[0], err = fit(pingPong, o.Round/4); err != nil {
		return counts, err
	}
	if counts[1] = max(1, m.fixed/o.Part); m.fixed == 0 {
		if counts[1], err = fit(r.round, o.Round); err != nil {
			return counts, err
		}
	}
	if r.reference != nil {
		counts[2], err = fit(r.reference, o.Round)
	}
	return counts, err
}

// fit returns how many operations of a round take about as long as wanted. The first rounds, in which everything is cold,
// are not used for anything else. A round that takes long is repeated and the shorter time counts: else one interruption
// by the machine would make all rounds of the measurement so short that they measure little but their beginning.
func fit(r round, want time.Duration) (int, error) {
	for n := 1; ; n *= 4 {
		took := want
		for range 2 {
			begun := time.Now()
			if _, err := r(n); err != nil {
				return 0, err
			}
			if took = min(took, time.Since(begun)); took < want/8 {
				break
			}
		}
		if took >= want/8 {
			return max(1, int(float64(n)*float64(want)/float64(took))), nil
		}
	}
}

func median(costs []float64) float64 {
	if len(costs) == 0 {
		return 0
	}
	slices.Sort(costs)
	return costs[len(costs)/2]
}

// result puts costs into the units of the figure.
func (m measurement) result(pingPong, cost, reference float64) Result {
	r := Result{Name: m.name, Unit: m.unit, Value: m.figure(cost), PingPong: pingPong, Bar: m.bar.text}
	if m.timed() {
		r.Ratio = cost / pingPong
	}
	if reference > 0 {
		r.Reference, r.OfReference = m.figure(reference), reference/cost
	}
	r.Met = m.bar.met != nil && m.bar.met(r)
	return r
}

// timed tells whether the cost of an operation is its time.
func (m measurement) timed() bool {
	return m.unit != bytes && m.unit != milliseconds && m.unit != allocations
}

// figure is a cost in the unit of the measurement.
func (m measurement) figure(cost float64) float64 {
	if m.unit == nanoseconds || !m.timed() {
		return cost
	}
	return float64(time.Second) / cost
}

// pingPong passes a number forth and back n times between two goroutines.
func pingPong(n int) (float64, error) {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for v := range ping {
			pong <- v
		}
		close(pong)
	}()
	begun := time.Now()
	for i := range n {
		ping <- i
		<-pong
	}
	cost := per(time.Since(begun), n)
	close(ping)
	<-pong
	return cost, nil
}

// per is the time of one of n operations, in ns.
func per(took time.Duration, n int) float64 { return float64(took) / float64(n) }
