package runtime

import (
	"fmt"
	"strings"
	"sync"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Dialect is the Starlark that services and scenarios are written in: while, recursion, sets and control flow at the top
// level are on; a global is still bound only once, so that a service's globals can be read from outside.
func Dialect() *syntax.FileOptions {
	return &syntax.FileOptions{Set: true, While: true, TopLevelControl: true, Recursion: true}
}

// Programs compiles each script once and initialises each loaded module once, for all the services (and, in simulation,
// all the nodes and worlds) that share it. It is safe for concurrent use.
type Programs struct {
	read        func(name string) ([]byte, error)
	predeclared starlark.StringDict

	mu       sync.Mutex
	programs map[string]*Program
	modules  map[string]*module
}

// Program is a compiled script. It is immutable.
type Program struct {
	name        string
	program     *starlark.Program
	predeclared starlark.StringDict
}

// Name is the script's file name.
func (p *Program) Name() string { return p.name }

// module is a loaded file: its globals are frozen and shared by everyone who loads it.
type module struct {
	globals starlark.StringDict
	err     error
	loading bool
}

// NewPrograms returns a cache that reads scripts with read, whose error should say which file it looked for.
func NewPrograms(read func(name string) ([]byte, error)) *Programs {
	return &Programs{
		read:        read,
		predeclared: Predeclared(),
		programs:    make(map[string]*Program),
		modules:     make(map[string]*module),
	}
}

// Source returns the text of a script, for diagnostics.
func (p *Programs) Source(name string) ([]byte, bool) {
	src, err := p.read(name)
	return src, err == nil
}

// Compile returns the compiled script of that name. Errors carry file, line and column.
func (p *Programs) Compile(name string) (*Program, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.compile(name)
}

func (p *Programs) compile(name string) (*Program, error) {
	if prog, ok := p.programs[name]; ok {
		return prog, nil
	}
	src, err := p.read(name)
	if err != nil {
		return nil, fmt.Errorf("script %q: %w", name, err)
	}
	_, program, err := starlark.SourceProgramOptions(Dialect(), name, src, p.predeclared.Has)
	if err != nil {
		return nil, err
	}
	prog := &Program{name: name, program: program, predeclared: p.predeclared}
	p.programs[name] = prog
	return prog, nil
}

// Check compiles a script and loads what it loads, so that mistakes are found, with their places, before it is launched.
func (p *Programs) Check(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	prog, err := p.compile(name)
	if err != nil {
		return err
	}
	for i := range prog.program.NumLoads() {
		module, pos := prog.program.Load(i)
		if _, err := p.load(module); err != nil {
			return fmt.Errorf("%v: cannot load %s: %w", pos, module, err)
		}
	}
	return nil
}

// Load is load() of a script: the globals of the named file, without those that start with an underscore (Starlark does not
// export them). The module runs once, on a thread of its own, where the built-ins of services are not available; then it
// is frozen.
func (p *Programs) Load(name string) (starlark.StringDict, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.load(name)
}

// loadSteps bounds the top level of a module, during which nothing else is compiled or loaded: a tenth of a second.
const loadSteps = 10_000_000

func (p *Programs) load(name string) (starlark.StringDict, error) {
	if m, ok := p.modules[name]; ok {
		if m.loading {
			return nil, fmt.Errorf("cycle: %s is still loading", name)
		}
		return m.globals, m.err
	}
	m := &module{loading: true}
	p.modules[name] = m
	m.globals, m.err = p.initialise(name)
	m.loading = false
	return m.globals, m.err
}

func (p *Programs) initialise(name string) (starlark.StringDict, error) {
	prog, err := p.compile(name)
	if err != nil {
		return nil, err
	}
	th := &starlark.Thread{
		Name:  "load " + name,
		Print: printToLog,
		Load:  func(_ *starlark.Thread, name string) (starlark.StringDict, error) { return p.load(name) },
	}
	th.SetMaxExecutionSteps(loadSteps)
	globals, err := prog.program.Init(th, prog.predeclared)
	globals.Freeze()
	return globals, err
}

// loadFromCoroutine is load() in a service's own script.
func loadFromCoroutine(th *starlark.Thread, name string) (starlark.StringDict, error) {
	return th.Local(coroutineKey).(*coroutine).svc.node.programs.Load(name)
}

// printToLog is print(): a log line of the service at level info.
func printToLog(th *starlark.Thread, msg string) {
	if co, ok := th.Local(coroutineKey).(*coroutine); ok {
		co.charge()
		co.log(levelInfo, strings.TrimSuffix(msg, "\n"))
	}
}
