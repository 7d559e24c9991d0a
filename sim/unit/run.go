package unit

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sched"
	"skynet/sched/stepper"
	"skynet/sched/trace"
)

// Options say how to run a test. The zero value is seed 0 and the default limits.
type Options struct {
	// Seed is the root of every random choice, the order of what happens at the same time included; see [SeedOf].
	Seed uint64
	// Limit is the virtual time a test may take beside what it lets pass by test.advance; 0 is an hour. A longer one lets a test
	// that never ends go on for longer.
	Limit time.Duration
	// MaxSteps bounds the scheduler's steps, since services that talk for ever let no time pass; 0 is 10 million, some
	// seconds.
	MaxSteps uint64
	// Trace is told of every event; nil is a private one, of which only the hash is kept.
	Trace *trace.Trace
}

// DefaultLimit is the [Options.Limit] if nobody says otherwise.
const DefaultLimit = time.Hour

func (o Options) withDefaults() Options {
	o.Limit = cmp.Or(o.Limit, DefaultLimit)
	o.MaxSteps = cmp.Or(o.MaxSteps, 10_000_000)
	return o
}

// Result is what a run of one test came to.
type Result struct {
	Test    string
	Seed    uint64
	Hash    uint64        // of the whole trace: equal seeds give equal hashes, on every machine
	Steps   uint64        // actions of the scheduler
	Virtual time.Duration // how long the test took in its world
	Failure *Failure      // nil if it passed
	Logs    []Line        // everything that was logged
}

// Line is a log line.
type Line struct {
	At      time.Duration // since the start of the test
	Level   slog.Level
	Service string // address and script of who logged it
	Text    string // the message and its fields, without the service
}

// Run runs one test of the file in a world of its own.
func (f *File) Run(test string, o Options) *Result {
	w := newWorld(f, test, o)
	defer w.close()
	w.run(func(thread *starlark.Thread, globals starlark.StringDict) error {
		fn, ok := globals[test].(*starlark.Function)
		if !ok {
			return errNoTest(test, globals)
		}
		_, err := starlark.Call(thread, fn, nil, nil)
		return err
	})
	return w.result()
}

// run is the life of a world.
func (w *world) run(body func(*starlark.Thread, starlark.StringDict) error) {
	if err := w.boot(body); err != nil {
		w.fail(&failure{err: err})
	}
	for !w.over() {
		horizon := w.horizon()
		changed := func() bool { return w.over() || w.exhausted() || w.horizon() != horizon }
		outcome := w.step.Run(horizon, changed)
		switch {
		case w.over():
		case w.exhausted():
			w.hang(fmt.Sprintf("got no end of the test within %d steps of the scheduler, want one", w.options.MaxSteps))
		case outcome != stepper.Stopped && !w.wake():
			w.hang(w.endless(outcome))
		}
	}
	w.settle()
}

// settleSteps bounds what still runs when a test has returned: services may send to themselves without end.
const settleSteps = 10_000

// settle lets run what was due when the test returned: forks that had not begun may hold an assertion that fails.
func (w *world) settle() {
	if w.failure == nil {
		limit := w.step.Steps() + settleSteps
		w.step.Run(w.step.Now(), func() bool { return w.failure != nil || w.step.Steps() >= limit })
	}
}

func (w *world) over() bool { return w.done || w.failure != nil }

func (w *world) exhausted() bool { return w.step.Steps() >= w.options.MaxSteps }

// horizon is up to when things may happen before the next advance is over.
func (w *world) horizon() sched.Time {
	until := w.limit
	for _, a := range w.advances {
		until = min(until, a.until)
	}
	return until
}

// wake resumes those whose advance is over: all that was due has happened. It reports whether there is any.
func (w *world) wake() (any bool) {
	now := w.step.Now()
	var left []advance
	for _, a := range w.advances {
		if a.until > now {
			left = append(left, a)
			continue
		}
		any = true
		a.resume()
	}
	w.advances = left
	return any
}

func (w *world) endless(outcome stepper.Outcome) string {
	if outcome == stepper.Idle {
		return "got a test that waits for ever, want an end: nothing can happen any more"
	}
	return fmt.Sprintf("got no end of the test within %v of virtual time, want one", w.options.Limit)
}

// hang fails the test because it does not end.
func (w *world) hang(msg string) {
	f := &failure{err: errors.New(msg)}
	f.waits = w.node.Waits().Lines()
	if w.thread != nil {
		f.err = placedAt(w.thread, msg)
	}
	w.fail(f)
}

func (w *world) result() *Result {
	r := &Result{
		Test: w.test, Seed: w.options.Seed, Hash: w.trace.Hash(), Steps: w.step.Steps(), Virtual: time.Duration(w.step.Now()),
	}
	for _, l := range w.lines {
		service := l.fact.Attr("service")
		text := strings.Replace(l.text, " service="+service, "", 1)
		r.Logs = append(r.Logs, Line{time.Duration(l.fact.At), l.fact.Level, service, w.folder.outside(text)})
	}
	if w.failure != nil {
		r.Failure = w.report(w.failure)
	}
	return r
}

// names are those that a test's file sees, for hints.
func (w *world) names() []string {
	return append(runtime.Predeclared().Keys(), w.words.predeclared.Keys()...)
}

// isTest reports whether a script sees the words of tests.
func isTest(script string) bool { return strings.HasSuffix(script, Suffix) }
