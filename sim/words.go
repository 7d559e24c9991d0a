package sim

import (
	"slices"

	"skynet/sim/scenario"
)

// The sections of the manual that this package adds to those of [scenario.Words].
const (
	secClient = "Work: what c can do"
	secView   = "Checks: what s shows"
	secOwn    = "Checks nobody writes"
)

// Words returns the documentation of every word of a scenario file: those of the language, of c in work(c) and of s in
// predicates. docs/scenario.md is generated from it.
func Words() []scenario.Word {
	return slices.Concat(scenario.Words(), clientManual(), viewManual(), ownManual())
}

func clientManual() []scenario.Word {
	return []scenario.Word{
		{
			Name: "c.op", Section: secClient, Signature: "c.op(operation, *args, node = None, timeout = None)",
			Text: "Calls the command of that name on a node's service (see w.clients) and records it in the history. Returns result(ok, value, error) " +
				"and never fails. The operation is recorded as ok with the service's result; as fail if the request certainly had no effect " +
				"(error.maybe is False: nobody listens, no such command, a full mailbox); as unknown otherwise (a timeout, a lost link, a service " +
				"that raised an error and may have done half of its work): it may have happened, or may yet. To refuse an operation that certainly had no " +
				"effect, a service returns a value that the model understands. The stock models know the operations " +
				"by these names: read(), write(value), cas(old, new) for register; get(key), put(key, value), delete(key), cas(key, old, new), " +
				"append(key, value) for kv; enqueue(value), dequeue() for queue; add(value), remove(value), contains(value), read() for set; " +
				"acquire(), release(), use(token) for lock. What writes return is not looked at. None is what was never written and what an empty queue " +
				"gives; cas, contains, release and use return True or False, read of a set a list, acquire True or a growing number (a fencing token), " +
				"and False or None if the lock is taken.",
			Example: "def work(c):\n    r = c.op(\"put\", c.pick(\"abc\"), c.fresh())\n    if not r.ok:\n        log.info(\"failed\", why = str(r.error))",
		},
		{
			Name: "c.call", Section: secClient, Signature: "c.call(command, *args, node = None, timeout = None, **kwargs)",
			Text:    "The same without a record in the history.",
			Example: "def work(c):\n    c.call(\"setup\", size = 3)",
		},
		{
			Name: "c.pick", Section: secClient, Signature: "c.pick(choices)",
			Text:    "One element of a list, or one letter of a text. All randomness of c is the client's own stream, which the seed decides.",
			Example: "def work(c):\n    c.op(\"get\", c.pick([\"x\", \"y\"]))",
		},
		{
			Name: "c.chance", Section: secClient, Signature: "c.chance(p)",
			Text:    "True with probability p, from 0 to 1.",
			Example: "def work(c):\n    if c.chance(0.5):\n        c.op(\"get\", \"x\")",
		},
		{
			Name: "c.int", Section: secClient, Signature: "c.int(low, high)",
			Text:    "A number from low to high, both included.",
			Example: "def work(c):\n    c.op(\"put\", \"x\", c.int(1, 6))",
		},
		{
			Name: "c.fresh", Section: secClient, Signature: "c.fresh()",
			Text:    "A text that no other call of fresh in the run returns.",
			Example: "def work(c):\n    c.op(\"put\", \"x\", c.fresh())",
		},
		{
			Name: "c.sleep", Section: secClient, Signature: "c.sleep(duration)",
			Text:    "Lets virtual time pass.",
			Example: "def work(c):\n    c.sleep(\"10ms\")",
		},
		{
			Name: "c.now", Section: secClient, Signature: "c.now()",
			Text:    "Seconds since the start of the run.",
			Example: "def work(c):\n    while c.now() < 5:\n        c.sleep(1)",
		},
		{
			Name: "c.log", Section: secClient, Signature: "c.log(message, **fields)",
			Text:    "Logs a fact, as log.info of a service does.",
			Example: "def work(c):\n    c.log(\"begun\", who = c.name)",
		},
		{
			Name: "c.name", Section: secClient, Signature: "c.name, c.index",
			Text:    "The client's name, and its number from 0. Besides c, work can use all the words of services.",
			Example: "def work(c):\n    if c.index == 0:\n        log.info(\"first\", name = c.name)",
		},
	}
}

func viewManual() []scenario.Word {
	return []scenario.Word{
		{
			Name: "s.nodes", Section: secView, Signature: `s.nodes(pattern = "*")`,
			Text: "The nodes whose name matches. A node has name, up (its main service runs), state (the globals of its main service: n.state.counts; " +
				"each is None while the node is down and, at the start, until its script has got that far) and get(name, default = None) for one of " +
				"them. A predicate that needs more than None should look at s.up().",
			Example: `verdict = checks(never("too many", lambda s: any([len(n.get("queue", [])) > 9 for n in s.nodes("n*")])))`,
		},
		{
			Name: "s.up", Section: secView, Signature: `s.up(pattern = "*")`,
			Text: "The same, only those that are up. A node whose script fails when it starts again after a crash stays down, which only a check " +
				"such as this one notices.",
			Example: `verdict = checks(eventually("all are back", lambda s: len(s.up("n*")) == 3))`,
		},
		{
			Name: "s.facts", Section: secView, Signature: "s.facts(name)",
			Text: "The log lines with that message, oldest first: the fields of the line are attributes, besides node and time (seconds). " +
				"A service states a fact by log.info(\"leader\", term = 3).",
			Example: `verdict = checks(never("two leaders", lambda s: s.max_count(s.facts("leader"), by = "term", of = "node") > 1))`,
		},
		{
			Name: "s.count", Section: secView, Signature: "s.count(name)",
			Text:    "How many lines have that message.",
			Example: `verdict = checks(sometimes("restarted", lambda s: s.count("started") > 3))`,
		},
		{
			Name: "s.same", Section: secView, Signature: "s.same(items, by = None)",
			Text: "Whether all items are equal: by themselves, by the named field (of a fact, an operation or an entry of a dict; of a node it is a " +
				"global of its main service, which is called if it is a function), or by what a function makes of them.",
			Example: `verdict = checks(eventually("replicas equal", lambda s: s.same(s.up("n*"), "data"), within = "5s"))`,
		},
		{
			Name: "s.max_count", Section: secView, Signature: "s.max_count(items, by, of = None)",
			Text:    "How many of the items, at most, agree in by; with of, how many different values of that other field they have.",
			Example: `verdict = checks(never("two owners", lambda s: s.max_count(s.facts("owner"), by = "lease", of = "node") > 1))`,
		},
		{
			Name: "s.history", Section: secView, Signature: "s.history",
			Text: "The operations so far, in the order of their calls: client, op, args, value, outcome (\"ok\", \"fail\" or \"unknown\"), error, called and " +
				"returned (seconds; None while it runs).",
			Example: `verdict = checks(sometimes("a get works", lambda s: any([o.op == "get" and o.outcome == "ok" for o in s.history])))`,
		},
		{
			Name: "s.clients", Section: secView, Signature: "s.clients",
			Text:    "The clients, with name and done.",
			Example: `verdict = checks(sometimes("somebody is done", lambda s: any([c.done for c in s.clients])))`,
		},
		{
			Name: "s.now", Section: secView, Signature: "s.now",
			Text:    "Seconds since the start. Predicates are evaluated after every log line, every 100 ms of virtual time and at the end. They only look.",
			Example: `verdict = checks(always("in time", lambda s: s.now < 600))`,
		},
	}
}

func ownManual() []scenario.Word {
	const example = "verdict = checks(linearizable(\"register\"))"
	return []scenario.Word{
		{
			Name: "check work", Section: secOwn, Signature: "work",
			Text: "Fails when work(c) of a client ends with an error.", Example: example,
		},
		{
			Name: "check stuck", Section: secOwn, Signature: "stuck",
			Text: "Fails when clients wait and nothing can happen any more. It says who waits for whom. Where nodes have links to one another or timers, something can always happen: then it is the limit that ends the run, and says the same.", Example: example,
		},
		{
			Name: "check limit", Section: secOwn, Signature: "limit",
			Text: "Is unknown, which is no pass, when clients had not finished within the limit of virtual time, or the run within 50 million steps.", Example: example,
		},
	}
}
