// Package scenarios holds the scenarios that ship: each is documentation, demonstration and regression test. They are
// files to run and to read; the package embeds them for the commands that must work anywhere.
package scenarios

import "embed"

// FS holds the scenarios and the scripts of their nodes.
//
//go:embed *.star nodes/*.star
var FS embed.FS
