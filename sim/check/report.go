package check

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"skynet/sim/history"
)

// Report is the outcome of checking a file. Its JSON form is stable:
//
//	{"history":"h.jsonl","model":"kv","operations":7,"verdict":"violated","states":12,"evidence":["…"]}
//
// with a verdict of "ok", "violated" or "unknown", and an empty list of evidence if there is none.
type Report struct {
	History    string   `json:"history"`
	Model      string   `json:"model"`
	Operations int      `json:"operations"`
	Verdict    Result   `json:"verdict"`
	States     int      `json:"states"`
	Evidence   []string `json:"evidence"`
}

// CheckFile reads a history from r, whose name is name, and checks it against the stock model that model names. The
// error says that the file cannot be read, that there is no such model, or that an operation means nothing to it; a
// violation is no error.
func CheckFile(r io.Reader, name, model string, b Budget) (Report, error) {
	m, err := Named(model)
	if err != nil {
		return Report{}, err
	}
	h, err := history.Read(r, name)
	if err != nil {
		return Report{}, err
	}
	v := Linearizable(m, h, b)
	if v.Err != nil {
		return Report{}, fmt.Errorf("%s: %w", name, v.Err)
	}
	return Report{name, m.Name(), v.Operations, v.Result, v.States, append([]string{}, v.Evidence...)}, nil
}

// Text returns the report for people: one line, and the evidence indented below it.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s (%d operations, %d states)\n", r.History, r.Model, r.Verdict, r.Operations, r.States)
	for _, line := range r.Evidence {
		b.WriteString("  " + line + "\n")
	}
	return b.String()
}

// JSON returns the report as one line of JSON.
func (r Report) JSON() ([]byte, error) {
	b, err := json.Marshal(r)
	return append(b, '\n'), err
}
