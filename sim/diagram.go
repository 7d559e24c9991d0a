package sim

import (
	"skynet/sched"
	"skynet/sched/trace"
	"skynet/sim/history"
	"skynet/vnet/virtual"
)

// defaultDiagram is how much of each kind a diagram keeps if its Limit is 0.
const defaultDiagram = 10_000

// Diagram is the time-space picture of a run. Its zero value is ready to be given to one run; a nil Diagram collects
// nothing. When there is more than fits, the youngest is kept: a failure is at the end.
type Diagram struct {
	// Limit is how many messages and how many spans are kept; 0 is 10,000.
	Limit int

	// Lanes are the names of the machines, the nodes before the clients.
	Lanes []string
	// Messages are packets between machines, in the order they were sent.
	Messages []Message
	// Spans are operations, faults and the times in which machines were down, in the order they began.
	Spans []Span
	// Dropped is how many entries did not fit.
	Dropped int

	finished        bool
	messages, spans int // how many were dropped from the front of each
	lanes           map[int32]int
	flying          map[flight]int // packet -> its number among all messages
	ops             map[int]int    // operation -> its number among all spans
	down            map[int32]int  // machine -> its number among all spans
	faults          map[string][]int
}

// Message is a packet from one lane to another.
type Message struct {
	From, To int // lanes
	Sent     sched.Time
	Arrived  sched.Time // when it arrived or was lost; 0 while it is under way
	Size     int        // bytes of payload
	Lost     bool
}

// Span is something that lasts.
type Span struct {
	Kind       string // "op", "fault" or "down"
	Lanes      []int
	Text       string
	Outcome    string     // of an op: "ok", "fail" or "unknown", and empty while it is open
	Path       string     // of a fault
	Begin, End sched.Time // End is -1 as long as it has not ended
}

type flight struct {
	from, to int32
	id       uint64
}

// lane returns the place of a machine; clients that do not run leave no gap.
func (d *Diagram) lane(index int32) int { return d.lanes[index] }

// observer starts the diagram and returns what the network tells it.
func (w *world) observer() virtual.Observer {
	d := w.diagram
	if d == nil {
		return nil
	}
	if d.Limit <= 0 {
		d.Limit = defaultDiagram
	}
	d.lanes, d.flying, d.ops = map[int32]int{}, map[flight]int{}, map[int]int{}
	d.down, d.faults = map[int32]int{}, map[string][]int{}
	return d.packet
}

func (d *Diagram) enter(m *machine) {
	if d != nil {
		d.lanes[m.index] = len(d.Lanes)
		d.Lanes = append(d.Lanes, m.name)
	}
}

func (d *Diagram) packet(p virtual.Packet) {
	if d.finished {
		return
	}
	key := flight{p.From, p.To, p.ID}
	if p.Kind == trace.Send {
		if len(d.Messages) >= 2*d.Limit {
			n := len(d.Messages) - d.Limit
			d.Messages = d.Messages[:copy(d.Messages, d.Messages[n:])]
			d.messages += n
			d.Dropped += n
		}
		d.flying[key] = d.messages + len(d.Messages)
		d.Messages = append(d.Messages, Message{From: d.lane(p.From), To: d.lane(p.To), Sent: p.At, Size: p.Size})
		return
	}
	number, ok := d.flying[key]
	delete(d.flying, key)
	if i := number - d.messages; ok && i >= 0 {
		d.Messages[i].Arrived, d.Messages[i].Lost = p.At, p.Kind == trace.Drop
	}
}

func (d *Diagram) begin(s Span) (number int) {
	if len(d.Spans) >= 2*d.Limit {
		n := len(d.Spans) - d.Limit
		d.Spans = d.Spans[:copy(d.Spans, d.Spans[n:])]
		d.spans += n
		d.Dropped += n
	}
	s.End = -1
	d.Spans = append(d.Spans, s)
	return d.spans + len(d.Spans) - 1
}

// span returns a span that has begun, nil if it was dropped.
func (d *Diagram) span(number int) *Span {
	if i := number - d.spans; i >= 0 {
		return &d.Spans[i]
	}
	return nil
}

func (d *Diagram) end(number int, now sched.Time) {
	if s := d.span(number); s != nil {
		s.End = now
	}
}

func (d *Diagram) opBegins(now sched.Time, machine int32, op int, text string) {
	if d != nil {
		d.ops[op] = d.begin(Span{Kind: "op", Lanes: []int{d.lane(machine)}, Text: text, Begin: now})
	}
}

func (d *Diagram) opEnds(now sched.Time, op int, outcome history.Outcome, text string) {
	if d == nil {
		return
	}
	if s := d.span(d.ops[op]); s != nil {
		s.End, s.Outcome, s.Text = now, outcome.String(), s.Text+" -> "+text
	}
	delete(d.ops, op)
}

// node is told that a machine starts or stops.
func (d *Diagram) node(now sched.Time, machine int32, up bool) {
	if d == nil {
		return
	}
	if !up {
		d.down[machine] = d.begin(Span{Kind: "down", Lanes: []int{d.lane(machine)}, Begin: now})
	} else if number, ok := d.down[machine]; ok {
		d.end(number, now)
		delete(d.down, machine)
	}
}

// fault is told that a fault begins or ends.
func (d *Diagram) fault(now sched.Time, f *fault, text string, on bool) {
	if d == nil {
		return
	}
	path := f.instance.Path
	if !on {
		d.end(d.faults[path][0], now)
		d.faults[path] = d.faults[path][1:]
		return
	}
	s := Span{Kind: "fault", Text: text, Path: path, Begin: now}
	for _, m := range f.machines {
		s.Lanes = append(s.Lanes, d.lane(m.index))
	}
	number := d.begin(s)
	if f.instance.Until == f.instance.At {
		d.end(number, now)
		return
	}
	d.faults[path] = append(d.faults[path], number)
}

// finish closes the picture, and forgets what is beyond its limit.
func (d *Diagram) finish() {
	if d == nil {
		return
	}
	d.finished = true
	if n := len(d.Messages) - d.Limit; n > 0 {
		d.Messages = d.Messages[n:]
		d.Dropped += n
	}
	if n := len(d.Spans) - d.Limit; n > 0 {
		d.Spans = d.Spans[n:]
		d.Dropped += n
	}
}
