package virtual

import (
	"errors"
	"slices"
	"testing"
	"time"

	"skynet/sched"
	"skynet/vnet"
)

func TestDistributions(t *testing.T) {
	const draws = 200_000
	ms := time.Millisecond
	for _, tc := range []struct {
		d           Distribution
		text        string
		median, p99 time.Duration
	}{
		{Distribution{}, "0s", 0, 0},
		{Constant(3 * ms), "3ms", 3 * ms, 3 * ms},
		{Constant(-ms), "0s", 0, 0},
		{Uniform(2*ms, 4*ms), "uniform(2ms, 4ms)", 3 * ms, 3980 * time.Microsecond},
		{Uniform(4*ms, 2*ms), "uniform(4ms, 4ms)", 4 * ms, 4 * ms},
		{Exponential(10 * ms), "exponential(10ms)", 6931 * time.Microsecond, 46052 * time.Microsecond},
		{Lognormal(2*ms, 30*ms), "lognormal(2ms, p99 = 30ms)", 2 * ms, 30 * ms},
		{Lognormal(50*ms, 60*ms), "lognormal(50ms, p99 = 60ms)", 50 * ms, 60 * ms},
		{Lognormal(5*ms, ms), "lognormal(5ms, p99 = 5ms)", 5 * ms, 5 * ms},
	} {
		r := sched.NewStream(1, tc.text)
		drawn := make([]time.Duration, draws)
		for i := range drawn {
			drawn[i] = tc.d.Draw(r)
		}
		slices.Sort(drawn)
		if drawn[0] < 0 {
			t.Errorf("%v: drew %v, want none below 0", tc.d, drawn[0])
		}
		near(t, tc.text+" median", drawn[draws/2], tc.median)
		near(t, tc.text+" p99", drawn[draws*99/100], tc.p99)
		if got := tc.d.String(); got != tc.text {
			t.Errorf("got %q, want %q", got, tc.text)
		}
	}
}

// near allows 3 percent, several times what 200,000 draws stray.
func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want*97/100 || got > want*103/100 {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, d := range []Distribution{
		Uniform(time.Millisecond, time.Second), Exponential(time.Second), Lognormal(time.Millisecond, time.Second),
	} {
		b.Run(d.String(), func(b *testing.B) {
			r := sched.NewStream(1)
			for b.Loop() {
				d.Draw(r)
			}
		})
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"n1:7000", ":0", "127.0.0.1:80", "[::1]:80", "a", "a:b", "a:65536", "[x:1", "a:b:1", ":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port, err := parseAddress(s)
		if err != nil {
			if !errors.Is(err, vnet.ErrAddress) {
				t.Errorf("%q: got error %v, want %v", s, err, vnet.ErrAddress)
			}
			return
		}
		if port < 0 || port > lastPort {
			t.Errorf("%q: got port %d", s, port)
		}
		switch host {
		case "localhost", "127.0.0.1", "0.0.0.0", "::", "::1":
			t.Errorf("%q: got host %q, want it to mean this host", s, host)
		}
	})
}
