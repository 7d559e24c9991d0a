package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"skynet/sim"
	"skynet/sim/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pageOf runs a scenario and writes its page.
func pageOf(t testing.TB, read func(string) ([]byte, error), name string, seed uint64) (Page, string) {
	t.Helper()
	s, err := sim.Load(read, name)
	if err != nil {
		t.Fatal(err)
	}
	p := Page{Simulation: s, Diagram: new(sim.Diagram), Replay: fmt.Sprintf("skynet sim %s --seed %d", name, seed)}
	if p.Run, err = s.Run(sim.Options{Seed: seed, Diagram: p.Diagram}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	return p, out.String()
}

// dataOf is what the script of a page draws.
func dataOf(t testing.TB, page string) (d data) {
	t.Helper()
	found := regexp.MustCompile(`(?m)^<script>const run = (.*);$`).FindStringSubmatch(page)
	if found == nil {
		t.Fatal("got a page without data")
	}
	if err := json.Unmarshal([]byte(found[1]), &d); err != nil {
		t.Fatalf("got data that are no JSON: %v", err)
	}
	return d
}

func TestPageOfAFailure(t *testing.T) {
	p, page := pageOf(t, os.ReadFile, "../testdata/lost.star", 3)
	for _, want := range []string{
		"<h1>A crash loses what was acknowledged, but not synced.</h1>",
		`<span class="badge failed">failed</span> linearizable-register: the history of 6 operations is not linearizable`,
		"<dt>seed</dt><dd>3</dd>",
		fmt.Sprintf("<code>%016x</code>", p.Run.Hash),
		"<code>skynet sim ../testdata/lost.star --seed 3</code>",
		"nothing explains c1 read()",
		"<code>crash n1</code>",
		"1 machine crashed",
		"<td>plan/at-1s-crash</td>",
		"c1 write(&#34;c1.1&#34;) -&gt; null",
		`<iframe title="linearizable-register" sandbox="allow-scripts" srcdoc="&lt;!doctype html&gt;`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("page has no %q", want)
		}
	}
}

func TestData(t *testing.T) {
	_, page := pageOf(t, os.ReadFile, "../testdata/lost.star", 3)
	d := dataOf(t, page)
	if len(d.Lanes) != 2 || d.Lanes[0].Name != "n1" || d.Lanes[1].Name != "c1" {
		t.Errorf("Lanes = %v, want n1 and c1", d.Lanes)
	}
	if len(d.Ops) != 6 || d.Ops[5].What != `read() -> "c1.3"` || d.Ops[5].Outcome != "ok" {
		t.Errorf("Ops = %+v, want five writes and a read", d.Ops)
	}
	if len(d.Downs) != 1 || d.Downs[0].Lane != 0 || d.Downs[0].Until-d.Downs[0].At != int64(500*time.Millisecond) {
		t.Errorf("Downs = %+v, want n1 down for 500ms", d.Downs)
	}
	if len(d.Faults) != 1 || !d.Faults[0].Bit || d.Faults[0].At != int64(time.Second) || d.Faults[0].Lanes[0] != 0 {
		t.Errorf("Faults = %+v, want one at 1s that had an effect on n1", d.Faults)
	}
	last := d.Ops[5]
	if len(d.Marks) != 1 || d.Marks[0].At != last.Until || d.From > last.At || d.To < last.Until || d.To > d.End {
		t.Errorf("got marks %+v and the window %d..%d of %d, want the end of the read at %d in it", d.Marks, d.From, d.To, d.End, last.Until)
	}
	for _, m := range d.Messages {
		if m[0] == m[1] || m[2] > m[3] || m[3] > d.End {
			t.Errorf("got message %v, want one from lane to lane that arrives after it was sent", m)
		}
	}
	if len(d.Messages) < 12 {
		t.Errorf("got %d messages, want a request and a reply for each operation at least", len(d.Messages))
	}
}

func TestEqualRunsGiveEqualPages(t *testing.T) {
	_, a := pageOf(t, os.ReadFile, "../testdata/lost.star", 3)
	_, b := pageOf(t, os.ReadFile, "../testdata/lost.star", 3)
	if a != b {
		t.Error("got two pages for one run")
	}
}

// TestPageStandsAlone wants nothing loaded from elsewhere, neither by the page nor by what it embeds.
func TestPageStandsAlone(t *testing.T) {
	_, page := pageOf(t, os.ReadFile, "../testdata/lost.star", 3)
	for _, pattern := range []string{`<link\b`, `<script[^>]+src`, `<img\b`, `@import`, `url\(`, `\bfetch\(`, `XMLHttpRequest`, `&lt;script[^&]+src=`, `&lt;link\b`} {
		if found := regexp.MustCompile(pattern).FindString(page); found != "" {
			t.Errorf("page has %q, want nothing that is loaded", found)
		}
	}
}

// hostile is a scenario that tries to break out of the page with whatever it can name.
func hostile(name string) ([]byte, error) {
	const attack = `</script></pre><img src=x onerror=alert(1)>' \" --><!--`
	files := map[string]string{
		"h.star": `"""` + `</title></style></script><img src=x onerror=alert(1)> -->` + `"""
def world(w):
    w.nodes("n", 1, main = "node.star")
    w.clients("c", 1)
def work(c):
    c.log(` + "`" + `)
    c.op("write", ATTACK)
    c.op("read")
ATTACK = "` + attack + `"
trouble = plan(at("1ms", crash("n1", down = "1ms")))
verdict = checks(linearizable("register", name = ATTACK), never("<b>" + ATTACK, lambda s: False))
`,
		"node.star": "def read():\n    return \"" + attack + "\"\ndef write(v):\n    log.info(v)\n",
	}
	text, ok := files[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return []byte(strings.ReplaceAll(text, "`", "ATTACK")), nil
}

func TestScriptsCannotBreakOut(t *testing.T) {
	p, page := pageOf(t, hostile, "h.star", 1)
	if strings.Contains(page, "<img") || strings.Contains(page, "alert(1)>'") {
		t.Error("got markup of a script in the page")
	}
	if got := strings.Count(page, "</script>"); got != 1 {
		t.Errorf("got %d ends of scripts, want 1", got)
	}
	if len(p.Run.History.Operations) != 2 || !strings.Contains(page, "onerror=alert(1)") {
		t.Errorf("got a page without the attack as text, of %+v", p.Run.History)
	}
	dataOf(t, page)
}

// TestLongRunsAreBounded writes a page about far more than it shows.
func TestLongRunsAreBounded(t *testing.T) {
	p, _ := pageOf(t, os.ReadFile, "../testdata/kv.star", 1)
	r := *p.Run
	r.Failed = &sim.CheckResult{Name: "never", Kind: "never", At: 50 * time.Second}
	r.History.Operations = nil
	for i := range 100_000 {
		at := int64(i) * int64(time.Millisecond)
		r.History.Operations = append(r.History.Operations, history.Operation{
			Client: "c1", Op: "get", Outcome: history.OK, Value: "1", CallTime: at, ReturnTime: at + 1, Call: int64(2 * i), Return: int64(2*i + 1),
		})
	}
	for range 100_000 {
		r.Logs, r.Faults = append(r.Logs, "a line"), append(r.Faults, sim.FaultReport{Fault: "crash n1"})
	}
	p.Run = &r
	var out bytes.Buffer
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 1<<20 {
		t.Errorf("got a page of %d bytes, want less than a megabyte", out.Len())
	}
	if page := out.String(); !strings.Contains(page, "49.9s..") || strings.Contains(page, "<td>51s..") || strings.Contains(page, "<iframe") {
		t.Error("got a page without the operations up to the failure, or with later ones, or with a picture of all")
	}
}

func TestRowsOfOverlappingOperations(t *testing.T) {
	busy := map[int][]int64{}
	for i, c := range []struct {
		lane, want int
		at, until  int64
	}{{0, 0, 0, 10}, {0, 1, 5, 20}, {0, 0, 10, 12}, {1, 0, 5, 6}, {0, 0, 12, 90}, {0, 2, 15, 90}, {0, 2, 16, 90}} {
		if got := free(busy, c.lane, c.at, c.until); got != c.want {
			t.Errorf("%d: free = %d, want %d", i, got, c.want)
		}
	}
}

// TestMoment wants the operation that is blamed, even if an earlier one looks the same.
func TestMoment(t *testing.T) {
	get := func(call, ret int64) history.Operation {
		return history.Operation{Client: "c1", Op: "get", Outcome: history.OK, Value: "1", CallTime: call, ReturnTime: ret, Return: ret}
	}
	r := &sim.Result{
		History: history.History{Operations: []history.Operation{get(10, 20), get(30, 40), get(50, 60)}},
		Failed: &sim.CheckResult{Kind: "linearizable", At: 99, Evidence: []string{
			"nothing explains c1 get() -> 1", "  c1 get() -> 1 10ns..20ns  1", "none of these can come next:", "  c1 get() -> 1 30ns..40ns",
		}},
	}
	if got := moment(r); got != 40 {
		t.Errorf("moment = %v, want 40ns", got)
	}
	r.Failed.Evidence = nil
	if got := moment(r); got != 99 {
		t.Errorf("moment without evidence = %v, want when it was decided, 99ns", got)
	}
}

func ExamplePage_Write() {
	s, err := sim.Load(os.ReadFile, "../testdata/kv.star")
	if err != nil {
		fmt.Println(err)
		return
	}
	d := new(sim.Diagram)
	r, err := s.Run(sim.Options{Seed: 7, Diagram: d})
	if err != nil {
		fmt.Println(err)
		return
	}
	var page strings.Builder
	if err := (Page{Simulation: s, Run: r, Diagram: d, Replay: "skynet sim kv.star --seed 7"}).Write(&page); err != nil {
		fmt.Println(err)
		return
	}
	first, _, _ := strings.Cut(page.String(), "\n")
	fmt.Println(first)
	// Output: <!DOCTYPE html>
}

// TestPageOfAModelThatFails: the page says why there is no picture, and has everything else.
func TestPageOfAModelThatFails(t *testing.T) {
	read := func(name string) ([]byte, error) {
		if name != "m.star" {
			return os.ReadFile("../testdata/" + name)
		}
		return []byte(`
def world(w):
    w.nodes("n", 1, main = "kv_node.star")
    w.clients("c", 1)
def work(c):
    c.op("put", "k", 1)
verdict = checks(linearizable(model(init = 0, step = lambda state, op, args, result: state + args[0])))
`), nil
	}
	_, page := pageOf(t, read, "m.star", 1)
	for _, want := range []string{
		"There is no picture: check: visualize: custom model: ",
		`<span class="badge failed">failed</span> linearizable-custom: `,
		`c1 put(&#34;k&#34;, 1) -&gt; null`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("page has no %q", want)
		}
	}
}
