package sim

import (
	"fmt"
	"maps"
	"path"

	"go.starlark.net/starlark"

	"skynet/runtime"
	"skynet/sim/check"
	"skynet/sim/history"
	"skynet/sim/scenario"
)

// Simulation is a scenario that is ready to run, with all that its runs share: compiled scripts and models. It may be used
// by several runs at the same time.
type Simulation struct {
	// Scenario is the file as it was read.
	Scenario *scenario.Scenario

	files       folder
	programs    *runtime.Programs
	predeclared starlark.StringDict // what work(c) can name
	models      []*check.Model      // of the linearizable checks, by their place in the verdict
}

// Load reads a scenario and the files it loads. read returns the text of a file and is also asked for the scripts of the
// nodes, which the scenario names relative to where it is; it may be called later, by several runs at a time. Mistakes in
// the scenario are errors with their position. A run knows its files by their names within the scenario's folder, so its
// trace does not depend on where the folder is.
func Load(read func(name string) ([]byte, error), name string) (*Simulation, error) {
	return load(read, name, starlark.StringDict{"unknown": check.Unknown})
}

// load is Load with more words for work(c) and the verdict.
func load(read func(name string) ([]byte, error), name string, words starlark.StringDict) (*Simulation, error) {
	maps.Copy(words, runtime.Predeclared())
	files := folder{path.Dir(name), read}
	sc, err := scenario.Load(files.file, path.Base(name), words)
	if err != nil {
		return nil, files.located(err)
	}
	sc.File = name
	s := &Simulation{
		Scenario: sc, files: files, programs: runtime.NewPrograms(files.file), predeclared: scenario.Predeclared(words),
		models: make([]*check.Model, len(sc.Verdict)),
	}
	s.predeclared.Freeze()
	for i := range sc.Verdict {
		if c := &sc.Verdict[i]; c.Kind == "linearizable" {
			if s.models[i], err = newModel(c); err != nil {
				return nil, fmt.Errorf("%s: %w", files.position(c.Pos), err)
			}
		}
	}
	return s, nil
}

// Source returns the text of a script of the nodes, for diagnostics.
func (s *Simulation) Source(name string) ([]byte, bool) { return s.programs.Source(name) }

// Names are the words that scenario files can use, for hints in diagnostics.
func (s *Simulation) Names() []string { return s.predeclared.Keys() }

// Visualize returns porcupine's picture of a history, as a page of HTML, for the linearizable check of that name.
func (s *Simulation) Visualize(name string, h history.History) ([]byte, error) {
	for i, m := range s.models {
		if m != nil && s.Scenario.Verdict[i].Name == name {
			return check.Visualize(m, h)
		}
	}
	return nil, fmt.Errorf("sim: visualize: got %q, which is no linearizable check of %s", name, s.Scenario.File)
}

// newModel makes the model of a linearizable check.
func newModel(c *scenario.Check) (m *check.Model, err error) {
	if c.Model.Step != nil {
		m, err = check.NewScripted(nil, c.Model.Init, stateOrNone(c.Model.Step), c.Model.Partition)
	} else {
		m, err = check.Named(c.Model.Name)
	}
	if err == nil && c.Per == "key" {
		m = m.PerKey()
	}
	return m, err
}

// stateOrNone adapts a step function as scenarios write it, which returns the next state or None, to what package check
// calls.
func stateOrNone(step starlark.Callable) starlark.Callable {
	return starlark.NewBuiltin(step.Name(), func(th *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		next, err := starlark.Call(th, step, args, kwargs)
		if err != nil || next == starlark.None {
			return starlark.None, err
		}
		return starlark.Tuple{starlark.True, next}, nil
	})
}
