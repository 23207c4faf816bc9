package api

import (
	"encoding/json"
	"net/url"

	"github.com/selvage-dev/selvage/internal/workers"
)

type subdomainJSON struct {
	Subdomain string `json:"subdomain"`
}

func getAccountSubdomain(c *call) (any, error) {
	name := c.Accounts.Account().Subdomain
	if name == "" {
		return nil, errf(codeNotFound, "this account has no subdomain yet; PUT …/workers/subdomain sets it")
	}
	return subdomainJSON{Subdomain: name}, nil
}

func putAccountSubdomain(c *call) (any, error) {
	var in subdomainJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := c.Accounts.SetSubdomain(c.ctx(), in.Subdomain); err != nil {
		return nil, err
	}
	c.Workers.ForgetHosts()
	return subdomainJSON{Subdomain: c.Accounts.Account().Subdomain}, nil
}

// probeSubdomain always answers with an error, as its caller expects: that the name is taken, or that
// it is free.
func probeSubdomain(c *call) (any, error) {
	name := c.params["subdomain"]
	if name == c.Accounts.Account().Subdomain {
		return nil, errf(codeSubdomainTaken, "the subdomain %q is taken", name)
	}
	return nil, errf(codeSubdomainFree, "the subdomain %q is free", name)
}

// placeJSON says where a script's hostnames are and whether they answer.
type placeJSON struct {
	Enabled         bool `json:"enabled"`
	PreviewsEnabled bool `json:"previews_enabled"`
	// URL makes wrangler print our hostname in place of one below workers.dev.
	URL string `json:"url,omitempty"`
	// PreviewURLSuffix is what follows the first eight characters of a version's id, or an alias.
	PreviewURLSuffix string `json:"preview_url_suffix,omitempty"`
}

func (c *call) place(script string, s workers.Settings) placeJSON {
	edge := c.EdgeURL()
	port := ""
	if p := edge.Port(); p != "" {
		port = ":" + p
	}
	return placeJSON{
		Enabled: s.WorkersDev, PreviewsEnabled: s.Previews,
		URL:              (&url.URL{Scheme: edge.Scheme, Host: c.Workers.Hostname(c.account(), script) + port}).String(),
		PreviewURLSuffix: c.Workers.PreviewSuffix(c.account(), script) + port,
	}
}

func getScriptSubdomain(c *call) (any, error) {
	s, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	return c.place(s.Name, s.Settings), nil
}

func postScriptSubdomain(c *call) (any, error) {
	var in struct {
		Enabled         *bool `json:"enabled"`
		PreviewsEnabled *bool `json:"previews_enabled"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Enabled == nil {
		return nil, errf(codeBadRequest, "the field enabled is missing")
	}
	s, err := c.Workers.SetSubdomain(c.ctx(), c.account(), c.script(), *in.Enabled, in.PreviewsEnabled)
	if err != nil {
		return nil, err
	}
	return c.place(c.script(), s), nil
}

// workerJSON is a script as the newer half of the platform's API shows it.
type workerJSON struct {
	ID            string          `json:"id"`
	Name          string          `json:"name"`
	CreatedOn     stamp           `json:"created_on"`
	UpdatedOn     stamp           `json:"updated_on"`
	Tags          []string        `json:"tags"`
	Logpush       bool            `json:"logpush"`
	Observability json.RawMessage `json:"observability"`
	TailConsumers json.RawMessage `json:"tail_consumers"`
	Subdomain     placeJSON       `json:"subdomain"`
}

func getWorker(c *call) (any, error) {
	s, err := c.Workers.Script(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	return workerJSON{
		ID: s.Tag, Name: s.Name, CreatedOn: stamp(s.CreatedAt), UpdatedOn: stamp(s.ModifiedAt),
		Tags: list(s.Settings.Tags), Logpush: s.Settings.Logpush,
		Observability: s.Settings.Observability, TailConsumers: s.Settings.TailConsumers,
		Subdomain: c.place(s.Name, s.Settings),
	}, nil
}
