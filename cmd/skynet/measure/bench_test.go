package measure

import "testing"

// BenchmarkRound is one round of each measurement, for profiles: -bench 'Round/^call$' -cpuprofile call.prof.
func BenchmarkRound(b *testing.B) {
	for _, m := range measurements(brief) {
		b.Run(m.name, func(b *testing.B) {
			r, err := m.prepare()
			if err != nil {
				b.Fatal(err)
			}
			defer r.close()
			b.ReportAllocs()
			b.ResetTimer()
			cost, err := r.round(b.N)
			b.StopTimer()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(m.figure(cost), m.unit)
		})
	}
}
