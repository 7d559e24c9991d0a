package sim

import (
	"errors"
	"path"
	"slices"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"skynet/sim/scenario"
)

// folder is where the files of a scenario are. Within a run they are named relative to it, so that a log line, an error or
// a trace that names a script is the same wherever the folder is; outside they are named as the user sees them.
type folder struct {
	path string
	read func(name string) ([]byte, error)
}

// file reads a file by its name within a run.
func (f folder) file(name string) ([]byte, error) { return f.read(f.outside(name)) }

func (f folder) outside(name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(f.path, name)
}

// located gives the positions of an error the names that the user sees.
func (f folder) located(err error) error {
	var mistake *scenario.Error
	var parse syntax.Error
	var names resolve.ErrorList
	var boot *BootError
	switch {
	case errors.As(err, &boot):
		return boot.in(f)
	case errors.As(err, &mistake):
		moved := *mistake
		moved.Pos = f.position(moved.Pos)
		return &moved
	case errors.As(err, &parse):
		parse.Pos = f.position(parse.Pos)
		return parse
	case errors.As(err, &names):
		names = slices.Clone(names)
		for i := range names {
			names[i].Pos = f.position(names[i].Pos)
		}
		return names
	}
	return err
}

func (f folder) position(pos syntax.Position) syntax.Position {
	name := f.outside(pos.Filename())
	return syntax.MakePosition(&name, pos.Line, pos.Col)
}
