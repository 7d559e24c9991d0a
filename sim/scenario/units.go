package scenario

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// Span is a quantity, or a range from which one is drawn for each use: "0.2s..3s". It is fixed if Lo equals Hi. The
// unit depends on where it stands: nanoseconds, parts per million, percent.
type Span struct{ Lo, Hi int64 }

// Draw returns a quantity of the span, both ends included. A fixed span draws nothing from the stream.
func (s Span) Draw(stream *sched.Stream) int64 {
	if s.Lo == s.Hi {
		return s.Lo
	}
	return stream.Between(s.Lo, s.Hi)
}

func fixed(n int64) Span { return Span{n, n} }

// unit is how a quantity is written: as a text in the unit's own form, or as a bare number.
type unit struct {
	want     string
	text     func(string) (int64, error)
	scale    int64 // what a bare number is multiplied by
	min, max int64
	format   func(int64) string
}

const (
	million = 1_000_000
	longest = int64(1e4 * time.Hour) // keeps sums of times far from overflow
)

func durations(want string, min int64) *unit {
	return &unit{want: want, text: parseDuration, scale: int64(time.Second), min: min, max: longest, format: formatDuration}
}

// The units of the language. They are constant: nothing writes to them.
var (
	seconds       = durations(`a duration such as "250ms" or 0.25`, 0)
	signedSeconds = durations(`a duration such as "-1.5s"`, -longest)
	period        = durations(`a duration above 0 such as "5s"`, 1)
	rate          = &unit{want: `a probability such as 0.005 or "0.5%"`, text: parseRate, scale: million, max: million, format: formatRate}
	percent       = &unit{want: "percent from 1 to 100", text: parsePercent, scale: 1, min: 1, max: 100, format: formatInt}
	size          = &unit{want: `a size such as 4096 or "64KiB"`, text: parseSize, scale: 1, min: 1, max: 1 << 50, format: formatInt}
)

func parseDuration(s string) (int64, error) {
	d, err := time.ParseDuration(s)
	return int64(d), err
}

func formatDuration(n int64) string { return strconv.Quote(time.Duration(n).String()) }
func formatInt(n int64) string      { return strconv.FormatInt(n, 10) }

func parseRate(s string) (int64, error) {
	if number, ok := strings.CutSuffix(s, "%"); ok {
		return decimal(number, million/100)
	}
	return decimal(s, million)
}

// formatRate prints parts per million as the percentage they are.
func formatRate(ppm int64) string {
	text := fmt.Sprintf("%d.%04d", ppm/10_000, ppm%10_000)
	return strconv.Quote(strings.TrimRight(strings.TrimRight(text, "0"), ".") + "%")
}

func parsePercent(s string) (int64, error) { return decimal(strings.TrimSuffix(s, "%"), 1) }

func parseSize(s string) (int64, error) {
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}} {
		if number, ok := strings.CutSuffix(s, u.suffix); ok {
			return decimal(number, u.bytes)
		}
	}
	return decimal(s, 1)
}

// decimal reads a decimal number exactly, multiplies it by scale and rounds to the nearest integer: no floating point,
// so that 0.1 is the same number of nanoseconds on every machine.
func decimal(s string, scale int64) (int64, error) {
	s = strings.TrimSpace(s)
	digits := strings.Replace(strings.TrimPrefix(s, "-"), ".", "", 1)
	if digits == "" || len(digits) > 400 || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("got %q, want a number", s)
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, fmt.Errorf("got %q, want a number", s)
	}
	r.Mul(r, new(big.Rat).SetInt64(scale))
	n, ok := new(big.Int).SetString(r.FloatString(0), 10) // rounds half away from zero
	if !ok || !n.IsInt64() {
		return 0, fmt.Errorf("got %s, which is too large", s)
	}
	return n.Int64(), nil
}

// one reads a single quantity.
func (u *unit) one(v starlark.Value) (n int64, err error) {
	switch v := v.(type) {
	case starlark.String:
		n, err = u.text(string(v))
	case starlark.Int:
		i, ok := v.Int64()
		if !ok { // its digits might fill megabytes
			return 0, fmt.Errorf("got an int of %d bits, want %s", v.BigInt().BitLen(), u.want)
		}
		n, err = decimal(strconv.FormatInt(i, 10), u.scale)
	case starlark.Float:
		n, err = decimal(strconv.FormatFloat(float64(v), 'f', -1, 64), u.scale)
	default:
		return 0, fmt.Errorf("got %s, want %s", v.Type(), u.want)
	}
	if err != nil || n < u.min || n > u.max {
		return 0, fmt.Errorf("got %s, want %s", v, u.want)
	}
	return n, nil
}

// span reads a quantity or a range of them.
func (u *unit) span(v starlark.Value) (Span, error) {
	text, ok := starlark.AsString(v)
	lo, hi, isRange := strings.Cut(text, "..")
	if !ok || !isRange {
		n, err := u.one(v)
		return fixed(n), err
	}
	a, errLo := u.one(starlark.String(strings.TrimSpace(lo)))
	b, errHi := u.one(starlark.String(strings.TrimSpace(hi)))
	if errLo != nil || errHi != nil || a > b {
		return Span{}, fmt.Errorf("got %s, want %s, or a range of them, smaller first", v, u.want)
	}
	return Span{a, b}, nil
}

func (u *unit) print(s Span) string {
	if s.Lo == s.Hi {
		return u.format(s.Lo)
	}
	return strconv.Quote(strings.Trim(u.format(s.Lo), `"`) + ".." + strings.Trim(u.format(s.Hi), `"`))
}

// quantity and spanOf let UnpackArgs read quantities.
type quantity struct {
	unit *unit
	n    int64
	set  bool
}

// Unpack reads the argument.
func (q *quantity) Unpack(v starlark.Value) (err error) {
	q.n, err = q.unit.one(v)
	q.set = true
	return err
}

type spanOf struct {
	unit *unit
	Span
}

// Unpack reads the argument.
func (s *spanOf) Unpack(v starlark.Value) (err error) {
	s.Span, err = s.unit.span(v)
	return err
}
