package diag

import (
	"regexp"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Nearest returns the candidate that name is most likely a misspelling of; ok is false if none is near. Near means at
// most one edit in three characters (one in a short name), where an edit inserts, deletes or replaces a character or
// swaps two neighbours; case does not count. Of equally near candidates the first one wins.
func Nearest(name string, candidates []string) (nearest string, ok bool) {
	limit := max(len(name)/3, 1)
	for _, c := range candidates {
		if c == name || c == "" || len(c)-len(name) > limit || len(name)-len(c) > limit {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d <= limit && d < len(name) {
			nearest, ok, limit = c, true, d-1
		}
	}
	return nearest, ok
}

// distance is the number of edits between a and b (optimal string alignment, of Damerau and Levenshtein).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := last[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

var (
	// meant is how Starlark's own spelling checker ends a message; it knows locals, globals and attributes.
	meant     = regexp.MustCompile(` \(did you mean ([^ ()?]+)\?\)`)
	undefined = regexp.MustCompile(`^undefined: ([\pL_][\pL\pN_]*)`)
	receiver  = regexp.MustCompile(`[\pL_][\pL\pN_.]*$`)
)

// hint takes Starlark's own hint out of the message, or finds one among the predeclared and universal names, which
// Starlark cannot enumerate. Before an attribute it puts what stands before the dot in the source line.
func (f *formatter) hint(msg, line string, pos syntax.Position) (rest, hint string) {
	rest = msg
	if m := meant.FindStringSubmatch(msg); m != nil {
		rest, hint = meant.ReplaceAllString(msg, ""), m[1]
	}
	if m := undefined.FindStringSubmatch(rest); m != nil {
		candidates := append(append([]string{hint}, f.names...), starlark.Universe.Keys()...)
		if name, ok := Nearest(m[1], candidates); ok {
			hint = name
		}
	}
	if strings.HasPrefix(hint, ".") {
		runes := []rune(line)
		hint = receiver.FindString(string(runes[:max(0, min(int(pos.Col)-1, len(runes)))])) + hint
	}
	return rest, hint
}

// Or lists what would have been right: `"a", "b" or "c"`. It is empty for no alternatives.
func Or[S ~string](alternatives []S) string {
	quoted := make([]string, len(alternatives))
	for i, a := range alternatives {
		quoted[i] = strconv.Quote(string(a))
	}
	last := len(quoted) - 1
	if last < 1 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
