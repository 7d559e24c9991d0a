// Package sim runs scenarios: a whole cluster of real nodes in one loop, on a virtual clock, a virtual network and virtual
// disks, with faults, with clients whose history is checked, and with a verdict.
//
//	s, err := sim.Load(os.ReadFile, "kv.star")
//	r, err := s.Run(sim.Options{Seed: 42})
//	fmt.Println(r.Hash, r.Failed)
//
// # One run
//
//   - Every node of the scenario is a runtime.Node on a scheduler of its own, with a host of the virtual network and a disk
//     that outlives crashes. Its main script is launched under the name ".main".
//   - Every client is a node too, which runs the scenario's work(c) as a service. Its operations are calls over the cluster.
//   - Faults strike and end as events of the timeline, so the strategy orders them among everything else. A node restarts when
//     the last crash upon it has ended.
//   - When the clients are done, or the limit of virtual time is reached, all faults end, the cluster settles, and what must
//     hold eventually is waited for. A broken always or never ends the run at once.
//
// # Guarantees
//
//   - A run is a function of the scenario's files, the seed, the strategy and the plan. Its trace is the same on every machine,
//     after whatever other runs in the same process.
//   - A [Simulation] is immutable: any number of runs may use it at the same time.
//   - A client draws its random choices from a stream of its own, so that dropping one changes nothing for the others.
//   - An operation whose outcome the client cannot know is unknown in the history, and so is a verdict that the budget did not
//     suffice for: neither is ever taken for a failure or a pass.
package sim
