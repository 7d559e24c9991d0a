package sim

import (
	"fmt"
	"strings"

	"skynet/sim/scenario"
)

const (
	secWork      = "Work: what c can do"
	secPredicate = "Predicates: what s shows"
	secNode      = "Predicates: nodes"
	secOutside   = "Checks nobody writes"
)

// Words returns the documentation of what work(c) and the predicates of the verdict are given, beside the words of
// package scenario.
func Words() []scenario.Word {
	return []scenario.Word{
		{Name: "c.op", Section: secWork, Signature: "c.op(name, *args, node = None, timeout = None)",
			Text: "Does an operation and records it in the history: calls the command of that name of the client's service, on the given node or on one that the client picks. " +
				"Returns result(ok, value, error) and never raises for a failed call. The outcome is ok with the value; fail if the request certainly had no effect (error.maybe is False: " +
				"nobody listens, no such service, no such command, a full mailbox); otherwise unknown: a timeout, a lost link, a service that raised an error. " +
				"Arguments and results are None, bools, numbers, strings, lists, tuples and dicts.",
			Example: "r = c.op(\"put\", \"k\", c.fresh(), timeout = \"500ms\")\nif not r.ok and r.error.kind == \"timeout\":\n    c.sleep(\"1s\")"},
		{Name: "c.call", Section: secWork, Signature: "c.call(name, *args, node = None, timeout = None, **kwargs)",
			Text: "Like op, but leaves no record, and passes other keyword arguments on.", Example: `c.call("get", key = "k", node = "n1")`},
		{Name: "c.pick", Section: secWork, Signature: "c.pick(choices)", Text: "Draws an element of a list, or a character of a text. All draws of a client come from a stream of its own.",
			Example: `c.op("get", c.pick("abc"))`},
		{Name: "c.chance", Section: secWork, Signature: "c.chance(p)", Text: "Draws True with this probability.",
			Example: "if c.chance(0.3):\n    c.op(\"get\", \"k\")"},
		{Name: "c.int", Section: secWork, Signature: "c.int(low, high)", Text: "Draws a whole number, both ends included.", Example: `c.sleep(c.int(1, 3))`},
		{Name: "c.fresh", Section: secWork, Signature: "c.fresh()", Text: `Returns a value that nobody else in the run gets: the client's name and a number, such as "c1.7".`,
			Example: `c.op("put", "k", c.fresh())`},
		{Name: "c.sleep", Section: secWork, Signature: "c.sleep(duration)", Text: "Waits for a virtual duration.", Example: `c.sleep("10ms")`},
		{Name: "c.now", Section: secWork, Signature: "c.now()", Text: "Returns the seconds since the start of the run.", Example: "while c.now() < 2:\n    c.op(\"get\", \"k\")\n    c.sleep(0.5)"},
		{Name: "c.log", Section: secWork, Signature: "c.log(message, **fields)", Text: "Writes a log line, which predicates see as a fact.", Example: `c.log("halfway", step = 3)`},
		{Name: "c.name", Section: secWork, Signature: "c.name", Text: "The client's name.", Example: `c.op("put", c.name, 1)`},
		{Name: "c.index", Section: secWork, Signature: "c.index", Text: "The client's number among all clients, from 0.", Example: "if c.index == 0:\n    c.op(\"put\", \"k\", 1)"},
		{Name: "unknown", Section: secWork, Signature: "unknown",
			Text: "The result that the step function of model(...) is given for an operation of unknown outcome, which may have taken effect or not.",
			Example: "def step(state, op, args, result):\n    return state + 1 if result == unknown or result == state + 1 else None\n\n" +
				"verdict = checks(linearizable(model(init = 0, step = step)))"},

		{Name: "s.now", Section: secPredicate, Signature: "s.now", Text: "The seconds since the start of the run. Predicates are evaluated after every log line, every 100 ms of virtual time and at the end. They only look.",
			Example: `verdict = checks(sometimes("late", lambda s: s.now > 1))`},
		{Name: "s.nodes", Section: secPredicate, Signature: `s.nodes(pattern = "*")`, Text: "The nodes whose names match.", Example: `verdict = checks(always("three", lambda s: len(s.nodes("n*")) == 3))`},
		{Name: "s.up", Section: secPredicate, Signature: `s.up(pattern = "*")`, Text: "Those of them that run, and whose main service has been initialised.",
			Example: `verdict = checks(eventually("all_up", lambda s: len(s.up("n*")) == 3))`},
		{Name: "s.facts", Section: secPredicate, Signature: "s.facts(message)",
			Text:    "What services have logged with this message, oldest first: the fields of the log line, and node, time, level and message.",
			Example: `verdict = checks(never("old", lambda s: any([f.term < 1 for f in s.facts("leader")])))`},
		{Name: "s.count", Section: secPredicate, Signature: "s.count(message)", Text: "How many of them there are.", Example: `verdict = checks(never("flapping", lambda s: s.count("leader") > 10))`},
		{Name: "s.max_count", Section: secPredicate, Signature: "s.max_count(items, by, of = None)",
			Text:    "How many items, at most, have the same value of a field; with of, how many different values of that field these have.",
			Example: `verdict = checks(never("two_leaders", lambda s: s.max_count(s.facts("leader"), by = "term", of = "node") > 1))`},
		{Name: "s.same", Section: secPredicate, Signature: "s.same(items, by = None)",
			Text:    "Whether all items are equal, or what by makes of them: a field, a global of the nodes' main service (called if it is a function), or a function of the item.",
			Example: `verdict = checks(eventually("replicas_equal", lambda s: s.same(s.nodes("n*"), "data")))`},
		{Name: "s.history", Section: secPredicate, Signature: "s.history",
			Text:    `The operations so far, in the order they were called: client, op, args, outcome ("ok", "fail", "unknown"), value, error, called and returned (seconds, None while it runs).`,
			Example: `verdict = checks(sometimes("doubt", lambda s: len([o for o in s.history if o.outcome == "unknown"]) > 0))`},
		{Name: "s.clients", Section: secPredicate, Signature: "s.clients", Text: "The clients: name, and done.", Example: `verdict = checks(eventually("done", lambda s: all([c.done for c in s.clients])))`},

		{Name: "node.name", Section: secNode, Signature: "n.name", Text: "The node's name.", Example: `verdict = checks(sometimes("n1_up", lambda s: "n1" in [n.name for n in s.up()]))`},
		{Name: "node.up", Section: secNode, Signature: "n.up", Text: "Whether the node runs and its main service has been initialised.", Example: `verdict = checks(eventually("up", lambda s: all([n.up for n in s.nodes()])))`},
		{Name: "node.state", Section: secNode, Signature: "n.state.NAME", Text: "A global of the node's main service; None while the node is down.",
			Example: `verdict = checks(always("small", lambda s: all([len(n.state.data) < 100 for n in s.up()])))`},
		{Name: "node.get", Section: secNode, Signature: "n.get(name, default = None)", Text: "The same, or the default if there is no such global.",
			Example: `verdict = checks(always("small", lambda s: all([len(n.get("data", {})) < 100 for n in s.nodes()])))`},

		{Name: "work", Section: secOutside, Signature: "work", Text: "Fails when work(c) of a client ends with an error.", Example: `verdict = checks(linearizable("kv"))`},
		{Name: "stuck", Section: secOutside, Signature: "stuck", Text: "Fails when clients wait and nothing can happen any more. It says who waits for whom.", Example: `verdict = checks(linearizable("kv"))`},
		{Name: "limit", Section: secOutside, Signature: "limit", Text: "Is unknown, which is no pass, when clients had not finished within the limit of virtual time.", Example: `limit = "10m"`},
	}
}

// Manual returns the words as Markdown, with their examples.
func Manual() string {
	var b strings.Builder
	b.WriteString(preface)
	section := ""
	for _, w := range Words() {
		if w.Section != section {
			section = w.Section
			fmt.Fprintf(&b, "\n## %s\n", section)
		}
		fmt.Fprintf(&b, "\n**`%s`** %s\n", w.Signature, w.Text)
		if section != secOutside {
			fmt.Fprintf(&b, "\n```python\n%s\n```\n", w.Example)
		}
	}
	return b.String()
}

const preface = `# What clients do and predicates see

<!-- Generated from sim/words.go by "go test ./sim -rewrite". Do not edit. -->

Every client of a scenario runs ` + "`work(c)`" + ` as a service of its own, on a machine of its own; the words of services
([services.md](services.md)) are there too. The predicates of the verdict ([scenario.md](scenario.md)) take s.

A service that raises an error leaves the client in doubt, since it may have done half of its work. To refuse an operation that
then certainly had no effect, answer with a value that the model understands, such as False for a compare-and-set.
`
