package runtime

import (
	"testing"
	"time"
)

// TestChargeIsWhatWasUsed has services of many kinds handle messages, and compares what they are charged, though most messages are
// not timed, with what they have used.
func TestChargeIsWhatWasUsed(t *testing.T) {
	const messages = 200_000
	every := func(n int, long time.Duration) func(int) time.Duration {
		return func(i int) time.Duration {
			if i%n == n-1 {
				return long
			}
			return 300 * time.Nanosecond
		}
	}
	for _, c := range []struct {
		name  string
		takes func(i int) time.Duration
		error time.Duration // allowed, per message
		timed float64       // of all messages, at the most
	}{
		{"short", every(1, 300*time.Nanosecond), 3 * time.Nanosecond, 0.07},
		{"just short", every(1, 999*time.Nanosecond), 10 * time.Nanosecond, 0.07},
		{"longer", every(1, 5*time.Microsecond), 1, 1},
		{"long", every(1, time.Millisecond), 1, 1},
		{"many long", every(10, 50*time.Microsecond), 100 * time.Nanosecond, 1},
		{"as long as they are far apart", every(50, 50*time.Microsecond), time.Microsecond, 1},
		{"few long", every(100, 50*time.Microsecond), time.Microsecond, 1},
		{"few, in step with the samples", every(16, 2*time.Microsecond), time.Microsecond, 0.3},
		{"hardly any", every(10_000, time.Millisecond), time.Microsecond, 0.2},
		{"one very long", every(messages, 100*time.Millisecond), time.Microsecond, 0.07},
	} {
		t.Run(c.name, func(t *testing.T) {
			var chosen sample
			var count counts
			count.sample(1)
			var used, got time.Duration
			timed := 0
			for i := range messages {
				took := c.takes(i)
				used += took
				if count.skip--; count.skip > 0 {
					continue
				}
				timed++
				got += charged(took, count.weight)
				count.end(took, chosen.next(took, false))
			}
			if off := (got - used).Abs() / messages; off > c.error {
				t.Errorf("charged: got %v, want %v: %v a message too far off, want at most %v", got, used, off, c.error)
			}
			if share := float64(timed) / messages; share > c.timed {
				t.Errorf("timed: got %.3f of the messages, want at most %.2f", share, c.timed)
			}
		})
	}
}
