package link

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/tinylib/msgp/msgp"
)

// Event is what one node tells another: a [Hello], [Request], [Query], [Reply] or [Failure].
type Event interface {
	kind() string
	check() error              // of the limits that a sender must hold
	append(body []byte) []byte // the body
}

// Hello introduces a node.
type Hello struct {
	Version     uint64
	Node        string
	Incarnation uint64
}

// Request asks a service to handle a command.
type Request struct {
	Session  uint64        // names the reply; chosen by the sender, unique among its requests and queries that wait
	Name     string        // the service's registered name, or
	ID       uint64        // its id, if Name is empty
	Command  string        // what to call
	Deadline time.Duration // how long the sender will wait; 0 wants no reply
	Trace    uint64        // what the request belongs to, the same for all that one thing sets off; 0 for nothing
	Payload  []byte        // the arguments, as wire.AppendArgs encodes them
}

// Query asks for the address of a registered name. The answer is a [Reply] or a [Failure].
type Query struct {
	Session uint64
	Name    string
}

// Reply answers a request or a query.
type Reply struct {
	Session uint64
	Payload []byte // the result, as wire.AppendValue encodes it
}

// Failure is the answer to a request or query that failed.
type Failure struct {
	Session   uint64
	Kind      string // of the error, for example "dead"
	Message   string
	Backtrace string // of the callee, if it was its script that failed
	Maybe     bool   // the command may have been carried out, wholly or in part
}

// ping says that its sender is alive. It is no event for the receiver.
type ping struct{}

// The types of frames.
const (
	typeHello = iota + 1
	typeRequest
	typeReply
	typeFailure
	typeQuery
	typePing
)

func (Hello) kind() string   { return "hello" }
func (Request) kind() string { return "request" }
func (Query) kind() string   { return "query" }
func (Reply) kind() string   { return "reply" }
func (Failure) kind() string { return "failure" }
func (ping) kind() string    { return "ping" }

func (h Hello) check() error { return checkName("node", h.Node) }

func (r Request) check() error {
	if r.Deadline < 0 {
		return fmt.Errorf("deadline %v, want 0 or more", r.Deadline)
	}
	if r.Name != "" {
		if err := checkName("name", r.Name); err != nil {
			return err
		}
	}
	return checkName("command", r.Command)
}

func (q Query) check() error   { return checkName("name", q.Name) }
func (Reply) check() error     { return nil }
func (f Failure) check() error { return checkName("kind", f.Kind) }
func (ping) check() error      { return nil }

func checkName(what, s string) error {
	if len(s) == 0 || len(s) > MaxName {
		return fmt.Errorf("%s of %d bytes, want 1 to %d", what, len(s), MaxName)
	}
	return nil
}

// Append appends e to b as a frame. It checks no limits; [Link.Send] does.
func Append(b []byte, e Event) []byte {
	start := len(b)
	b = e.append(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-header))
	return b
}

// begin begins a body with n fields besides the type.
func begin(b []byte, typ uint64, n uint32) []byte {
	return msgp.AppendUint64(msgp.AppendArrayHeader(b, n+1), typ)
}

func (h Hello) append(b []byte) []byte {
	b = begin(b, typeHello, 3)
	b = msgp.AppendUint64(b, h.Version)
	b = msgp.AppendString(b, h.Node)
	return msgp.AppendUint64(b, h.Incarnation)
}

func (r Request) append(b []byte) []byte {
	b = begin(b, typeRequest, 6)
	b = msgp.AppendUint64(b, r.Session)
	if r.Name != "" {
		b = msgp.AppendString(b, r.Name)
	} else {
		b = msgp.AppendUint64(b, r.ID)
	}
	b = msgp.AppendString(b, r.Command)
	b = msgp.AppendUint64(b, uint64(r.Deadline))
	b = msgp.AppendUint64(b, r.Trace)
	return msgp.AppendBytes(b, r.Payload)
}

func (r Reply) append(b []byte) []byte {
	b = begin(b, typeReply, 2)
	b = msgp.AppendUint64(b, r.Session)
	return msgp.AppendBytes(b, r.Payload)
}

func (f Failure) append(b []byte) []byte {
	b = begin(b, typeFailure, 5)
	b = msgp.AppendUint64(b, f.Session)
	b = msgp.AppendString(b, f.Kind)
	b = msgp.AppendString(b, f.Message)
	b = msgp.AppendString(b, f.Backtrace)
	return msgp.AppendBool(b, f.Maybe)
}

func (q Query) append(b []byte) []byte {
	b = begin(b, typeQuery, 2)
	b = msgp.AppendUint64(b, q.Session)
	return msgp.AppendString(b, q.Name)
}

func (ping) append(b []byte) []byte { return begin(b, typePing, 0) }

// parse reads a body.
func parse(p []byte) (Event, error) {
	n, rest, err := msgp.ReadArrayHeaderBytes(p)
	if err != nil {
		return nil, fmt.Errorf("link: frame: got %s, want array", got(p))
	}
	if n == 0 {
		return nil, fmt.Errorf("link: frame: got an empty array, want a type and fields")
	}
	f := fields{kind: "frame", n: n - 1, in: rest}
	var e Event
	switch typ := f.uint("type"); typ {
	case typeHello:
		e = f.hello()
	case typeRequest:
		e = f.request()
	case typeReply:
		f.begin("reply", 2)
		e = Reply{Session: f.uint("session"), Payload: f.bytes("payload")}
	case typeFailure:
		e = f.failure()
	case typeQuery:
		f.begin("query", 2)
		e = Query{Session: f.uint("session"), Name: f.name("name")}
	case typePing:
		f.begin("ping", 0)
		e = ping{}
	default:
		f.fail("type %d, want %d to %d", typ, typeHello, typePing)
	}
	if err := f.end(); err != nil {
		return nil, err
	}
	return e, nil
}

// fields reads the fields of a body, up to the first error.
type fields struct {
	kind string
	n    uint32 // fields besides the type
	in   []byte
	err  error
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("link: %s: %w", f.kind, fmt.Errorf(format, args...))
	}
}

func (f *fields) begin(kind string, want uint32) {
	f.kind = kind
	if f.n != want {
		f.fail("%d fields, want %d", f.n, want)
	}
}

// hello looks at the version first, since the fields of another version may be others.
func (f *fields) hello() Event {
	f.kind = "hello"
	h := Hello{Version: f.uint("version")}
	if h.Version != Version {
		f.fail("the peer speaks version %d, want %d", h.Version, Version)
	}
	f.begin("hello", 3)
	h.Node, h.Incarnation = f.name("node"), f.uint("incarnation")
	return h
}

func (f *fields) request() Event {
	f.begin("request", 6)
	r := Request{Session: f.uint("session")}
	if msgp.NextType(f.in) == msgp.StrType {
		r.Name = f.name("name")
	} else {
		r.ID = f.uint("id")
	}
	r.Command = f.name("command")
	deadline := f.uint("deadline")
	if deadline > math.MaxInt64 {
		f.fail("deadline of %d ns, want at most %d", deadline, int64(math.MaxInt64))
	}
	r.Deadline = time.Duration(deadline)
	r.Trace = f.uint("trace")
	r.Payload = f.bytes("payload")
	return r
}

func (f *fields) failure() Event {
	f.begin("failure", 5)
	return Failure{
		Session: f.uint("session"), Kind: f.name("kind"), Message: f.string("message"), Backtrace: f.string("backtrace"),
		Maybe: f.bool("maybe"),
	}
}

// read moves past a field that was read, or notes what it was instead.
func (f *fields) read(name, want string, rest []byte, err error) {
	if err != nil {
		f.fail("%s: got %s, want %s", name, got(f.in), want)
		return
	}
	f.in = rest
}

// got names what p begins with, for an error.
func got(p []byte) string {
	if len(p) == 0 {
		return "nothing"
	}
	if typ := msgp.NextType(p); typ != msgp.InvalidType {
		if _, err := msgp.Skip(p); err != nil {
			return "truncated " + typ.String()
		}
		return typ.String()
	}
	return fmt.Sprintf("byte %#x", p[0])
}

func (f *fields) uint(name string) (v uint64) {
	if f.err == nil {
		u, rest, err := msgp.ReadUint64Bytes(f.in)
		f.read(name, "uint", rest, err)
		v = u
	}
	return v
}

func (f *fields) string(name string) (v string) {
	if f.err == nil {
		s, rest, err := msgp.ReadStringBytes(f.in)
		f.read(name, "str", rest, err)
		v = s
	}
	return v
}

func (f *fields) name(name string) string {
	s := f.string(name)
	if f.err == nil {
		if err := checkName(name, s); err != nil {
			f.fail("%w", err)
		}
	}
	return s
}

func (f *fields) bytes(name string) (v []byte) {
	if f.err == nil {
		p, rest, err := msgp.ReadBytesZC(f.in)
		f.read(name, "bin", rest, err)
		v = p
	}
	return v
}

func (f *fields) bool(name string) (v bool) {
	if f.err == nil {
		b, rest, err := msgp.ReadBoolBytes(f.in)
		f.read(name, "bool", rest, err)
		v = b
	}
	return v
}

func (f *fields) end() error {
	if len(f.in) > 0 {
		f.fail("%d bytes after its last field", len(f.in))
	}
	return f.err
}
