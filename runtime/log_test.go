package runtime_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"skynet/runtime/runtimetest"
)

// TestLogs wants each way to write a log line, and each thing the runtime logs by itself, to look like this.
func TestLogs(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"log.star": `
def write():
    log.debug("a", 1, [2])
    log.info("fields", text = "x y", n = 1, big = 1 << 70, yes = True, half = 0.5, list = ["x"], who = skynet.self())
    log.warn()
    log.error("e")
    skynet.error("old", "way", 1)
    print("printed", 1, sep = "-")
def _private():
    pass
def broken():
    fail("no luck")
def fork():
    skynet.fork(broken)
def taken():
    log.info("m", **{name: 1 for name in ["time", "level", "msg", "message", "node", "service", "session", "source", "trace", "other"]})
def refused():
    for command in ["_private", "brocken", "init"]:
        skynet.send(skynet.self(), command)
    cluster.send("nowhere", "x", "y")
`})
		w.Node("n", "log.star")
		w.Want("None", "n", "log", "write")
		w.Want("None", "n", "log", "taken")
		w.Want("None", "n", "log", "refused")
		w.Want("None", "n", "log", "fork")
		w.Logged("n", "handler failed")
		w.Logged("n", "message to another node is lost")
		of := "node=n service=n:00000003 log.star"
		var want, got []string
		for _, line := range []string{
			"DEBUG a 1 [2] %s",
			`INFO fields %s text=x y n=1 big=1180591620717411303424 yes=true half=0.5 list=["x"] who=n:00000003`,
			"WARN  %s",
			"ERROR e %s",
			"ERROR old way 1 %s",
			"INFO printed-1 %s",
			"INFO m %s time_=1 level_=1 msg_=1 message_=1 node_=1 service_=1 session_=1 source_=1 trace_=1 other=1",
			`WARN message refused %s command=_private error=denied: n:00000003 log.star: "_private" is private: its name starts with an underscore`,
			`WARN message refused %s command=brocken error=remote: n:00000003 log.star has no command "brocken"; did you mean "broken"?`,
			"WARN message refused %s command=init error=denied: n:00000003 log.star: init cannot be called: the runtime calls it",
			"ERROR handler failed %s command=broken error=log.star:12:9: fail: no luck backtrace=\n" +
				"  Traceback (most recent call last):\n    log.star:12:9: in broken\n  Error in fail: fail: no luck",
		} {
			want = append(want, fmt.Sprintf(line, of))
		}
		for _, line := range w.Logs("n") {
			if strings.Contains(line.Text, "message to another node") {
				const lost = `WARN message to another node is lost node=n command=y to=x error=unreachable: no node has the name "nowhere"`
				if got := unmarked(t, []string{line.String()})[0]; got != lost {
					t.Errorf("log: got\n%s, want\n%s", got, lost)
				}
				continue
			}
			got = append(got, line.String())
		}
		got = unmarked(t, got)
		if got, want := strings.Join(got, "\n"), strings.Join(want, "\n"); got != want {
			t.Errorf("log: got\n%s\nwant\n%s", got, want)
		}
	})
}

var traceMark = regexp.MustCompile(`(?: session=\d+)? trace=[0-9a-f]{16}`)

// unmarked takes the marks off lines that each must have one.
func unmarked(t *testing.T, lines []string) []string {
	t.Helper()
	out := make([]string, len(lines))
	for i, line := range lines {
		at := traceMark.FindStringIndex(line)
		if at == nil {
			t.Errorf("log: got %q, want a trace in it", line)
			return lines
		}
		out[i] = line[:at[0]] + line[at[1]:]
	}
	return out
}

// TestLogsAreBounded wants a long error to be cut in the log, at a character, and the caller to get all of it.
func TestLogsAreBounded(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(map[string]string{"long.star": `
def long():
    fail("é" * 4000000)
def deep(n = 0):
    deep(n + 1)
`})
		w.Node("n", "long.star")
		_, err := w.Call("n", "long", "long")
		if got, want := len(err.Error()), len("remote: long.star:3:9: fail: ")+8_000_000; got != want {
			t.Errorf("error: got %d bytes, want all %d", got, want)
		}
		if _, err := w.Call("n", "long", "deep"); err == nil {
			t.Error("endless recursion: got no error, want one")
		}
		var failures []string
		for _, line := range w.Logs("n") {
			if strings.Contains(line.Text, "handler failed") {
				failures = append(failures, line.String())
			}
		}
		if len(failures) != 2 {
			t.Fatalf("got %d lines, want 2", len(failures))
		}
		const head = "long.star:3:9: fail: "
		for _, part := range []string{
			"error=" + head + strings.Repeat("é", (4096-len(head))/2) + "… (7,995,926 bytes more) backtrace=",
			"long.star:3:9: in long\n  Error in fail: fail: é",
		} {
			if !strings.Contains(failures[0], part) {
				t.Errorf("log: got %.8000q, want it to contain %.100q", failures[0], part)
			}
		}
		for _, part := range []string{"Traceback (most recent call last):\n    long.star:5:9: in deep", " bytes more) …", "Error: Starlark stack overflow"} {
			if !strings.Contains(failures[1], part) {
				t.Errorf("log: got %.8000q, want it to contain %q", failures[1], part)
			}
		}
		for _, line := range failures {
			if len(line) > 10_000 || !utf8.ValidString(line) {
				t.Errorf("log: got a line of %d bytes, want valid UTF-8 of 10000 at most", len(line))
			}
		}
	})
}
