package history

import (
	"strconv"
	"strings"
	"time"
)

// Outcome is what is known about an operation's effect.
type Outcome uint8

// The outcomes. The zero value is Unknown, because that is what holds as long as nobody has said otherwise.
const (
	Unknown Outcome = iota // may have happened, may happen at any later time, may never
	OK                     // happened between invocation and completion
	Fail                   // certainly did not happen and never will
)

// String returns "unknown", "ok" or "fail".
func (o Outcome) String() string {
	switch o {
	case OK:
		return "ok"
	case Fail:
		return "fail"
	}
	return "unknown"
}

// Open is the Return of an operation that has no completion.
const Open int64 = -1

// Operation is one operation of one process.
type Operation struct {
	Process int     // who, from 0; see the package comment on unknown operations
	Client  string  // whose process it is; may be empty
	Op      string  // the operation's name
	Args    []Value // its arguments
	Outcome Outcome
	Value   Value  // the result, if the outcome is OK
	Error   string // why not, if it is not

	Call, Return         int64 // indexes of invocation and completion; Return is [Open] without a completion
	CallTime, ReturnTime int64 // virtual nanoseconds of both; ReturnTime is 0 without a completion
}

// Who returns the client's name, or the process if it has none.
func (op Operation) Who() string {
	if op.Client != "" {
		return op.Client
	}
	return "process " + strconv.Itoa(op.Process)
}

// String describes the operation in one line, for example `c1 put("x", 1) -> null`.
func (op Operation) String() string {
	var b strings.Builder
	b.WriteString(op.Who() + " " + op.Op + "(")
	for i, arg := range op.Args {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(arg.text())
	}
	b.WriteString(") -> ")
	if op.Outcome == OK {
		b.WriteString(op.Value.text())
		return b.String()
	}
	b.WriteString(op.Outcome.String())
	if op.Error != "" {
		b.WriteString(" (" + op.Error + ")")
	}
	return b.String()
}

// Interval describes when the operation ran, for example "1ms..2.5ms", with nothing behind the dots if it never
// completed.
func (op Operation) Interval() string {
	s := time.Duration(op.CallTime).String() + ".."
	if op.Return != Open {
		s += time.Duration(op.ReturnTime).String()
	}
	return s
}

// History is what all clients of a run did.
type History struct {
	// Operations are in the order of their invocations.
	Operations []Operation
}
