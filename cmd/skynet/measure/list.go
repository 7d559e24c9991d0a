package measure

import "fmt"

// measurements lists what can be measured. Names are stable: scripts and the history of figures use them.
func measurements(o Options) []measurement {
	return []measurement{
		{name: "call", unit: nanoseconds, bar: ratio(2.2), prepare: calls.alone},
		{name: "call-2workers", unit: nanoseconds, prepare: calls.on(2, 1).alone},
		{name: "call-100-pairs-1worker", unit: "calls/s", prepare: calls.on(1, 100).alone},
		{name: "call-100-pairs-2workers", unit: "calls/s", bar: both(share(1.7, "1 worker"), atLeast(4*767_000)), prepare: calls.on(2, 100).beside(calls.on(1, 100))},
		{name: "call-dict", unit: nanoseconds, prepare: calls.doing("call_dicts").alone},
		{name: "call-granted", unit: nanoseconds, bar: share(0.95, "call"), prepare: calls.with(granted).beside(calls)},
		{name: "call-bounded", unit: nanoseconds, bar: share(0.95, "call"), prepare: calls.with(bounded).beside(calls)},
		{name: "call-metered", unit: nanoseconds, bar: share(0.95, "call"), prepare: calls.with(metered).beside(calls)},
		{name: "call-allocs", unit: allocations, bar: atMost(3), prepare: calls.allocating},
		{name: "go-call", unit: nanoseconds, bar: atMost(1459 / 3.), prepare: goCalls.alone},
		{name: "go-call-100-pairs-1worker", unit: "calls/s", prepare: goCalls.on(1, 100).alone},
		{name: "go-call-100-pairs-2workers", unit: "calls/s", prepare: goCalls.on(2, 100).beside(goCalls.on(1, 100))},
		{name: "go-call-dict", unit: nanoseconds, prepare: goCalls.doing("call_dicts").alone},
		{name: "go-call-allocs", unit: allocations, bar: atMost(3), prepare: goCalls.allocating},
		{name: "go-send", unit: nanoseconds, prepare: goCalls.doing("sends").alone},
		{name: "send", unit: nanoseconds, bar: ratio(1.8), prepare: calls.doing("sends").alone},
		{name: "send-dict", unit: nanoseconds, prepare: calls.doing("send_dicts").alone},
		{name: "fan-out-10000", unit: nanoseconds, fixed: 10 * crowd, prepare: fanning},
		{name: "launch", unit: "services/s", bar: atLeast(200_000), prepare: launching},
		{name: "launch-100000", unit: "services/s", bar: atLeast(200_000), fixed: 100_000, rounds: 3, prepare: launching},
		{name: "idle-memory", unit: bytes, bar: atMost(4096), fixed: 10_000, prepare: idling},
		{name: "idle-100000", unit: bytes, bar: atMost(4096), fixed: 100_000, rounds: 3, prepare: idling},
		{name: "timers", unit: "timers/s", bar: atLeast(1_500_000), prepare: timerBatch.alone},
		{name: "timers-1000000", unit: "timers/s", bar: atLeast(1_500_000), fixed: 1_000_000, rounds: 3, prepare: together(0.5)},
		{name: "timer-late", unit: milliseconds, bar: atMost(2), fixed: 1000, prepare: lateness(0, 0.1, 1)},
		{name: "timer-late-1000000", unit: milliseconds, bar: atMost(2), fixed: 1_000_000, rounds: 2, prepare: lateness(2, 1, 10)},
		{name: "timer-memory", unit: bytes, fixed: 1_000_000, rounds: 3, prepare: pending},
		{name: "fairness", unit: milliseconds, bar: atMost(5), fixed: 1_000_000, rounds: 1, prepare: overloaded("work", inside)},
		{name: "fairness-outside", unit: milliseconds, bar: atMost(5), fixed: 1_000_000, rounds: 1, prepare: overloaded("work", outside)},
		{name: "fairness-loop", unit: milliseconds, bar: atMost(5), fixed: 1_000_000, rounds: 1, prepare: overloaded("loop", inside)},
		{name: "tcp-echo-1", unit: "echoes/s", bar: share(0.95, "bare Go"), prepare: echoing(1, o.Client)},
		{name: "tcp-echo-64", unit: "echoes/s", bar: both(share(0.85, "bare Go"), atLeast(105_000)), prepare: echoing(64, o.Client)},
		{name: "tcp-echo-512", unit: "echoes/s", bar: both(share(0.90, "bare Go"), atLeast(118_000)), prepare: echoing(512, o.Client)},
		{name: "cluster-call-1", unit: "calls/s", bar: atLeast(2 * 14_000), prepare: clustered(1)},
		{name: "cluster-call-100", unit: "calls/s", bar: atLeast(2 * 66_000), prepare: clustered(100)},
		{name: "sim-steps", unit: "steps/s", bar: atLeast(500_000), prepare: simulating("quorum5.star", steps)},
		{name: "sim-seeds", unit: "seeds/s", bar: atLeast(1000), prepare: simulating("small.star", seeds)},
		{name: "sim-idle", unit: "virtual s/s", bar: atLeast(10_000), prepare: simulating("idle_cluster.star", virtualSeconds)},
	}
}

// ratio asks for a time of at most so many ping-pongs.
func ratio(most float64) bar {
	return bar{fmt.Sprintf("≤ %g × ping-pong", most), func(r Result) bool { return r.Ratio <= most }}
}

// share asks for at least so much of what the reference does.
func share(least float64, reference string) bar {
	return bar{fmt.Sprintf("≥ %g × %s", least, reference), func(r Result) bool { return r.OfReference >= least }}
}

func atLeast(least float64) bar {
	return bar{fmt.Sprintf("≥ %.0f", least), func(r Result) bool { return r.Value >= least }}
}

func atMost(most float64) bar {
	return bar{fmt.Sprintf("≤ %.0f", most), func(r Result) bool { return r.Value <= most }}
}

func both(a, b bar) bar {
	return bar{a.text + ", " + b.text, func(r Result) bool { return a.met(r) && b.met(r) }}
}
