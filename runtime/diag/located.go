package diag

import (
	"regexp"
	"strconv"

	"go.starlark.net/syntax"
)

// location is how an error that was reduced to text begins if its place was known.
var location = regexp.MustCompile(`(?s)^([^\n:]+):(\d{1,9}):(\d{1,9}): (.+)$`)

// located is a message with a place.
type located struct {
	pos syntax.Position
	msg string
}

func (e *located) Error() string { return e.pos.String() + ": " + e.msg }

func (e *located) Position() syntax.Position { return e.pos }

// Located gives a message that begins with "file:line:col: " its position back, which was lost when the error crossed
// from one service to another, so that [Format] can show the source line. ok is false for any other message.
func Located(message string) (err Positioned, ok bool) {
	m := location.FindStringSubmatch(message)
	if m == nil {
		return nil, false
	}
	line, _ := strconv.ParseInt(m[2], 10, 32) // the pattern admits digits only
	col, _ := strconv.ParseInt(m[3], 10, 32)
	return &located{syntax.MakePosition(&m[1], int32(line), int32(col)), m[4]}, true
}
