package runtime

import (
	"fmt"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"

	"skynet/sched"
)

// access holds a service to its rights. A service without restrictions has none, so that the check of what it does is one
// comparison with nil. It is used in turns of the service only, but for the counter.
type access struct {
	*rights
	launcher uint64 // id of the service that launched this one, 0 if Go code did
	denied   atomic.Uint64

	last     verdict            // on the callee asked last
	verdicts map[uint64]verdict // on others, by id; bounded
	quiet    map[*rule]*silence // when refusals were logged
}

// verdict is whether a service may be called, as long as its names are these.
type verdict struct {
	callee  uint64
	names   *[]claim
	refused *rule
}

// maxVerdicts bounds what a service remembers of its callees: a quarter of a megabyte for one that calls so many. With 512, a
// caller of 2,000 in turn paid 36 % for each call.
const maxVerdicts = 4096

// silence counts the refusals that are not logged because one by the same rule was within the last second.
type silence struct {
	since   sched.Time
	dropped int
}

// refusalPause is how long after a logged refusal those by the same rule are only counted.
const refusalPause = time.Second

// Denied is how often the service wanted what it may not do. It may be called from any goroutine.
func (s *Service) Denied() uint64 {
	if s.access == nil {
		return 0
	}
	return s.access.denied.Load()
}

// confine gives a new service its rights: what its launcher has, less what the policy and the launch do not grant.
func (s *Service) confine(spec *launchSpec) *CallError {
	n, ok := s.node, true
	var r *rights
	by := "Go code"
	if spec.by != nil {
		by = spec.by.label
		if spec.by.access != nil {
			r = spec.by.access.rights
		}
	}
	if i := n.policyFor(spec); i >= 0 {
		r, ok = r.narrow(&n.policy[i].Grant, n.policy[i].Script, true)
	}
	if ok {
		r, ok = r.narrow(spec.allow, by, false)
	}
	if !ok {
		return callErrorf(Denied, false, "launch %s: its ancestors were granted %d different lists already", spec.script, maxRules)
	}
	if r != nil {
		s.access = &access{rights: r}
		if spec.by != nil {
			s.access.launcher = spec.by.addr.id
		}
	}
	return nil
}

// policyFor returns the index of the policy's entry for what is launched, -1 if there is none. Go code names the main script by a
// path, which other scripts, and so policies, do not know: its last element counts there too.
func (n *Node) policyFor(spec *launchSpec) int {
	script := n.canonical(spec.script)
	i := n.policy.find(script)
	if spec.by == nil && (i < 0 || n.policy[i].Script != script) {
		if j := n.policy.find(path.Base(script)); j >= 0 {
			return j
		}
	}
	return i
}

// deny counts and logs a refused act, and makes the error that its script sees. detail says more, to the log only.
func (s *Service) deny(r *rule, wanted, detail string) *CallError {
	a := s.access
	a.denied.Add(1)
	if a.quiet == nil {
		a.quiet = make(map[*rule]*silence)
	}
	q, now := a.quiet[r], s.turn.Now
	if q == nil || now >= q.since.Add(refusalPause) {
		attrs := []any{"wanted", wanted + detail, "rule", r.String()}
		if q != nil && q.dropped > 0 {
			attrs = append(attrs, "unlogged", q.dropped)
		}
		a.quiet[r] = &silence{since: now}
		s.log(levelWarn, "denied", attrs...)
	} else {
		q.dropped++
	}
	return callErrorf(Denied, false, "%s may not %s (%v)", s.label, wanted, r)
}

// ofKin tells whether a service is this one or was launched by it.
func (s *Service) ofKin(other *Service) bool {
	return other == s || other.access != nil && other.access.launcher == s.addr.id
}

// refusal returns the rule that keeps the service from reaching another one of its node, nil if none does. The verdict is
// remembered; the names of a service only change with the list they are in.
func (a *access) refusal(callee *Service) *rule {
	id, names := callee.addr.id, callee.known.Load()
	if a.last.callee == id && a.last.names == names {
		return a.last.refused
	}
	v, ok := a.verdicts[id]
	if !ok || v.names != names {
		v = verdict{callee: id, names: names}
		var list []claim
		if names != nil {
			list = *names
		}
		v.refused = a.refuse(callService, func(r *rule) bool { return r.allowsService(callee, list) })
		a.remember(v)
	}
	a.last = v
	return v.refused
}

func (a *access) remember(v verdict) {
	if a.verdicts == nil {
		a.verdicts = make(map[uint64]verdict)
	}
	if len(a.verdicts) >= maxVerdicts {
		clear(a.verdicts)
	}
	a.verdicts[v.callee] = v
}

// resolve is [Node.resolve] for a service: one with restrictions gets no hint, which would tell it names.
func (co *coroutine) resolve(dest starlark.Value) (*Service, *Address, error) {
	callee, remote, err := co.svc.node.resolve(dest)
	return callee, remote, co.withoutHint(dest, err)
}

func (co *coroutine) withoutHint(dest starlark.Value, err error) error {
	if name, ok := dest.(starlark.String); ok && err != nil && co.svc.access != nil {
		return callErrorf(Dead, false, "no service has the name %q", string(name))
	}
	return err
}

// mayCall is the error of calling or sending to what dest was resolved to, which the callers do themselves: a service without
// restrictions pays for the comparison with nil only. callee is nil if it is on another node, or there is none, as err says.
func (co *coroutine) mayCall(dest starlark.Value, callee *Service, err error) error {
	s := co.svc
	if callee == nil {
		return co.withoutHint(dest, err)
	}
	if s.ofKin(callee) || callee.addr.id == s.access.launcher {
		return nil
	}
	if r := s.access.refusal(callee); r != nil {
		co.charge()
		return s.deny(r, "call "+dest.String(), ", "+callee.label)
	}
	return nil
}

// sees tells whether the service may look into another one, as [coroutine.subject] does, without a word to the log.
func (s *Service) sees(other *Service) bool {
	return s.access == nil || s.ofKin(other) || other.addr.id == s.access.launcher || s.access.refusal(other) == nil
}

// mayReach is mayCall for a service of another node. Whoever may not use the module cluster reaches none.
func (co *coroutine) mayReach(node string, to target) error {
	s := co.svc
	if s.access == nil {
		return nil
	}
	if err := co.mayUse("cluster"); err != nil {
		return err
	}
	r := s.access.refuse(callService, func(r *rule) bool { return r.allowsRemote(node, to.name) })
	if r == nil {
		return nil
	}
	co.charge()
	return s.deny(r, fmt.Sprintf("call %q", node+"/"+to.String()), "")
}

// mayUse is the error of using a module that the service may not use.
func (co *coroutine) mayUse(module string) error { return co.mayDo(module, module) }

// mayDo is mayUse for something that needs the module, called by what it is for.
func (co *coroutine) mayDo(module, what string) error {
	s := co.svc
	if s.access == nil {
		return nil
	}
	if r := s.access.refuseModule(module); r != nil {
		co.charge()
		return s.deny(r, "use "+what, "")
	}
	return nil
}

// mayRule is the error of ending or naming a service without the right to. Its own kin a service rules as it likes; its
// launcher is none of them: to be answered is one thing, to be ended another.
func (co *coroutine) mayRule(other *Service, verb string, dest fmt.Stringer) error {
	s := co.svc
	if s.access == nil || s.ofKin(other) {
		return nil
	}
	if r := s.access.refusal(other); r != nil {
		co.charge()
		return s.deny(r, verb+" "+dest.String(), ", "+other.label)
	}
	return nil
}

// mayKill is the error of a verb that ends another service, or changes what it is, without the right to.
func (co *coroutine) mayKill(verb string, other *Service, dest fmt.Stringer) error {
	if co.svc.access == nil || co.svc.ofKin(other) {
		return nil
	}
	power := "kill"
	if verb = strings.TrimPrefix(verb, "skynet."); verb != power {
		power += " for " + verb // who asks for something else must hear why it is refused
	}
	if err := co.mayDo("kill", power); err != nil {
		return err
	}
	return co.mayRule(other, verb, dest)
}

// mayRegister is the error of giving a service a name without the right to. Naming a service is a way to match the rules of those
// who may call that name, so who names another one must be allowed to call it already.
func (co *coroutine) mayRegister(name string, other *Service) error {
	if co.svc.access == nil {
		return nil
	}
	co.charge()
	if err := co.svc.mayName(name); err != nil {
		return err
	}
	return co.mayRule(other, "name", other.addr)
}

func (s *Service) mayName(name string) *CallError {
	if s.access == nil {
		return nil
	}
	if r := s.access.refuse(registerName, func(r *rule) bool { return r.allows(name) }); r != nil {
		return s.deny(r, fmt.Sprintf("register %q", name), "")
	}
	return nil
}

// mayLaunch is the error of a launch that the launcher has no right to. It is called in a turn of the launcher.
func (n *Node) mayLaunch(spec *launchSpec) *CallError {
	s := spec.by
	if s == nil || s.access == nil {
		return nil
	}
	script := n.canonical(spec.script)
	if r := s.access.refuse(launchScript, func(r *rule) bool { return r.allows(script) }); r != nil {
		return s.deny(r, fmt.Sprintf("launch %q", script), "")
	}
	if spec.name != "" {
		return s.mayName(spec.name)
	}
	return nil
}
