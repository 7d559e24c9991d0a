package sim_test

import (
	"os"
	"testing"

	"skynet/sim"
)

// BenchmarkRun reports seeds/s and steps/s of whole runs, as a sweep makes them: one after another on shared coroutines.
func BenchmarkRun(b *testing.B) {
	for _, name := range []string{"kv", "quorum/quorum"} {
		b.Run(name, func(b *testing.B) {
			s, err := sim.Load(os.ReadFile, "testdata/"+name+".star")
			if err != nil {
				b.Fatal(err)
			}
			pool := sim.NewCoroutines()
			defer pool.Close()
			var steps, events uint64
			b.ReportAllocs()
			for seed := 0; b.Loop(); seed++ {
				r, err := s.Run(sim.Options{Seed: uint64(seed), Coroutines: pool})
				if err != nil {
					b.Fatal(err)
				}
				steps += r.Steps
				events += r.Events
			}
			seconds := b.Elapsed().Seconds()
			b.ReportMetric(float64(steps)/seconds, "steps/s")
			b.ReportMetric(float64(events)/seconds, "events/s")
			b.ReportMetric(float64(b.N)/seconds, "seeds/s")
		})
	}
}
