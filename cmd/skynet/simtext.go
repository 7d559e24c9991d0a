package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"skynet/sim"
)

// How much of a result fits on a screen.
const (
	shownFailures = 5
	shownEvidence = 16
	shownWidth    = 140
)

// replay is a command that runs a seed again.
func (x *simulation) replay(seed uint64) string {
	return fmt.Sprintf("skynet sim %s --seed %d%s", quoteArg(x.name), seed, x.strategyFlag())
}

// replayShrunk is a command that runs the shrunk scenario, which names its seed itself.
func (x *simulation) replayShrunk() string {
	return "skynet sim " + quoteArg(x.smallAt) + x.strategyFlag()
}

func (x *simulation) strategyFlag() string {
	if x.strategy == "random" {
		return ""
	}
	return " --strategy " + x.strategy
}

// quoteArg makes one word of a shell of a file name.
func quoteArg(name string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/+,=@%", r))
	}
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// printText prints the screen of one scenario; the last lines say how it ended and how to see it again.
func (x *simulation) printText() error {
	var b strings.Builder
	x.head(&b)
	if x.single && x.run != nil {
		x.verdicts(&b)
	} else {
		x.checks(&b)
	}
	x.operations(&b)
	x.faults(&b)
	x.failures(&b)
	x.shrunk(&b)
	x.end(&b)
	_, err := x.Stdout.Write([]byte(b.String()))
	return err
}

// head says what ran, and how fast.
func (x *simulation) head(b *strings.Builder) {
	fmt.Fprintf(b, "%s", x.name)
	if title := x.sim.Scenario.Title; title != "" {
		fmt.Fprintf(b, ": %s", title)
	}
	b.WriteString("\n")
	sum := x.sum
	if x.single && sum.Seeds == 1 {
		fmt.Fprintf(b, "seed %d: hash %016x, %d steps, %v virtual time\n", x.first, sum.Hash, sum.Steps, sum.Virtual)
		return
	}
	fmt.Fprintf(b, "%d seeds from %d: %d passed, %d failed, %d unknown", sum.Seeds, x.first, sum.Passed, sum.Failed, sum.Unknown)
	if sum.Interrupted {
		fmt.Fprintf(b, " (interrupted: %d seeds were not run)", x.count-sum.Seeds)
	}
	fmt.Fprintf(b, "\n%d steps, %v virtual time in %v", sum.Steps, sum.Virtual.Round(time.Millisecond), x.wall.Round(time.Millisecond))
	if ms := uint64(x.wall.Milliseconds()); ms > 0 {
		fmt.Fprintf(b, " (%s seeds/s, %s steps/s)", short(sum.Seeds*1000/ms), short(sum.Steps*1000/ms))
	}
	fmt.Fprintf(b, "; %s run twice, with equal traces\n", counted(int(sum.Twice), "seed"))
}

// verdicts are the checks of one run, with what they found.
func (x *simulation) verdicts(b *strings.Builder) {
	b.WriteString("\n")
	table(b, func(w *tabwriter.Writer) {
		fmt.Fprint(w, "  check\tkind\tverdict\n")
		for _, c := range x.run.Checks {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", c.Name, c.Kind, c.Verdict)
		}
	})
	for _, c := range x.run.Checks {
		if c.Message != "" {
			found(b, c)
		}
	}
}

// found is what a check found, with its evidence. The middle of a long one is left out: its end says what was wrong.
func found(b *strings.Builder, c sim.CheckResult) {
	fmt.Fprintf(b, "\n  %s at %v: %s\n", c.Name, c.At, c.Message)
	lines := narrow(c.Evidence)
	if hidden := len(lines) - shownEvidence; hidden > 1 {
		note := fmt.Sprintf("… %d more lines; --report FILE has them all", hidden)
		lines = slices.Replace(slices.Clone(lines), shownEvidence/2, shownEvidence/2+hidden, note)
	}
	for _, line := range lines {
		fmt.Fprintf(b, "    %s\n", line)
	}
}

// narrow gives up columns that one long line has made too wide for a screen, and cuts what is still too long.
func narrow(lines []string) []string {
	if !slices.ContainsFunc(lines, func(line string) bool { return len(line) > shownWidth }) {
		return lines
	}
	out := make([]string, len(lines))
	for i, line := range lines {
		text := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(text)]
		for strings.Contains(text, "   ") {
			text = strings.ReplaceAll(text, "   ", "  ")
		}
		out[i] = cut(indent+text, shownWidth)
	}
	return out
}

// checks are the checks of a sweep, counted.
func (x *simulation) checks(b *strings.Builder) {
	b.WriteString("\n")
	table(b, func(w *tabwriter.Writer) {
		fmt.Fprint(w, "  check\tkind\tok\tfailed\tunknown\n")
		for _, c := range x.sum.Checks {
			if c.Kind != "sometimes" {
				fmt.Fprintf(w, "  %s\t%s\t%d\t%d\t%d\n", c.Name, c.Kind, c.OK, c.Failed, c.Unknown)
			}
		}
		for _, c := range x.sum.Checks { // last, or they would part the columns
			if c.Kind == "sometimes" {
				fmt.Fprintf(w, "  %s\t%s\treached by %d of %d seeds\n", c.Name, c.Kind, c.OK, x.sum.Seeds)
			}
		}
	})
}

// operations are what the clients did, counted.
func (x *simulation) operations(b *strings.Builder) {
	if len(x.sum.Operations) == 0 {
		return
	}
	b.WriteString("\n")
	table(b, func(w *tabwriter.Writer) {
		fmt.Fprint(w, "  operation\tok\tfail\tunknown\n")
		for _, o := range x.sum.Operations {
			fmt.Fprintf(w, "  %s\t%d\t%d\t%d\n", o.Name, o.OK, o.Fail, o.Unknown)
		}
	})
}

func (x *simulation) faults(b *strings.Builder) {
	if len(x.sum.Faults) == 0 {
		return
	}
	b.WriteString("\n")
	table(b, func(w *tabwriter.Writer) {
		fmt.Fprint(w, "  fault\tstrikes\twith effect\teffects\n")
		for _, f := range x.sum.Faults {
			fmt.Fprintf(w, "  %s\t%d\t%d\t%s\n", f.Name, f.Strikes, f.Bit, f.Effects)
		}
	})
}

// table writes aligned columns, without the blanks that would end a line.
func table(b *strings.Builder, rows func(*tabwriter.Writer)) {
	var aligned strings.Builder
	w := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	rows(w)
	w.Flush()
	for line := range strings.Lines(aligned.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}

// failures lists the first seeds that failed, and what the first of them found.
func (x *simulation) failures(b *strings.Builder) {
	all := x.sum.Failures
	if len(all) == 0 || x.single {
		return
	}
	b.WriteString("\n  failing seeds\n")
	for i, f := range all {
		if i == shownFailures {
			fmt.Fprintf(b, "    … and %d more\n", x.sum.Failed-uint64(i))
			break
		}
		fmt.Fprintf(b, "    %d: %s: %s\n", f.Seed, f.Check, f.Message)
	}
	if x.small == nil && x.run != nil && x.run.Failed != nil { // else the shrunk form shows the same in less
		fmt.Fprintf(b, "\n  seed %d", x.run.Seed)
		found(b, *x.run.Failed)
	}
}

// shrunk prints what is left of the first failure.
func (x *simulation) shrunk(b *strings.Builder) {
	if x.small != nil {
		r := x.small
		fmt.Fprintf(b, "\n  shrunk in %d runs from %d faults and %d clients to %d and %d%s:\n\n", r.Runs, r.Faults, r.AllClients,
			len(r.Instances), len(r.Clients), map[bool]string{false: " (the runs were used up)"}[r.Minimal])
		for line := range strings.Lines(r.Source) {
			b.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
		}
		found(b, *r.Run.Failed)
	}
	if x.note != "" {
		fmt.Fprintf(b, "\n  %s\n", x.note)
	}
	if x.smallAt != "" {
		fmt.Fprintf(b, "\n  written to %s; replay:\n    %s\n", x.smallAt, x.replayShrunk())
	}
}

// end is the verdict in one line, and how to see the first failure again.
func (x *simulation) end(b *strings.Builder) {
	b.WriteString("\n")
	sum := x.sum
	switch {
	case sum.ExpectFails && sum.Mistakes > 0:
		fmt.Fprintf(b, "%s: a check ended with an error in %d of %d seeds, which is not the failure that is expected\n",
			x.red("FAILED"), sum.Mistakes, sum.Seeds)
	case sum.ExpectFails && sum.Failed > 0:
		fmt.Fprintf(b, "%s as expected: %s fails\n", x.green("ok"), sum.Failures[0].Check)
	case sum.ExpectFails:
		fmt.Fprintf(b, "%s: the scenario says expect = \"fails\", but no seed failed\n", x.red("NOT CAUGHT"))
	case sum.Failed > 0:
		fmt.Fprintf(b, "%s: %s\n", x.red("FAILED"), sum.Failures[0].Check)
	case sum.Unknown > 0:
		fmt.Fprintf(b, "%s: %d of %d seeds could not be decided, which is not a pass\n", x.red("UNKNOWN"), sum.Unknown, sum.Seeds)
		fmt.Fprintf(b, "  seed %d: %s: %s\nreplay: %s\n", sum.Undecided.Seed, sum.Undecided.Check, sum.Undecided.Message, x.replay(sum.Undecided.Seed))
	case sum.Interrupted:
		fmt.Fprintf(b, "%s\n", x.red("INTERRUPTED"))
	case sum.Well():
		fmt.Fprintf(b, "%s\n", x.green("ok"))
	default:
		fmt.Fprintf(b, "%s: the sweep has not seen what it was written for\n", x.red("FAILED"))
	}
	if sum.Lost > 0 {
		fmt.Fprintf(b, "  in %d of %d seeds a node did not come back from a crash: %s\n", sum.Lost, sum.Seeds, cut(sum.WhyLost, shownWidth))
	}
	x.refused(b)
	if sum.Seeds > 1 {
		x.unseen(b)
	}
	if len(sum.Failures) > 0 {
		fmt.Fprintf(b, "replay: %s\n", x.replay(sum.Failures[0].Seed))
	}
	if len(sum.Failures) > 0 && !x.shrink && !sum.ExpectFails {
		fmt.Fprintf(b, "reduce: %s --shrink\n", x.replay(sum.Failures[0].Seed))
	}
}

// refused names the operations that were never answered, and says why: mostly a mistake in a script.
func (x *simulation) refused(b *strings.Builder) {
	for _, o := range x.sum.Refused() {
		fmt.Fprintf(b, "  operation %q never succeeded", o.Name)
		if o.Why != "" {
			fmt.Fprintf(b, ": %s", cut(o.Why, shownWidth))
		}
		b.WriteString("\n")
	}
}

// unseen names what the sweep has not seen: faults with an effect, operations, what should happen sometimes.
func (x *simulation) unseen(b *strings.Builder) {
	for _, f := range x.sum.Idle() {
		why := "had no effect"
		if f.Strikes == 0 {
			why = "never struck"
		}
		fmt.Fprintf(b, "  fault %s %s: %s\n", f.Name, why, f.What)
	}
	for _, c := range x.sum.Empty() {
		fmt.Fprintf(b, "  check %q was about nothing: no client did an operation (c.op)\n", c.Name)
	}
	for _, c := range x.sum.Missed() {
		fmt.Fprintf(b, "  sometimes %q was never reached\n", c.Name)
	}
}

func (s *State) green(text string) string { return s.colour("32", text) }
func (s *State) red(text string) string   { return s.colour("31", text) }

// colour is for people at a terminal who have not asked for none (no-color.org).
func (s *State) colour(code, text string) string {
	if !s.StdoutTTY || s.Env("NO_COLOR") != "" {
		return text
	}
	return "\x1b[1;" + code + "m" + text + "\x1b[0m"
}
