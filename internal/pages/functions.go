package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// assetsBinding is the name under which Functions have the site's files.
const assetsBinding = "ASSETS"

// startFunctions makes the version of a deployment's code.
func (s *Service) startFunctions(ctx context.Context, r *projectRow, d *deploymentRow) (version string, err error) {
	metadata, modules, err := s.metadata(ctx, r, d)
	if err != nil {
		return "", err
	}
	return s.o.Functions.Create(ctx, &FunctionsSpec{
		Account: r.account, Project: r.name, Deployment: d.id,
		Metadata: metadata, Modules: modules, Source: d.doc.Source,
	})
}

// metadata makes that of a Worker's upload. With a wrangler file the bundle has
// all of it but the secrets, which are in no file; without one the project's
// settings say what there is.
func (s *Service) metadata(ctx context.Context, r *projectRow, d *deploymentRow) (json.RawMessage, []Module, error) {
	var in map[string]json.RawMessage
	if err := json.Unmarshal(d.doc.Bundle.Metadata, &in); err != nil || in == nil {
		return nil, nil, &RefusedError{Text: "The metadata of the Functions bundle is not a JSON object.", Err: err}
	}
	out := map[string]any{}
	for _, key := range []string{"body_part", "limits", "placement", "observability"} {
		if raw, ok := in[key]; ok {
			out[key] = raw
		}
	}
	var main string
	if raw, ok := in["main_module"]; ok && json.Unmarshal(raw, &main) != nil {
		return nil, nil, &RefusedError{Text: "The main_module in the metadata of the Functions bundle is no text."}
	}
	main, modules, err := s.withFallback(ctx, main, d.doc.Bundle.Modules)
	if err != nil {
		return nil, nil, err
	}
	if main != "" {
		out["main_module"] = main
	}
	bindings, err := s.configured(r, d, in, out)
	if err != nil {
		return nil, nil, err
	}
	out["bindings"] = s.withOwn(r, d, bindings)
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, nil, errors.New("the metadata of the Functions cannot be written") // its text may have secrets
	}
	return raw, modules, nil
}

// configured returns the bindings, and puts the compatibility settings into out.
func (s *Service) configured(r *projectRow, d *deploymentRow, in map[string]json.RawMessage, out map[string]any) ([]map[string]any, error) {
	config := d.doc.Config
	var bindings []map[string]any
	if d.doc.ConfigHash != "" {
		if raw, ok := in["bindings"]; ok {
			if err := json.Unmarshal(raw, &bindings); err != nil {
				return nil, &RefusedError{Text: "The bindings in the metadata of the Functions bundle are no list of objects.", Err: err}
			}
		}
		for _, key := range []string{"compatibility_date", "compatibility_flags"} {
			if raw, ok := in[key]; ok {
				out[key] = raw
			}
		}
		config = config.secretsOnly()
	} else {
		if config.Date != "" {
			out["compatibility_date"] = config.Date
		}
		out["compatibility_flags"] = append([]string{}, config.Flags...)
	}
	own, err := config.bindings(s.opener(r.id))
	if err != nil {
		return nil, fmt.Errorf("bindings of project %s: %w", r.name, err)
	}
	return append(bindings, own...), nil
}

func (c Config) secretsOnly() Config {
	vars := maps.Clone(c.Vars)
	maps.DeleteFunc(vars, func(_ string, v Var) bool { return !v.Secret() })
	return Config{Vars: vars}
}

// withOwn adds what the platform gives to every Function. A variable that the
// project has by that name stays the project's.
func (s *Service) withOwn(r *projectRow, d *deploymentRow, bindings []map[string]any) []map[string]any {
	has := func(name string) bool {
		return slices.ContainsFunc(bindings, func(b map[string]any) bool { return b["name"] == name })
	}
	own := []map[string]any{
		{"name": "CF_PAGES", "type": plainText, "text": "1"},
		{"name": "CF_PAGES_BRANCH", "type": plainText, "text": d.doc.Commit.Branch},
		{"name": "CF_PAGES_COMMIT_SHA", "type": plainText, "text": d.doc.Commit.Hash},
		{"name": "CF_PAGES_URL", "type": plainText, "text": s.URL(d.short + "." + s.Hostname(r.name))},
	}
	for _, b := range own {
		if name, ok := b["name"].(string); ok && !has(name) {
			bindings = append(bindings, b)
		}
	}
	bindings = slices.DeleteFunc(bindings, func(b map[string]any) bool { return b["name"] == assetsBinding })
	return append(bindings, map[string]any{"name": assetsBinding, "type": "assets"})
}
