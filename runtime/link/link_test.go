package link

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"skynet/sched"
)

// TestTranscripts runs the conversations in testdata. Commands:
//
//	new name=N [dialer] [peer=N] [silence=D]   makes a link at the current time
//	request|query|reply|failure from=N k=v …   sends an event
//	deliver from=N to=N [split=n]              moves the output of one to the other, in pieces of n bytes
//	bytes to=N, with hex or "text" lines       gives a link bytes
//	hex from=N                                 shows and drops the output
//	tick d                                     moves time by d and ticks all links
//	end name=N                                 ends the stream towards a link
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		talk := conversation{links: map[string]*Link{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return talk.run(t, d) })
	})
}

type conversation struct {
	now   sched.Time
	names []string
	links map[string]*Link
}

func (c *conversation) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "new":
		name := arg(d, "name")
		silence, _ := time.ParseDuration(arg(d, "silence"))
		config := Config{Self: name, Incarnation: 7, Peer: arg(d, "peer"), Dialer: d.HasArg("dialer"), Silence: silence}
		c.names, c.links[name] = append(c.names, name), New(config, c.now)
		return ""
	case "deliver":
		return c.deliver(d)
	case "bytes":
		return c.input(arg(d, "to"), decode(t, d.Input), 1<<30)
	case "hex":
		if p := c.links[arg(d, "from")].Output(); len(p) > 0 {
			return hex.EncodeToString(p) + "\n"
		}
		return "nothing\n"
	case "tick":
		step, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		return c.tick(step)
	case "end":
		return result(nil, c.links[arg(d, "name")].End())
	}
	return result(nil, c.links[arg(d, "from")].Send(event(t, d)))
}

func arg(d *datadriven.TestData, key string) string {
	a, ok := d.Arg(key)
	if !ok || len(a.Vals) == 0 {
		return ""
	}
	return a.Vals[0]
}

func event(t *testing.T, d *datadriven.TestData) Event {
	var session uint64
	d.MaybeScanArgs(t, "session", &session)
	switch d.Cmd {
	case "request":
		deadline, _ := time.ParseDuration(arg(d, "deadline"))
		var trace uint64
		d.MaybeScanArgs(t, "trace", &trace)
		r := Request{Session: session, Name: arg(d, "to"), Command: arg(d, "command"), Deadline: deadline, Trace: trace, Payload: []byte(arg(d, "payload"))}
		d.MaybeScanArgs(t, "id", &r.ID)
		return r
	case "query":
		return Query{Session: session, Name: arg(d, "name")}
	case "reply":
		return Reply{Session: session, Payload: []byte(arg(d, "payload"))}
	case "failure":
		return Failure{Session: session, Kind: arg(d, "kind"), Message: arg(d, "message"), Backtrace: arg(d, "backtrace"), Maybe: d.HasArg("maybe")}
	}
	t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	return nil
}

func (c *conversation) deliver(d *datadriven.TestData) string {
	split := 1 << 30
	if s := arg(d, "split"); s != "" {
		_, _ = fmt.Sscan(s, &split)
	}
	return c.input(arg(d, "to"), c.links[arg(d, "from")].Output(), split)
}

func (c *conversation) input(name string, p []byte, split int) string {
	out := ""
	for len(p) > 0 {
		n := min(split, len(p))
		events, err := c.links[name].Input(c.now, p[:n])
		if out += result(events, err); err != nil {
			break
		}
		p = p[n:]
	}
	return out
}

func (c *conversation) tick(step time.Duration) (out string) {
	c.now = c.now.Add(step)
	for _, name := range c.names {
		if err := c.links[name].Tick(c.now); err != nil {
			out += fmt.Sprintf("%s: error: %v\n", name, err)
		} else {
			out += fmt.Sprintf("%s: alive at %v\n", name, c.now)
		}
	}
	return out
}

func result(events []Event, err error) (out string) {
	for _, e := range events {
		out += fmt.Sprintf("%s %s\n", e.kind(), show(e))
	}
	if err != nil {
		out += fmt.Sprintf("error: %v\n", err)
	}
	return out
}

func show(e Event) string {
	payload := payloadOf(e)
	text := fmt.Sprintf("%+v", e)
	return strings.Replace(text, fmt.Sprintf("Payload:%v", payload), fmt.Sprintf("Payload:%q", payload), 1)
}

func payloadOf(e Event) []byte {
	switch e := e.(type) {
	case Request:
		return e.Payload
	case Reply:
		return e.Payload
	}
	return nil
}

// decode reads lines of hex, or of quoted text.
func decode(t *testing.T, input string) (p []byte) {
	for line := range strings.Lines(input) {
		line = strings.TrimSpace(line)
		var text string
		if _, err := fmt.Sscanf(line, "%q", &text); err == nil {
			p = append(p, text...)
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		p = append(p, b...)
	}
	return p
}

// pair returns two links that have met.
func pair(t testing.TB, config Config) (a, b *Link) {
	t.Helper()
	config.Self, config.Dialer = "a", true
	a = New(config, 0)
	config.Self, config.Dialer = "b", false
	b = New(config, 0)
	if _, err := b.Input(0, a.Output()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Input(0, b.Output()); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// TestFragmentation: any events arrive equal and in order, however the stream is cut.
func TestFragmentation(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 300
	properties := gopter.NewProperties(parameters)
	properties.Property("events arrive equal under any fragmentation", prop.ForAll(func(seed uint64) (bool, error) {
		random := sched.NewStream(seed)
		a, b := pair(t, Config{})
		var sent, received []Event
		var stream []byte
		for range random.IntN(12) {
			e := randomEvent(random)
			if err := a.Send(e); err != nil {
				return false, err
			}
			sent = append(sent, e)
			if random.IntN(4) == 0 {
				stream = append(stream, a.Output()...)
				if err := a.Tick(0); err != nil {
					return false, err
				}
				stream = Append(stream, ping{})
			}
		}
		stream = append(stream, a.Output()...)
		for len(stream) > 0 {
			n := min(1+random.IntN(1+random.IntN(200)), len(stream))
			piece := bytes.Clone(stream[:n])
			events, err := b.Input(0, piece)
			if err != nil {
				return false, err
			}
			for _, e := range events {
				received = append(received, keep(e))
			}
			clear(piece) // nothing may refer to it any more
			stream = stream[n:]
		}
		return reflect.DeepEqual(sent, received), b.End()
	}, gen.UInt64()))
	properties.TestingRun(t)
}

// keep copies an event's payload, which is only lent.
func keep(e Event) Event {
	switch e := e.(type) {
	case Request:
		e.Payload = bytes.Clone(e.Payload)
		return e
	case Reply:
		e.Payload = bytes.Clone(e.Payload)
		return e
	}
	return e
}

func randomEvent(random *sched.Stream) Event {
	text := strings.Repeat("x", 1+random.IntN(40))
	payload := bytes.Repeat([]byte{byte(random.IntN(256))}, random.IntN(300))
	switch session := random.Uint64() >> random.IntN(64); random.IntN(5) {
	case 0:
		return Request{Session: session, Name: text, Command: "get", Payload: payload}
	case 1:
		return Request{Session: session, ID: random.Uint64(), Command: text, Deadline: time.Duration(random.IntN(1 << 40)), Trace: random.Uint64(), Payload: payload}
	case 2:
		return Reply{Session: session, Payload: payload}
	case 3:
		return Query{Session: session, Name: text}
	default:
		return Failure{Session: session, Kind: text, Message: "m", Backtrace: strings.Repeat("b", random.IntN(300)), Maybe: random.IntN(2) == 0}
	}
}

func TestLimits(t *testing.T) {
	a, b := pair(t, Config{MaxFrame: 100})
	long := strings.Repeat("n", MaxName+1)
	for _, test := range []struct {
		e    Event
		want string
	}{
		{Reply{Session: 1, Payload: make([]byte, 96)}, "link: send reply: frame of 101 bytes, want at most 100"},
		{Request{Name: long, Command: "c"}, "link: send request: name of 256 bytes, want 1 to 255"},
		{Request{Name: "n"}, "link: send request: command of 0 bytes, want 1 to 255"},
		{Request{ID: 1, Command: "c", Deadline: -1}, "link: send request: deadline -1ns, want 0 or more"},
		{Query{}, "link: send query: name of 0 bytes, want 1 to 255"},
		{Failure{}, "link: send failure: kind of 0 bytes, want 1 to 255"},
		{Hello{}, "link: send hello: New has said it"},
	} {
		if err := a.Send(test.e); fmt.Sprint(err) != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
	if err := a.Send(Reply{Session: 1, Payload: make([]byte, 95)}); err != nil {
		t.Error(err)
	}
	if events, err := b.Input(0, a.Output()); len(events) != 1 || err != nil {
		t.Errorf("after refused events: got %v, %v, want the reply", events, err)
	}
	if err := New(Config{Self: "c"}, 0).Send(Query{Name: "n"}); fmt.Sprint(err) != "link: send query before hello" {
		t.Errorf("got %v", err)
	}
}

// TestErrorIsFinal: events before an error are delivered, and nothing works after it.
func TestErrorIsFinal(t *testing.T) {
	a, b := pair(t, Config{})
	if err := a.Send(Query{Session: 1, Name: "n"}); err != nil {
		t.Fatal(err)
	}
	events, first := b.Input(0, append(a.Output(), 0x71, 0x3f, 0xb3, 0x00))
	if len(events) != 1 || fmt.Sprint(first) != "link: frame of 1900000000 bytes, want at most 16842752" {
		t.Errorf("got %v, %v", events, first)
	}
	events, again := b.Input(0, Append(nil, ping{}))
	for _, err := range []error{again, b.Send(Query{Name: "n"}), b.Tick(0), b.End()} {
		if err != first || events != nil {
			t.Errorf("after an error: got %v, want %v", err, first)
		}
	}
}

// TestIncompleteFrameTakesNoMemory: the length of a frame alone makes no buffer of that length.
func TestIncompleteFrameTakesNoMemory(t *testing.T) {
	_, b := pair(t, Config{})
	if _, err := b.Input(0, []byte{1, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if cap(b.in) > 1<<10 {
		t.Errorf("got a buffer of %d bytes for 5", cap(b.in))
	}
	if err := b.End(); fmt.Sprint(err) != "link: stream ends 5 bytes into a frame" {
		t.Errorf("got %v", err)
	}
}

// FuzzInput: any bytes end in the same events and the same error, in one piece or in many.
func FuzzInput(f *testing.F) {
	hello := Append([]byte(Magic), Hello{Version: Version, Node: "p", Incarnation: 1})
	f.Add([]byte("GET / HTTP/1.1\r\n"), uint8(3))
	f.Add(hello, uint8(1))
	random := sched.NewStream(1)
	for range 20 {
		f.Add(Append(bytes.Clone(hello), randomEvent(random)), uint8(random.IntN(255)))
	}
	// A watch and what takes it back, in one piece and cut within the second.
	watch := Append(bytes.Clone(hello), Request{Session: 7, ID: 3, Command: "<watch>", Deadline: time.Hour})
	both := Append(bytes.Clone(watch), Request{Session: 7, ID: 3, Command: "<unwatch>"})
	f.Add(both, uint8(255))
	f.Add(both, uint8(len(watch)+9))
	f.Add(both[:len(both)-3], uint8(40))
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		whole, pieces := New(Config{Self: "s"}, 0), New(Config{Self: "s"}, 0)
		events, err := whole.Input(0, bytes.Clone(in))
		text := result(events, err)
		got := ""
		for rest := in; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			events, err := pieces.Input(0, bytes.Clone(rest[:n]))
			got += result(events, err)
			if rest = rest[n:]; err != nil {
				break
			}
		}
		if got != text {
			t.Fatalf("whole:\n%s\nin pieces of %d:\n%s", text, int(piece)+1, got)
		}
		if a, b := fmt.Sprint(whole.End()), fmt.Sprint(pieces.End()); a != b {
			t.Fatalf("ends with %s and %s", a, b)
		}
	})
}

func Example() {
	a := New(Config{Self: "a", Incarnation: 1, Dialer: true}, 0)
	b := New(Config{Self: "b", Incarnation: 1}, 0)
	pass := func(from, to *Link) {
		events, err := to.Input(0, from.Output())
		for _, e := range events {
			fmt.Printf("%T %+v\n", e, e)
		}
		if err != nil {
			fmt.Println(err)
		}
	}
	pass(a, b)
	pass(b, a)
	_ = a.Send(Query{Session: 1, Name: ".counter"})
	pass(a, b)
	_ = b.Send(Failure{Session: 1, Kind: "unreachable", Message: "no service .counter"})
	pass(b, a)
	// Output:
	// link.Hello {Version:2 Node:a Incarnation:1}
	// link.Hello {Version:2 Node:b Incarnation:1}
	// link.Query {Session:1 Name:.counter}
	// link.Failure {Session:1 Kind:unreachable Message:no service .counter Backtrace: Maybe:false}
}

func BenchmarkRequest(b *testing.B) {
	from, to := pair(b, Config{})
	r := Request{Session: 1, Name: ".counter", Command: "incr", Deadline: time.Second, Payload: make([]byte, 64)}
	b.ReportAllocs()
	for b.Loop() {
		_ = from.Send(r)
		if events, err := to.Input(0, from.Output()); len(events) != 1 || err != nil {
			b.Fatal(events, err)
		}
	}
}

func BenchmarkLargeFrameInPieces(b *testing.B) {
	frame := Append(nil, Reply{Session: 1, Payload: make([]byte, 8<<20)})
	_, to := pair(b, Config{})
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		for rest := frame; len(rest) > 0; rest = rest[min(64<<10, len(rest)):] {
			if _, err := to.Input(0, rest[:min(64<<10, len(rest))]); err != nil {
				b.Fatal(err)
			}
		}
	}
}
