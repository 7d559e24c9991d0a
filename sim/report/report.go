// Package report writes a page about one run: what failed, the time-space picture of nodes, clients, messages and faults
// around it, the history, the log, and porcupine's picture of the history.
//
// # Guarantees
//
//   - The page is one file that needs no other and no network.
//   - Whatever scripts have named, logged or returned enters the page as text: it cannot become markup or code.
//   - The size of the page is bounded, whatever the run: see [Page].
//   - Equal runs give equal bytes.
package report

import (
	_ "embed"
	"fmt"
	"html"
	"html/template"
	"io"
	"strings"
	"time"

	"skynet/sim"
	"skynet/sim/history"
)

// How much of a run the tables of a page show at most.
const (
	shownOperations = 300
	shownLines      = 200
	shownFaults     = 300
	// shownHistory is how many operations a history may have for porcupine to be asked for a picture of it, which has
	// every order that was tried.
	shownHistory = 2000
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// Page is what a page is about. All fields are required.
type Page struct {
	Simulation *sim.Simulation
	Run        *sim.Result
	Diagram    *sim.Diagram // of the same run
	Replay     string       // the command that repeats the run
}

// view is the page in the form that its template reads.
type view struct {
	Title, Scenario, Verdict, Headline string
	Seed                               uint64
	Hash, Run, Replay                  string
	Style                              template.CSS
	Script                             template.JS
	Data                               data
	Checks                             []sim.CheckResult
	Faults                             []faultRow
	History                            []historyRow
	HistoryNote, LogNote               string
	Logs                               []string
	Pictures                           []picture
}

type faultRow struct {
	From, Until, What, Effects, Path string
	Bit                              bool
}

type historyRow struct{ When, Outcome, What string }

// picture is a page of its own, for an iframe.
type picture struct {
	Name   string
	Source template.HTMLAttr
	Error  string // why there is no picture; empty if there is
}

// Write writes the page.
func (p Page) Write(w io.Writer) error {
	page, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	v := view{
		Title: p.Simulation.Scenario.Title, Scenario: p.Simulation.Scenario.File, Seed: p.Run.Seed, Hash: fmt.Sprintf("%016x", p.Run.Hash),
		Run:    fmt.Sprintf("%d steps, %d events, %v virtual time", p.Run.Steps, p.Run.Events, p.Run.Virtual),
		Replay: p.Replay, Style: template.CSS(pageCSS), Script: template.JS(pageJS), Checks: p.Run.Checks,
		Data: newData(p.Run, p.Diagram), Faults: faultRows(p.Run.Faults),
	}
	if v.Title == "" {
		v.Title = v.Scenario
	}
	v.Verdict, v.Headline = headline(p.Run)
	v.History, v.HistoryNote = historyRows(p.Run)
	v.Logs, v.LogNote = logTail(p.Run.Logs)
	v.Pictures = p.pictures()
	if err := page.Execute(w, v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

func headline(r *sim.Result) (verdict, headline string) {
	if r.Failed != nil {
		return "failed", r.Failed.Name + ": " + r.Failed.Message
	}
	if c := r.Undecided(); c != nil {
		return "unknown", c.Name + ": " + c.Message
	}
	return "passed", "every check held"
}

func faultRows(faults []sim.FaultReport) []faultRow {
	var rows []faultRow
	for _, f := range faults[:min(len(faults), shownFaults)] {
		rows = append(rows, faultRow{f.At.String(), f.Until.String(), f.Fault, f.Effects.String(), f.Path, f.Bit})
	}
	return rows
}

// historyRows are the operations around the failure.
func historyRows(r *sim.Result) (rows []historyRow, note string) {
	ops := r.History.Operations
	from, to := 0, len(ops)
	if to > shownOperations {
		for to > shownOperations && ops[to-1].CallTime > int64(moment(r)) {
			to--
		}
		from = max(0, to-shownOperations)
		note = fmt.Sprintf("%d of the %d operations, up to the failure", to-from, len(ops))
	}
	for _, op := range ops[from:to] {
		rows = append(rows, historyRow{op.Interval(), op.Outcome.String(), op.String()})
	}
	return rows, note
}

func logTail(lines []string) (tail []string, note string) {
	if n := len(lines) - shownLines; n > 0 {
		return lines[n:], fmt.Sprintf("the last %d lines", shownLines)
	}
	return lines, ""
}

// pictures asks porcupine for its picture of the history, once for each check of linearizability.
func (p Page) pictures() (all []picture) {
	if len(p.Run.History.Operations) > shownHistory {
		return nil
	}
	for _, c := range p.Run.Checks {
		if c.Kind != "linearizable" {
			continue
		}
		page, err := p.Simulation.Visualize(c.Name, p.Run.History)
		if err != nil { // as the model that it asks may fail
			all = append(all, picture{Name: c.Name, Error: err.Error()})
			continue
		}
		all = append(all, picture{Name: c.Name, Source: template.HTMLAttr(`srcdoc="` + html.EscapeString(string(page)) + `"`)})
	}
	return all
}

// moment is when the run failed: of a history when the operation ended that nothing explains, which is long before the
// check is made.
func moment(r *sim.Result) time.Duration {
	if r.Failed == nil {
		return r.Virtual
	}
	if op := unexplained(r); op != nil {
		return time.Duration(op.ReturnTime)
	}
	return r.Failed.At
}

// unexplained is the operation that the evidence of a violated history blames, nil if there is none. Its first line has the
// operation without its times, its last ones those that could not come next with theirs.
func unexplained(r *sim.Result) *history.Operation {
	if r.Failed == nil || r.Failed.Kind != "linearizable" || len(r.Failed.Evidence) == 0 {
		return nil
	}
	var blamed *history.Operation
	last := -1
	for i := range r.History.Operations {
		op := &r.History.Operations[i]
		if op.Outcome != history.OK || !strings.HasSuffix(r.Failed.Evidence[0], " "+op.String()) {
			continue
		}
		if at := lastLine(r.Failed.Evidence, op.String()+" "+op.Interval()); blamed == nil || at > last {
			blamed, last = op, at
		}
	}
	return blamed
}

// lastLine is the index of the last line with a text, -1 without one.
func lastLine(lines []string, text string) int {
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.Contains(lines[i], text) {
			return i
		}
	}
	return -1
}
