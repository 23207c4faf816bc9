package project

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Binding is a binding as an upload has it.
type Binding struct {
	Name, Type string
	// Fields are the other properties.
	Fields map[string]any
	// Missing is the property that the deploy has to fill in, "" for none.
	Missing string
	// As is the type of a binding that is taken over from the version before.
	As string
}

// MarshalJSON gives the API's form.
func (b Binding) MarshalJSON() ([]byte, error) {
	all := make(map[string]any, len(b.Fields)+2)
	maps.Copy(all, b.Fields)
	all["name"], all["type"] = b.Name, b.Type
	return json.Marshal(all)
}

// Kind is its type, for a person.
func (b Binding) Kind() string {
	if b.As != "" {
		return b.As
	}
	return b.Type
}

// Target is what a binding points at, for a person.
func (b Binding) Target() string {
	switch b.Type {
	case "plain_text":
		return show(b.Fields["text"])
	case "json":
		return show(b.Fields["json"])
	case "secret_text":
		return ""
	case "inherit":
		return "as before"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(b.Fields)) {
		if s, ok := b.Fields[name].(string); ok {
			parts = append(parts, s)
		} else {
			parts = append(parts, name+" "+show(b.Fields[name]))
		}
	}
	return strings.Join(parts, ", ")
}

// bindings translates all bindings of a chosen configuration.
func bindings(values map[string]any, p *problems) []Binding {
	var out []Binding
	vars, _ := values["vars"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		out = append(out, Var(name, vars[name]))
	}
	for _, s := range shapes() {
		for i, entry := range s.entries(values, p) {
			if b, ok := s.binding(entry, s.at(i), p); ok {
				out = append(out, b)
			}
		}
	}
	if assets, ok := values["assets"].(map[string]any); ok {
		if name, ok := assets["binding"].(string); ok && name != "" {
			out = append(out, Binding{Name: name, Type: "assets"})
		}
	}
	checkUnique(out, p)
	return out
}

// Var is a variable: text, or any other value as JSON.
func Var(name string, value any) Binding {
	if text, ok := value.(string); ok {
		return Binding{Name: name, Type: "plain_text", Fields: map[string]any{"text": text}}
	}
	return Binding{Name: name, Type: "json", Fields: map[string]any{"json": value}}
}

// at is where binding i of a shape is, for errors.
func (s *shape) at(i int) string {
	switch {
	case s.single:
		return s.key
	case s.inside != "":
		return fmt.Sprintf("%s.%s[%d]", s.key, s.inside, i)
	}
	return fmt.Sprintf("%s[%d]", s.key, i)
}

// entries are the bindings of one key, which checkForms has found to be of the right type.
func (s *shape) entries(values map[string]any, p *problems) []any {
	value, set := values[s.key]
	if !set {
		return nil
	}
	if s.single {
		return []any{value}
	}
	if s.inside == "" {
		list, _ := value.([]any)
		return list
	}
	object, _ := value.(map[string]any)
	inner, set := object[s.inside]
	list, ok := inner.([]any)
	if set && !ok {
		p.errorf("\"%s.%s\" is %s; want a list", s.key, s.inside, show(inner))
	}
	return list
}

func (s *shape) binding(entry any, at string, p *problems) (Binding, bool) {
	object, ok := entry.(map[string]any)
	if !ok {
		p.errorf("%q is %s; want an object", at, show(entry))
		return Binding{}, false
	}
	nameKey := "binding"
	if s.named {
		nameKey = "name"
	}
	b := Binding{Type: s.kind, Fields: map[string]any{}}
	if b.Name, ok = object[nameKey].(string); !ok || b.Name == "" {
		p.errorf("%q has no %q, the name by which the worker knows it: %s", at, nameKey, show(entry))
		return b, false
	}
	if s.key == "unsafe" {
		return unsafe(b, object, at, p)
	}
	known := append([]string{nameKey, "remote"}, s.local...)
	known = append(known, s.onTrigger...)
	for _, f := range s.fields {
		known = append(known, f.from)
		v, set := object[f.from]
		text, isText := v.(string)
		switch {
		case set && v != nil && (!isText || text != ""):
			b.Fields[f.to] = v
		case f.required:
			p.errorf("%q has no %q: %s", at, f.from, show(entry))
		case f.provisioned:
			b.Missing = f.to
		}
	}
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(known, name) {
			unknown = append(unknown, `"`+at+"."+name+`"`)
		}
	}
	if len(unknown) > 0 {
		p.warnf("unknown keys, which have no effect: %s", strings.Join(unknown, ", "))
	}
	if s.kind == "dispatch_namespace" {
		outbound(b.Fields)
	}
	return b, true
}

// unsafe passes a binding on as it is.
func unsafe(b Binding, object map[string]any, at string, p *problems) (Binding, bool) {
	kind, ok := object["type"].(string)
	if !ok || kind == "" {
		p.errorf("%q has no \"type\": %s", at, show(object))
		return b, false
	}
	b.Type = kind
	for k, v := range object {
		if k != "name" && k != "type" {
			b.Fields[k] = v
		}
	}
	return b, true
}

// outbound gives a dispatch namespace's outbound worker the API's form.
func outbound(fields map[string]any) {
	o, ok := fields["outbound"].(map[string]any)
	if !ok {
		return
	}
	worker := map[string]any{"service": o["service"]}
	if env, ok := o["environment"]; ok {
		worker["environment"] = env
	}
	out := map[string]any{"worker": worker}
	if names, ok := o["parameters"].([]any); ok {
		params := make([]any, len(names))
		for i, name := range names {
			params[i] = map[string]any{"name": name}
		}
		out["params"] = params
	}
	fields["outbound"] = out
}

func checkUnique(all []Binding, p *problems) {
	kinds := map[string][]string{}
	for _, b := range all {
		kinds[b.Name] = append(kinds[b.Name], b.Type)
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if len(kinds[name]) > 1 {
			p.errorf("%d bindings have the name %q (%s); give each a name of its own", len(kinds[name]), name, strings.Join(kinds[name], ", "))
		}
	}
}

// SetVars puts variables over those of the configuration.
func (c *Config) SetVars(vars map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		v := Var(name, vars[name])
		if i := slices.IndexFunc(c.Bindings, func(b Binding) bool { return b.Name == name }); i >= 0 {
			c.Bindings[i] = v
			continue
		}
		c.Bindings = append(c.Bindings, v)
	}
}
