package api

import (
	"encoding/json"

	"github.com/selvage-dev/selvage/internal/workers"
)

// environment is the only one there is; those of a wrangler configuration are scripts of their own.
const environment = "production"

type serviceJSON struct {
	ID                 string            `json:"id"`
	CreatedOn          stamp             `json:"created_on"`
	ModifiedOn         stamp             `json:"modified_on"`
	UsageModel         string            `json:"usage_model"`
	DefaultEnvironment environmentJSON   `json:"default_environment"`
	Environments       []environmentJSON `json:"environments"`
}

type environmentJSON struct {
	Environment string     `json:"environment"`
	CreatedOn   stamp      `json:"created_on"`
	ModifiedOn  stamp      `json:"modified_on"`
	Script      scriptJSON `json:"script"`
}

// scriptJSON describes a script by the version that serves, or by the latest one when none does.
type scriptJSON struct {
	ID                 string          `json:"id"`
	Tag                string          `json:"tag"`
	Tags               []string        `json:"tags"`
	Etag               string          `json:"etag,omitempty"`
	Handlers           []string        `json:"handlers"`
	CreatedOn          stamp           `json:"created_on"`
	ModifiedOn         stamp           `json:"modified_on"`
	UsageModel         string          `json:"usage_model"`
	CompatibilityDate  string          `json:"compatibility_date,omitempty"`
	CompatibilityFlags []string        `json:"compatibility_flags"`
	HasAssets          bool            `json:"has_assets"`
	HasModules         bool            `json:"has_modules"`
	Logpush            bool            `json:"logpush"`
	LastDeployedFrom   string          `json:"last_deployed_from"`
	MigrationTag       string          `json:"migration_tag,omitempty"`
	Observability      json.RawMessage `json:"observability,omitempty"`
	TailConsumers      json.RawMessage `json:"tail_consumers,omitempty"`
	Limits             json.RawMessage `json:"limits,omitempty"`
}

// lastDeployedFrom is what wrangler must read of every script. Anything else makes it warn that it
// would overwrite another tool's work, or download a configuration and compare.
const lastDeployedFrom = "wrangler"

func newScriptJSON(s workers.Script) scriptJSON {
	j := scriptJSON{
		ID: s.Name, Tag: s.Tag, Tags: list(s.Settings.Tags), Handlers: []string{}, CompatibilityFlags: []string{},
		CreatedOn: stamp(s.CreatedAt), ModifiedOn: stamp(s.ModifiedAt), UsageModel: workers.UsageModel,
		Logpush: s.Settings.Logpush, LastDeployedFrom: lastDeployedFrom, MigrationTag: s.MigrationTag,
		Observability: s.Settings.Observability, TailConsumers: s.Settings.TailConsumers,
	}
	v := current(s)
	if v == nil {
		return j
	}
	j.Etag, j.Handlers, j.HasAssets = v.Etag, list(v.Handlers), v.HasAssets
	j.CompatibilityDate, j.CompatibilityFlags = v.CompatibilityDate, list(v.CompatibilityFlags)
	j.HasModules, j.Limits = v.HasCode && !v.ServiceWorker, v.Limits
	return j
}

// current is the version that serves, or else the latest one; nil when there is none.
func current(s workers.Script) *workers.Version {
	if s.Live != nil {
		return s.Live
	}
	return s.Latest
}

// list makes an empty list of none: clients take lengths without asking.
func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

func getService(c *call) (any, error) {
	s, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	env := environmentJSON{
		Environment: environment, CreatedOn: stamp(s.CreatedAt), ModifiedOn: stamp(s.ModifiedAt), Script: newScriptJSON(s),
	}
	return serviceJSON{
		ID: s.Name, CreatedOn: env.CreatedOn, ModifiedOn: env.ModifiedOn, UsageModel: workers.UsageModel,
		DefaultEnvironment: env, Environments: []environmentJSON{env},
	}, nil
}

func listScripts(c *call) (any, error) {
	all, err := c.Workers.Scripts(c.ctx(), c.account())
	if err != nil {
		return nil, err
	}
	out := make([]scriptJSON, len(all))
	for i := range all {
		out[i] = newScriptJSON(all[i])
	}
	return out, nil
}

func deleteScript(c *call) (any, error) {
	force, err := boolParam(c.query(), "force")
	if err != nil {
		return nil, err
	}
	return nil, c.Workers.DeleteScript(c.ctx(), c.account(), c.script(), force)
}

type incomingJSON struct {
	Service     string `json:"service"`
	Environment string `json:"environment"`
}

type referencesJSON struct {
	Services struct {
		Incoming      []incomingJSON `json:"incoming"`
		Outgoing      []incomingJSON `json:"outgoing"`
		PagesFunction bool           `json:"pages_function"`
	} `json:"services"`
	DurableObjects    []map[string]string `json:"durable_objects"`
	DispatchOutbounds []map[string]string `json:"dispatch_outbounds"`
}

// getReferences answers with empty lists for a script that does not exist: wrangler asks before it
// deletes, and the deletion gives the error.
func getReferences(c *call) (any, error) {
	refs, err := c.Workers.References(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	var j referencesJSON
	j.Services.Incoming, j.Services.Outgoing = []incomingJSON{}, []incomingJSON{}
	j.DurableObjects, j.DispatchOutbounds = []map[string]string{}, []map[string]string{}
	for _, name := range refs.ServicesIncoming {
		j.Services.Incoming = append(j.Services.Incoming, incomingJSON{Service: name, Environment: environment})
	}
	for _, name := range refs.DurableObjects {
		j.DurableObjects = append(j.DurableObjects, map[string]string{"service": name, "environment": environment})
	}
	j.Services.PagesFunction = len(refs.Sites) > 0
	for _, name := range refs.DispatchOutbounds {
		j.DispatchOutbounds = append(j.DispatchOutbounds, map[string]string{"namespace": name})
	}
	return j, nil
}
