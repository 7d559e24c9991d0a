package history

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// MaxLine is the length of the longest line that [Read] accepts, in bytes.
const MaxLine = 4 << 20

// maxIndex leaves room for checkers to compute with indexes and times.
const maxIndex = 1 << 60

// ReadError says what is wrong with a history file, and where.
type ReadError struct {
	Name   string // the file
	Line   int    // from 1; 0 if it is not about a line
	Column int    // in bytes from 1; 0 if it is about the whole line
	Msg    string
}

// Error returns "name:line:column: message", without what is not known.
func (e *ReadError) Error() string {
	at := e.Name
	for _, n := range []int{e.Line, e.Column} {
		if n > 0 {
			at += ":" + strconv.Itoa(n)
		}
	}
	return at + ": " + e.Msg
}

// Read reads a history in the format of the package comment; name is what errors call it. All errors about the content
// are of type [*ReadError].
func Read(r io.Reader, name string) (History, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, MaxLine)
	rd := reader{index: -1, processes: make(map[int]*process)}
	for lines.Scan() {
		rd.line++
		if err := rd.event(lines.Bytes()); err != nil {
			return History{}, rd.locate(name, err)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return History{}, &ReadError{name, rd.line + 1, 0, fmt.Sprintf("line is longer than %d bytes", MaxLine)}
	} else if err != nil {
		return History{}, fmt.Errorf("history: read %s: %w", name, err)
	}
	if len(rd.ops) == 0 {
		return History{}, &ReadError{Name: name, Msg: "got no operations, want at least one"}
	}
	return History{rd.ops}, nil
}

// reader is the state between lines.
type reader struct {
	ops       []Operation
	line      int
	index     int64 // of the event before
	time      int64 // of the event before
	processes map[int]*process
}

// process is what one process is doing.
type process struct {
	op   int // its latest operation, an index into ops
	line int // of that operation's latest event
	busy bool
	dead bool // it has an operation of unknown outcome
}

// rawEvent is one line as it was written.
type rawEvent struct {
	process      int64
	client, kind string
	f, reason    string
	value        Value
	time, index  int64
	has          map[string]bool
}

func (rd *reader) locate(name string, err error) error {
	var at *scanError
	if errors.As(err, &at) {
		return &ReadError{name, rd.line, at.column, "bad JSON: " + at.msg}
	}
	return &ReadError{name, rd.line, 0, err.Error()}
}

func (rd *reader) event(line []byte) error {
	s := scanner{buf: line}
	if s.peek() == 0 && s.pos == len(line) {
		return nil
	}
	ev := rawEvent{time: rd.time, index: rd.index + 1, has: make(map[string]bool, 8)}
	if err := ev.read(&s); err != nil {
		return err
	}
	if err := rd.order(&ev); err != nil {
		return err
	}
	if ev.kind == "invoke" {
		return rd.invoke(&ev)
	}
	return rd.complete(&ev)
}

func (ev *rawEvent) read(s *scanner) error {
	if err := s.members(func(name string) error { return ev.field(s, name) }); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	for _, name := range []string{"process", "type"} {
		if !ev.has[name] {
			return fmt.Errorf("field %q is missing", name)
		}
	}
	return nil
}

func (ev *rawEvent) field(s *scanner, name string) error {
	b, err := s.value(nil, 0)
	if err != nil {
		return err
	}
	ev.has[name] = true
	v := Value(b)
	switch name {
	case "process":
		ev.process, err = number(name, v, 1<<31-1)
	case "time":
		ev.time, err = number(name, v, maxIndex)
	case "index":
		ev.index, err = number(name, v, maxIndex)
	case "client":
		ev.client, err = text(name, v)
	case "type":
		ev.kind, err = text(name, v)
	case "f":
		ev.f, err = text(name, v)
	case "error":
		ev.reason, err = text(name, v)
	case "value":
		ev.value = v
	default:
		err = fmt.Errorf("got field %q, want process, client, type, f, value, error, time or index", name)
	}
	return err
}

func number(name string, v Value, limit int64) (int64, error) {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 0 || n > limit {
		return 0, fmt.Errorf("%s: got %s, want a number from 0 to %d", name, v, limit)
	}
	return n, nil
}

func text(name string, v Value) (string, error) {
	t, ok := v.Text()
	if !ok {
		return "", fmt.Errorf("%s: got %s, want a string", name, v)
	}
	return t, nil
}

func (rd *reader) order(ev *rawEvent) error {
	switch {
	case ev.index == rd.index:
		return fmt.Errorf("duplicate index %d", ev.index)
	case ev.index < rd.index:
		return fmt.Errorf("index goes backwards: got %d after %d", ev.index, rd.index)
	case ev.time < rd.time:
		return fmt.Errorf("time goes backwards: got %d after %d", ev.time, rd.time)
	}
	rd.index, rd.time = ev.index, ev.time
	return nil
}

func (rd *reader) invoke(ev *rawEvent) error {
	if ev.f == "" {
		return errors.New(`field "f" is missing`)
	}
	p := rd.processes[int(ev.process)]
	switch {
	case p == nil:
		p = &process{}
		rd.processes[int(ev.process)] = p
	case p.busy:
		return fmt.Errorf("process %d invokes %q while its %q of line %d is still running",
			ev.process, ev.f, rd.ops[p.op].Op, p.line)
	case p.dead:
		return fmt.Errorf("process %d invokes %q after its %q got an unknown outcome in line %d: want a new process",
			ev.process, ev.f, rd.ops[p.op].Op, p.line)
	}
	p.op, p.line, p.busy = len(rd.ops), rd.line, true
	rd.ops = append(rd.ops, Operation{
		Process: int(ev.process), Client: ev.client, Op: ev.f, Args: arguments(ev.value),
		Call: ev.index, CallTime: ev.time, Return: Open,
	})
	return nil
}

// arguments reads an invocation's value as the package comment says.
func arguments(v Value) []Value {
	if v.IsNull() {
		return nil
	}
	if elems, ok := v.Elems(); ok {
		return elems
	}
	return []Value{v}
}

func (rd *reader) complete(ev *rawEvent) error {
	var outcome Outcome
	switch ev.kind {
	case "ok":
		outcome = OK
	case "fail":
		outcome = Fail
	case "info":
		outcome = Unknown
	default:
		return fmt.Errorf("type: got %q, want invoke, ok, fail or info", ev.kind)
	}
	p := rd.processes[int(ev.process)]
	if p == nil || !p.busy {
		return fmt.Errorf("process %d completes an operation that it did not invoke", ev.process)
	}
	op := &rd.ops[p.op]
	if ev.f != "" && ev.f != op.Op {
		return fmt.Errorf("process %d completes %q, but line %d invokes %q", ev.process, ev.f, p.line, op.Op)
	}
	op.Return, op.ReturnTime, op.Outcome, op.Error = ev.index, ev.time, outcome, ev.reason
	if outcome == OK {
		op.Value = Value(ev.value.text())
	}
	p.line, p.busy, p.dead = rd.line, false, outcome == Unknown
	return nil
}
