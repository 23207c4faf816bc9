package api

import (
	"encoding/json"

	"github.com/selvage-dev/selvage/internal/workers"
)

type versionJSON struct {
	ID            string            `json:"id"`
	Number        int64             `json:"number"`
	Metadata      versionMetaJSON   `json:"metadata"`
	Annotations   map[string]string `json:"annotations"`
	Resources     resourcesJSON     `json:"resources"`
	StartupTimeMS *int64            `json:"startup_time_ms,omitempty"`
}

type versionMetaJSON struct {
	CreatedOn   stamp  `json:"created_on"`
	ModifiedOn  stamp  `json:"modified_on"`
	Source      string `json:"source"`
	AuthorID    string `json:"author_id"`
	AuthorEmail string `json:"author_email"`
	HasPreview  bool   `json:"has_preview"`
}

type resourcesJSON struct {
	Script        versionScriptJSON `json:"script"`
	ScriptRuntime runtimeJSON       `json:"script_runtime"`
	Bindings      []json.RawMessage `json:"bindings"`
}

type versionScriptJSON struct {
	Etag             string   `json:"etag"`
	Handlers         []string `json:"handlers"`
	LastDeployedFrom string   `json:"last_deployed_from"`
}

type runtimeJSON struct {
	CompatibilityDate  string          `json:"compatibility_date,omitempty"`
	CompatibilityFlags []string        `json:"compatibility_flags"`
	UsageModel         string          `json:"usage_model"`
	Limits             json.RawMessage `json:"limits,omitempty"`
}

func newVersionJSON(v *workers.Version, s workers.Settings) versionJSON {
	return versionJSON{
		ID: v.ID, Number: v.Number, Annotations: annotations(v.Annotations), StartupTimeMS: startupMS(v),
		Metadata: versionMetaJSON{
			// A version never changes.
			CreatedOn: stamp(v.CreatedAt), ModifiedOn: stamp(v.CreatedAt),
			Source: v.Origin.Source, AuthorID: v.Origin.AuthorID, AuthorEmail: v.Origin.AuthorEmail, HasPreview: s.Previews,
		},
		Resources: resourcesJSON{
			Script: versionScriptJSON{Etag: v.Etag, Handlers: list(v.Handlers), LastDeployedFrom: lastDeployedFrom},
			ScriptRuntime: runtimeJSON{
				CompatibilityDate: v.CompatibilityDate, CompatibilityFlags: list(v.CompatibilityFlags),
				UsageModel: workers.UsageModel, Limits: v.Limits,
			},
			Bindings: list(v.Bindings),
		},
	}
}

func annotations(in map[string]string) map[string]string {
	if in == nil {
		return map[string]string{}
	}
	return in
}

type itemsJSON struct {
	Items []versionJSON `json:"items"`
}

// listVersions answers newest first. All versions may be deployed, so deployable=true, by which wrangler
// asks for those that may, changes nothing. It sends neither page nor per_page and wants all: the first
// page is as large as one may be.
func listVersions(c *call) (any, error) {
	s, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	q := c.query()
	n, per, err := pageParams(q, maxPerPage)
	if err != nil {
		return nil, err
	}
	page, err := c.Workers.Versions(c.ctx(), c.account(), c.script(), (n-1)*per, per)
	if err != nil {
		return nil, err
	}
	out := itemsJSON{Items: make([]versionJSON, len(page))}
	for i := range page {
		out.Items[i] = newVersionJSON(&page[i], s.Settings)
	}
	total := 0
	if s.Latest != nil {
		// Versions are numbered without gaps and none is ever deleted alone.
		total = int(s.Latest.Number)
	}
	return paged{Items: out, Info: newResultInfo(n, per, len(page), total)}, nil
}

func getVersion(c *call) (any, error) {
	s, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	v, err := c.Workers.Version(c.ctx(), c.account(), c.script(), c.params["version"])
	if err != nil {
		return nil, err
	}
	return newVersionJSON(&v, s.Settings), nil
}

type latestPatchJSON struct {
	Env         map[string]*envJSON `json:"env"`
	Annotations map[string]string   `json:"annotations"`
}

type envJSON struct {
	Type string  `json:"type"`
	Text *string `json:"text"`
}

// patchLatest makes a new version from the latest one with other secrets. It is not deployed.
func patchLatest(c *call) (any, error) {
	var in latestPatchJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	p := workers.LatestPatch{Annotations: in.Annotations, Origin: c.origin()}
	for _, name := range sortedKeys(in.Env) {
		env := in.Env[name]
		if env == nil {
			p.Env = append(p.Env, workers.SecretPatch{Name: name})
			continue
		}
		if env.Type != secretText || env.Text == nil {
			return nil, notOffered("changing the binding %q of type %q without a new upload", name, env.Type)
		}
		p.Env = append(p.Env, workers.SecretPatch{Name: name, Text: env.Text})
	}
	v, err := c.Workers.PatchLatestVersion(c.ctx(), c.account(), c.script(), p)
	if err != nil {
		return nil, err
	}
	return c.showVersion(&v)
}

// showVersion answers with a version, which its script's settings are part of.
func (c *call) showVersion(v *workers.Version) (any, error) {
	s, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	return newVersionJSON(v, s.Settings), nil
}
