package diag

import "regexp"

// python is what those who know Python write first, by the message that it gives and, where that is not enough, by the source
// line, and what to write instead.
var python = []struct {
	message, line *regexp.Regexp
	hint          string
}{
	{regexp.MustCompile(`^got (import|from),`), nil, `there are no imports: json, math and the other words are there already, and load("file.star", "name") loads a file`},
	{regexp.MustCompile(`^got (try|except|finally|raise),`), nil, "there are no exceptions: fail(...) ends a handler with an error, skynet.pcall(f, ...) catches one"},
	{regexp.MustCompile(`^got class,`), nil, "there are no classes: use state(...), struct(...) or a dict"},
	{regexp.MustCompile(`^got (global|nonlocal),|^cannot reassign global |^local variable .* referenced before assignment`), nil,
		"a name is global or local to a function, and a global is bound once: keep what changes in a state(...), a dict or a list"},
	{regexp.MustCompile(`^got (is|not),`), regexp.MustCompile(`\bis\b`), "there is no is: use == or !="},
	{regexp.MustCompile(`^got del,`), nil, "there is no del: use d.pop(key)"},
	{regexp.MustCompile(`^got string literal,`), regexp.MustCompile(`\b[fF]["']`), `there are no f-strings: use "%s" % x or "{}".format(x)`},
	{regexp.MustCompile(`^unknown conversion %[-+ #0-9.]`), nil, "a conversion has no width and no precision: use %s, %d, %x, %g, ..."},
}

// notPython says what to write instead of something that only Python has, or nothing.
func notPython(msg, line string) string {
	for _, p := range python {
		if p.message.MatchString(msg) && (p.line == nil || p.line.MatchString(line)) {
			return p.hint
		}
	}
	return ""
}
