// Package history records what the clients of a run did and what they were told, in the terms of Jepsen
// (github.com/jepsen-io/jepsen): a process invokes an operation and the operation completes, or never does.
//
// # Outcomes
//
//   - ok: the operation took effect at some moment between its invocation and its completion.
//   - fail: the operation certainly had no effect, and never will. Checkers drop it.
//   - unknown: nobody can tell. A request that timed out may have taken effect, may take effect at any later time, or
//     never; it stays open for ever. An invocation without a completion is unknown too.
//
// A process does one thing at a time, and a process with an unknown operation never invokes again, because that
// operation is still running as far as anybody knows: the [Recorder] gives its client a new process number.
//
// # Order
//
// Every event has an index, and the indexes are the order of events: of two events with the same virtual time, the one
// with the lower index came first. Checkers use the indexes only; times are for people.
//
// # Files
//
// A history file holds one JSON object per line, one line per event, in the order of the indexes:
//
//	{"process":0,"client":"c1","type":"invoke","f":"put","value":["x",1],"time":1000,"index":0}
//	{"process":1,"client":"c2","type":"invoke","f":"get","value":["x"],"time":1500,"index":1}
//	{"process":0,"client":"c1","type":"ok","f":"put","value":null,"time":2000,"index":2}
//	{"process":1,"client":"c2","type":"info","f":"get","value":null,"error":"timeout","time":9000,"index":3}
//
//	process  number from 0, required
//	client   text, optional: who uses the process
//	type     "invoke", "ok", "fail" or "info" (Jepsen's word for unknown), required
//	f        the operation's name; required for "invoke", else optional, but then the same as the invocation's
//	value    of an invocation the list of arguments (null: none; not a list: the only one); of an "ok" the result
//	error    text, optional: why an operation failed or is unknown
//	time     virtual nanoseconds, never below the time before; without it the time before
//	index    the order; above the index before; without it the index before plus one
//
// [Read] is strict: whatever is not as above is an error that names file and line. Blank lines are allowed.
// [History.WriteTo] writes the fields in the order of the example and the same bytes for the same history.
//
// # Values
//
// A [Value] is null, a boolean, an integer of any size, a finite float, a string in UTF-8, a list or an object with
// strings as keys. Tuples count as lists. Two values are equal exactly if their encodings are, so 1 and 1.0 differ and
// the order of an object's keys does not matter.
package history
