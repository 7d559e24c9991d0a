package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Scenario is a scenario file that loads. It is immutable: several runs may use it at the same time.
type Scenario struct {
	File  string // as it was given to Load
	Title string // the first line of Doc
	Doc   string // the text at the top of the file

	World   *starlark.Function // takes w; see BuildWorld
	Work    *starlark.Function // takes c; call the one of an Instance, this one is frozen
	Trouble Trouble
	Verdict []Check

	ExpectFails bool          // the scenario says expect = "fails"
	Limit       time.Duration // of virtual time, 5 minutes unless the file says otherwise
	Seed        uint64        // the seed that the file gives, if HasSeed
	HasSeed     bool
	Clients     []string // the clients to keep; none means all

	// Globals are all globals of the file, frozen.
	Globals starlark.StringDict

	main *module
}

// Reader returns the text of a file of a scenario; os.ReadFile is one.
type Reader func(name string) ([]byte, error)

const (
	defaultLimit = 5 * time.Minute
	maxSource    = 256 << 10  // bytes of one file: bounds the recursion of the parser
	maxSteps     = 10_000_000 // Starlark steps of loading, and of world(w): about a second
)

// dialect is what scenario files may use beyond Bazel's Starlark. Loaded names become globals, so that a shrunk
// scenario takes its world, work and verdict from the file it came from.
var dialect = &syntax.FileOptions{Set: true, While: true, TopLevelControl: true, Recursion: true, LoadBindsGlobally: true}

// module is one compiled file.
type module struct {
	file    *syntax.File
	program *starlark.Program
	loads   map[string]*module // by the name in the load statement
}

// Load reads a scenario file and the files it loads, and runs their top level. runtime has the names that the runtime
// gives to the work of clients (skynet, log, …); they can be used in functions of the file, and at the top level as far
// as the given values can. Mistakes in the files are of type *[Error].
func Load(read Reader, name string, runtime starlark.StringDict) (*Scenario, error) {
	predeclared := Predeclared(runtime)
	c := compiler{read: read, known: predeclared, done: map[string]*module{}}
	main, err := c.compile(name)
	if err != nil {
		return nil, located(name, err, predeclared.Keys()...)
	}
	globals, err := main.instantiate(newThread("load"), predeclared)
	if err != nil {
		return nil, located(name, err)
	}
	sc := &Scenario{File: name, Globals: globals, Limit: defaultLimit, main: main}
	globals.Freeze()
	if err := sc.read(); err != nil {
		return nil, err
	}
	return sc, nil
}

// Predeclared returns the vocabulary of scenarios together with the names of the runtime, which win.
func Predeclared(runtime starlark.StringDict) starlark.StringDict {
	all := vocabulary()
	maps.Copy(all, runtime)
	return all
}

// Instantiate runs the top level of the scenario and of all files it loads once more, and returns its globals, which
// nobody shares and which are not frozen: the private state of one client. The predeclared names come from
// [Predeclared] with the same names as for Load, made once for all clients. It costs about a microsecond for each file.
func (sc *Scenario) Instantiate(thread *starlark.Thread, predeclared starlark.StringDict) (starlark.StringDict, error) {
	globals, err := sc.main.instantiate(thread, predeclared)
	if err != nil {
		return nil, located(sc.File, err)
	}
	return globals, nil
}

// instantiate runs the module after the modules it loads. One that is loaded twice runs once.
func (m *module) instantiate(thread *starlark.Thread, predeclared starlark.StringDict) (starlark.StringDict, error) {
	done := map[*module]starlark.StringDict{}
	outer := thread.Load
	defer func() { thread.Load = outer }()
	var run func(m *module) (starlark.StringDict, error)
	run = func(m *module) (starlark.StringDict, error) {
		if globals, ok := done[m]; ok {
			return globals, nil
		}
		thread.Load = func(_ *starlark.Thread, name string) (starlark.StringDict, error) {
			inner := thread.Load
			defer func() { thread.Load = inner }()
			return run(m.loads[name])
		}
		globals, err := m.program.Init(thread, predeclared)
		done[m] = globals
		return globals, err
	}
	return run(m)
}

// compiler compiles a file and those it loads, each once.
type compiler struct {
	read  Reader
	known starlark.StringDict
	done  map[string]*module
	stack []string // files being compiled, outermost first
}

func (c *compiler) compile(name string) (*module, error) {
	if m, ok := c.done[name]; ok {
		return m, nil
	}
	src, err := c.read(name)
	if err != nil {
		return nil, err
	}
	if len(src) > maxSource {
		return nil, errorAt(inFile(name), "got %d bytes, want at most %d", len(src), maxSource)
	}
	m := &module{loads: map[string]*module{}}
	if m.file, m.program, err = starlark.SourceProgramOptions(dialect, name, src, c.known.Has); err != nil {
		return nil, err
	}
	c.stack = append(c.stack, name)
	for i := range m.program.NumLoads() {
		if err := c.load(m, i); err != nil {
			return nil, err
		}
	}
	c.stack = c.stack[:len(c.stack)-1]
	c.done[name] = m
	return m, nil
}

// load compiles what the i-th load statement of a module names, relative to the module's own file.
func (c *compiler) load(m *module, i int) error {
	label, pos := m.program.Load(i)
	name := relative(m.program.Filename(), label)
	if slices.Contains(c.stack, name) {
		return errorAt(pos, "load: cycle: %s", strings.Join(append(c.stack, name), " loads "))
	}
	loaded, err := c.compile(name)
	if err != nil {
		e := located(name, err, c.known.Keys()...)
		if e.Pos.Line == 0 {
			return errorAt(pos, "load: %s", e)
		}
		return e
	}
	m.loads[label] = loaded
	return nil
}

func newThread(name string) *starlark.Thread {
	thread := &starlark.Thread{Name: name, Print: func(*starlark.Thread, string) {}}
	thread.SetMaxExecutionSteps(maxSteps)
	return thread
}

// global reads one of the scenario's globals; wanted are all names that mean something.
type global struct {
	name string
	read func(sc *Scenario, v starlark.Value) error
	must string // an example, if the global must be there
}

// globals is constant.
var globals = []global{
	{"world", (*Scenario).setWorld, "def world(w): ..."},
	{"work", (*Scenario).setWork, "def work(c): ..."},
	{"verdict", (*Scenario).setVerdict, "verdict = checks(...)"},
	{"trouble", (*Scenario).setTrouble, ""},
	{"expect", (*Scenario).setExpect, ""},
	{"limit", (*Scenario).setLimit, ""},
	{"seed", (*Scenario).setSeed, ""},
	{"clients", (*Scenario).setClients, ""},
	{"title", (*Scenario).setTitle, ""},
}

func (sc *Scenario) read() error {
	sc.Doc = docOf(sc.main.file)
	sc.Title, _, _ = strings.Cut(sc.Doc, "\n")
	for _, g := range globals {
		v, ok := sc.Globals[g.name]
		if !ok && g.must != "" {
			return errorAt(inFile(sc.File), "%s: got nothing, want %s%s", g.name, g.must, hint(g.name, sc.ownNames()))
		}
		if !ok {
			continue
		}
		if err := g.read(sc, v); err != nil {
			return errorAt(definition(sc.main.file, g.name), "%s", err)
		}
	}
	return nil
}

// Blame gives an error that shows only when a run begins the place where its global, such as trouble, is bound.
func (sc *Scenario) Blame(global string, err error) *Error {
	return errorAt(definition(sc.main.file, global), "%s", err)
}

// ownNames are the globals that mean nothing to this package, one of which may be misspelt.
func (sc *Scenario) ownNames() []string {
	return slices.DeleteFunc(sc.Globals.Keys(), func(name string) bool {
		return slices.ContainsFunc(globals, func(g global) bool { return g.name == name })
	})
}

// docOf is the text literal at the top of a file.
func docOf(f *syntax.File) string {
	if len(f.Stmts) > 0 {
		if stmt, ok := f.Stmts[0].(*syntax.ExprStmt); ok {
			if lit, ok := stmt.X.(*syntax.Literal); ok && lit.Token == syntax.STRING {
				return strings.TrimSpace(lit.Value.(string))
			}
		}
	}
	return ""
}

// definition is where a global is bound.
func definition(f *syntax.File, name string) syntax.Position {
	found := inFile(f.Path)
	syntax.Walk(f, func(n syntax.Node) bool {
		if id, ok := n.(*syntax.Ident); ok && id.Name == name && found.Line == 0 {
			found = id.NamePos
		}
		_, isCall := n.(*syntax.CallExpr)
		return !isCall
	})
	return found
}

func callablePos(file string, fn *starlark.Function) syntax.Position {
	if pos := fn.Position(); pos.Line > 0 {
		return pos
	}
	return inFile(file)
}

func (sc *Scenario) setWorld(v starlark.Value) (err error) {
	sc.World, err = asFunction("world", v, "(w)")
	return err
}

func (sc *Scenario) setWork(v starlark.Value) (err error) {
	sc.Work, err = asFunction("work", v, "(c)")
	return err
}

func asFunction(name string, v starlark.Value, params string) (*starlark.Function, error) {
	fn, ok := v.(*starlark.Function)
	if !ok {
		return nil, fmt.Errorf("%s: got %s, want def %s%s", name, v.Type(), name, params)
	}
	if err := takes(fn, 1, params); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return fn, nil
}

func (sc *Scenario) setVerdict(v starlark.Value) error {
	if c, ok := unwrap[Check](v); ok {
		sc.Verdict = []Check{c}
		return nil
	}
	all, ok := unwrap[[]Check](v)
	if !ok {
		return fmt.Errorf("verdict: got %s, want checks(...)", v.Type())
	}
	sc.Verdict = all
	return nil
}

func (sc *Scenario) setTrouble(v starlark.Value) (err error) {
	sc.Trouble, err = asTrouble(v)
	return err
}

func (sc *Scenario) setExpect(v starlark.Value) error {
	text, ok := starlark.AsString(v)
	if !ok {
		return fmt.Errorf(`expect: got %s, want "fails" or "passes"`, v.Type())
	}
	sc.ExpectFails = text == "fails"
	if err := choose(text, "fails", "passes"); err != nil {
		return fmt.Errorf("expect: %w", err)
	}
	return nil
}

func (sc *Scenario) setLimit(v starlark.Value) error {
	n, err := period.one(v)
	if err != nil {
		return fmt.Errorf("limit: %w", err)
	}
	sc.Limit = time.Duration(n)
	return nil
}

func (sc *Scenario) setSeed(v starlark.Value) error {
	if err := starlark.AsInt(v, &sc.Seed); err != nil {
		return fmt.Errorf("seed: got %s, want a whole number from 0 to 2^64-1", v)
	}
	sc.HasSeed = true
	return nil
}

func (sc *Scenario) setClients(v starlark.Value) (err error) {
	if sc.Clients, err = asNames(v); err != nil {
		return fmt.Errorf("clients: %w", err)
	}
	return nil
}

func (sc *Scenario) setTitle(v starlark.Value) error {
	text, ok := starlark.AsString(v)
	if !ok {
		return fmt.Errorf("title: got %s, want a text", v.Type())
	}
	sc.Title = text
	return nil
}
