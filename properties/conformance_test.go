package properties

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
	"skynet/sim/check"
	"skynet/sim/history"
)

// TestQuorumIsLinearizableInBothWorlds runs the replicated store that ships on the machine's network and workers, loses a
// node and gets it back, and gives the history of its clients to the same check that the simulator uses; then the same on the
// stepper. So the check that passes in simulation is shown to pass where it counts.
func TestQuorumIsLinearizableInBothWorlds(t *testing.T) {
	script, err := os.ReadFile(scenarioDir + "nodes/quorum.star")
	if err != nil {
		t.Fatal(err)
	}
	model, err := check.Named("kv")
	if err != nil {
		t.Fatal(err)
	}
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		h := workOnQuorum(w, string(script))
		if v := check.Linearizable(model.PerKey(), h, check.Budget{}); v.Result != check.OK {
			t.Errorf("history of %d operations: got %s, want ok: %v\n%v", v.Operations, v.Result, v.Evidence, v.Err)
		}
		known := 0
		for _, op := range h.Operations {
			if op.Outcome == history.OK {
				known++
			}
		}
		if all := len(h.Operations); all != len(clientNames)*operations || known < all/2 {
			t.Errorf("operations: got %d, %d of them ok, want %d, and half of them ok", all, known, len(clientNames)*operations)
		}
	})
}

const (
	nodeScript = ".main.star" // the world registers it as .main
	operations = 30           // of each client
)

var (
	quorumNodes = []string{"n1", "n2", "n3"}
	clientNames = []string{"c1", "c2", "c3"}
)

// workOnQuorum runs the clients, crashes a node while they work, and starts it again.
func workOnQuorum(w *runtimetest.World, script string) history.History {
	w.Scripts(map[string]string{nodeScript: script})
	w.Cluster(quorumNodes...)
	w.Heartbeat, w.Silence = 100*time.Millisecond, time.Second
	rec := new(recorder)
	w.Handlers = make(map[string]func() runtime.Handler)
	for _, name := range clientNames {
		w.Handlers[name] = func() runtime.Handler { return &kvClient{name: name, rec: rec} }
	}
	for _, name := range quorumNodes {
		w.Node(name, nodeScript)
	}
	w.Node("clients", clientNames...)
	var working []*runtimetest.Pending
	for _, name := range clientNames {
		working = append(working, w.Go("clients", name, "work"))
	}
	w.Eventually("a third of the work", rec.has(operations))
	w.Crash("n3")
	w.Eventually("two thirds of the work", rec.has(2*operations))
	w.Node("n3", nodeScript)
	for _, p := range working {
		p.Wait()
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.History()
}

// recorder is a history that clients on several workers record.
type recorder struct {
	mu sync.Mutex
	history.Recorder
}

// has reports whether so many operations have begun.
func (r *recorder) has(n int) func() bool {
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.Len() >= n
	}
}

// kvClient gets and puts at random, on a random node each time.
type kvClient struct {
	name string
	rec  *recorder
}

// Init has nothing to do.
func (c *kvClient) Init(*runtime.Context, starlark.Tuple, []starlark.Tuple) error { return nil }

// Handle does all the work.
func (c *kvClient) Handle(ctx *runtime.Context, _ string, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	r := ctx.Rand()
	for i := range operations {
		args := starlark.Tuple{starlark.String(pick(r, "a", "b"))}
		op := "get"
		if r.IntN(2) == 0 {
			op, args = "put", append(args, starlark.String(fmt.Sprintf("%s.%d", c.name, i)))
		}
		if err := c.do(ctx, pick(r, quorumNodes...), op, args); err != nil {
			return nil, err
		}
		if err := ctx.Sleep(time.Duration(r.IntN(5)) * time.Millisecond); err != nil {
			return nil, err
		}
	}
	return starlark.None, nil
}

func (c *kvClient) do(ctx *runtime.Context, node, op string, args starlark.Tuple) error {
	recorded := make([]history.Value, len(args))
	for i, arg := range args {
		var err error
		if recorded[i], err = history.FromStarlark(arg); err != nil {
			return err
		}
	}
	c.rec.mu.Lock()
	h := c.rec.Begin(c.name, op, recorded, int64(ctx.Now()))
	c.rec.mu.Unlock()
	v, err := ctx.CallNode(node, ".main", op, args, nil, time.Second)
	outcome, value, reason := history.OK, history.Null, ""
	if failed := new(runtime.CallError); errors.As(err, &failed) {
		outcome, reason = history.Fail, failed.Error()
		if failed.Maybe {
			outcome = history.Unknown
		}
	} else if err != nil {
		return err
	} else if value, err = history.FromStarlark(v); err != nil {
		return err
	}
	c.rec.mu.Lock()
	defer c.rec.mu.Unlock()
	c.rec.End(h, outcome, value, reason, int64(ctx.Now()))
	return nil
}
