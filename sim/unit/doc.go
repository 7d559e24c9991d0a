// Package unit tests single services: it runs the functions test_* of a Starlark file, each in a world of its own.
//
//	f, err := unit.Load(os.ReadFile, "kv_test.star")
//	for _, t := range f.Tests {
//		r := f.Run(t.Name, unit.Options{Seed: unit.SeedOf(t.Name)})
//		fmt.Println(t.Name, r.Failure == nil)
//	}
//
// A world is one real runtime.Node on a seeded stepper, with a virtual clock, network and disk. The test runs as a handler
// of a service of that node, so it can do all that services can; its file sees the words assert and test beside theirs
// (docs/testing.md describes them). The services under test see nothing new.
//
// # Guarantees
//
//   - Nothing takes time in a test's world but waiting: handling a message, a Starlark step and a sync of the disk cost
//     nothing, a packet of the network 10 µs. So the clock stands where the test left it.
//   - A run is a function of the files, the seed and the limits. Nothing is left of it for the next one.
//   - The first assertion that fails ends the test, wherever it was made: in the test, in a double, in a fork, and also
//     below a pcall.
//   - A test always ends: at the limit of virtual time, at the bound of the scheduler's steps, or when nothing can happen any
//     more. It has failed then, and the failure says who waits for whom.
package unit
