package report

import (
	"skynet/sched"
	"skynet/sim"
)

// around is how many operations before the failure the picture shows at first.
const around = 30

// data is what the script of the page draws. Times are virtual nanoseconds.
type data struct {
	Lanes    []lane      `json:"lanes"`
	From     int64       `json:"from"` // of the first view
	To       int64       `json:"to"`
	End      int64       `json:"end"`      // of the run
	Messages [][5]int64  `json:"messages"` // from, to, sent, arrived, 1 if lost
	Faults   []faultSpan `json:"faults"`
	Downs    []downSpan  `json:"downs"`
	Ops      []opSpan    `json:"ops"`
	Marks    []mark      `json:"marks"`
	Notice   string      `json:"notice"`
}

type lane struct {
	Name string `json:"name"`
}

type faultSpan struct {
	What    string `json:"what"`
	Path    string `json:"path"`
	Effects string `json:"effects"`
	Bit     bool   `json:"bit"`
	Lanes   []int  `json:"lanes"`
	At      int64  `json:"at"`
	Until   int64  `json:"until"`
}

type downSpan struct {
	Lane  int   `json:"lane"`
	At    int64 `json:"at"`
	Until int64 `json:"until"`
}

type opSpan struct {
	Lane    int    `json:"lane"`
	Row     int    `json:"row"` // operations of one client that overlap lie in different rows
	At      int64  `json:"at"`
	Until   int64  `json:"until"` // -1 if it never ended
	Outcome string `json:"outcome"`
	What    string `json:"what"`
}

type mark struct {
	At   int64  `json:"at"`
	What string `json:"what"`
}

func newData(r *sim.Result, d *sim.Diagram) data {
	v := data{
		Lanes: []lane{}, End: int64(r.Virtual), Messages: [][5]int64{}, Faults: []faultSpan{}, Downs: []downSpan{}, Ops: []opSpan{}, Marks: []mark{},
	}
	for _, name := range d.Lanes {
		v.Lanes = append(v.Lanes, lane{name})
	}
	for _, m := range d.Messages {
		v.addMessage(m)
	}
	effects := make(map[string]sim.FaultReport, len(r.Faults))
	for _, f := range r.Faults {
		effects[f.Path] = f
	}
	busy := make(map[int][]int64) // of each lane, until when each row is taken
	for _, s := range d.Spans {
		v.addSpan(s, effects, busy)
	}
	v.window(r)
	if d.Dropped > 0 {
		v.Notice = "The run was too long for the picture: its beginning is missing."
	}
	return v
}

func (v *data) addMessage(m sim.Message) {
	arrived, lost := int64(m.Arrived), int64(0)
	if m.Arrived == 0 { // still under way at the end
		arrived = v.End
	}
	if m.Lost {
		lost = 1
	}
	v.Messages = append(v.Messages, [5]int64{int64(m.From), int64(m.To), int64(m.Sent), arrived, lost})
}

func (v *data) addSpan(s sim.Span, effects map[string]sim.FaultReport, busy map[int][]int64) {
	end := v.until(s.End)
	switch s.Kind {
	case "fault":
		f := effects[s.Path]
		v.Faults = append(v.Faults, faultSpan{s.Text, s.Path, f.Effects.String(), f.Bit, append([]int{}, s.Lanes...), int64(s.Begin), end})
	case "down":
		v.Downs = append(v.Downs, downSpan{s.Lanes[0], int64(s.Begin), end})
	case "op":
		op := opSpan{Lane: s.Lanes[0], At: int64(s.Begin), Until: int64(s.End), Outcome: s.Outcome, What: s.Text}
		if op.Outcome == "" {
			op.Outcome = "unknown"
		}
		op.Row = free(busy, op.Lane, op.At, end)
		v.Ops = append(v.Ops, op)
	}
}

func (v *data) until(t sched.Time) int64 {
	if t < 0 {
		return v.End
	}
	return int64(t)
}

// free takes the first row of a lane that is free at a time, of a few.
func free(busy map[int][]int64, lane int, at, until int64) int {
	for row, end := range busy[lane] {
		if end <= at {
			busy[lane][row] = until
			return row
		}
	}
	const rows = 3
	if len(busy[lane]) == rows {
		return rows - 1
	}
	busy[lane] = append(busy[lane], until)
	return len(busy[lane]) - 1
}

// window sets the first view: the last operations before the failure and a little of what came after, or the whole run if
// it did not fail.
func (v *data) window(r *sim.Result) {
	v.From, v.To = 0, v.End
	if r.Failed == nil {
		return
	}
	at := int64(moment(r))
	v.Marks = append(v.Marks, mark{at, r.Failed.Name})
	var before []opSpan
	for _, op := range v.Ops {
		if op.At <= at {
			before = append(before, op)
		}
	}
	if n := len(before); n > 0 {
		v.From = before[max(0, n-around)].At
	}
	margin := (at - v.From) / 10
	v.From, v.To = max(0, v.From-margin), min(v.End, at+margin)
}
