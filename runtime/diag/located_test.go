package diag_test

import (
	"testing"

	"skynet/runtime/diag"
)

func TestLocated(t *testing.T) {
	for _, c := range []struct{ message, want string }{
		{"main.star:2:7: bad", "main.star:2:7: bad\n   2 | load(\n     |      ^\n"},
		{"dir/a b.star:1:1: two\nlines: here", "dir/a b.star:1:1: two\nlines: here\n   1 | x\n     | ^\n"},
		{"no place at all", ""},
		{"dial 127.0.0.1:80: refused", ""},
		{"main.star:2: no column", ""},
		{"main.star:99999999999:1: not a line", ""},
		{":1:1: no file", ""},
		{"first\nmain.star:1:1: not at the start", ""},
		{"main.star:1:1: ", ""},
		{"", ""},
	} {
		err, ok := diag.Located(c.message)
		if !ok {
			if c.want != "" {
				t.Errorf("Located(%q): got no place, want one", c.message)
			}
			continue
		}
		if err.Error() != c.message {
			t.Errorf("Located(%q).Error() = %q, want the message itself", c.message, err)
		}
		got := diag.Format(err, func(string) ([]byte, bool) { return []byte("x\nload(\n"), true })
		if got != c.want {
			t.Errorf("Format(Located(%q)) = %q, want %q", c.message, got, c.want)
		}
	}
}
