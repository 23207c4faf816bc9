package project

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Environments of a Pages project; no other can be in its configuration.
const (
	PagesProduction = "production"
	PagesPreview    = "preview"
)

// choosePages is choose for a Pages project. All environments are of one project, so none renames it, and one
// that the file does not have is the top level.
func choosePages(raw map[string]any, env string, p *problems) map[string]any {
	all, _ := raw["env"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name != PagesProduction && name != PagesPreview {
			p.errorf("there is an environment %q; a Pages project has \"production\" and \"preview\"", name)
		}
	}
	if _, ok := all[env]; !ok {
		env = ""
	}
	out := choose(raw, env, p)
	if name, ok := raw["name"]; ok {
		out["name"] = name
	}
	return out
}

// checkPages refuses what only a Worker's configuration may have.
func (c *Config) checkPages(values map[string]any, p *problems) {
	known := pagesKeys()
	var other []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, name) && !empty(values[name]) {
			other = append(other, strconv.Quote(name))
		}
	}
	if len(other) > 0 {
		p.errorf("a Pages project cannot have %s", strings.Join(other, ", "))
	}
	if c.Name == "" {
		p.errorf("it has no \"name\"; a Pages project has its own there")
	}
	if len(c.Consumers) > 0 {
		p.errorf("a Pages project cannot have \"queues.consumers\"")
	}
	for _, b := range c.Bindings {
		if script, _ := b.Fields["script_name"].(string); b.Type == "durable_object_namespace" && script == "" {
			p.errorf("the Durable Object binding %s has no \"script_name\"; name the Worker that has the class, for Functions can have none", b.Name)
		}
	}
}

// pagesKeys are what the configuration of a Pages project may have.
func pagesKeys() []string {
	return []string{
		"$schema", "env", "pages_build_output_dir", "name", "account_id", "compatibility_date", "compatibility_flags", "send_metrics", "no_bundle",
		"limits", "placement", "vars", "durable_objects", "kv_namespaces", "queues", "r2_buckets", "d1_databases", "vectorize", "hyperdrive",
		"services", "analytics_engine_datasets", "ai", "version_metadata", "dev", "mtls_certificates", "browser", "upload_source_maps",
	}
}
