package project

// scope says where a key may stand and whether an environment inherits it.
type scope int

const (
	inherited scope = iota // an environment has the top level's value unless it sets its own
	own                    // an environment has only what it sets itself
	topOnly                // not in an environment
)

// form is the JSON type of a value.
type form int

const (
	anyForm form = iota
	stringForm
	boolForm
	objectForm
	listForm
	stringsForm
)

type key struct {
	scope scope
	form  form
}

// noEffect are keys that change what Cloudflare's own platform does, and that
// have no counterpart here. What is only for other commands is not among them.
func noEffect() []string {
	return []string{"access", "addresses", "cloudchamber", "compliance_region", "connect", "first_party_worker", "previews"}
}

// within are the keys of objects that are read here, key by key.
func within() map[string][]string {
	return map[string][]string{
		"assets":   {"directory", "binding", "html_handling", "not_found_handling", "run_worker_first"},
		"build":    {"command", "cwd", "watch_dir"},
		"triggers": {"crons"},
		"secrets":  {"required"},
		"unsafe":   {"bindings"},
	}
}

// keys is every key of the configuration; bindings add theirs.
func keys() map[string]key {
	all := map[string]key{
		"$schema": {topOnly, stringForm}, "env": {topOnly, objectForm},
		"send_metrics": {topOnly, boolForm}, "keep_vars": {topOnly, boolForm}, "dependencies_instrumentation": {topOnly, objectForm},
		"dev": {topOnly, objectForm}, "site": {topOnly, objectForm}, "alias": {topOnly, objectForm},
		"wasm_modules": {topOnly, objectForm}, "text_blobs": {topOnly, objectForm}, "data_blobs": {topOnly, objectForm},
		"addresses": {topOnly, stringsForm}, "pages_build_output_dir": {topOnly, stringForm},

		"name": {inherited, stringForm}, "main": {inherited, stringForm}, "account_id": {inherited, stringForm},
		"compatibility_date": {inherited, stringForm}, "compatibility_flags": {inherited, stringsForm},
		"base_dir": {inherited, stringForm}, "find_additional_modules": {inherited, boolForm}, "preserve_file_names": {inherited, boolForm},
		"rules": {inherited, listForm}, "tsconfig": {inherited, stringForm}, "jsx_factory": {inherited, stringForm}, "jsx_fragment": {inherited, stringForm},
		"no_bundle": {inherited, boolForm}, "minify": {inherited, boolForm}, "keep_names": {inherited, boolForm}, "upload_source_maps": {inherited, boolForm},
		"build": {inherited, objectForm}, "route": {inherited, anyForm}, "routes": {inherited, listForm}, "workers_dev": {inherited, boolForm}, "preview_urls": {inherited, boolForm},
		"triggers": {inherited, objectForm}, "assets": {inherited, objectForm}, "limits": {inherited, objectForm}, "placement": {inherited, objectForm},
		"observability": {inherited, objectForm}, "logpush": {inherited, boolForm}, "migrations": {inherited, listForm}, "exports": {inherited, objectForm},
		"cache": {inherited, objectForm}, "access": {inherited, anyForm}, "compliance_region": {inherited, stringForm}, "first_party_worker": {inherited, boolForm},
		"python_modules": {inherited, objectForm}, "previews": {inherited, objectForm},

		"vars": {own, objectForm}, "define": {own, objectForm}, "secrets": {own, objectForm},
		"tail_consumers": {own, listForm}, "streaming_tail_consumers": {own, listForm}, "containers": {own, listForm},
		"cloudchamber": {own, objectForm}, "connect": {own, listForm},
	}
	for _, s := range shapes() {
		k := key{own, listForm}
		if s.inside != "" || s.single {
			k.form = objectForm
		}
		if s.key == "logfwdr" {
			k.scope = inherited
		}
		all[s.key] = k
	}
	return all
}

// fits says whether a decoded value has a form.
func (f form) fits(v any) bool {
	switch f {
	case stringForm:
		_, ok := v.(string)
		return ok
	case boolForm:
		_, ok := v.(bool)
		return ok
	case objectForm:
		_, ok := v.(map[string]any)
		return ok
	case listForm:
		_, ok := v.([]any)
		return ok
	case stringsForm:
		list, ok := v.([]any)
		for _, e := range list {
			if _, isString := e.(string); !isString {
				return false
			}
		}
		return ok
	case anyForm:
	}
	return true
}

func (f form) String() string {
	switch f {
	case stringForm:
		return "a string"
	case boolForm:
		return "true or false"
	case objectForm:
		return "an object"
	case listForm:
		return "a list"
	case stringsForm:
		return "a list of strings"
	case anyForm:
	}
	return "a value"
}
