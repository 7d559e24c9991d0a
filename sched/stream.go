package sched

import "math/bits"

// Stream is one named stream of random numbers: splitmix64 (Steele, Lea, Flood 2014), chosen because its state is one
// word, so that a stream for each link and each service costs nothing. It draws integers only, since floating point
// may differ between architectures. It is not safe for concurrent use and is no source of secrets.
type Stream struct {
	state uint64
	// Observe, when set, is told of every draw; the stepper folds it into the trace.
	Observe func(draw uint64)
}

// NewStream returns the stream that seed and the parts of its path name.
func NewStream(seed uint64, path ...string) *Stream {
	h := mix(seed + golden)
	for _, part := range path {
		for i := 0; i < len(part); i++ {
			h = mix(h ^ uint64(part[i]) + golden)
		}
		h = mix(h + golden) // a boundary, so that ("ab","c") and ("a","bc") differ
	}
	return &Stream{state: h}
}

const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Uint64 draws 64 uniform bits.
func (s *Stream) Uint64() uint64 {
	s.state += golden
	z := mix(s.state)
	if s.Observe != nil {
		s.Observe(z)
	}
	return z
}

// IntN draws a number from 0 to n-1. It panics if n is not positive.
func (s *Stream) IntN(n int) int {
	if n <= 0 {
		panic("sched: Stream.IntN: n must be positive")
	}
	return int(s.Uint64N(uint64(n)))
}

// Uint64N draws a number from 0 to n-1 without bias (Lemire 2019). It panics if n is 0.
func (s *Stream) Uint64N(n uint64) uint64 {
	if n == 0 {
		panic("sched: Stream.Uint64N: n must be positive")
	}
	for limit := -n % n; ; {
		if hi, lo := bits.Mul64(s.Uint64(), n); lo >= limit {
			return hi
		}
	}
}

// Chance is true with a probability of ppm in a million.
func (s *Stream) Chance(ppm uint32) bool {
	if ppm == 0 {
		return false
	}
	return s.Uint64N(1_000_000) < uint64(ppm)
}

// Between draws a number from lo to hi, both included; hi must not be below lo.
func (s *Stream) Between(lo, hi int64) int64 {
	n := uint64(hi-lo) + 1
	if n == 0 { // all of int64
		return int64(s.Uint64())
	}
	return lo + int64(s.Uint64N(n))
}

// Perm draws a permutation of 0..n-1.
func (s *Stream) Perm(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := s.IntN(i + 1)
		p[i], p[j] = p[j], p[i]
	}
	return p
}
