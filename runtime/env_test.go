package runtime_test

import (
	"testing"

	"go.starlark.net/starlark"

	"skynet/runtime/runtimetest"
)

// TestEnvironmentOfTheConfiguration reads what a node was started with, which no service can change.
func TestEnvironmentOfTheConfiguration(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Env = starlark.NewDict(1)
		if err := w.Env.SetKey(starlark.String("zone"), starlark.NewList([]starlark.Value{starlark.String("eu-1")})); err != nil {
			t.Fatal(err)
		}
		w.Scripts(map[string]string{"main.star": `
def get(key):
    return skynet.getenv(key)
def set(key, value):
    r = skynet.pcall(skynet.setenv, key, value)
    return r.ok
def spoil():
    return skynet.pcall(skynet.getenv("zone").append, 1).ok
`})
		w.Node("n", "main.star")
		w.Want(`["eu-1"]`, "n", "main", "get", "zone")
		w.Want("False", "n", "main", "set", "zone", 1)
		w.Want("False", "n", "main", "spoil")
		w.Want(`["eu-1"]`, "n", "main", "get", "zone")
	})
}
