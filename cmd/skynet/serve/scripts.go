package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"skynet/runtime/diag"
)

// scripts finds scripts by the names that load() and newservice() use: in the directory of the main script, then in the
// directories of the configuration's path, then among the shipped ones. The first file that exists counts, so a script
// of one's own takes the place of a shipped one of the same name.
type scripts struct {
	main    string // found as it stands, or shipped
	path    []string
	shipped fs.FS // nil has none
}

// read returns the text of a script. Names stay below the directories: "..", an absolute path and the like are refused.
func (s *scripts) read(name string) ([]byte, error) {
	var places []string
	switch {
	case name == s.main:
		places = []string{name}
	case !filepath.IsLocal(name):
		return nil, fmt.Errorf("got %q, want a path below the directory of the main script or one of the configuration's path", name)
	default:
		for _, dir := range append([]string{filepath.Dir(s.main)}, s.path...) {
			places = append(places, filepath.Join(dir, name))
		}
	}
	for _, place := range places {
		if text, err := os.ReadFile(place); !errors.Is(err, fs.ErrNotExist) {
			return text, err
		}
	}
	if s.shipped != nil {
		if text, err := fs.ReadFile(s.shipped, filepath.ToSlash(name)); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
			return text, err
		}
	}
	return nil, fmt.Errorf("%w: not at %s, and not shipped%s", fs.ErrNotExist, strings.Join(places, ", "), s.near(name))
}

// near is "; did you mean …?" if a shipped script has nearly that name.
func (s *scripts) near(name string) string {
	if s.shipped == nil {
		return ""
	}
	names, _ := fs.Glob(s.shipped, "*.star") // the pattern is well-formed
	if n, ok := diag.Nearest(name, names); ok {
		return fmt.Sprintf("; did you mean %s?", n)
	}
	return ""
}
