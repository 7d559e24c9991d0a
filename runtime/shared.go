package runtime

import (
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"go.starlark.net/starlark"

	"skynet/runtime/wire"
	"skynet/sched"
)

// sharedTables are the read-only tables that the services of a node share. A reader takes no lock and gets the value itself:
// it is frozen, and a new version is another value, so whoever keeps what it read keeps the version it read.
type sharedTables struct {
	tables sync.Map // name (starlark.String) -> *edition

	mu      sync.Mutex // held to replace a table and to wait for that, never to read one
	waiting map[string][]sharedWait
}

// edition is one version of a table. It never changes. A removed table leaves an edition without a value: its name goes on
// counting, so that nobody who waits for a version above the one he knows can miss what comes.
type edition struct {
	version int
	value   starlark.Value
}

// sharedWait is a coroutine that waits for a version above one it knows.
type sharedWait struct {
	waitRef
	above int
}

func (t *sharedTables) load(name starlark.Value) *edition {
	if e, ok := t.tables.Load(name); ok {
		return e.(*edition)
	}
	return &edition{}
}

// replace makes the next edition of a table and wakes, in the order of their coming, those who wait for it.
func (t *sharedTables) replace(turn *sched.Turn, name string, value starlark.Value) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.replaceLocked(turn, name, value)
}

func (t *sharedTables) replaceLocked(turn *sched.Turn, name string, value starlark.Value) int {
	e := &edition{version: t.load(starlark.String(name)).version + 1, value: value}
	t.tables.Store(starlark.String(name), e)
	t.keep(name, slices.DeleteFunc(t.waiting[name], func(w sharedWait) bool {
		if w.above >= e.version {
			return false
		}
		w.svc.answer(turn, uint64(w.id), starlark.True, nil)
		return true
	}))
	return e.version
}

// keep notes who waits for a table.
func (t *sharedTables) keep(name string, waiting []sharedWait) {
	if len(waiting) == 0 {
		delete(t.waiting, name)
		return
	}
	if t.waiting == nil {
		t.waiting = make(map[string][]sharedWait)
	}
	t.waiting[name] = waiting
}

// forget removes a wait that is over.
func (t *sharedTables) forget(name string, over sharedWait) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keep(name, slices.DeleteFunc(t.waiting[name], func(w sharedWait) bool { return w == over }))
}

// Shared is the read-only tables that all services of a node share without copies: the module shared of scripts, for the
// handler whose [Context] it was asked of.
type Shared struct{ co *coroutine }

// Shared gives access to the node's shared tables.
func (c *Context) Shared() Shared { return Shared{c.co} }

func (s Shared) tables() *sharedTables { return &s.co.svc.node.shared }

// Publish makes a copy of the value the next version of the table, for all readers at once, and returns the version: 1 for the
// first. What cannot be sent in a message is refused; what is frozen is not copied.
func (s Shared) Publish(name string, value starlark.Value) (version int, err error) {
	if name == "" {
		return 0, fmt.Errorf("shared.publish: name: got an empty string, want the name of a table")
	}
	copied, err := wire.Copy(value)
	if err != nil {
		return 0, fmt.Errorf("shared.publish: value of %q: %w", name, err)
	}
	copied.Freeze()
	s.co.charge()
	return s.tables().replace(s.co.svc.turn, name, copied), nil
}

// LoadFile publishes the globals of a Starlark file as a dict, without those that begin with an underscore. The file is read and
// run anew by every LoadFile, like the top level of a loaded module. An error says where in the file it is; the table stays as it
// was then.
func (s Shared) LoadFile(name, script string) (version int, err error) {
	globals, steps, err := s.co.svc.node.programs.evaluate(script)
	s.co.svc.turn.Steps += steps
	if err != nil {
		msg, _ := describe(err)
		return 0, fmt.Errorf("shared.loadfile: %s", msg)
	}
	table := starlark.NewDict(len(globals))
	for _, key := range globals.Keys() { // sorted
		if key[0] == '_' {
			continue
		}
		if err := table.SetKey(starlark.String(key), globals[key]); err != nil {
			return 0, err
		}
	}
	if _, err := wire.Copy(table); err != nil {
		return 0, fmt.Errorf("shared.loadfile: %s: %w", script, err)
	}
	return s.Publish(name, table)
}

// Get returns the present version of a table, the value itself; ok is false if there is none of that name. The value is frozen.
// It takes constant time and no lock.
func (s Shared) Get(name string) (value starlark.Value, ok bool) {
	e := s.tables().load(starlark.String(name))
	return e.value, e.value != nil
}

// Version is the version of a table, 0 if nothing was ever published under the name.
func (s Shared) Version(name string) int { return s.tables().load(starlark.String(name)).version }

// Wait suspends the handler until the version of a table is above the given one, and returns it; or the present version, if
// the timeout comes first. Without a timeout (0) it waits until the deadline of the request being handled, if that has one.
// Removing a table is a version, too.
func (s Shared) Wait(name string, version int, timeout time.Duration) (int, error) {
	co, t := s.co, s.tables()
	t.mu.Lock()
	if now := s.Version(name); now > version {
		t.mu.Unlock()
		return now, nil
	}
	deadline := co.deadline
	if timeout != 0 {
		deadline = co.deadlineFor(max(timeout, 1))
	}
	w := sharedWait{waitRef{co.svc, co.svc.addWait(otherWait, co, nil, deadline)}, version}
	t.keep(name, append(t.waiting[name], w))
	t.mu.Unlock()
	defer t.forget(name, w)
	_, err := co.block("wait", "shared table "+name)
	return s.Version(name), err
}

// Names lists the tables, sorted.
func (s Shared) Names() []string {
	all := slices.Sorted(keys[starlark.String](&s.tables().tables))
	names := make([]string, 0, len(all))
	for _, name := range all {
		if _, ok := s.Get(string(name)); ok {
			names = append(names, string(name))
		}
	}
	return names
}

// Remove removes a table and reports whether there was one. Who has read it keeps what he has read.
func (s Shared) Remove(name string) bool {
	s.co.charge()
	t := s.tables()
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := s.Get(name); !ok {
		return false
	}
	t.replaceLocked(s.co.svc.turn, name, nil)
	return true
}

func sharedLibrary() *library {
	return newLibrary(
		"shared",
		member{"get", sharedGet},
		member{"publish", sharedPublish},
		member{"version", sharedVersion},
		member{"wait", sharedWaitBuiltin},
		member{"names", sharedNames},
		member{"remove", sharedRemove},
		member{"loadfile", sharedLoadFile},
	)
}

// sharedGet spares the usual call, with a name only, the unpacking of its arguments.
func sharedGet(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) == 1 && len(kwargs) == 0 {
		if _, ok := args[0].(starlark.String); ok {
			if e := (Shared{co}).tables().load(args[0]); e.value != nil {
				return e.value, nil
			}
			return starlark.None, nil
		}
	}
	var name string
	var otherwise starlark.Value = starlark.None
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name, "default?", &otherwise); err != nil {
		return nil, err
	}
	if v, ok := (Shared{co}).Get(name); ok {
		return v, nil
	}
	return otherwise, nil
}

func sharedPublish(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	var value starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name, "value", &value); err != nil {
		return nil, err
	}
	return versionValue(Shared{co}.Publish(name, value))
}

func versionValue(version int, err error) (starlark.Value, error) {
	if err != nil {
		return nil, err
	}
	return starlark.MakeInt(version), nil
}

func sharedVersion(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name); err != nil {
		return nil, err
	}
	return starlark.MakeInt(Shared{co}.Version(name)), nil
}

func sharedWaitBuiltin(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	timeout, kwargs, err := takeTimeout(b, kwargs)
	if err != nil {
		return nil, err
	}
	var name string
	var version int
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name, "version?", &version); err != nil {
		return nil, err
	}
	return versionValue(Shared{co}.Wait(name, version, timeout))
}

func sharedNames(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	names := Shared{co}.Names()
	out := make([]starlark.Value, len(names))
	for i, name := range names {
		out[i] = starlark.String(name)
	}
	return starlark.NewList(out), starlark.UnpackArgs(b.Name(), args, kwargs)
}

func sharedRemove(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name); err != nil {
		return nil, err
	}
	return starlark.Bool(Shared{co}.Remove(name)), nil
}

func sharedLoadFile(co *coroutine, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name, script string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name, "script", &script); err != nil {
		return nil, err
	}
	if path.Ext(script) == "" {
		script += ".star"
	}
	return versionValue(Shared{co}.LoadFile(name, script))
}
