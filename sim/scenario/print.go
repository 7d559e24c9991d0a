package scenario

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// Print returns the Starlark source of the trouble that is [Plan] of the same arguments, one strike on a line, with
// the path of each strike as a comment.
func Print(instances []Instance, settle time.Duration) string {
	var b strings.Builder
	b.WriteString("trouble = plan(\n")
	for _, i := range instances {
		fmt.Fprintf(&b, "    %s,", i.timing())
		if i.Path != "" {
			fmt.Fprintf(&b, "  # %s", strings.ReplaceAll(i.Path, "\n", " "))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "    settle = %s,\n)\n", formatDuration(int64(settle)))
	return b.String()
}

// Shrunk returns a scenario file that runs sc with one seed, explicit trouble and only the given clients (all of them
// if there are none). It loads the rest from sc's file by its base name, so it belongs in the same directory.
func Shrunk(sc *Scenario, seed uint64, instances []Instance, settle time.Duration, clients []string) string {
	file := path.Base(sc.File)
	var b strings.Builder
	fmt.Fprintf(&b, "\"\"\"Shrunk from %s, seed %d.\"\"\"\n\n", strings.ReplaceAll(file, `"`, "'"), seed)
	fmt.Fprintf(&b, "load(%q, \"world\", \"work\", \"verdict\")\n\n", file)
	fmt.Fprintf(&b, "seed = %d\nlimit = %s\n", seed, formatDuration(int64(sc.Limit)))
	if len(clients) > 0 {
		fmt.Fprintf(&b, "clients = %s\n", quoteList(clients))
	}
	b.WriteByte('\n')
	b.WriteString(Print(instances, settle))
	return b.String()
}
