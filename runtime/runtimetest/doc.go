// Package runtimetest runs one test body in both worlds: on goroutine workers and the machine's network, and on the seeded
// stepper, the virtual network and a virtual disk. What a body says about services must hold in both.
//
// [Solo] is for less: it tests one [runtime.Handler] in simulation, without any script.
//
// A body drives its [World] from its own goroutine, the only one that may use it. No method sleeps: in production a wait
// ends when what is awaited happens, in simulation the waiting is what moves the virtual clock.
package runtimetest
