package scenario_test

import (
	"fmt"
	"time"

	"skynet/sched"
	"skynet/sim/scenario"
)

const file = `"""Two nodes and a crash."""

def world(w):
    w.nodes("n", 2, main = "node.star")
    w.net(latency = "1ms..5ms")
    w.clients("c", 1)

def work(c):
    c.op("get", "k")

trouble = plan(at("1.5s", crash("n1", down = "500ms")), settle = "2s")

verdict = checks(linearizable("kv", per = "key"))
`

func read(string) ([]byte, error) { return []byte(file), nil }

func ExampleLoad() {
	sc, err := scenario.Load(read, "two.star", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sc.Title)
	fmt.Println(sc.Trouble)
	fmt.Println(sc.Verdict[0].Kind, sc.Verdict[0].Model.Name)
	// Output:
	// Two nodes and a crash.
	// phases(plan(at("1.5s", crash(["n1"], down = "500ms"))), heal(), settle("2s"))
	// linearizable kv
}

func ExampleLoad_error() {
	src := "def world(w): pass\ndef work(c): pass\nverdict = checks(linearizable(\"kv\"))\ntrouble = every(\"5s\", crash(one, dwon = 1))\n"
	_, err := scenario.Load(func(string) ([]byte, error) { return []byte(src), nil }, "bad.star", nil)
	fmt.Println(err)
	// Output: bad.star:4:28: crash: unexpected keyword argument dwon (did you mean down?)
}

func ExampleBuildWorld() {
	sc, err := scenario.Load(read, "two.star", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	w, err := scenario.BuildWorld(sc, sched.NewStream(1, "world"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w.Cluster())
	fmt.Println(w.Link("n1", "n2").Latency)
	// Output:
	// {[n1 n2] [c1]}
	// {uniform 1ms 5ms}
}

func ExampleExpand() {
	sc, err := scenario.Load(read, "two.star", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := scenario.Expand(sc.Trouble, 1, scenario.Cluster{Nodes: []string{"n1", "n2"}}, sc.Limit)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.ClientsDone(sched.Time(10 * time.Second))
	for {
		step, _ := s.Peek()
		fmt.Println(step.At, step.Kind)
		if step.Kind == scenario.End {
			break
		}
		s.Pop()
	}
	// Output:
	// 1.5s strike
	// 10s heal
	// 10s settle
	// 12s end
}

func ExamplePrint() {
	fmt.Print(scenario.Print([]scenario.Instance{{
		Path: "swarm/every-5s-partition/1", At: sched.Time(3200 * time.Millisecond), Until: sched.Time(4200 * time.Millisecond),
		Fault: scenario.Concrete{Kind: scenario.Partition, Groups: [][]string{{"n1"}, {"n2", "n3"}}},
	}}, 10*time.Second))
	// Output:
	// trouble = plan(
	//     at("3.2s", partition(["n1"], ["n2", "n3"], lasting = "1s")),  # swarm/every-5s-partition/1
	//     settle = "10s",
	// )
}
