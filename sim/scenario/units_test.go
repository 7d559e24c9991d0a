package scenario

import (
	"math"
	"testing"

	"go.starlark.net/starlark"
)

func TestQuantities(t *testing.T) {
	for _, test := range []struct {
		unit *unit
		in   starlark.Value
		want int64 // -1 for an error
	}{
		{seconds, starlark.String("250ms"), 250e6},
		{seconds, starlark.MakeInt(2), 2e9},
		{seconds, starlark.Float(0.1), 100e6},
		{seconds, starlark.Float(0.1 + 0.2), 300e6},
		{seconds, starlark.Float(1e-9), 1},
		{seconds, starlark.Float(0.4e-9), 0},
		{seconds, starlark.Float(0.5e-9), 1},
		{seconds, starlark.Float(1e300), -1},
		{seconds, starlark.Float(math.NaN()), -1},
		{seconds, starlark.Float(math.Inf(1)), -1},
		{seconds, starlark.Float(-1), -1},
		{seconds, starlark.String("5"), -1},
		{seconds, starlark.None, -1},
		{rate, starlark.Float(0.005), 5000},
		{rate, starlark.String("0.5%"), 5000},
		{rate, starlark.String("1e-3%"), -1},
		{rate, starlark.String("%"), -1},
		{rate, starlark.MakeInt(1), 1e6},
		{size, starlark.String("64KiB"), 65536},
		{size, starlark.String("1.5MB"), 1.5e6},
		{size, starlark.MakeInt(4096), 4096},
		{size, starlark.MakeInt(0), -1},
		{percent, starlark.String("10%"), 10},
		{percent, starlark.MakeInt(101), -1},
		{signedSeconds, starlark.String("-2s"), -2e9},
	} {
		got, err := test.unit.one(test.in)
		if err != nil {
			got = -1
		}
		if got != test.want {
			t.Errorf("%s: got %d, %v, want %d", test.in, got, err, test.want)
		}
	}
}
