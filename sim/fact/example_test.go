package fact_test

import (
	"fmt"
	"log/slog"
	"time"

	"skynet/sched"
	"skynet/sim/fact"
)

// A record becomes a line of the report, and a struct for the scenario's checks.
func Example() {
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "leads", 0)
	r.Add("node", "n1", "term", 7)
	f := fact.Of(r, sched.Time(1500*time.Millisecond), "n1")
	fmt.Println(fact.Text(r))
	fmt.Println(f.Value())
	fmt.Println(f.Attr("term"))
	// Output:
	// leads term=7
	// fact(level = "info", message = "leads", node = "n1", term = 7, time = 1.5)
	// 7
}
