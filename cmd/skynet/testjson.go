package main

import (
	"encoding/json"
	"strings"

	"skynet/sim/unit"
)

// testResult is what test --format json prints for one file. docs/testing.md describes it; it is stable.
type testResult struct {
	File        string     `json:"file"`
	OK          bool       `json:"ok"`
	Passed      int        `json:"passed"`
	Failed      int        `json:"failed"`
	WallSeconds float64    `json:"wall_seconds"`
	Tests       []testCase `json:"tests"`
	Error       *testError `json:"error,omitempty"`
}

// testError is why a file does not load.
type testError struct {
	Message string `json:"message"`
	File    string `json:"file"`
	Line    int    `json:"line"`
	Col     int    `json:"col"`
	Text    string `json:"text"`
}

type testCase struct {
	Name           string       `json:"name"`
	Line           int          `json:"line"`
	OK             bool         `json:"ok"`
	Seed           uint64       `json:"seed"`
	Hash           string       `json:"hash"`
	Steps          uint64       `json:"steps"`
	VirtualSeconds float64      `json:"virtual_seconds"`
	WallSeconds    float64      `json:"wall_seconds"`
	Logs           []testLine   `json:"logs"`
	Failure        *testFailure `json:"failure,omitempty"`
}

type testLine struct {
	Seconds float64 `json:"seconds"`
	Level   string  `json:"level"`
	Service string  `json:"service"`
	Text    string  `json:"text"`
}

type testFailure struct {
	Message string   `json:"message"`
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Col     int      `json:"col"`
	Diff    []string `json:"diff"`
	Waits   []string `json:"waits"`
	Text    string   `json:"text"`
	Repeat  string   `json:"repeat"`
}

func (x *suite) printJSON() error {
	r := testResult{
		File: x.file.Name, OK: x.failed == 0, Passed: len(x.runs) - x.failed, Failed: x.failed, WallSeconds: x.wall.Seconds(),
	}
	for _, t := range x.runs {
		r.Tests = append(r.Tests, x.testCase(t))
	}
	return x.printLine(r)
}

// printLine prints the object of one file.
func (x *suite) printLine(r testResult) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = x.Stdout.Write(append(line, '\n'))
	return err
}

func brokenResult(e *unit.LoadError) testResult {
	f := e.Failure
	return testResult{File: e.File, Tests: []testCase{}, Error: &testError{f.Message, f.File, f.Line, f.Col, f.Text}}
}

func (x *suite) testCase(t testRun) testCase {
	c := testCase{
		Name: t.Test.Name, Line: t.Line, OK: t.Failure == nil, Seed: t.Seed, Hash: hash16(t.Hash), Steps: t.Steps,
		VirtualSeconds: t.Virtual.Seconds(), WallSeconds: t.wall.Seconds(), Logs: []testLine{},
	}
	for _, l := range t.Logs {
		c.Logs = append(c.Logs, testLine{l.At.Seconds(), strings.ToLower(l.Level.String()), l.Service, l.Text})
	}
	if f := t.Failure; f != nil {
		c.Failure = &testFailure{
			Message: f.Message, File: f.File, Line: f.Line, Col: f.Col, Diff: list(f.Diff), Waits: list(f.Waits), Text: f.Text,
			Repeat: x.repeat(t),
		}
	}
	return c
}

// list is an empty list for none: null would be one more case for readers.
func list(lines []string) []string {
	if lines == nil {
		return []string{}
	}
	return lines
}
