package unit

import (
	"slices"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
)

// lines generates short lists of few different lines, so that many of them are common.
func lines() gopter.Gen {
	return gen.SliceOfN(8, gen.OneConstOf("a", "b", "c", "")).Map(func(l []string) []string { return l })
}

// side is what a merge says of one of its two sides: the lines that are not the other's alone.
func side(all []string, other byte) []string {
	out := []string{}
	for _, line := range all {
		if line[0] != other {
			out = append(out, line[1:])
		}
	}
	return out
}

// longest is the length of the longest common subsequence, found by trying everything.
func longest(a, b []string) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	if a[0] == b[0] {
		return 1 + longest(a[1:], b[1:])
	}
	return max(longest(a[1:], b), longest(a, b[1:]))
}

func TestMergeHasBothSidesAndIsShortest(t *testing.T) {
	properties := gopter.NewProperties(gopter.DefaultTestParameters())
	properties.Property("merge", prop.ForAll(func(want, got []string, n, m int) bool {
		want, got = want[:n], got[:m]
		all := merge(want, got)
		common := 0
		for _, line := range all {
			if line[0] == ' ' {
				common++
			}
		}
		return slices.Equal(side(all, '+'), want) && slices.Equal(side(all, '-'), got) && common == longest(want, got)
	}, lines(), lines(), gen.IntRange(0, 8), gen.IntRange(0, 8)))
	properties.TestingRun(t)
}
