package measure

import (
	"fmt"
	"io/fs"
	"runtime/debug"
	"time"

	"skynet/scenarios"
	"skynet/sim"
)

// readScenario finds the scenarios that ship beside those that are only measured.
func readScenario(name string) ([]byte, error) {
	if text, err := readScript(name); err == nil {
		return text, nil
	}
	return fs.ReadFile(scenarios.FS, name)
}

// simulating prepares runs of a scenario as a sweep makes them on one core: one seed after the other on shared coroutines.
// The cost is that of one unit of what counted returns.
func simulating(scenario string, counted func(*sim.Result) float64) func() (*rig, error) {
	return func() (*rig, error) {
		s, err := sim.Load(readScenario, scenario)
		if err != nil {
			return nil, err
		}
		pool, percent := sim.NewCoroutines(), debug.SetGCPercent(400) // as the sim command sets it
		end := func() {
			debug.SetGCPercent(percent)
			pool.Close()
		}
		return &rig{close: end, round: func(n int) (float64, error) {
			total, begun := 0.0, time.Now()
			for seed := range n {
				r, err := s.Run(sim.Options{Seed: uint64(seed), Coroutines: pool})
				if err != nil {
					return 0, err
				}
				if r.Failed != nil {
					return 0, fmt.Errorf("%s: seed %d: %s failed: %s", scenario, seed, r.Failed.Name, r.Failed.Message)
				}
				total += counted(r)
			}
			return float64(time.Since(begun)) / total, nil
		}}, nil
	}
}

func steps(r *sim.Result) float64 { return float64(r.Steps) }

func seeds(*sim.Result) float64 { return 1 }

func virtualSeconds(r *sim.Result) float64 { return r.Virtual.Seconds() }
