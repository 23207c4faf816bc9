package project

import (
	"maps"
	"slices"
	"strings"
)

// choose merges one environment of a raw configuration into one set of values:
// inherited keys fall back to the top level, others do not and are warned about.
func choose(raw map[string]any, env string, p *problems) map[string]any {
	table := keys()
	checkForms(raw, table, "", p)
	out := maps.Clone(raw)
	delete(out, "env")
	if env == "" {
		return out
	}
	all, _ := raw["env"].(map[string]any)
	value, found := all[env]
	mine, isObject := value.(map[string]any)
	switch {
	case !found && len(all) > 0:
		names := slices.Sorted(maps.Keys(all))
		p.errorf("there is no environment %q; those of the configuration are: %s", env, strings.Join(names, ", "))
		return out
	case !found:
		p.warnf("there is no environment %q in the configuration; its top level is used, under the name with \"-%s\"", env, env)
		rename(out, nil, env)
		return out
	case !isObject:
		p.errorf("\"env.%s\" is %s; want an object", env, show(value))
		return out
	}
	checkForms(mine, table, "env."+env+".", p)
	for name, k := range table {
		v, set := mine[name]
		switch {
		case k.scope == topOnly:
			if set {
				p.warnf("\"env.%s.%s\" has no effect: %q belongs at the top level", env, name, name)
			}
		case set && v != nil:
			out[name] = v
		case k.scope == own:
			if raw[name] != nil {
				p.warnf("%q is at the top level, but not in \"env.%s\". Environments do not inherit it: add it there if the worker needs it.", name, env)
			}
			delete(out, name)
		}
	}
	// An environment's one route stands for its routes, whatever the top level has.
	if mine["route"] != nil && mine["routes"] == nil {
		delete(out, "routes")
	}
	checkMissing(raw, mine, env, p)
	if mine["route"] == nil && mine["routes"] == nil {
		checkDomains(raw, env, p)
	}
	rename(out, mine["name"], env)
	return out
}

// rename gives an environment that has no name of its own one after the top level's.
func rename(out map[string]any, own any, env string) {
	if name, ok := own.(string); ok && name != "" {
		return
	}
	if top, ok := out["name"].(string); ok && top != "" {
		out["name"] = top + "-" + env
	}
}

// checkDomains warns about hostnames that an environment would take from the top level's worker.
func checkDomains(raw map[string]any, env string, p *problems) {
	list, _ := raw["routes"].([]any)
	for _, v := range list {
		if r, ok := v.(map[string]any); ok && r["custom_domain"] == true {
			p.warnf("\"env.%s\" inherits the custom domain %s: deploying it takes the domain from the worker of the top level. Give the environment \"routes\" of its own, if only [].", env, show(r["pattern"]))
		}
	}
}

// checkMissing warns about entries of vars and define that an environment leaves out.
func checkMissing(raw, mine map[string]any, env string, p *problems) {
	for _, name := range []string{"vars", "define"} {
		top, _ := raw[name].(map[string]any)
		set, ok := mine[name].(map[string]any)
		if !ok {
			continue
		}
		for _, entry := range slices.Sorted(maps.Keys(top)) {
			if _, has := set[entry]; !has {
				p.warnf("\"%s.%s\" is at the top level, but not in \"env.%s.%s\". Environments do not inherit it: add it there if the worker needs it.", name, entry, env, name)
			}
		}
	}
}

// checkEffect warns about what is understood but changes nothing here.
func checkEffect(values map[string]any, p *problems) {
	for _, name := range noEffect() {
		if !empty(values[name]) {
			p.warnf("%q has no effect here", name)
		}
	}
	for name, known := range within() {
		object, _ := values[name].(map[string]any)
		for _, inner := range slices.Sorted(maps.Keys(object)) {
			if !slices.Contains(known, inner) && !empty(object[inner]) {
				p.warnf("\"%s.%s\" has no effect here", name, inner)
			}
		}
	}
}

// empty says whether a value asks for nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// checkForms holds that known keys have their type and warns about others.
func checkForms(values map[string]any, table map[string]key, at string, p *problems) {
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		k, known := table[name]
		switch {
		case !known:
			unknown = append(unknown, `"`+at+name+`"`)
		case values[name] == nil:
			delete(values, name)
		case !k.form.fits(values[name]):
			p.errorf("\"%s%s\" is %s; want %s", at, name, show(values[name]), k.form)
			delete(values, name)
		}
	}
	if len(unknown) > 0 {
		p.warnf("unknown keys, which have no effect: %s", strings.Join(unknown, ", "))
	}
}
