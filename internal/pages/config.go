package pages

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Types of variables.
const (
	plainText  = "plain_text"
	secretText = "secret_text"
)

const (
	maxVars    = 1000
	maxValue   = 1 << 20 // bytes of one variable
	maxSetting = 64 << 10
)

// Configs are the settings of a project by environment.
type Configs struct {
	Production Config `json:"production"`
	Preview    Config `json:"preview"`
}

// of returns the settings of an environment.
func (c *Configs) of(environment string) *Config {
	if environment == Production {
		return &c.Production
	}
	return &c.Preview
}

// Config is what the deployments of one environment are made with.
type Config struct {
	Vars  map[string]Var `json:"env_vars,omitempty"`
	Date  string         `json:"compatibility_date,omitempty"`
	Flags []string       `json:"compatibility_flags,omitempty"`
	// Resources are bindings: by kind (see [ResourceKinds]), then by name, each in
	// the API's form.
	Resources map[string]map[string]json.RawMessage `json:"resources,omitempty"`
	// More are settings that are kept as they are given.
	More map[string]json.RawMessage `json:"more,omitempty"`
}

// Var is a variable or a secret.
type Var struct {
	Type   string `json:"type"`
	Text   string `json:"text,omitempty"`   // of a variable
	Sealed []byte `json:"sealed,omitempty"` // of a secret
}

// Secret says whether the variable's value is never shown.
func (v Var) Secret() bool { return v.Type == secretText }

// resourceKind says how a project's bindings of one kind become a Worker's.
type resourceKind struct {
	key    string // in the API's deployment_configs
	typ    string // of a Worker's binding
	fields []resourceField
}

// resourceField is a field of a project's binding and what it is called in a Worker's. Of two with the same name
// there, the first is the one that is shown.
type resourceField struct{ project, worker string }

func resourceKinds() []resourceKind {
	same := func(names ...string) (out []resourceField) {
		for _, n := range names {
			out = append(out, resourceField{n, n})
		}
		return out
	}
	return []resourceKind{
		{"kv_namespaces", "kv_namespace", same("namespace_id")},
		{"d1_databases", "d1", same("id")},
		{"services", "service", same("service", "environment", "entrypoint")},
		{"durable_object_namespaces", "durable_object_namespace", append(same("namespace_id", "class_name", "environment"), resourceField{"service", "script_name"}, resourceField{"script_name", "script_name"})},
		{"r2_buckets", "r2_bucket", []resourceField{{"name", "bucket_name"}, {"jurisdiction", "jurisdiction"}}},
		{"queue_producers", "queue", []resourceField{{"name", "queue_name"}}},
		{"analytics_engine_datasets", "analytics_engine", same("dataset")},
		{"ai_bindings", "ai", same("project_id")},
		{"vectorize_bindings", "vectorize", same("index_name")},
		{"hyperdrive_bindings", "hyperdrive", same("id")},
		{"browsers", "browser", nil},
		{"mtls_certificates", "mtls_certificate", same("certificate_id")},
	}
}

// ResourceKinds returns the keys under which the API has bindings.
func ResourceKinds() []string {
	var keys []string
	for _, k := range resourceKinds() {
		keys = append(keys, k.key)
	}
	return keys
}

// kept says whether a setting is kept for clients which read it again.
func kept(key string) bool {
	switch key {
	case "fail_open", "always_use_latest_compatibility_date", "build_image_major_version", "usage_model", "placement", "limits", "wrangler_config_hash":
		return true
	}
	return false
}

var (
	datePattern = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	varPattern  = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)
)

func invalidSettings(format string, args ...any) *Error {
	return fail(CodeInvalidSettings, 400, format, args...)
}

// ConfigsPatch changes [Configs]: the API's deployment_configs, of which what is
// absent stays and what is null goes.
type ConfigsPatch struct {
	Production map[string]json.RawMessage `json:"production"`
	Preview    map[string]json.RawMessage `json:"preview"`
}

// sealer seals a secret.
type sealer func(name, text string) ([]byte, error)

// patch returns c changed; c itself stays as it is.
func (c Config) patch(p map[string]json.RawMessage, seal sealer) (Config, error) {
	c.Vars, c.Resources, c.More = maps.Clone(c.Vars), maps.Clone(c.Resources), maps.Clone(c.More)
	for _, key := range slices.Sorted(maps.Keys(p)) {
		if err := c.set(key, p[key], seal); err != nil {
			return Config{}, err
		}
	}
	if len(c.Vars) > maxVars {
		return Config{}, invalidSettings("The environment has %d variables; at most %d are allowed.", len(c.Vars), maxVars)
	}
	return c, nil
}

func (c *Config) set(key string, raw json.RawMessage, seal sealer) error {
	switch {
	case key == "env_vars":
		return c.setVars(raw, seal)
	case key == "compatibility_date":
		c.Date = ""
		if decode(raw, &c.Date) != nil || c.Date != "" && !datePattern.MatchString(c.Date) {
			return invalidSettings("compatibility_date must be a date as 2026-01-31.")
		}
	case key == "compatibility_flags":
		c.Flags = nil
		if decode(raw, &c.Flags) != nil || len(c.Flags) > 100 {
			return invalidSettings("compatibility_flags must be a list of at most 100 names.")
		}
	case kept(key):
		if len(raw) > maxSetting {
			return invalidSettings("The setting %s is larger than %d bytes.", key, maxSetting)
		}
		if c.More == nil {
			c.More = make(map[string]json.RawMessage)
		}
		if c.More[key] = bytes.Clone(raw); isNull(raw) {
			delete(c.More, key)
		}
	case slices.Contains(ResourceKinds(), key):
		return c.setResources(key, raw)
	default:
		return invalidSettings("The setting %q of a deployment configuration is not known to this release.", clip(key))
	}
	return nil
}

func (c *Config) setVars(raw json.RawMessage, seal sealer) error {
	var patch map[string]*struct {
		Type  string  `json:"type"`
		Value *string `json:"value"`
	}
	if decode(raw, &patch) != nil {
		return invalidSettings(`env_vars must be an object of name → {"type", "value"} or null.`)
	}
	if isNull(raw) {
		c.Vars = nil
	}
	if c.Vars == nil {
		c.Vars = make(map[string]Var)
	}
	for name, in := range patch {
		if !varPattern.MatchString(name) || len(name) > 256 {
			return invalidSettings("The variable name %q is not allowed. It must have letters, digits, _ and $ and begin with no digit.", clip(name))
		}
		if in == nil {
			delete(c.Vars, name)
			continue
		}
		if in.Value != nil && len(*in.Value) > maxValue {
			return invalidSettings("The value of the variable %s has more than %d bytes.", name, maxValue)
		}
		v, err := newVar(name, in.Type, in.Value, c.Vars[name], seal)
		if err != nil {
			return err
		}
		c.Vars[name] = v
	}
	return nil
}

// newVar makes a variable. A secret that comes back without its value, as the API
// shows it, is the one there was.
func newVar(name, typ string, value *string, old Var, seal sealer) (Var, error) {
	switch typ {
	case "", plainText:
		if value == nil {
			return Var{}, invalidSettings("The variable %s has no value.", name)
		}
		return Var{Type: plainText, Text: *value}, nil
	case secretText:
		if value == nil || *value == "" {
			if old.Secret() {
				return old, nil
			}
			return Var{}, invalidSettings("The secret %s has no value.", name)
		}
		sealed, err := seal(name, *value)
		return Var{Type: secretText, Sealed: sealed}, err
	}
	return Var{}, invalidSettings("The variable %s is of type %q; it can be plain_text or secret_text.", name, clip(typ))
}

func (c *Config) setResources(kind string, raw json.RawMessage) error {
	var patch map[string]json.RawMessage
	if decode(raw, &patch) != nil {
		return invalidSettings("%s must be an object of name → binding or null.", kind)
	}
	if isNull(raw) {
		delete(c.Resources, kind)
		return nil
	}
	all := maps.Clone(c.Resources[kind])
	if all == nil {
		all = make(map[string]json.RawMessage)
	}
	for name, binding := range patch {
		var fields map[string]any
		switch {
		case !varPattern.MatchString(name) || len(name) > 256:
			return invalidSettings("The binding name %q is not allowed. It must have letters, digits, _ and $ and begin with no digit.", clip(name))
		case isNull(binding):
			delete(all, name)
		case json.Unmarshal(binding, &fields) != nil || len(binding) > maxSetting:
			return invalidSettings("The binding %s in %s must be an object.", name, kind)
		default:
			all[name] = bytes.Clone(binding)
		}
	}
	if c.Resources == nil {
		c.Resources = make(map[string]map[string]json.RawMessage)
	}
	if c.Resources[kind] = all; len(all) == 0 {
		delete(c.Resources, kind)
	}
	return nil
}

// bindings returns the bindings in the form of a Worker's upload. Secrets are
// opened in it.
func (c *Config) bindings(open func(name string, sealed []byte) (string, error)) ([]map[string]any, error) {
	var out []map[string]any
	for _, name := range slices.Sorted(maps.Keys(c.Vars)) {
		v := c.Vars[name]
		text := v.Text
		if v.Secret() {
			var err error
			if text, err = open(name, v.Sealed); err != nil {
				return nil, err
			}
		}
		out = append(out, map[string]any{"name": name, "type": v.Type, "text": text})
	}
	for _, kind := range resourceKinds() {
		for _, name := range slices.Sorted(maps.Keys(c.Resources[kind.key])) {
			var in map[string]any
			if err := json.Unmarshal(c.Resources[kind.key][name], &in); err != nil {
				return nil, err
			}
			b := map[string]any{"name": name, "type": kind.typ}
			for _, f := range kind.fields {
				if v, ok := in[f.project]; ok && v != nil {
					b[f.worker] = v
				}
			}
			out = append(out, b)
		}
	}
	return out, nil
}

func decode(raw json.RawMessage, v any) error { return json.Unmarshal(raw, v) }

func isNull(raw json.RawMessage) bool { return strings.TrimSpace(string(raw)) == "null" }
