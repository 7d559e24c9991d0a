package unit

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// folder finds the scripts of a test. Within a run they have the names that load and newservice use, relative to the test's
// file, so that a run is the same wherever that is; what people read names them as they see them.
type folder struct {
	read   func(name string) ([]byte, error)
	dirs   []string          // where scripts are looked for: where the test is, then where what it launches is
	places map[string]string // of the scripts that were read
}

func newFolder(read func(string) ([]byte, error), dir string) *folder {
	return &folder{read: read, dirs: []string{dir}, places: make(map[string]string)}
}

// file reads a script.
func (f *folder) file(name string) ([]byte, error) {
	var missing error
	for _, dir := range f.dirs {
		place := name
		if !path.IsAbs(name) {
			place = path.Join(dir, name)
		}
		text, err := f.read(place)
		if err == nil {
			f.places[name] = place
			return text, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if missing == nil {
			missing = err // of the first place, which is the likely one
		}
	}
	return nil, missing
}

// add makes what a script in another directory names be looked for beside it, too.
func (f *folder) add(script string) {
	if dir := path.Join(f.dirs[0], path.Dir(script)); !slices.Contains(f.dirs, dir) {
		f.dirs = append(f.dirs, dir)
	}
}

// outside replaces the names of scripts before a line and a column by their places.
func (f *folder) outside(text string) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(f.places)) {
		if f.places[name] != name {
			names = append(names, regexp.QuoteMeta(name))
		}
	}
	if len(names) == 0 {
		return text
	}
	pattern := regexp.MustCompile(`(^|[^\w./-])(` + strings.Join(names, "|") + `)(:\d+:\d+)`)
	return pattern.ReplaceAllStringFunc(text, func(found string) string {
		m := pattern.FindStringSubmatch(found)
		return m[1] + f.places[m[2]] + m[3]
	})
}

// place is where a script is.
func (f *folder) place(name string) string {
	if place, ok := f.places[name]; ok {
		return place
	}
	return name
}
