// Package scripts holds the Starlark services that ship inside the binary. Every node can launch and load them by name.
package scripts

import "embed"

// FS has the scripts by their names, such as "kv.star".
//
//go:embed *
var FS embed.FS
