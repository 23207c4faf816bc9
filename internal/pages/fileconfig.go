package pages

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
)

// configHashKey is where the settings of an environment say that they are those of a wrangler file; the same key that
// clients give.
const configHashKey = "wrangler_config_hash"

// fileConfig returns the settings of a bundle whose metadata has those of a wrangler file, in the form of a project's.
// Secrets, which are in no file, are taken over from old. What has no such form, the version's own metadata for
// example, is left out: nothing is deployed with what this returns.
func fileConfig(b *Bundle, hash string, old *Config) (Config, error) {
	var in struct {
		Bindings  []map[string]json.RawMessage `json:"bindings"`
		Date      string                       `json:"compatibility_date"`
		Flags     []string                     `json:"compatibility_flags"`
		Limits    json.RawMessage              `json:"limits"`
		Placement json.RawMessage              `json:"placement"`
	}
	if err := json.Unmarshal(b.Metadata, &in); err != nil {
		return Config{}, &RefusedError{Text: "The settings in the metadata of the Functions bundle do not have the form of a Worker's upload.", Err: err}
	}
	out := Config{Vars: old.secretsOnly().Vars, Date: in.Date, Flags: in.Flags, More: maps.Clone(old.More)}
	if out.Vars == nil {
		out.Vars = make(map[string]Var)
	}
	if out.More == nil {
		out.More = make(map[string]json.RawMessage)
	}
	for key, raw := range map[string]json.RawMessage{"limits": in.Limits, "placement": in.Placement} {
		if out.More[key] = raw; len(raw) == 0 {
			delete(out.More, key)
		}
	}
	quoted, err := json.Marshal(hash)
	if err != nil {
		return Config{}, err
	}
	out.More[configHashKey] = quoted
	for _, binding := range in.Bindings {
		if err := out.addBinding(binding); err != nil {
			return Config{}, err
		}
	}
	return out, nil
}

// addBinding adds a binding of a Worker's upload.
func (c *Config) addBinding(b map[string]json.RawMessage) error {
	name, typ := textOf(b["name"]), textOf(b["type"])
	switch typ {
	case plainText:
		c.Vars[name] = Var{Type: plainText, Text: textOf(b["text"])}
		return nil
	case "json": // a project's variables are texts
		c.Vars[name] = Var{Type: plainText, Text: string(b["json"])}
		return nil
	}
	for _, kind := range resourceKinds() {
		if kind.typ != typ {
			continue
		}
		fields := make(map[string]json.RawMessage)
		used := make(map[string]bool)
		for _, f := range kind.fields {
			if v, ok := b[f.worker]; ok && !used[f.worker] {
				fields[f.project], used[f.worker] = v, true
			}
		}
		raw, err := json.Marshal(fields)
		if err != nil {
			return err
		}
		if c.Resources == nil {
			c.Resources = make(map[string]map[string]json.RawMessage)
		}
		if c.Resources[kind.key] == nil {
			c.Resources[kind.key] = make(map[string]json.RawMessage)
		}
		c.Resources[kind.key][name] = raw
	}
	return nil
}

// textOf is a text, or "" for what is none.
func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// keepFileConfig makes the settings of a wrangler file, with which a deployment was made, those of its environment: so
// whoever looks at the project sees what counts, and "pages download config" gives it back. It is part of the
// transaction that saves the deployment; a change of the project meanwhile is not lost but for what the file says.
func (s *Service) keepFileConfig(ctx context.Context, tx *sql.Tx, d *deploymentRow) error {
	if d.doc.ConfigHash == "" || !d.succeeded {
		return nil
	}
	r, err := scanProject(tx.QueryRowContext(ctx, `SELECT `+projectColumns+` FROM pages_projects p WHERE p.id = ?`, d.projectID))
	if err != nil {
		return err
	}
	if d.doc.Bundle != nil {
		own := r.settings.Configs.of(d.environment)
		if *own, err = fileConfig(d.doc.Bundle, d.doc.ConfigHash, own); err != nil {
			return err
		}
	}
	if d.output != "" {
		build := make(map[string]json.RawMessage)
		if len(r.settings.Build) > 0 {
			if err := json.Unmarshal(r.settings.Build, &build); err != nil {
				return err
			}
		}
		if build["destination_dir"], err = json.Marshal(d.output); err != nil {
			return err
		}
		if r.settings.Build, err = json.Marshal(build); err != nil {
			return err
		}
	}
	doc, err := json.Marshal(r.settings)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE pages_projects SET settings = ? WHERE id = ?`, string(doc), r.id)
	return err
}
