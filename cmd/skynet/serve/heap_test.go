package serve_test

import (
	"strings"
	"syscall"
	"testing"
)

// TestHeapLimit runs handlers that take all the memory they can get: each is stopped and says where, the process stays small, and
// the other services go on.
func TestHeapLimit(t *testing.T) {
	t.Parallel()
	config := file(t, "heap.star", `
args = {"address": "127.0.0.1:0"}
limits = {"heap": "256MiB", "steps": 1 << 50}
threads = 2
`)
	p := run(t, script(t, "greedy.star"), "--config", config)
	c, other := connect(t, "tcp", p.ports["tcp"]), connect(t, "tcp", p.ports["tcp"])
	const heap, guard = "memory: the node's heap holds ", "memory: "
	for _, test := range []struct{ command, where, why string }{
		{"string", "greedy_worker.star:", guard},
		{"late_string", "greedy_worker.star:", guard},
		{"in_dict", "greedy_worker.star:", heap},
		{"caught", "greedy_worker.star:", heap},
		{"seldom", "greedy_worker.star:", heap},
		{"in_turns", "greedy_worker.star:", heap},
		{"after_waits", "greedy_worker.star:", heap},
		{"among_others", "greedy_worker.star:", heap},
		{"many", "greedy_worker.star:", heap},
		{"square", "greedy_worker.star:", guard},
	} {
		got := c.ask("victim " + test.command)
		if !strings.HasPrefix(got, "error remote: "+test.where) || !strings.Contains(got, test.why) || !strings.Contains(got, "handler stopped") {
			t.Errorf("%s: got %q, want the error remote with its place and %q", test.command, got, test.why)
		}
		c.want("victim forget", "forgotten")
		other.want("good alive", "alive")
	}
	if log := p.log.String(); !strings.Contains(log, heap) {
		t.Error("log: got no line about the heap, want one")
	}
	p.stop()
	if usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && usage.Maxrss>>10 > 3*256 { // in KiB on Linux
		t.Errorf("memory of the process: got %d MiB at the most, want at most three times the limit of 256 MiB", usage.Maxrss>>10)
	}
}
