package unit

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// around is how many equal lines are shown beside a difference.
const around = 3

// differ says how two values that are not equal differ: in a sentence if they are short, else line by line.
func differ(got, want starlark.Value) *mismatch {
	g, w := pretty(got), pretty(want)
	if len(g) == 1 && len(w) == 1 {
		return differShort(got, want)
	}
	diff := diffLines(w, g)
	if diff == nil {
		return alike(got, want)
	}
	return &mismatch{msg: "got and want differ", diff: diff}
}

func differShort(got, want starlark.Value) *mismatch {
	g, w := got.String(), want.String()
	switch {
	case g == w:
		return alike(got, want)
	case len(g) <= shortText && len(w) <= shortText:
		return &mismatch{msg: fmt.Sprintf("got %s, want %s", g, w)}
	}
	return &mismatch{msg: "got and want differ", diff: diffLong(w, g)}
}

func alike(got, want starlark.Value) *mismatch {
	return &mismatch{msg: fmt.Sprintf("got %s (%s), want %s (%s), which is not equal to it", brief(got), got.Type(), brief(want), want.Type())}
}

// diffLong shows where two long lines begin to differ.
func diffLong(want, got string) []string {
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	for at > 0 && at < len(want) && !utf8.RuneStart(want[at]) {
		at--
	}
	before := []rune(want[:at])
	lead := ""
	if len(before) > shortText/2 {
		lead, before = "…", before[len(before)-shortText/2:]
	}
	window := func(rest string) string {
		after := []rune(rest)
		if len(after) > shortText/2 {
			after = append(after[:shortText/2:shortText/2], '…')
		}
		return lead + string(before) + string(after)
	}
	caret := strings.Repeat(" ", utf8.RuneCountInString(lead)+len(before))
	return []string{"-" + window(want[at:]), "+" + window(got[at:]), " " + caret + "^"}
}

// diffLines is the shortest way from the lines of want ("-") to those of got ("+"), with some of the equal lines; nil if
// all are equal.
func diffLines(want, got []string) []string {
	all, changed := merge(want, got), false
	near := make([]bool, len(all))
	for i, line := range all {
		if line[0] == ' ' {
			continue
		}
		changed = true
		for j := max(0, i-around); j <= min(len(all)-1, i+around); j++ {
			near[j] = true
		}
	}
	if !changed {
		return nil
	}
	var out []string
	for i := 0; i < len(all); i++ {
		if near[i] {
			out = append(out, all[i])
			continue
		}
		from := i
		for i+1 < len(all) && !near[i+1] {
			i++
		}
		out = append(out, fmt.Sprintf("  … %d equal lines", i+1-from))
	}
	return out
}

// merge lists the lines of both by a longest common subsequence. It takes time and memory by the product of the lengths,
// which are bounded by maxLines.
func merge(want, got []string) []string {
	// common[i][j] is the length of the longest common subsequence of want[i:] and got[j:].
	common := make([][]int32, len(want)+1)
	for i := range common {
		common[i] = make([]int32, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			if want[i] == got[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var all []string
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			all = append(all, " "+want[i])
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			all = append(all, "-"+want[i])
			i++
		default:
			all = append(all, "+"+got[j])
			j++
		}
	}
	return all
}
