package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// fakeClock is a clock that a test moves.
type fakeClock struct{ at time.Time }

func (c *fakeClock) now() time.Time { return c.at }

func TestProgressRedrawsOneLineOnATerminal(t *testing.T) {
	clock := &fakeClock{time.Unix(1000, 0)}
	var out bytes.Buffer
	p := newProgress(&State{Stderr: &out, StderrTTY: true, Columns: 100, Now: clock.now})
	for done := range uint64(1000) { // one update each millisecond for a second
		clock.at = clock.at.Add(time.Millisecond)
		p.update(tally{name: "quorum", done: done, total: 2000, failed: 1, steps: done * 3000})
	}
	if got := strings.Count(out.String(), "\r"); got != 10 {
		t.Errorf("redraws in a second = %d, want 10", got)
	}
	if strings.Contains(out.String(), "\n") {
		t.Errorf("output = %q, want one line that is redrawn", out.String())
	}
	p.done()
	const last = "\r\x1b[Kquorum [#########...........] 999/2000 seeds, 1 failed, 999 seeds/s, 2.9M steps/s, 1s left\r\x1b[K"
	if !strings.HasSuffix(out.String(), last) {
		t.Errorf("output ends %q, want %q", out.String()[max(0, out.Len()-len(last)):], last)
	}
	size := out.Len()
	if p.done(); out.Len() != size {
		t.Error("a second done printed something, want nothing: the line is clear")
	}
}

func TestProgressIsPlainAndRareElsewhere(t *testing.T) {
	clock := &fakeClock{time.Unix(1000, 0)}
	var out bytes.Buffer
	p := newProgress(&State{Stderr: &out, Now: clock.now})
	p.update(tally{name: "quorum"})
	for done := range uint64(25) { // one update each second
		clock.at = clock.at.Add(time.Second)
		p.update(tally{name: "quorum", done: done, total: 25})
	}
	p.done()
	want := "quorum 9/25 seeds, 0 failed, 0 seeds/s, 0 steps/s, 18s left\nquorum 19/25 seeds, 0 failed, 0 seeds/s, 0 steps/s, 6s left\n"
	if got := out.String(); got != want {
		t.Errorf("output = %q, want %q", got, want)
	}
}

func TestProgressNeverWraps(t *testing.T) {
	clock := &fakeClock{time.Unix(1000, 0)}
	var out bytes.Buffer
	p := newProgress(&State{Stderr: &out, StderrTTY: true, Columns: 20, Now: clock.now})
	clock.at = clock.at.Add(time.Second)
	p.update(tally{name: "scenarios/quorum.star", done: 1, total: 2})
	if got, want := out.String(), "\r\x1b[Kscenarios/quorum.s…"; got != want {
		t.Errorf("line = %q, want %q, which is shorter than the terminal is wide", got, want)
	}
}

func TestProgressOfAnEndlessSweep(t *testing.T) {
	for _, c := range []struct {
		total uint64
		want  string
	}{
		{1 << 30, "s 2/1073741824 seeds, 0 failed, 0 seeds/s, 0 steps/s, 1491308h5m10s left"},
		{1 << 60, "s 2/1152921504606846976 seeds, 0 failed, 0 seeds/s, 0 steps/s"},
	} {
		if got := (tally{name: "s", done: 2, total: c.total}).line(10*time.Second, false); got != c.want {
			t.Errorf("line = %q, want %q", got, c.want)
		}
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		done, total uint64
		want        string
	}{{0, 4, "[....]"}, {1, 4, "[#...]"}, {3, 7, "[#...]"}, {4, 4, "[####]"}, {9, 4, "[####]"}, {0, 0, "[####]"}} {
		if got := (tally{done: c.done, total: c.total}).bar(4); got != c.want {
			t.Errorf("bar of %d/%d = %s, want %s", c.done, c.total, got, c.want)
		}
	}
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		n    uint64
		want string
	}{{0, "0"}, {999, "999"}, {1000, "1.0k"}, {1250, "1.2k"}, {34999, "34k"}, {5_600_000, "5.6M"}, {7_000_000_000, "7.0G"}} {
		if got := short(c.n); got != c.want {
			t.Errorf("short(%d) = %s, want %s", c.n, got, c.want)
		}
	}
}
