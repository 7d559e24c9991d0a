package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// parse parses the flags of a command line and reports what the user would be told.
func parse(line string, flags *pflag.FlagSet, finish func(operands []string) error) string {
	if err := flags.Parse(strings.Fields(line)); err != nil {
		return flagMessage(err, flags)
	}
	if err := finish(flags.Args()); err != nil {
		return err.Error()
	}
	return ""
}

func newFlags() *pflag.FlagSet { return pflag.NewFlagSet("test", pflag.ContinueOnError) }

func simDefaults(change func(o *simOptions)) simOptions {
	o := simOptions{scenarios: []string{"a.star"}, open: true, first: 1, count: defaultSeeds, format: "text", strategy: "random"}
	change(&o)
	return o
}

func TestParseSim(t *testing.T) {
	for _, c := range []struct {
		line string
		want simOptions
	}{
		{"a.star", simDefaults(func(*simOptions) {})},
		{"a.star b.star", simDefaults(func(o *simOptions) { o.scenarios = []string{"a.star", "b.star"} })},
		{"a.star --seeds 500", simDefaults(func(o *simOptions) { o.count, o.open = 500, false })},
		{"--seeds 500 a.star", simDefaults(func(o *simOptions) { o.count, o.open = 500, false })},
		{"--seeds=500 --first 7 a.star", simDefaults(func(o *simOptions) { o.count, o.first, o.open = 500, 7, false })},
		{"a.star --seed 42", simDefaults(func(o *simOptions) { o.single, o.open, o.seed, o.first, o.count = true, false, 42, 42, 1 })},
		{"a.star --seed 0", simDefaults(func(o *simOptions) { o.single, o.open, o.seed, o.first, o.count = true, false, 0, 0, 1 })},
		{"a.star --jobs 2 --shrink", simDefaults(func(o *simOptions) { o.jobs, o.shrink = 2, true })},
		{"a.star --fail-fast", simDefaults(func(o *simOptions) { o.failFast = true })},
		{"a.star --trace t --report r", simDefaults(func(o *simOptions) { o.trace, o.report = "t", "r" })},
		{"a.star --format json --strategy fifo", simDefaults(func(o *simOptions) { o.format, o.strategy = "json", "fifo" })},
	} {
		flags := newFlags()
		got := simFlags(flags)
		if msg := parse(c.line, flags, func(operands []string) error { return got.finish(flags, operands) }); msg != "" {
			t.Errorf("sim %s: got %q, want no error", c.line, msg)
		}
		if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("sim %s = %+v, want %+v", c.line, *got, c.want)
		}
	}
}

func TestParseSimErrors(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"", "got no operand, want at least one scenario file"},
		{"a.star --seeds 0", `--seeds: got "0", want a whole number from 1`},
		{"a.star --seeds -3", `--seeds: got "-3", want a whole number from 1`},
		{"a.star --seeds 1.5", `--seeds: got "1.5", want a whole number from 1`},
		{"a.star --seeds many", `--seeds: got "many", want a whole number from 1`},
		{"a.star --seeds 99999999999999999999", `--seeds: got "99999999999999999999", want a whole number from 1`},
		{"a.star --seed -1", `--seed: got "-1", want a whole number from 0`},
		{"a.star --jobs 0", `--jobs: got "0", want a whole number from 1`},
		{"a.star --seed 1 --seeds 2", "got --seed and --seeds, want one of them"},
		{"a.star --seed 1 --first 2", "got --seed and --first, want one of them"},
		{"a.star --format xml", `--format: got "xml", want one of text, json`},
		{"a.star --strategy luck", `--strategy: got "luck", want one of random, fifo`},
		{"a.star b.star --trace t", "got 2 scenarios, want one with --trace or --report"},
		{"a.star --raport r", "unknown flag: --raport; did you mean --report?"},
	} {
		flags := newFlags()
		o := simFlags(flags)
		got := parse(c.line, flags, func(operands []string) error { return o.finish(flags, operands) })
		if !strings.Contains(got, c.want) {
			t.Errorf("sim %s: got %q, want %q", c.line, got, c.want)
		}
	}
}

func TestParseRun(t *testing.T) {
	for _, c := range []struct {
		line string
		want runOptions
		msg  string
	}{
		{"main.star", runOptions{main: "main.star"}, ""},
		{"main.star --config c.star --node n1 --threads 4", runOptions{main: "main.star", config: "c.star", node: "n1", threads: 4}, ""},
		{"main.star --profile p", runOptions{main: "main.star", profile: "p"}, ""},
		{"main.star --print-config", runOptions{main: "main.star", print: true}, ""},
		{"", runOptions{}, "got 0 operands, want one: the script of the first service"},
		{"a.star b.star", runOptions{}, "got 2 operands, want one"},
		{"main.star --node n1", runOptions{}, "got --node without --config"},
		{"main.star --config c.star --node=", runOptions{}, `--node: got "", want a name`},
		{"main.star --threads 0", runOptions{}, `--threads: got "0", want a whole number from 1`},
		{"main.star --threads 99999999999", runOptions{}, "--threads: got 99999999999, want at most 1024"},
		{"main.star --threads -2", runOptions{}, `--threads: got "-2", want a whole number from 1`},
	} {
		flags := newFlags()
		got := runFlags(flags)
		msg := parse(c.line, flags, func(operands []string) error { return got.finish(flags, operands) })
		if !strings.Contains(msg, c.msg) || (msg == "") != (c.msg == "") {
			t.Errorf("run %s: got %q, want %q", c.line, msg, c.msg)
		}
		if c.msg == "" && *got != c.want {
			t.Errorf("run %s = %+v, want %+v", c.line, *got, c.want)
		}
	}
}

func TestParseCheck(t *testing.T) {
	for _, c := range []struct {
		line string
		want checkOptions
		msg  string
	}{
		{"h.jsonl --model kv", checkOptions{"h.jsonl", "kv", 0, "text"}, ""},
		{"- --model queue --states 10 --format json", checkOptions{"-", "queue", 10, "json"}, ""},
		{"h.jsonl --model register/key", checkOptions{"h.jsonl", "register/key", 0, "text"}, ""},
		{"h.jsonl", checkOptions{}, "got no --model, want one of"},
		{"--model kv", checkOptions{}, "got 0 operands, want one: the file of the history"},
		{"h.jsonl --model stack", checkOptions{}, `--model: got "stack", want one of kv, lock, queue, register, set`},
		{"h.jsonl --model kv --states 0", checkOptions{}, `--states: got "0", want a whole number from 1`},
	} {
		flags := newFlags()
		got := checkFlags(flags)
		msg := parse(c.line, flags, got.finish)
		if !strings.Contains(msg, c.msg) || (msg == "") != (c.msg == "") {
			t.Errorf("check %s: got %q, want %q", c.line, msg, c.msg)
		}
		if c.msg == "" && *got != c.want {
			t.Errorf("check %s = %+v, want %+v", c.line, *got, c.want)
		}
	}
}

func TestParseBench(t *testing.T) {
	flags := newFlags()
	got := benchFlags(flags)
	if msg := parse("call --format json", flags, func([]string) error { return nil }); msg != "" || got.format != "json" {
		t.Errorf("bench call --format json = %+v, %q, want the format json", *got, msg)
	}
	if msg := parse("--format yaml", newFlagsFor(benchFlags), func([]string) error { return nil }); !strings.Contains(msg, "want one of text, json") {
		t.Errorf("bench --format yaml: got %q, want the formats", msg)
	}
}

func newFlagsFor[T any](define func(*pflag.FlagSet) T) *pflag.FlagSet {
	flags := newFlags()
	define(flags)
	return flags
}
