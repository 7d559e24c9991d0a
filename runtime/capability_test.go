package runtime

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"go.starlark.net/starlark"

	"skynet/sched/stepper"
)

// letters are the names and patterns of the properties: short, so that they meet often.
func letters() []string {
	return []string{"*", "a", "b", "?", "[ab]", "a*", "n/a", "n/*", "*/b", "m/?", "x.star", "*.star", "lib/y.star", "lib/*"}
}

func someNames() []string { return []string{"a", "b", "ab", "c", "x.star", "lib/y.star"} }

// grantGen draws grants whose lists are often absent and sometimes empty.
func grantGen() gopter.Gen {
	list := func(from []string) gopter.Gen {
		element := gen.IntRange(0, len(from)-1).Map(func(i int) string { return from[i] })
		return gen.Weighted([]gen.WeightedGen{
			{Weight: 3, Gen: gen.Const([]string(nil))},
			{Weight: 4, Gen: gen.SliceOf(element).Map(func(l []string) []string { return append([]string{}, l...) })},
		})
	}
	return gopter.CombineGens(list([]string{"store", "socket", "cluster", "kill"}), list(letters()), list(letters()), list(letters())).
		Map(func(v []any) *Grant {
			return &Grant{Modules: v[0].([]string), Call: v[1].([]string), Launch: v[2].([]string), Register: v[3].([]string)}
		})
}

// The reference model: a service asks all its ancestors, each of which reads its own grant, plainly.

func modelMatch(p, name string) bool {
	ok, _ := path.Match(p, name)
	return ok || p == "*"
}

func modelAllows(list []string, yes func(p string) bool) bool {
	return list == nil || slices.ContainsFunc(list, yes)
}

func modelRemote(p, node, name string) bool {
	if p == "*" {
		return true
	}
	parts := strings.SplitN(p, "/", 2)
	return len(parts) == 2 && modelMatch(parts[0], node) && modelMatch(parts[1], name)
}

// question is something that a service may want.
type question struct {
	text  string
	ask   func(*rights) bool
	model func(*Grant) bool
}

// questions are all there is to ask about someNames, on this node, m, and on n.
func questions() (all []question) {
	for _, m := range []string{"store", "socket", "cluster", "kill"} {
		all = append(all, question{"use " + m, func(r *rights) bool { return r.refuseModule(m) == nil }, func(g *Grant) bool {
			return modelAllows(g.Modules, func(p string) bool { return p == m })
		}})
	}
	for _, name := range someNames() {
		one := func(a act) question {
			return question{
				fmt.Sprintf("%v %s", a, name),
				func(r *rights) bool { return r.refuse(a, func(r *rule) bool { return r.allows(name) }) == nil },
				func(g *Grant) bool {
					return modelAllows(*g.list(a), func(p string) bool { return modelMatch(p, name) })
				},
			}
		}
		remote := question{
			"call n/" + name,
			func(r *rights) bool {
				return r.refuse(callService, func(r *rule) bool { return r.allowsRemote("n", name) }) == nil
			},
			func(g *Grant) bool {
				return modelAllows(g.Call, func(p string) bool { return modelRemote(p, "n", name) })
			},
		}
		all = append(all, one(launchScript), one(registerName), remote)
		for _, second := range someNames() {
			callee := &Service{node: &Node{name: "m"}, what: name}
			all = append(all, question{
				fmt.Sprintf("call %s, which is named %s", name, second),
				func(r *rights) bool {
					return r.refuse(callService, func(r *rule) bool { return r.allowsService(callee, []claim{{name: second}}) }) == nil
				},
				func(g *Grant) bool {
					return modelAllows(g.Call, func(p string) bool {
						return modelMatch(p, name) || modelMatch(p, second) || modelRemote(p, "m", name) || modelRemote(p, "m", second)
					})
				},
			})
		}
	}
	return all
}

// TestChildrenNeverGetMore: in a random tree of services, each launched by an earlier one with a random grant, a service may do
// what the model says, and nothing that its parent may not.
func TestChildrenNeverGetMore(t *testing.T) {
	all := questions()
	properties := gopter.NewProperties(gopter.DefaultTestParametersWithSeed(1))
	properties.Property("may(child, x) implies may(parent, x)", prop.ForAll(func(grants []*Grant, parents []int) string {
		tree, may := []*rights{nil}, [][]bool{slices.Repeat([]bool{true}, len(all))}
		for i, g := range grants {
			parent := 0
			if len(parents) > 0 {
				parent = parents[i%len(parents)] % (i + 1)
			}
			r, ok := tree[parent].narrow(g, "test", false)
			if !ok {
				return "too many rules"
			}
			answers := make([]bool, len(all))
			for k, q := range all {
				answers[k] = r == nil || q.ask(r)
				if want := may[parent][k] && q.model(g); answers[k] != want {
					return fmt.Sprintf("service %d of %d, %s: got %t, want %t", i+1, parent, q.text, answers[k], want)
				}
				if answers[k] && !may[parent][k] {
					return fmt.Sprintf("service %d may %s, its parent %d may not", i+1, q.text, parent)
				}
			}
			tree, may = append(tree, r), append(may, answers)
		}
		return ""
	}, gen.SliceOf(grantGen()), gen.SliceOf(gen.IntRange(0, 1000))))
	properties.TestingRun(t)
}

// TestRightsAreShared: who is told nothing new has the very rights of its parent.
func TestRightsAreShared(t *testing.T) {
	first := &Grant{Modules: []string{}, Call: []string{"a"}}
	r, _ := (*rights)(nil).narrow(first, "one", false)
	for _, g := range []*Grant{nil, {}, {Call: []string{"a"}}, {Modules: []string{}}} {
		if again, ok := r.narrow(g, "two", true); again != r || !ok {
			t.Errorf("narrow(%+v): got other rights, want the same", g)
		}
	}
	first.Call[0] = "b"
	if got, want := r.rules[callService][0].String(), `allow of one: call = ["a"]`; got != want {
		t.Errorf("rule: got %s, want %s", got, want)
	}
	if same, ok := (*rights)(nil).narrow(&Grant{}, "three", false); same != nil || !ok {
		t.Errorf("an empty grant: got %v, want no rights, which restrict nothing", same)
	}
}

// TestVerdictsAreThoseOfNow: what a service remembers of its callees is what it would find out now, whatever names they take
// meanwhile, and it is bounded.
func TestVerdictsAreThoseOfNow(t *testing.T) {
	step := stepper.New(stepper.Options{Seed: 1})
	properties := gopter.NewProperties(gopter.DefaultTestParametersWithSeed(1))
	properties.Property("a remembered verdict is the present one", prop.ForAll(func(g *Grant, ops []int) string {
		n, err := NewNode(Config{
			Name: "m", Scheduler: step.NewNode(0, "m", stepper.NodeOptions{}),
			Programs: NewPrograms(func(string) ([]byte, error) { return nil, nil }),
		})
		if err != nil {
			return err.Error()
		}
		defer n.Crash()
		r, _ := (*rights)(nil).narrow(g, "test", false)
		if r == nil {
			return ""
		}
		a := &access{rights: r}
		var callees []*Service
		for i, op := range ops {
			who, what := op%7, op/7
			switch {
			case who >= len(callees):
				callees = append(callees, n.newService(someNames()[what%len(someNames())], nil))
				continue
			case what%4 == 0:
				_ = n.register(someNames()[what/4%len(someNames())], callees[who]) // may be taken
			case what%16 == 1:
				n.forget(callees[who])
				callees[who] = n.newService(someNames()[what/16%len(someNames())], nil)
			}
			callee := callees[who]
			var names []claim
			if l := callee.known.Load(); l != nil {
				names = *l
			}
			want := r.refuse(callService, func(r *rule) bool { return r.allowsService(callee, names) })
			if got := a.refusal(callee); got != want {
				return fmt.Sprintf("operation %d: got %v, want %v", i, got, want)
			}
		}
		return ""
	}, grantGen(), gen.SliceOf(gen.IntRange(0, 1000))))
	properties.TestingRun(t)

	r, _ := (*rights)(nil).narrow(&Grant{Call: []string{"x"}}, "test", false)
	a, n := &access{rights: r}, &Node{name: "m"}
	for i := range uint64(3 * maxVerdicts) {
		a.refusal(&Service{node: n, what: "x", addr: &Address{node: "m", id: i + 1}})
		if len(a.verdicts) > maxVerdicts {
			t.Fatalf("verdicts: got %d, want at most %d", len(a.verdicts), maxVerdicts)
		}
	}
}

func TestPolicyFind(t *testing.T) {
	p := Policy{{Script: "*"}, {Script: "r*.star"}, {Script: "ro*.star"}, {Script: "room.star"}, {Script: "lib/*"}}
	for script, want := range map[string]string{"room.star": "room.star", "roof.star": "r*.star", "x.star": "*", "lib/room.star": "lib/*", "lib/a/b.star": "*"} {
		if i := p.find(script); i < 0 || p[i].Script != want {
			t.Errorf("find(%q): got %d, want %s", script, i, want)
		}
	}
	if i := p[1:].find("x.star"); i != -1 {
		t.Errorf("find(x.star): got %d, want -1", i)
	}
}

// FuzzParseGrant: no value does harm, and what is read is written down again.
func FuzzParseGrant(f *testing.F) {
	f.Add("modules", "store", "call", "*/.db")
	f.Add("launch", "[x", "register", ".a")
	f.Fuzz(func(t *testing.T, key1, text1, key2, text2 string) {
		d := starlark.NewDict(2)
		for key, text := range map[string]string{key1: text1, key2: text2} {
			_ = d.SetKey(starlark.String(key), starlark.NewList([]starlark.Value{starlark.String(text)}))
		}
		g, err := ParseGrant(d, Modules())
		if err != nil {
			return
		}
		if same, err := starlark.Equal(g.Dict(), d); err != nil || !same {
			t.Errorf("got %v (%v), want %v", g.Dict(), err, d)
		}
	})
}

func TestModules(t *testing.T) {
	if got, want := Modules(), []string{"abort", "cluster", "datacenter", "kill", "multicast", "setenv", "shared", "socket", "store", "upgrade"}; !slices.Equal(got, want) {
		t.Errorf("modules: got %q, want %q: a new one that reaches out of a service is made with newLibrary, others with innerLibrary", got, want)
	}
	for _, name := range []string{"skynet", "log", "random"} {
		if l := Predeclared()[name].(*library); l.guarded {
			t.Errorf("%s: got a guarded module, want one for everybody", name)
		}
	}
}
