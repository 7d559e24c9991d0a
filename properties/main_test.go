// Package properties holds the whole house to its promises with random input: random clusters against the services that
// ship, equal traces everywhere, plain reference models, and one script in many configurations.
//
//	go test ./properties                                        # a minute's worth, always the same
//	go test ./properties -properties.cases=5000 -properties.seed=$(date +%s) -timeout=0    # a night's worth
//
// Every failure prints the seed and the line that repeats it; one of a random cluster also prints a scenario file that does.
package properties

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
)

var (
	cases   = flag.Int("properties.cases", 60, "how many random cases each property tries")
	seed    = flag.Int64("properties.seed", 1, "the seed of all random cases")
	rewrite = flag.Bool("rewrite", false, "write testdata/hashes.txt anew")
	child   = flag.Bool("properties.hashes", false, "print the hashes of the pinned runs, and nothing else")
)

// TestMain looks for leaks, but for the goroutines that kcp-go starts when it is linked in. In the processes that
// TestEveryProcessHasTheSameHashes starts it only prints hashes.
func TestMain(m *testing.M) {
	flag.Parse()
	if *child {
		if err := printHashes(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// parameters are gopter's for so many cases.
func parameters(cases int) *gopter.TestParameters {
	p := gopter.DefaultTestParametersWithSeed(*seed)
	p.MinSuccessfulTests = cases
	return p
}

// seeds generates the seeds of cases that are not values themselves. Smaller seeds are not smaller cases.
func seeds() gopter.Gen { return gen.UInt64().WithShrinker(nil) }

// repeat is the line that repeats a failed test.
func repeat(t *testing.T) string {
	return fmt.Sprintf("go test ./properties -count=1 -run '^%s$' -properties.seed=%d -properties.cases=%d", t.Name(), *seed, *cases)
}
