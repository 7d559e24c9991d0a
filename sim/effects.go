package sim

import (
	"fmt"
	"strings"
	"time"

	"skynet/vnet/virtual"
)

// Effects counts what a fault did.
type Effects struct {
	Network     NetworkEffects
	Crashed     uint64 // machines stopped
	Restarted   uint64 // machines that came back when it ended: of overlapping crashes, the last brings them back
	LostWrites  uint64 // writes that the disks of crashed machines lost
	Paused      uint64 // machines stopped that were running
	Slowed      uint64 // machines slowed that were running
	ClocksMoved uint64
	DiskErrors  uint64 // operations that failed
}

// NetworkEffects is what the virtual network counts.
type NetworkEffects struct{ virtual.Effects }

// Add adds the counts of other effects.
func (e *NetworkEffects) Add(o virtual.Effects) {
	e.Dropped += o.Dropped
	e.Held += o.Held
	e.Delayed += o.Delayed
	e.Duplicated += o.Duplicated
	e.Reordered += o.Reordered
	e.Refused += o.Refused
	e.TimedOut += o.TimedOut
	e.Reset += o.Reset
	e.BytesLost += o.BytesLost
}

// Add adds the counts of other effects.
func (e *Effects) Add(o Effects) {
	e.Network.Add(o.Network.Effects)
	e.Crashed += o.Crashed
	e.Restarted += o.Restarted
	e.LostWrites += o.LostWrites
	e.Paused += o.Paused
	e.Slowed += o.Slowed
	e.ClocksMoved += o.ClocksMoved
	e.DiskErrors += o.DiskErrors
}

// Any reports whether there was any effect.
func (e Effects) Any() bool { return e != Effects{} }

// String lists what was counted, for example "3 packets dropped, 1 machine crashed".
func (e Effects) String() string {
	var parts []string
	n := e.Network
	for _, c := range []struct {
		count     uint64
		one, many string
	}{
		{e.Crashed, "machine crashed", "machines crashed"},
		{e.Restarted, "machine restarted", "machines restarted"}, {e.LostWrites, "write lost", "writes lost"},
		{e.Paused, "machine paused", "machines paused"}, {e.Slowed, "machine slowed", "machines slowed"},
		{e.ClocksMoved, "clock moved", "clocks moved"}, {e.DiskErrors, "disk error", "disk errors"},
		{n.Dropped, "packet dropped", "packets dropped"}, {n.Held, "packet held", "packets held"},
		{n.Delayed, "packet delayed", "packets delayed"}, {n.Duplicated, "datagram duplicated", "datagrams duplicated"},
		{n.Reordered, "datagram reordered", "datagrams reordered"}, {n.Refused, "dial refused", "dials refused"},
		{n.TimedOut, "stream timed out", "streams timed out"}, {n.Reset, "stream reset", "streams reset"},
		{n.BytesLost, "byte lost", "bytes lost"},
	} {
		switch {
		case c.count == 1:
			parts = append(parts, "1 "+c.one)
		case c.count > 1:
			parts = append(parts, fmt.Sprintf("%d %s", c.count, c.many))
		}
	}
	if parts == nil {
		return "no effect"
	}
	return strings.Join(parts, ", ")
}

// FaultReport is one strike of one fault.
type FaultReport struct {
	Path    string // names the strike
	From    string // names the fault of the scenario that struck
	Fault   string // what it was, for people
	At      time.Duration
	Until   time.Duration // when it ended; equal to At for faults that do not last
	Effects Effects
	Bit     bool // whether it had any effect
}

// reports returns what the faults have done.
func (fs *faults) reports() []FaultReport {
	reports := make([]FaultReport, len(fs.all))
	for i, f := range fs.all {
		effects := f.effects
		for _, n := range f.network {
			effects.Network.Add(n.Effects())
		}
		for _, n := range f.crashes {
			effects.Network.Add(n.Effects())
		}
		reports[i] = FaultReport{
			Path: f.instance.Path, From: f.instance.From, Fault: describeFault(f.instance.Fault),
			At: time.Duration(f.instance.At), Until: time.Duration(f.instance.Until), Effects: effects, Bit: effects.Any(),
		}
	}
	return reports
}
