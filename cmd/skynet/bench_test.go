package main

import (
	"bytes"
	"testing"

	"skynet/cmd/skynet/measure"
)

func TestFiguresAreATable(t *testing.T) {
	var out bytes.Buffer
	err := printFigures(&out, []measure.Result{
		{Name: "call", Value: 512.4, Unit: "ns", PingPong: 250, Ratio: 2.0496, Bar: "≤ 2.2 × ping-pong", Met: true},
		{Name: "tcp-echo-64", Value: 98765.4, Unit: "echoes/s", PingPong: 251, Ratio: 40.34, Reference: 100000, OfReference: 0.987654, Bar: "≥ 105000"},
		{Name: "idle-memory", Value: 1932.2, Unit: "bytes", PingPong: 249.6},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `name         figure           ping-pong  ratio    reference       bar
call         512 ns           250 ns     2.05 ×   -               ≤ 2.2 × ping-pong: met
tcp-echo-64  98,765 echoes/s  251 ns     40.34 ×  0.99 × 100,000  ≥ 105000: missed
idle-memory  1,932 bytes      250 ns     -        -               -
`
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestDigits(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{{0.123456, "0.123"}, {1.5, "1.5"}, {99.94, "99.9"}, {100, "100"}, {999.4, "999"}, {1000, "1,000"}, {1234567.8, "1,234,568"}} {
		if got := digits(c.v); got != c.want {
			t.Errorf("digits(%v) = %s, want %s", c.v, got, c.want)
		}
	}
}

func TestWrapped(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{{nil, ""}, {[]string{"one"}, "  one"}, {[]string{"one", "two", "three"}, "  one two\n  three"}} {
		if got := wrapped(c.words, 10); got != c.want {
			t.Errorf("wrapped(%q) = %q, want %q", c.words, got, c.want)
		}
	}
}
