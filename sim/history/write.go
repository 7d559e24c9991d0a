package history

import (
	"cmp"
	"io"
	"slices"
	"strconv"
)

// event is one line of a file.
type event struct {
	op   *Operation
	done bool // the completion, not the invocation
}

func (e event) index() int64 {
	if e.done {
		return e.op.Return
	}
	return e.op.Call
}

// events returns the invocations and completions in their order.
func (h History) events() []event {
	events := make([]event, 0, 2*len(h.Operations))
	for i := range h.Operations {
		op := &h.Operations[i]
		events = append(events, event{op, false})
		if op.Return != Open {
			events = append(events, event{op, true})
		}
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.index(), b.index()) })
	return events
}

// WriteTo writes the history in the format of the package comment, and the same bytes whenever it is the same history.
func (h History) WriteTo(w io.Writer) (int64, error) {
	var (
		buf   []byte
		total int64
	)
	events := h.events()
	for i, e := range events {
		buf = appendEvent(buf, e)
		if len(buf) < 1<<16 && i < len(events)-1 {
			continue
		}
		n, err := w.Write(buf)
		total += int64(n)
		if err != nil {
			return total, err
		}
		buf = buf[:0]
	}
	return total, nil
}

func appendEvent(b []byte, e event) []byte {
	b = strconv.AppendInt(append(b, `{"process":`...), int64(e.op.Process), 10)
	if e.op.Client != "" {
		b = appendString(append(b, `,"client":`...), e.op.Client)
	}
	b = append(append(append(b, `,"type":"`...), e.kind()...), `","f":`...)
	b = append(appendString(b, e.op.Op), `,"value":`...)
	at := e.op.CallTime
	if e.done {
		at = e.op.ReturnTime
		b = append(b, e.op.Value.text()...)
		if e.op.Error != "" {
			b = appendString(append(b, `,"error":`...), e.op.Error)
		}
	} else {
		b = append(b, List(e.op.Args...)...)
	}
	b = strconv.AppendInt(append(b, `,"time":`...), at, 10)
	b = strconv.AppendInt(append(b, `,"index":`...), e.index(), 10)
	return append(b, "}\n"...)
}

func (e event) kind() string {
	switch {
	case !e.done:
		return "invoke"
	case e.op.Outcome == OK:
		return "ok"
	case e.op.Outcome == Fail:
		return "fail"
	}
	return "info"
}
