package main

import (
	"encoding/json"
	"fmt"
)

// simResult is what sim --format json prints for one scenario. docs/command-line.md describes it; it is stable.
type simResult struct {
	Scenario       string         `json:"scenario"`
	Expect         string         `json:"expect"`
	OK             bool           `json:"ok"`
	Seeds          uint64         `json:"seeds"`
	Passed         uint64         `json:"passed"`
	Failed         uint64         `json:"failed"`
	Unknown        uint64         `json:"unknown"`
	Steps          uint64         `json:"steps"`
	VirtualSeconds float64        `json:"virtual_seconds"`
	WallSeconds    float64        `json:"wall_seconds"`
	Interrupted    bool           `json:"interrupted"`
	Hash           string         `json:"hash,omitempty"`
	Failures       []simFailure   `json:"failures"`
	Checks         []simCheck     `json:"checks"`
	Operations     []simOperation `json:"operations"`
	Faults         []simFault     `json:"faults"`
	Shrunk         *simShrunk     `json:"shrunk,omitempty"`
}

type simFailure struct {
	Seed   uint64 `json:"seed"`
	Check  string `json:"check"`
	Hash   string `json:"hash"`
	Replay string `json:"replay"`
}

type simCheck struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	OK      uint64 `json:"ok"`
	Failed  uint64 `json:"failed"`
	Unknown uint64 `json:"unknown"`
}

type simOperation struct {
	Name    string `json:"name"`
	OK      uint64 `json:"ok"`
	Fail    uint64 `json:"fail"`
	Unknown uint64 `json:"unknown"`
	Why     string `json:"why,omitempty"`
}

type simFault struct {
	Name    string `json:"name"`
	Fault   string `json:"fault"`
	Strikes uint64 `json:"strikes"`
	Bit     uint64 `json:"bit"`
	Effects string `json:"effects"`
}

type simShrunk struct {
	Seed    uint64   `json:"seed"`
	Check   string   `json:"check"`
	File    string   `json:"file"`
	Faults  int      `json:"faults"`
	Clients []string `json:"clients"`
	Runs    int      `json:"runs"`
	Source  string   `json:"source"`
	Replay  string   `json:"replay"`
}

func hash16(h uint64) string { return fmt.Sprintf("%016x", h) }

func (x *simulation) printJSON() error {
	sum := x.sum
	r := simResult{
		Scenario: x.name, Expect: "passes", OK: sum.Well(), Seeds: sum.Seeds, Passed: sum.Passed, Failed: sum.Failed, Unknown: sum.Unknown,
		Steps: sum.Steps, VirtualSeconds: sum.Virtual.Seconds(), WallSeconds: x.wall.Seconds(), Interrupted: sum.Interrupted,
		Failures: []simFailure{}, Checks: []simCheck{}, Operations: []simOperation{}, Faults: []simFault{}, Shrunk: x.shrunkJSON(),
	}
	if sum.ExpectFails {
		r.Expect = "fails"
	}
	if sum.Seeds == 1 {
		r.Hash = hash16(sum.Hash)
	}
	for _, f := range sum.Failures {
		r.Failures = append(r.Failures, simFailure{f.Seed, f.Check, hash16(f.Hash), x.replay(f.Seed)})
	}
	for _, c := range sum.Checks {
		r.Checks = append(r.Checks, simCheck{c.Name, c.Kind, c.OK, c.Failed, c.Unknown})
	}
	for _, o := range sum.Operations {
		r.Operations = append(r.Operations, simOperation(o))
	}
	for _, f := range sum.Faults {
		r.Faults = append(r.Faults, simFault{f.Name, f.What, f.Strikes, f.Bit, f.Effects.String()})
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = x.Stdout.Write(append(line, '\n'))
	return err
}

func (x *simulation) shrunkJSON() *simShrunk {
	if x.small == nil {
		return nil
	}
	r := &simShrunk{
		Seed: x.small.Seed, Check: x.small.Run.Failed.Name, File: x.smallAt, Faults: len(x.small.Instances),
		Clients: x.small.Clients, Runs: x.small.Runs, Source: x.small.Source,
	}
	if x.smallAt != "" {
		r.Replay = x.replayShrunk()
	}
	return r
}
