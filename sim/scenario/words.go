package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// Word documents one word of the language. docs/scenario.md is generated from all of them, and from those
// of package sim.
type Word struct {
	Name      string
	Section   string
	Signature string
	Text      string
	// Example is a piece of a scenario file: lines of world(w) for the words of w, otherwise of the top level.
	Example string
}

// The sections of the manual, in order.
const (
	secFile     = "The file"
	secWorld    = "World"
	secDisk     = "Disks and distributions"
	secPhases   = "Trouble: when"
	secFaults   = "Trouble: what"
	secSelector = "Trouble: where"
	secVerdict  = "Verdict"
)

// Words returns the documentation of every word.
func Words() []Word {
	return slices.Concat(fileWords(), worldWords(), phaseWords(), faultWords(), selectorWords(), verdictWords())
}

func fileWords() []Word {
	return []Word{
		{"world", secFile, "def world(w)", "Describes who exists, by calling the methods of w. Called once for each run. Required.",
			"def world(w):\n    w.nodes(\"n\", 3, main = \"node.star\")\n    w.clients(\"c\", 5)"},
		{"work", secFile, "def work(c)", "What every client does. It runs as a service of its own, with its own copy of the file's globals. Required.",
			"def work(c):\n    for i in range(10):\n        c.op(\"put\", \"k\", c.fresh())"},
		{"trouble", secFile, "trouble = phases(...) or plan(...)", "What goes wrong. Without it nothing does. A single every(...), at(...), swarm(...) or plan(...) " +
			"is healed when the clients are done.", `trouble = phases(calm("2s"), every("5s", crash(one)), heal(), settle("5s"))`},
		{"verdict", secFile, "verdict = checks(...)", "What must hold. Required.", `verdict = checks(linearizable("kv", per = "key"))`},
		{"expect", secFile, `expect = "fails"`, `Declares that the scenario is known to fail ("fails") or that it must pass ("passes", the default).`, `expect = "fails"`},
		{"limit", secFile, `limit = "5m"`, "How much virtual time a run may take.", `limit = "90s"`},
		{"seed", secFile, "seed = 42", "The seed to run when the command line names none.", "seed = 42"},
		{"clients", secFile, `clients = ["c1", "c4"]`, "Keeps only these clients of the world. Shrunk scenarios use it.", `clients = ["c1"]`},
		{"title", secFile, `title = "..."`, "The title in reports. Without it, the first line of the text at the top of the file.", `title = "kv under partitions"`},
	}
}

func worldWords() []Word {
	return []Word{
		{"w.nodes", secWorld, `w.nodes(name, count = 1, main, args = None, disk = disk(), speed = 100, cores = 1, config = {})`,
			"Creates the nodes name1 to nameN and returns their names. main is the script of the node's first service, relative to this file. " +
				"args are passed to its init: a dict by keyword, a list by position. speed is in percent of the normal processor.",
			`w.nodes("m", 2, main = "node.star", args = {"peers": 2}, disk = disk(lose_unsynced = True), speed = 50)`},
		{"w.clients", secWorld, `w.clients(name, count = 1, service = ".main", nodes = "*", timeout = "2s", pick = "random")`,
			"Creates the clients name1 to nameN and returns their names. Their operations are calls of the service registered under that name on one of the nodes; " +
				`pick = "sticky" keeps to one node until an operation on it fails, "random" draws one for each. An operation without an answer ` +
				"within the timeout has an unknown outcome.",
			`w.clients("d", 2, service = ".kv", nodes = "n[12]", timeout = "500ms", pick = "sticky")`},
		{"w.net", secWorld, `w.net(nodes = "*", to = "*", latency, loss, duplicate, reorder, bandwidth, one_way = False)`,
			"Sets the properties of the links between the matching nodes and clients, in both directions unless one_way. A later call overrides " +
				"what it sets. latency is a duration, a range or a distribution; loss, duplicate and reorder are probabilities for each packet; " +
				"bandwidth is a size per second.",
			`w.net(latency = lognormal("2ms", p99 = "30ms"), loss = "0.5%")` + "\n" + `w.net("n1", to = ["n2", "n3"], bandwidth = "1MiB")`},
		{"w.clock", secWorld, "w.clock(nodes, skew)", "Sets by how much the wall clocks of the matching nodes are wrong at the start; a range is drawn for each node.",
			`w.clock("n*", skew = "-2s..2s")`},
		{"w.pick", secWorld, "w.pick(choices)", "Draws one element of a list, or one character of a text, anew for each seed.", `w.net(latency = w.pick(["1ms", "20ms"]))`},
		{"w.chance", secWorld, "w.chance(p)", "Draws True with this probability.", `w.net(duplicate = 0.01 if w.chance(0.5) else 0)`},
		{"w.between", secWorld, "w.between(low, high)", "Draws a whole number, both ends included.", `w.nodes("k", w.between(1, 3), main = "node.star")`},
		{"disk", secDisk, "disk(lose_unsynced = False, sync = \"100us\")",
			"How a disk behaves. lose_unsynced: a crash loses some of the last batches that were not synced, or all; a batch is kept or lost as a whole. " +
				"sync is how long a sync takes; a range is drawn for each.",
			`d = disk(lose_unsynced = True, sync = "2ms..10ms")`},
		{"uniform", secDisk, "uniform(low, high)", "Durations spread evenly.", `d = uniform("1ms", "5ms")`},
		{"lognormal", secDisk, "lognormal(median, p99)", "Most durations near the median, one in a hundred beyond p99.", `d = lognormal("2ms", p99 = "30ms")`},
		{"exponential", secDisk, "exponential(mean)", "Durations of events that happen at any moment alike.", `d = exponential("3ms")`},
	}
}

func phaseWords() []Word {
	return []Word{
		{"phases", secPhases, "phases(phase, ...)", "One phase after the other. every, at, swarm and plan last until the clients are done, which one phase can; give others a length with during.",
			`trouble = phases(calm("2s"), swarm(every("5s", crash(one)), every("3s", pause(one))), heal(), settle("10s"))`},
		{"calm", secPhases, "calm(lasting)", "Nothing happens.", `trouble = phases(calm("1s..3s"), every("5s", crash(one)))`},
		{"during", secPhases, "during(lasting, timing)", "Strikes for a fixed time.", `trouble = phases(during("20s", every("2s", reset(one))), heal(), settle("5s"))`},
		{"heal", secPhases, "heal()", "Ends every fault: links work, nodes run, disks answer. Clocks stay where they are.", `trouble = phases(every("5s", hold(one)), heal())`},
		{"settle", secPhases, "settle(lasting)", "Time to recover, before eventually(...) is judged.", `trouble = phases(every("5s", crash(one)), heal(), settle("10s"))`},
		{"every", secPhases, "every(period, fault, ..., jitter = period)", "The faults strike together once in every period, at a random moment of its last jitter.",
			`trouble = every("5s", partition(halves, lasting = "1s"), jitter = "2s")`},
		{"at", secPhases, "at(when, fault, ...)", "The faults strike together, that long after the phase began.", `trouble = plan(at("3s", crash("n1", down = "2s")))`},
		{"swarm", secPhases, "swarm(timing, ...)", "Each seed keeps a random part of its members, at least one: bugs hide from runs in which everything goes wrong at once.",
			`trouble = swarm(every("5s", partition(halves)), every("7s", crash(one)))`},
		{"plan", secPhases, "plan(timing, ..., settle = None)", "All of its members. Each at(...) strikes, even after the clients are done. With settle it is a whole trouble: what strikes, then heal(), then settle.",
			`trouble = plan(at("3.2s", partition(["n1"], ["n2", "n3"], lasting = "1s")), at("4s", crash(["n2"])), settle = "10s")`},
	}
}

func faultWords() []Word {
	about := map[Kind]string{
		Partition: "Cuts the network. One selector: the chosen nodes are cut off from the other nodes. Two lists and more: nodes are cut off " +
			"from each other if both are listed, but in no list together. one_way: only what the first group sends is lost. Who is in no group keeps all links.",
		Crash:     "Stops nodes at once, without a warning; they start again after down, with what their disk kept. A client that is crashed begins its work anew.",
		Pause:     "Stops the nodes' processors, as a long garbage collection does. Their timers are late, their mail waits.",
		Latency:   "Adds a delay to each packet to or from the nodes.",
		Loss:      "Loses packets to and from the nodes. For streams, loss is delay.",
		Duplicate: "Makes datagrams to and from the nodes arrive twice. Streams, which is all that scripts can open so far, do not notice.",
		Reorder:   "Lets datagrams to and from the nodes be overtaken by later ones. Streams, which is all that scripts can open so far, do not notice.",
		Reset:     "Breaks all open streams of the nodes.",
		Hold:      "Keeps all packets to and from the nodes and delivers them at the end.",
		Slow:      "Leaves the nodes this percentage of their speed.",
		ClockStep: "Moves the nodes' wall clocks, for good. Their monotonic clocks and timers do not notice.",
		DiskFail:  "Lets every disk operation of the nodes fail.",
	}
	amounts := map[Kind]string{Latency: `"50ms"`, Loss: `"20%"`, Duplicate: "0.1", Reorder: "0.1", Slow: "10", ClockStep: `"-2s..2s"`}
	var words []Word
	for _, s := range shapes {
		signature, example := "where", "one"
		if s.kind == Partition {
			signature = "where or group, group, ..."
		}
		if s.amount != "" {
			signature += ", " + s.amount
			example += ", " + s.amount + " = " + amounts[s.kind]
		}
		if s.lasting != "" {
			signature += ", " + s.lasting + ` = "1s"`
			example += ", " + s.lasting + ` = "300ms..2s"`
		}
		if s.kind == Partition {
			signature += ", one_way = False"
		}
		words = append(words, Word{
			string(s.kind), secFaults, fmt.Sprintf("%s(%s)", s.kind, signature), about[s.kind],
			fmt.Sprintf(`trouble = every("5s", %s(%s))`, s.kind, example),
		})
	}
	return words
}

func selectorWords() []Word {
	about := map[string][2]string{
		"halves":   {"halves", "Half of the nodes; for a partition, two halves."},
		"majority": {"majority", "The smallest majority."},
		"minority": {"minority", "From one node to the largest minority; needs three nodes."},
		"one":      {"one", "One node."},
		"some":     {`some or some("n*", 2)`, "That many nodes; without a number some of them, but not all."},
		"isolate":  {"isolate", "One node, alone against all others: one, said of a partition."},
		"bridge":   {"bridge", "For a partition: two halves which only one node in the middle can both talk to. Needs three nodes."},
		"everyone": {"everyone", "All nodes."},
	}
	var words []Word
	for _, r := range randomSelectors {
		a := about[r.name]
		words = append(words, Word{
			r.name, secSelector, a[0], a[1], fmt.Sprintf(`trouble = every("5s", %s(%s("n*")))`, selectorExample(r.name), r.name),
		})
	}
	return words
}

func selectorExample(name string) string {
	if name == "everyone" {
		return "crash"
	}
	return "partition"
}

func verdictWords() []Word {
	return []Word{
		{"checks", secVerdict, "checks(check, ...)", "The verdict. Each check has a name of its own.", `verdict = checks(linearizable("kv"), sometimes("leader_changed"))`},
		{"linearizable", secVerdict, `linearizable(model, per = None, states = 200000, name = "linearizable-<model>")`,
			`The clients' history is one that a single correct server could have produced. model is "register", "kv", "queue", "set", "lock" or ` +
				`model(...). per = "key" checks the operations on each first argument by themselves, which is far cheaper. states bounds the search: ` +
				`when it is used up the verdict is "unknown", which is not a pass.`,
			`verdict = checks(linearizable("kv", per = "key"))`},
		{"model", secVerdict, "model(init, step, partition = None)", "A model of one's own. step(state, op, args, result) returns the state after the operation, " +
			"or None if this result is not possible in this state. It must be a pure function: it returns a new state and changes nothing. " +
			"args is a tuple; result is what the service returned, or the value unknown if that was never heard: then any result is possible. " +
			"States may be any values and are compared with ==. partition(op, args) returns the key of the operation's own history.",
			"def step(state, op, args, result):\n    return state + args[0] if op == \"add\" and result == state else None\n\n" +
				`verdict = checks(linearizable(model(init = 0, step = step)))`},
		{"always", secVerdict, "always(name, predicate)", "The predicate holds at every moment. Predicates take s, the view of the state of all nodes.",
			`verdict = checks(always("few_keys", lambda s: True))`},
		{"never", secVerdict, "never(name, predicate)", "The predicate holds at no moment.", `verdict = checks(never("two_leaders", lambda s: False))`},
		{"sometimes", secVerdict, "sometimes(name, predicate = None)", "In some run of a sweep, the predicate holds at some moment, or a service reports the name. A sweep that never " +
			"gets there has not tested what it was written for.", `verdict = checks(sometimes("leader_changed"))`},
		{"eventually", secVerdict, `eventually(name, predicate, within = "10s")`, "The predicate holds at some moment after the last heal, at the latest that much later.",
			`verdict = checks(eventually("replicas_equal", lambda s: True, within = "5s"))`},
	}
}

const preface = `# Scenario files

<!-- Generated from sim/words.go and sim/scenario/words.go by "go test ./sim -run TestManual -rewrite". Do not edit. -->

A scenario is one Starlark file that reads world, work, trouble, verdict:

` + "```python" + `
"""A key-value store under partitions and crashes."""

def world(w):                                # who exists
    w.nodes("n", 3, main = "node.star", disk = disk(lose_unsynced = True))
    w.net(latency = lognormal("2ms", p99 = "30ms"), loss = 0.005)
    return w.clients("c", 5)

def work(c):                                 # what every client does
    for _ in range(100):
        key = c.pick("abcdefgh")
        c.op("get", key) if c.chance(0.5) else c.op("put", key, c.fresh())

trouble = phases(                            # what goes wrong
    calm("2s"),
    swarm(
        every("5s", partition(halves, lasting = "1s")),
        every("7s", crash(minority("n*"), down = "500ms")),
    ),
    heal(),
    settle("10s"),
)

verdict = checks(linearizable("kv", per = "key"))   # what must hold
` + "```" + `

The dialect allows while, recursion, sets, control flow at the top level and load(). Files are named relative to the file that
names them. Loaded names become globals of the loading file, so a scenario can load its world, work and verdict from another one.

**Quantities.** A duration is a text such as "250ms" or a number of seconds; a probability a number from 0 to 1 or a percentage such
as "0.5%"; a size a number of bytes or a text such as "64KiB". Where a value is drawn for each use, "0.2s..3s" is a range.
Everything is rounded to whole nanoseconds, parts per million and bytes.

**Addresses.** A node's host is its name: where a service of node n1 listens at port 7900, of whatever host, clients and other nodes
reach it with socket.open("n1:7900"). The links between the nodes take port 7000.

**Nodes.** Where a fault strikes is a name ("n1"), a pattern ("n*"), a list of names, or a selector that chooses anew at each strike.
Selectors choose among all nodes, or, called with a pattern, among the nodes and clients that match it.

**Randomness.** The choices of each fault come from the seed and the name of the fault, such as "swarm/every-5s-crash/3". Adding or
removing a fault changes no choice of another.
`

// Manual returns docs/scenario.md: the preface and the words, by section in order of first appearance.
func Manual(words []Word) string {
	var b strings.Builder
	b.WriteString(preface)
	section := ""
	for _, w := range words {
		if w.Section != section {
			section = w.Section
			fmt.Fprintf(&b, "\n## %s\n", section)
		}
		fmt.Fprintf(&b, "\n**`%s`** %s\n\n```python\n%s\n```\n", w.Signature, w.Text, w.Example)
	}
	return b.String()
}
