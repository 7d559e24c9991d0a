package sim

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"go.starlark.net/syntax"

	"skynet/runtime"
)

// BootError says that the main script of a node failed when the node was first started, before any fault.
type BootError struct {
	Node string
	Err  error           // of type *runtime.CallError, with the backtrace of the script
	Pos  syntax.Position // in the script, if Line is not 0
	Msg  string          // what the script said there
}

// Error leads with the position in the script, if it is known.
func (e *BootError) Error() string {
	if e.Pos.Line == 0 {
		return fmt.Sprintf("node %s: %v", e.Node, e.Err)
	}
	return fmt.Sprintf("%s: %s (at the start of node %s)", e.Pos, e.Msg, e.Node)
}

// Unwrap returns the cause.
func (e *BootError) Unwrap() error { return e.Err }

// Position is where in the script the mistake is, for diagnostics; see diag.Positioned.
func (e *BootError) Position() syntax.Position { return e.Pos }

// place leads the message of a script that failed.
var place = regexp.MustCompile(`(?s)^(.+?):(\d+):(\d+): (.*)$`)

// in finds the position, from the point of view of a user for whom the files are in a folder.
func (e *BootError) in(f folder) *BootError {
	var call *runtime.CallError
	if !errors.As(e.Err, &call) {
		return e
	}
	m := place.FindStringSubmatch(call.Message)
	if m == nil {
		return e
	}
	line, _ := strconv.ParseInt(m[2], 10, 32) // too large a number is no line of a script
	col, _ := strconv.ParseInt(m[3], 10, 32)
	name := m[1]
	pos := f.position(syntax.MakePosition(&name, int32(line), int32(col)))
	return &BootError{Node: e.Node, Err: e.Err, Pos: pos, Msg: m[4]}
}
