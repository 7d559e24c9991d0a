package scenario

import "go.starlark.net/starlark"

// vocabulary is what every scenario file can name. The built-ins are new for each call, so no state is shared.
func vocabulary() starlark.StringDict {
	d := starlark.StringDict{}
	add := func(name string, call builtin) { d[name] = newBuiltin(name, call) }
	for _, s := range shapes {
		add(string(s.kind), newFault(s))
	}
	for _, r := range randomSelectors {
		d[r.name] = newSelector(Selector{Kind: r.name})
	}
	add("at", newAt)
	add("every", newEvery)
	add("swarm", newSwarm)
	add("plan", newPlan)
	add("phases", newPhases)
	add("calm", newRest)
	add("during", newDuring)
	add("heal", newHeal)
	add("settle", newRest)
	add("disk", newDisk)
	add("uniform", newDist("low", "high"))
	add("lognormal", newDist("median", "p99"))
	add("exponential", newDist("mean", ""))
	add("checks", newChecks)
	add("model", newModel)
	d["linearizable"] = starlark.NewBuiltin("linearizable", newLinearizable)
	for _, name := range []string{"always", "never", "sometimes", "eventually"} {
		d[name] = starlark.NewBuiltin(name, newPredicate)
	}
	return d
}
