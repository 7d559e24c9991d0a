package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"skynet/sched"
	"skynet/sched/trace"
	"skynet/sim/scenario"
	"skynet/vnet/virtual"
)

// faults executes the schedule.
type faults struct {
	world  *world
	all    []*fault   // in the order they struck
	active []*fault   // those that last
	calmAt sched.Time // when the last of them ended, or the clients were done
}

// fault is one strike: what it did and how to end it.
type fault struct {
	instance scenario.Instance
	machines []*machine
	network  []*virtual.Fault // to end with the fault
	crashes  []*virtual.Fault // what the network lost because machines are down
	effects  Effects          // but for the network's, which are still counting
	end      sched.Timer
}

// arm waits for the next step of the schedule, which may be another one than before since the clients are done.
func (w *world) arm() {
	if w.armed != nil {
		w.armed.Stop()
		w.armed = nil
	}
	step, ok := w.schedule.Peek()
	if !ok || w.troubleOver {
		return
	}
	w.next = step.Kind
	what := sched.Action{Kind: trace.Fault, Node: -1, A: step.Instance.ID, B: uint64(step.Kind)}
	w.armed = w.step.At(step.At, what, func() { w.advance(step) })
}

// advance does a step of the schedule.
func (w *world) advance(step scenario.Step) {
	w.schedule.Pop()
	switch step.Kind {
	case scenario.Strike:
		w.faults.strike(step.Instance)
	case scenario.Heal:
		w.faults.heal()
	case scenario.End:
		w.troubleOver = true
		w.attention = true
		return
	}
	w.arm()
}

// strike begins a fault, and sets when it ends.
func (fs *faults) strike(i scenario.Instance) {
	w := fs.world
	f := &fault{instance: i, machines: w.machinesOf(i.Fault.Nodes())}
	fs.all = append(fs.all, f)
	fs.note(f, 1)
	w.judge.disturbed()
	f.begin(w)
	if i.Until > i.At {
		fs.active = append(fs.active, f)
		what := sched.Action{Kind: trace.Fault, Node: -1, A: i.ID, B: uint64(scenario.End) + 1}
		f.end = w.step.At(i.Until, what, func() { fs.over(f) })
	}
}

// over ends a fault that lasts.
func (fs *faults) over(f *fault) {
	i := slices.Index(fs.active, f)
	if i < 0 {
		return
	}
	fs.active = slices.Delete(fs.active, i, i+1)
	f.end.Stop()
	fs.calmAt = fs.world.step.Now()
	f.instance.Until = fs.calmAt
	fs.note(f, 0)
	f.undo(fs.world)
}

// heal ends all faults.
func (fs *faults) heal() {
	fs.calmAt = fs.world.step.Now()
	for len(fs.active) > 0 {
		fs.over(fs.active[0])
	}
}

func (fs *faults) note(f *fault, on uint64) {
	w := fs.world
	text := describeFault(f.instance.Fault)
	w.trace.AddText(int64(w.step.Now()), trace.Fault, -1, f.instance.ID, on, text)
	w.diagram.fault(w.step.Now(), f, text, on == 1)
}

// begin does what the fault is.
func (f *fault) begin(w *world) {
	what := f.instance.Fault
	switch what.Kind {
	case scenario.Partition:
		f.partition(w)
	case scenario.Latency:
		f.impair(w, virtual.Link{Latency: virtual.Constant(time.Duration(what.Amount))})
	case scenario.Loss:
		f.impair(w, virtual.Link{Loss: uint32(what.Amount)})
	case scenario.Duplicate:
		f.impair(w, virtual.Link{Duplicate: uint32(what.Amount)})
	case scenario.Reorder:
		f.impair(w, virtual.Link{Reorder: uint32(what.Amount)})
	case scenario.Hold:
		f.impair(w, virtual.Link{Hold: true})
	case scenario.Reset:
		f.reset(w)
	default:
		for _, m := range f.machines {
			f.beginOn(m)
		}
	}
}

// beginOn strikes one machine. Faults of the same kind may overlap: each counts.
func (f *fault) beginOn(m *machine) {
	running := m.up()
	switch f.instance.Fault.Kind {
	case scenario.Crash:
		if m.down++; running || m.exited {
			network, lost := m.crash()
			f.crashes = append(f.crashes, network)
			f.effects.Crashed++
			f.effects.LostWrites += uint64(lost)
		}
	case scenario.Pause:
		if m.paused++; running {
			m.sched.Pause()
			f.effects.Paused++
		}
	case scenario.Slow:
		m.slowed = append(m.slowed, f.instance.Fault.Amount)
		if m.setSpeed(); running && f.instance.Fault.Amount != 100 {
			f.effects.Slowed++
		}
	case scenario.ClockStep:
		by := time.Duration(f.instance.Fault.Amount)
		m.wall += by
		m.sched.MoveWall(by)
		if by != 0 {
			f.effects.ClocksMoved++
		}
	case scenario.DiskFail:
		m.diskFaults = append(m.diskFaults, f)
	}
}

// undo ends what lasts.
func (f *fault) undo(w *world) {
	for _, n := range f.network {
		n.End()
	}
	for _, m := range f.machines {
		switch f.instance.Fault.Kind {
		case scenario.Crash:
			if m.down--; m.down == 0 && !m.up() {
				f.effects.Restarted++
				if err := m.boot(); err != nil {
					w.fail(fmt.Errorf("node %s: restart: %w", m.name, err))
				}
			}
		case scenario.Pause:
			if m.paused--; m.paused == 0 && m.up() {
				m.sched.Resume()
			}
		case scenario.Slow:
			i := slices.Index(m.slowed, f.instance.Fault.Amount)
			m.slowed = slices.Delete(m.slowed, i, i+1)
			m.setSpeed()
		case scenario.DiskFail:
			m.diskFaults = slices.DeleteFunc(m.diskFaults, func(other *fault) bool { return other == f })
		}
	}
}

// partition cuts each machine off from those it is in no group with.
func (f *fault) partition(w *world) {
	groups := f.instance.Fault.Groups
	together := func(a, b string) bool {
		return slices.ContainsFunc(groups, func(g []string) bool { return slices.Contains(g, a) && slices.Contains(g, b) })
	}
	var everyone []string
	for _, name := range slices.Concat(groups...) {
		if w.machine(name) != nil && !slices.Contains(everyone, name) {
			everyone = append(everyone, name)
		}
	}
	from := everyone
	if f.instance.Fault.OneWay {
		from = groups[0]
	}
	for _, a := range from {
		away := slices.DeleteFunc(slices.Clone(everyone), func(b string) bool { return together(a, b) })
		if len(away) > 0 && w.machine(a) != nil {
			f.network = append(f.network, w.fabric.Cut([]string{a}, away))
		}
	}
}

// impair troubles all links to and from the struck machines, each once.
func (f *fault) impair(w *world, l virtual.Link) {
	struck := f.instance.Fault.Nodes()
	var others []string
	for _, m := range w.machines {
		if !slices.Contains(struck, m.name) {
			others = append(others, m.name)
		}
	}
	f.network = append(f.network, w.fabric.Impair(struck, nil, l))
	if len(others) > 0 {
		f.network = append(f.network, w.fabric.Impair(others, struck, l))
	}
}

// reset breaks the streams between the struck machines and all others.
func (f *fault) reset(w *world) {
	for _, m := range f.machines {
		for _, other := range w.machines {
			f.effects.Network.Add(w.fabric.Reset(m.name, other.name))
		}
	}
}

// describeFault prints a strike for people.
func describeFault(c scenario.Concrete) string {
	groups := make([]string, len(c.Groups))
	for i, g := range c.Groups {
		groups[i] = strings.Join(g, " ")
	}
	text := string(c.Kind) + " " + strings.Join(groups, " | ")
	if c.OneWay {
		text += " one way"
	}
	switch c.Kind {
	case scenario.Latency, scenario.ClockStep:
		text += " " + time.Duration(c.Amount).String()
	case scenario.Loss, scenario.Duplicate, scenario.Reorder:
		text += fmt.Sprintf(" %d ppm", c.Amount)
	case scenario.Slow:
		text += fmt.Sprintf(" %d%%", c.Amount)
	}
	return text
}
