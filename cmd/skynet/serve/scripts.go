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

// check refuses a path with what is no directory: what is to be found there would be missed much later.
func (s *scripts) check() error {
	for _, dir := range s.path {
		if at, err := os.Stat(dir); err != nil {
			return fmt.Errorf("path: %w", err)
		} else if !at.IsDir() {
			return fmt.Errorf("path: got %s, which is no directory", dir)
		}
	}
	return nil
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
		if text, err := ReadFile(place); !errors.Is(err, fs.ErrNotExist) {
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

// near is "; did you mean …?" if a script where the name was looked for, or a shipped one, has nearly that name.
func (s *scripts) near(name string) string {
	var names []string
	if dir := filepath.Dir(name); name != s.main && filepath.IsLocal(name) {
		for _, place := range append([]string{filepath.Dir(s.main)}, s.path...) {
			files, _ := fs.Glob(os.DirFS(filepath.Join(place, dir)), "*.star") // the pattern is well-formed
			for _, f := range files {
				names = append(names, filepath.Join(dir, f))
			}
		}
	}
	if s.shipped != nil {
		files, _ := fs.Glob(s.shipped, "*.star")
		names = append(names, files...)
	}
	stem, suffix := strings.CutSuffix(name, ".star")
	if suffix { // then all names have it, and it makes none of them similar
		for i, n := range names {
			names[i] = strings.TrimSuffix(n, ".star")
		}
	}
	if n, ok := diag.Nearest(stem, names); ok {
		return fmt.Sprintf("; did you mean %s.star?", strings.TrimSuffix(n, ".star"))
	}
	return ""
}
