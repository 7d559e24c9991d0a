package virtual

import (
	"fmt"
	"math/bits"
	"time"

	"skynet/sched"
)

// Distribution is a distribution of durations. It is a plain value, compared with ==; the zero value is always 0. Draws
// use integers only (fixed point with 32 fractional bits), since floating point may differ between architectures.
type Distribution struct {
	shape   shape
	a, b, c int64
}

type shape uint8

const (
	constant    shape = iota // a
	uniform                  // a to b, both included
	exponential              // mean a
	lognormal                // median a, p99 c; b is log2(c/a) / z99 in fixed point
)

// Constant is always d. A negative d counts as 0, here and in the other constructors.
func Constant(d time.Duration) Distribution { return Distribution{a: max(0, int64(d))} }

// Uniform is from lo to hi, both included; hi below lo counts as lo.
func Uniform(lo, hi time.Duration) Distribution {
	from := max(0, int64(lo))
	return Distribution{shape: uniform, a: from, b: max(from, int64(hi))}
}

// Exponential has the given mean: many short delays, few long ones.
func Exponential(mean time.Duration) Distribution {
	return Distribution{shape: exponential, a: max(0, int64(mean))}
}

// Lognormal has the given median and 99th percentile, the usual shape of latencies of a network: p99 below the median
// counts as the median, and more than 1024 times the median as 1024 times.
func Lognormal(median, p99 time.Duration) Distribution {
	m := min(max(1, int64(median)), 1<<52)
	tail := min(max(m, int64(p99)), m<<10)
	spread := uint64(log2(uint64(tail)) - log2(uint64(m)))
	return Distribution{shape: lognormal, a: m, b: int64(mulShift(spread, oneByZ99)), c: tail}
}

// String prints the distribution as a scenario writes it.
func (d Distribution) String() string {
	switch d.shape {
	case uniform:
		return fmt.Sprintf("uniform(%v, %v)", time.Duration(d.a), time.Duration(d.b))
	case exponential:
		return fmt.Sprintf("exponential(%v)", time.Duration(d.a))
	case lognormal:
		return fmt.Sprintf("lognormal(%v, p99 = %v)", time.Duration(d.a), time.Duration(d.c))
	}
	return time.Duration(d.a).String()
}

// Draw draws one duration from s. A constant draws nothing.
func (d Distribution) Draw(s *sched.Stream) time.Duration {
	switch d.shape {
	case uniform:
		return time.Duration(s.Between(d.a, d.b))
	case exponential: // -mean * ln(u)
		nats := mulShift(uint64(64<<32-log2(s.Uint64()|1)), ln2)
		hi, lo := bits.Mul64(uint64(d.a), nats)
		return time.Duration(min(hi, 1<<30)<<32 | lo>>32)
	case lognormal: // median * 2^(b*z)
		u := s.Uint64()
		exponent := int64(mulShift(uint64(d.b), deviation(u>>1|1)))
		if u&1 == 0 {
			exponent = -exponent
		}
		return time.Duration(scale(d.a, exponent))
	}
	return time.Duration(d.a)
}

// Constants with 32 fractional bits.
const (
	one      = 1 << 32
	ln2      = 2977044472 // ln 2
	oneByZ99 = 1846227447 // 1 / 2.326347874, the standard normal deviate that 1 % exceed
)

// mulShift multiplies two fixed-point numbers.
func mulShift(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi<<32 | lo>>32
}

// The tables have 257 entries so that the last interval has both its ends. They are computed once, by integers.
var (
	logs    = tabulate(func(i uint64) uint64 { return fraction(one + i<<24) })     // log2(1 + i/256)
	powers  = tabulate(func(i uint64) uint64 { return power(i << 24) })            // 2^(i/256)
	normals = tabulate(func(i uint64) uint64 { return hastings(one + i<<(32-2)) }) // deviate that 2^-(1+i/4) exceed
)

func tabulate(f func(uint64) uint64) []uint64 {
	table := make([]uint64, 257)
	for i := range table {
		table[i] = f(uint64(i))
	}
	return table
}

// interpolate looks up x, whose unit is 2^shift table entries apart.
func interpolate(table []uint64, x uint64, shift uint) uint64 {
	i := min(x>>shift, 255)
	low, high := table[i], table[i+1]
	return low + (high-low)*((x-i<<shift)>>(shift-16))>>16
}

// log2 is the binary logarithm of a positive integer.
func log2(x uint64) int64 {
	exponent := bits.Len64(x) - 1
	mantissa := x << (63 - exponent) << 1 >> 32 // 32 bits after the leading one
	return int64(exponent)<<32 + int64(interpolate(logs, mantissa, 24))
}

// scale is a * 2^exponent, at least 0.
func scale(a, exponent int64) int64 {
	whole, rest := exponent>>32, uint64(exponent)&(one-1)
	hi, lo := bits.Mul64(uint64(a), interpolate(powers, rest, 24))
	if whole < 0 {
		return int64((hi<<32 | lo>>32) >> uint64(min(-whole, 63)))
	}
	if hi>>31 != 0 || bits.Len64(hi<<32|lo>>32)+int(whole) > 62 {
		return 1 << 62
	}
	return int64((hi<<32 | lo>>32) << uint64(whole))
}

// deviation is the absolute standard normal deviate for a uniform u of 63 bits: 2^63 is the middle, 0 the tail.
func deviation(u uint64) uint64 {
	t := uint64(64<<32 - log2(u)) // -log2 of the tail's probability u/2^64, from 1 on
	return interpolate(normals, t-one, 32-2)
}

// fraction is log2 of x from 1 to 2, bit by bit: squaring doubles the logarithm.
func fraction(x uint64) (y uint64) {
	if x >= 2*one {
		return one
	}
	for bit := uint64(one >> 1); bit > 0; bit >>= 1 {
		if x = mulShift(x, x); x >= 2*one {
			x >>= 1
			y |= bit
		}
	}
	return y
}

// power is 2^y for y from 0 to 1: the inverse of fraction, by bisection.
func power(y uint64) uint64 {
	low, high := uint64(one), uint64(2*one)
	for high-low > 1 {
		if mid := low + (high-low)/2; fraction(mid) <= y {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// hastings is the deviate that a standard normal variable exceeds with probability 2^-t, for t from 1 on: Abramowitz and
// Stegun 26.2.23 (after Hastings 1955), whose error is below 0.00045.
func hastings(t uint64) uint64 {
	x := root(mulShift(2*t, ln2))
	numerator := fixed(2_515_517) + mulShift(x, fixed(802_853)+mulShift(x, fixed(10_328)))
	denominator := one + mulShift(x, fixed(1_432_788)+mulShift(x, fixed(189_269)+mulShift(x, fixed(1_308))))
	quotient, _ := bits.Div64(numerator>>32, numerator<<32, denominator)
	return x - min(x, quotient)
}

// fixed converts millionths.
func fixed(millionths uint64) uint64 { return millionths << 32 / 1_000_000 }

// root is the square root of a fixed-point number, by bisection.
func root(x uint64) uint64 {
	low, high := uint64(0), uint64(1)<<40
	for high-low > 1 {
		if mid := (low + high) / 2; mulShift(mid, mid) <= x {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}
