package runtime

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"go.starlark.net/starlark"
)

// This file is what services are granted: grants, the policy of a node, and the rights that come of both. What a service
// with rights is held to, and how it is told, is in access.go.

// Grant is what a service may do to others and to the world. A nil list leaves what its launcher may do, an empty one allows
// nothing; whatever it says, no service may do more than its launcher. The zero value restricts nothing. A pattern that is
// malformed allows nothing.
//
// Patterns are those of [path.Match], in which "*" stands for anything but a slash; the pattern "*" alone matches everything.
type Grant struct {
	// Modules are the modules whose words may be used, and the powers, which are written like modules; see [Modules].
	Modules []string
	// Call are patterns of the services that may be called, sent to and killed: of their registered names and their scripts,
	// and of "node/name" for those of other nodes.
	Call []string
	// Launch are patterns of the scripts and Go handlers that may be launched.
	Launch []string
	// Register are patterns of the names that may be registered.
	Register []string
}

// act is what a rule is about.
type act uint8

const (
	useModule act = iota
	callService
	launchScript
	registerName
	acts
)

// actNames are the keys of a grant, by act.
func actNames() []string { return []string{"modules", "call", "launch", "register"} }

func (a act) String() string { return actNames()[a] }

func (g *Grant) list(a act) *[]string {
	switch a {
	case useModule:
		return &g.Modules
	case callService:
		return &g.Call
	case launchScript:
		return &g.Launch
	}
	return &g.Register
}

// ParseGrant reads what scripts and configurations write for a grant: a dict with some of the keys modules, call, launch and
// register, each a list of strings. modules are those that there are; see [Modules].
func ParseGrant(v starlark.Value, modules []string) (*Grant, error) {
	g := new(Grant)
	err := eachSetting(v, func(name string, v starlark.Value) (err error) {
		i := slices.Index(actNames(), name)
		if i < 0 {
			return unknownSetting(name, actNames()...)
		}
		*g.list(act(i)), err = texts(v)
		return err
	})
	if err == nil {
		err = g.check(modules)
	}
	if err != nil {
		return nil, err
	}
	return g, nil
}

// Dict is the inverse of [ParseGrant].
func (g *Grant) Dict() *starlark.Dict {
	d := new(starlark.Dict)
	for a := range acts {
		if texts := *g.list(a); texts != nil {
			l := starlark.NewList(nil)
			for _, text := range texts {
				_ = l.Append(starlark.String(text)) // the list is not frozen
			}
			_ = d.SetKey(starlark.String(a.String()), l) // a string is hashable, the dict not frozen
		}
	}
	return d
}

// texts reads a list of strings; it is never nil.
func texts(v starlark.Value) ([]string, error) {
	l, ok := v.(*starlark.List)
	if !ok {
		return nil, fmt.Errorf("got %s, want a list of strings", v.Type())
	}
	all := make([]string, 0, l.Len())
	for i := range l.Len() {
		s, ok := starlark.AsString(l.Index(i))
		if !ok || s == "" {
			return nil, fmt.Errorf("element %d: got %s, want a string that is not empty", i, l.Index(i))
		}
		all = append(all, s)
	}
	return all, nil
}

// check finds what could never match: unknown modules and malformed patterns.
func (g *Grant) check(modules []string) error {
	for _, m := range g.Modules {
		if !slices.Contains(modules, m) {
			return fmt.Errorf("modules: no module is called %q, want some of %s%s", m, strings.Join(modules, ", "), hint(m, modules))
		}
	}
	for _, a := range []act{callService, launchScript, registerName} {
		for _, p := range *g.list(a) {
			if err := checkPattern(p, a == launchScript); err != nil {
				return fmt.Errorf("%s: %w", a, err)
			}
		}
	}
	return nil
}

func checkPattern(p string, script bool) error {
	if _, err := path.Match(p, ""); err != nil {
		return fmt.Errorf("got the pattern %q, want one whose brackets and backslashes are complete", p)
	}
	if clean := path.Clean(p); script && clean != p {
		return fmt.Errorf("got %q, want %q: scripts are known by their shortest name", p, clean)
	}
	return nil
}

// powers are what a grant restricts like a module although they are words of skynet.
func powers() []string { return []string{"abort", "kill", "setenv", "upgrade"} }

// Modules lists, sorted, what [Grant.Modules] may contain: the modules that reach out of a service, and the powers: "abort", to end
// the node, "kill", to end services that one has not launched, "setenv", to set what all services of the node can read, and "upgrade", to exchange the code of
// services.
func Modules() []string { return restrictable(Predeclared()) }

func restrictable(names starlark.StringDict) []string {
	all := powers()
	for name, v := range names { //determinism:ok sorted below
		if l, ok := v.(*library); ok && l.guarded {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// PolicyEntry is what services of certain scripts may do.
type PolicyEntry struct {
	// Script is the name of a script or of a Go handler, or a pattern of names.
	Script string
	Grant  Grant
}

// Policy is what services may do by their script, whoever launches them. One entry counts for a script: the one with its very
// name, else the first whose pattern matches, "*" being the last.
type Policy []PolicyEntry

// ParsePolicy reads what configurations write for a policy: a dict of grants by script; see [ParseGrant].
func ParsePolicy(v starlark.Value) (Policy, error) {
	var p Policy
	modules := Modules()
	err := eachSetting(v, func(script string, v starlark.Value) error {
		if err := checkPattern(script, true); err != nil {
			return err
		}
		grant, err := ParseGrant(v, modules)
		if err == nil {
			p = append(p, PolicyEntry{Script: script, Grant: *grant})
		}
		return err
	})
	return p, err
}

// Dict is the inverse of [ParsePolicy].
func (p Policy) Dict() *starlark.Dict {
	d := new(starlark.Dict)
	for i := range p {
		_ = d.SetKey(starlark.String(p[i].Script), p[i].Grant.Dict()) // a string is hashable, the dict not frozen
	}
	return d
}

// find returns the index of the entry that counts for a script, -1 if there is none.
func (p Policy) find(script string) int {
	found := -1
	for i := range p {
		switch name := p[i].Script; {
		case name == script:
			return i
		case matches(name, script) && (found < 0 || p[found].Script == "*"):
			found = i
		}
	}
	return found
}

// check is the error of a policy that cannot be meant.
func (p Policy) check(modules []string) error {
	for i := range p {
		err := checkPattern(p[i].Script, true)
		if err == nil {
			err = p[i].Grant.check(modules)
		}
		if err != nil {
			return fmt.Errorf("policy: %s: %w", p[i].Script, err)
		}
	}
	return nil
}

// matches tells whether a pattern matches a name.
func matches(pattern, name string) bool {
	if pattern == "*" || pattern == name {
		return true
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// canonical is the name that rules see of a script: one file has one name.
func (n *Node) canonical(script string) string {
	if n.isHandler(script) {
		return script
	}
	return path.Clean(script)
}

// rule is a list of a grant. It is immutable.
type rule struct {
	act      act
	patterns []string
	from     string // the script of the policy, or the label of the launcher
	policy   bool
}

// String says where the rule comes from and what it is.
func (r *rule) String() string {
	origin := "allow of " + r.from
	if r.policy {
		origin = fmt.Sprintf("policy[%q]", r.from)
	}
	list := make([]string, len(r.patterns))
	for i, p := range r.patterns {
		list[i] = fmt.Sprintf("%q", p)
	}
	return fmt.Sprintf("%s: %s = [%s]", origin, r.act, strings.Join(list, ", "))
}

// allows tells whether the rule allows what has this name.
func (r *rule) allows(name string) bool {
	for _, p := range r.patterns {
		if matches(p, name) {
			return true
		}
	}
	return false
}

// allowsRemote tells whether the rule allows a service of a node; its name is "" when only its address is known, which
// nothing but all services of the node contains.
func (r *rule) allowsRemote(node, name string) bool {
	for _, p := range r.patterns {
		if p == "*" {
			return true
		}
		// Matched apart: else a slash in the name of a node could make it look like another one.
		onNode, named, ok := strings.Cut(p, "/")
		if ok && matches(onNode, node) && (named == "*" || name != "" && matches(named, name)) {
			return true
		}
	}
	return false
}

// allowsService tells whether the rule allows a service of this node, which any of its names and its script stand for.
func (r *rule) allowsService(callee *Service, names []claim) bool {
	here := callee.node.name
	script := callee.node.canonical(callee.what)
	if r.allows(script) || r.allowsRemote(here, script) {
		return true
	}
	for _, c := range names {
		if r.allows(c.name) || r.allowsRemote(here, c.name) {
			return true
		}
	}
	return false
}

// rights are the rules of a service, its own and those of all its ancestors: what none of them refuses is allowed. They are
// immutable and shared by all services to which the same was said; nil refuses nothing.
type rights struct {
	rules [acts][]*rule
}

// maxRules bounds the rules about each act, which else would grow with every generation of services that says something new.
const maxRules = 64

// narrow returns the rights that remain when a grant is added: the same ones if it says nothing new. It reports false if
// there are too many rules.
func (r *rights) narrow(g *Grant, from string, policy bool) (*rights, bool) {
	if g == nil {
		return r, true
	}
	next := new(rights)
	if r != nil {
		*next = *r
	}
	changed := false
	for a := range acts {
		texts, rules := *g.list(a), next.rules[a]
		same := func(other *rule) bool { return slices.Equal(other.patterns, texts) }
		if texts == nil || slices.ContainsFunc(rules, same) {
			continue
		}
		if len(rules) == maxRules {
			return nil, false
		}
		added := &rule{act: a, patterns: slices.Clone(texts), from: from, policy: policy}
		next.rules[a] = append(rules[:len(rules):len(rules)], added)
		changed = true
	}
	if !changed {
		return r, true
	}
	return next, true
}

// refuse returns the first rule about an act that does not allow it, nil if all do.
func (r *rights) refuse(a act, allowed func(*rule) bool) *rule {
	for _, rule := range r.rules[a] {
		if !allowed(rule) {
			return rule
		}
	}
	return nil
}

// refuseModule is refuse for a module.
func (r *rights) refuseModule(name string) *rule {
	for _, rule := range r.rules[useModule] {
		if !slices.Contains(rule.patterns, name) {
			return rule
		}
	}
	return nil
}
