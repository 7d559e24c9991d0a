// Command skynet runs, simulates and checks actor services written in Starlark.
//
// It is thin: a sub-command turns flags into options, calls one package, and prints what came back. Everything it knows
// of the machine is in [State], so that its tests run in memory.
package main

import "os"

func main() { os.Exit(Main(machine())) }
