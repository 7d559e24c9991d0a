package runtime

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"skynet/runtime/diag"
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
	restricted  []string                                // see Modules
	extended    func(script string) starlark.StringDict // nil if no script sees more than the others

	mu       sync.Mutex
	programs map[string]*Program
	modules  map[string]*module

	heap atomic.Pointer[HeapWatch] // stops what loads; nil if there is none
}

// Program is a compiled script. It is immutable.
type Program struct {
	name        string
	text        [sha256.Size]byte // of the source, to notice that it has changed
	program     *starlark.Program
	predeclared starlark.StringDict
}

// Name is the script's file name.
func (p *Program) Name() string { return p.name }

// Instantiate runs the script's top level on the thread of a handler (see [Context.Thread]) and returns its globals, which
// are that handler's own and mutable. They are what there is of them if the top level fails.
func (p *Program) Instantiate(th *starlark.Thread) (starlark.StringDict, error) {
	return p.program.Init(th, p.predeclared)
}

// module is a loaded file: its globals are frozen and shared by everyone who loads it.
type module struct {
	globals starlark.StringDict
	loading bool
}

// NewPrograms returns a cache that reads scripts with read, whose error should say which file it looked for.
func NewPrograms(read func(name string) ([]byte, error)) *Programs {
	predeclared := Predeclared()
	maps.Copy(predeclared, boundedPrinters())
	predeclared["range"] = boundedRange()
	return &Programs{
		read:        read,
		predeclared: predeclared,
		restricted:  restrictable(predeclared),
		programs:    make(map[string]*Program),
		modules:     make(map[string]*module),
	}
}

// Extend gives some scripts names beside those that every script sees, such as the words of tests: extra returns them for
// the name of a script, nil for one that has none. The values must be frozen and a name must not be one of [Predeclared].
// It must be called before the first script is compiled.
func (p *Programs) Extend(extra func(script string) starlark.StringDict) { p.extended = extra }

// predeclaredIn is what a script sees.
func (p *Programs) predeclaredIn(script string) starlark.StringDict {
	if p.extended == nil {
		return p.predeclared
	}
	extra := p.extended(script)
	if len(extra) == 0 {
		return p.predeclared
	}
	names := maps.Clone(p.predeclared)
	maps.Copy(names, extra)
	return names
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
	names := p.predeclaredIn(name)
	used := make(starlark.StringDict) // the interpreter looks them up each time: in a small map in half the time
	_, program, err := starlark.SourceProgramOptions(Dialect(), name, src, func(name string) bool {
		v, ok := names[name]
		if ok {
			used[name] = v
		}
		return ok
	})
	if err != nil {
		return nil, err
	}
	prog := &Program{name: name, text: sha256.Sum256(src), program: program, predeclared: used}
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
	return p.loadAll(prog)
}

// Renew returns the compiled script as its file, and the files it loads, are now; what has not changed is not compiled or run
// again. If something is wrong with them, the error says so and all stays as it was. Services that run already keep what they
// have.
func (p *Programs) Renew(name string) (*Program, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	programs, modules := maps.Clone(p.programs), maps.Clone(p.modules)
	prog, err := p.renew(name)
	if err != nil {
		p.programs, p.modules = programs, modules
		return nil, err
	}
	return prog, nil
}

func (p *Programs) renew(name string) (*Program, error) {
	if _, err := p.forgetChanged(name, make(map[string]bool)); err != nil {
		return nil, err
	}
	prog, err := p.compile(name)
	if err != nil {
		return nil, err
	}
	return prog, p.loadAll(prog)
}

// forgetChanged forgets a script whose text has changed, or that of something it loads; looked are those it has been asked
// about before.
func (p *Programs) forgetChanged(name string, looked map[string]bool) (changed bool, err error) {
	if changed, again := looked[name]; again {
		return changed, nil
	}
	looked[name] = false
	prog := p.programs[name]
	if prog == nil {
		return true, nil
	}
	src, err := p.read(name)
	if err != nil {
		return false, fmt.Errorf("script %q: %w", name, err)
	}
	changed = sha256.Sum256(src) != prog.text
	for i := range prog.program.NumLoads() {
		module, _ := prog.program.Load(i)
		if below, err := p.forgetChanged(module, looked); err != nil || below {
			changed = true // if it cannot be read, compiling says so, with a place
		}
	}
	if looked[name] = changed; changed {
		delete(p.programs, name)
		delete(p.modules, name)
	}
	return changed, nil
}

// loadAll loads what a program loads, so that mistakes are found with their places.
func (p *Programs) loadAll(prog *Program) error {
	for i := range prog.program.NumLoads() {
		module, pos := prog.program.Load(i)
		if _, err := p.load(module); err != nil {
			if _, _, _, deeper := diag.Position(err); deeper { // and says more
				return fmt.Errorf("%v: cannot load %s: %w", pos, module, err)
			}
			return &loadError{pos, module, err}
		}
	}
	return nil
}

// loadError is why load() of a module failed that has no place of its own.
type loadError struct {
	pos    syntax.Position
	module string
	err    error
}

func (e *loadError) Error() string {
	return fmt.Sprintf("%v: cannot load %s: %v", e.pos, e.module, e.err)
}
func (e *loadError) Position() syntax.Position { return e.pos }
func (e *loadError) Unwrap() error             { return e.err }

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
		return m.globals, nil
	}
	p.modules[name] = &module{loading: true}
	globals, err := p.initialise(name)
	if err != nil {
		delete(p.modules, name) // when it is asked for again its file may be mended, or the heap less full
		delete(p.programs, name)
		return nil, err
	}
	p.modules[name] = &module{globals: globals}
	return globals, nil
}

func (p *Programs) initialise(name string) (starlark.StringDict, error) {
	prog, err := p.compile(name)
	if err != nil {
		return nil, err
	}
	globals, _, err := p.runModule(prog.program, name, prog.predeclared, p.load)
	return globals, err
}

// evaluate runs a script as a module that nobody keeps, so that a file that has changed is seen. It returns the steps it took.
func (p *Programs) evaluate(name string) (globals starlark.StringDict, steps uint64, err error) {
	src, err := p.read(name)
	if err != nil {
		return nil, 0, fmt.Errorf("script %q: %w", name, err)
	}
	_, program, err := starlark.SourceProgramOptions(Dialect(), name, src, p.predeclared.Has)
	if err != nil {
		return nil, 0, err
	}
	return p.runModule(program, name, p.predeclared, p.Load)
}

// runModule runs the top level of a module, on a thread of its own that belongs to no service, and freezes its globals.
func (p *Programs) runModule(program *starlark.Program, name string, predeclared starlark.StringDict, load func(string) (starlark.StringDict, error)) (globals starlark.StringDict, steps uint64, err error) {
	th := &starlark.Thread{
		Name:  "load " + name,
		Print: printToLog,
		Load:  func(_ *starlark.Thread, name string) (starlark.StringDict, error) { return load(name) },
	}
	p.bound(th)
	globals, err = program.Init(th, predeclared)
	globals.Freeze()
	return globals, th.Steps, err
}

// bound bounds the steps of a thread that runs the top level of a module, which the heap watch stops, too.
func (p *Programs) bound(th *starlark.Thread) {
	w := p.heap.Load()
	if w == nil {
		th.SetMaxExecutionSteps(loadSteps)
		th.OnMaxSteps = stopLoad
		return
	}
	size := w.size()
	th.SetMaxExecutionSteps(1)
	th.OnMaxSteps = func(th *starlark.Thread) {
		if th.Steps >= loadSteps {
			stopLoad(th)
		} else if why := w.guardLoad(&size); why != "" {
			th.Cancel(why)
		} else {
			th.SetMaxExecutionSteps(min(th.Steps+loadStride, loadSteps))
		}
	}
}

func stopLoad(th *starlark.Thread) {
	th.Cancel(fmt.Sprintf("step budget of %d for a module exceeded (endless loop?)", loadSteps))
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
