package runtime_test

import (
	"fmt"
	"testing"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/runtime/runtimetest"
	"skynet/sched/workers"
)

var keeper = map[string]string{"keeper.star": `
def put(k, v):
    store.put(k, v)
def put_all(prefix, n):
    for i in range(n):
        store.put(prefix + str(i), i)
def sync():
    store.sync()
def get(k):
    return store.get(k)
def count(prefix):
    return len(store.scan(prefix))
`}

// TestStoreSurvivesStop restarts a node in an orderly way.
func TestStoreSurvivesStop(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(keeper)
		w.Node("n", "keeper.star")
		w.Want("None", "n", "keeper", "put", "k", []any{1, "x"})
		w.Want("None", "n", "keeper", "sync")
		w.Stop("n", 0)
		w.Node("n", "keeper.star")
		w.Want(`[1, "x"]`, "n", "keeper", "get", "k")
	})
}

// TestStoreCrashLosesUnsynced crashes a node many times: what was synced is there, of the rest a part that begins at the
// oldest, and over all the crashes something is lost.
func TestStoreCrashLosesUnsynced(t *testing.T) {
	const writes = 5
	runtimetest.RunVirtual(t, func(t *testing.T, w *runtimetest.World) {
		w.Scripts(keeper)
		lost := 0
		for round := range 10 {
			w.Node("n", "keeper.star")
			w.Want("None", "n", "keeper", "put", fmt.Sprintf("synced %d", round), round)
			w.Want("None", "n", "keeper", "sync")
			prefix := fmt.Sprintf("unsynced %d ", round)
			w.Want("None", "n", "keeper", "put_all", prefix, writes)
			w.Crash("n")
			w.Node("n", "keeper.star")
			w.Want(fmt.Sprint(round+1), "n", "keeper", "count", "synced ")
			v, err := w.Call("n", "keeper", "count", prefix)
			if err != nil {
				t.Fatal(err)
			}
			left, _ := starlark.AsInt32(v)
			lost += writes - left
			for i := range left {
				w.Want(fmt.Sprint(i), "n", "keeper", "get", prefix+fmt.Sprint(i))
			}
			w.Crash("n")
			w.Node("n", "keeper.star")
			w.Stop("n", 0)
		}
		if lost == 0 {
			t.Error("unsynced writes lost in 10 crashes: got none, want some")
		}
	})
}

// TestNoStoreNoNetwork uses what a node was not given.
func TestNoStoreNoNetwork(t *testing.T) {
	ws := workers.New(workers.Options{Threads: 1})
	defer ws.Close()
	n, err := runtime.NewNode(runtime.Config{Name: "bare", Scheduler: ws, Programs: runtime.NewPrograms(scripts{"s.star": `
def keep():
    store.put("k", 1)
def listen():
    socket.listen(":0", len)
def open():
    socket.open("127.0.0.1:1")
def far():
    cluster.call("other", "x", "y")
`}.read), Cluster: runtime.Cluster{Nodes: map[string]string{"other": "127.0.0.1:1"}}})
	if err != nil {
		t.Fatal(err)
	}
	a := launch(t, n, "s.star")
	for _, c := range []struct{ command, want string }{
		{"keep", "store.put: node bare has no store"},
		{"listen", "socket.listen: node bare has no network"},
		{"open", "socket.open: node bare has no network"},
		{"far", "unreachable: node other (127.0.0.1:1): this node has no network"},
	} {
		_, err := n.Call(a, c.command, nil, 0)
		wantKind(t, err, "remote: s.star:", c.want)
	}
	if n.ClusterAddr() != "" {
		t.Errorf("cluster address: got %q, want none", n.ClusterAddr())
	}
	stop(n)
	if _, err := n.Call(a, "keep", nil, 0); err == nil || err.Error() != "dead: call of keep: node bare has ended" {
		t.Errorf("call on a stopped node: got %v, want dead", err)
	}
}

func stop(n *runtime.Node) {
	done := make(chan struct{})
	n.Stop(0, func() { close(done) })
	<-done
}

func TestNewNodeWantsItsParts(t *testing.T) {
	ws := workers.New(workers.Options{Threads: 1})
	defer ws.Close()
	programs := runtime.NewPrograms(scripts{}.read)
	for _, c := range []struct {
		config runtime.Config
		want   string
	}{
		{runtime.Config{Programs: programs}, "Scheduler and Programs are required"},
		{runtime.Config{Scheduler: ws}, "Scheduler and Programs are required"},
		{runtime.Config{Scheduler: ws, Programs: programs, Cluster: runtime.Cluster{Listen: "127.0.0.1:0"}}, "no network to listen on"},
	} {
		_, err := runtime.NewNode(c.config)
		wantKind(t, err, "runtime: ", c.want)
	}
}
