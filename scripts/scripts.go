// Package scripts holds the Starlark that ships inside the binary: standard services, which are examples too.
package scripts

import "embed"

// FS has the scripts by their file names, such as "kv.star", without their tests.
//
//go:embed chat.star kv.star
var FS embed.FS
