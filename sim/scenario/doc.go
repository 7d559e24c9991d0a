// Package scenario is the language of scenario files: it reads them, and turns what they say into plain values. It runs
// nothing; sim builds worlds from the values and executes the faults.
//
// A scenario is one Starlark file of up to four parts: world(w) says who exists, work(c) what every client does, trouble
// what goes wrong and verdict what must hold.
//
//	sc, err := scenario.Load(os.ReadFile, "kv.star", names)    // compile, run the top level, check
//	w, err := scenario.BuildWorld(sc, stream)                  // world(w) -> nodes, clients, links
//	faults, err := scenario.Expand(sc.Trouble, seed, w.Cluster(), sc.Limit)
//	globals, err := sc.Instantiate(thread, predeclared)        // once for each client: its own work(c)
//
// # Guarantees
//
//   - A [Scenario] is immutable and may serve several runs at the same time.
//   - Equal file, seed and cluster give equal worlds and equal schedules, on every machine.
//   - The random choices of each fault come from a stream of its own, named by the seed and the path of the fault.
//     Adding or removing a fault changes no choice of another.
//   - All quantities are integers: nanoseconds, parts per million, bytes, percent.
//   - Faults and trouble print as the source that makes them.
package scenario
