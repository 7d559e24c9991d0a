package measure

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asClient in the environment makes the test's process one that [Options.Client] starts.
const asClient = "SKYNET_MEASURE_CLIENT"

func TestMain(m *testing.M) {
	if os.Getenv(asClient) != "" {
		if err := Client(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // kcp-go, which the network links, starts goroutines of its own before main
}

func client() *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), asClient+"=1")
	return c
}

// brief is enough to see that a measurement works, and says nothing about the machine.
var brief = Options{Rounds: 1, Round: time.Millisecond, Part: 1000, Client: client}

func TestEveryMeasurementGivesAFigure(t *testing.T) {
	var told []string
	results, err := Run(brief, nil, func(name string, done, total int) {
		if total != len(Names()) || done != len(told) {
			t.Errorf("before %s: got %d of %d, want %d of %d", name, done, total, len(told), len(Names()))
		}
		told = append(told, name)
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(told, Names()) || len(results) != len(told) {
		t.Fatalf("measured %v with %d results, want all of %v", told, len(results), Names())
	}
	for i, r := range results {
		// A few services may fit into memory that the process has already.
		if r.Name != told[i] || r.Unit == "" || !(r.Value > 0 || r.Unit == bytes) || !(r.PingPong > 0) {
			t.Errorf("got %+v, want the name %s, a unit and figures above 0", r, told[i])
		}
	}
}

func TestNamedMeasurementsKeepTheirOrder(t *testing.T) {
	results, err := Run(brief, []string{"send", "call", "send"}, func(string, int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 || results[0].Name != "call" || results[1].Name != "send" {
		t.Errorf("got %+v, want call and send, each once", results)
	}
}

func TestUnknownNameIsRefusedBeforeAnyMeasurement(t *testing.T) {
	_, err := Run(brief, []string{"call", "timer"}, func(name string, _, _ int) { t.Errorf("got %s measured, want nothing", name) })
	var unknown *UnknownError
	if !errors.As(err, &unknown) || unknown.Name != "timer" {
		t.Fatalf("got %v, want an UnknownError for timer", err)
	}
	if got, want := err.Error(), `unknown measurement "timer"; did you mean timers?`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEchoWithoutClientsIsRefused(t *testing.T) {
	_, err := Run(Options{Rounds: 1}, []string{"tcp-echo-1"}, func(string, int, int) {})
	if err == nil || !strings.Contains(err.Error(), "tcp-echo-1") || !strings.Contains(err.Error(), "Options.Client") {
		t.Errorf("got %v, want an error that names tcp-echo-1 and Options.Client", err)
	}
}

func TestUnknownNameIsToldWhatIsNear(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"timer", `unknown measurement "timer"; did you mean timers?`},
		{"clal", `unknown measurement "clal"; did you mean call?`},
		{"TCP", `unknown measurement "TCP"; did you mean tcp-echo-1, tcp-echo-64 or tcp-echo-512?`},
		{"late-", `unknown measurement "late-"; did you mean timer-late or timer-late-1000000?`},
		{"nosuch", `unknown measurement "nosuch"`},
		{"ech", `unknown measurement "ech"`},
		{"-", `unknown measurement "-"`},
		{"", `unknown measurement ""`},
	} {
		if got := (&UnknownError{Name: c.name}).Error(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestResultsAreInTheUnitsTheySay(t *testing.T) {
	for _, c := range []struct {
		m                         measurement
		pingPong, cost, reference float64
		want                      Result
	}{
		{measurement{unit: nanoseconds, bar: ratio(2.2)}, 250, 500, 0, Result{Value: 500, Ratio: 2, Met: true}},
		{measurement{unit: nanoseconds, bar: ratio(1.8)}, 250, 500, 0, Result{Value: 500, Ratio: 2}},
		{measurement{unit: "calls/s", bar: atLeast(1e6)}, 250, 500, 0, Result{Value: 2e6, Ratio: 2, Met: true}},
		{measurement{unit: "calls/s", bar: atLeast(3e6)}, 250, 500, 0, Result{Value: 2e6, Ratio: 2}},
		{measurement{unit: bytes, bar: atMost(4096)}, 250, 4096, 0, Result{Value: 4096, Met: true}},
		{measurement{unit: allocations, bar: atMost(3)}, 250, 2, 0, Result{Value: 2, Met: true}},
		{measurement{unit: milliseconds, bar: atMost(2)}, 250, 3, 0, Result{Value: 3}},
		{measurement{unit: "echoes/s", bar: share(0.9, "bare Go")}, 250, 1000, 950, Result{Value: 1e6, Ratio: 4, Reference: 1e9 / 950., OfReference: 0.95, Met: true}},
		{measurement{unit: "echoes/s", bar: both(share(0.9, "bare Go"), atLeast(2e6))}, 250, 1000, 950, Result{Value: 1e6, Ratio: 4, Reference: 1e9 / 950., OfReference: 0.95}},
		{measurement{unit: nanoseconds}, 250, 500, 0, Result{Value: 500, Ratio: 2}},
	} {
		got := c.m.result(c.pingPong, c.cost, c.reference)
		c.want.Unit, c.want.PingPong, c.want.Bar = c.m.unit, c.pingPong, c.m.bar.text
		if got != c.want {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
}

func TestMedianForgetsOutliers(t *testing.T) {
	for _, c := range []struct {
		costs []float64
		want  float64
	}{{nil, 0}, {[]float64{7}, 7}, {[]float64{900, 3, 1, 2, 4}, 3}} {
		if got := median(c.costs); got != c.want {
			t.Errorf("median of %v = %v, want %v", c.costs, got, c.want)
		}
	}
}

func TestARoundThatFailsEndsTheMeasurement(t *testing.T) {
	broken, closed := errors.New("broken"), false
	m := measurement{unit: nanoseconds, prepare: func() (*rig, error) {
		return &rig{round: func(int) (float64, error) { return 0, broken }, close: func() { closed = true }}, nil
	}}
	if _, err := m.run(brief.withDefaults()); !errors.Is(err, broken) || !closed {
		t.Errorf("got %v and closed %v, want the error of the round and everything closed", err, closed)
	}
}

func TestAMeasurementHasTheRoundsAndTheSizeItWants(t *testing.T) {
	var sizes []int
	m := measurement{unit: nanoseconds, fixed: 5000, rounds: 2, prepare: func() (*rig, error) {
		return &rig{round: func(n int) (float64, error) { sizes = append(sizes, n); return 1, nil }, close: func() {}}, nil
	}}
	for _, o := range []Options{{Rounds: 9, Round: time.Millisecond}, {Rounds: 1, Round: time.Millisecond, Part: 1000}, {Rounds: 1, Round: time.Millisecond, Part: 9000}} {
		if _, err := m.run(o.withDefaults()); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int{5000, 5000, 5, 1}; !slices.Equal(sizes, want) {
		t.Errorf("sizes of the rounds: got %v, want %v", sizes, want)
	}
}

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	for _, c := range []struct {
		all     []time.Duration
		percent int
		want    time.Duration
	}{{hundred, 99, 99}, {hundred, 100, 100}, {hundred, 50, 50}, {[]time.Duration{7}, 99, 7}, {[]time.Duration{2, 1}, 50, 1}} {
		if got := percentile(c.all, c.percent); got != c.want {
			t.Errorf("percentile %d of %d durations = %d, want %d", c.percent, len(c.all), got, c.want)
		}
	}
}

func TestABellTellsWhenAllHaveRung(t *testing.T) {
	b := newBell()
	for range 2 {
		b.expect(3)
		for i := range 3 {
			if len(b.rung) > 0 {
				t.Fatalf("told after %d of 3", i)
			}
			if _, err := b.CallInternal(nil, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		<-b.rung
	}
}
