package client

import (
	"context"
	"maps"
	"net/http"
	"net/url"
)

// Route makes a worker answer at a pattern of a zone, given by its id, its name, or neither (then the
// platform finds it).
type Route struct {
	Pattern string `json:"pattern"`
	ZoneID  string `json:"zone_id,omitempty"`
	Zone    string `json:"zone_name,omitempty"`
}

// SetRoutes replaces the routes of a worker.
func (c *Client) SetRoutes(ctx context.Context, script string, routes []Route) error {
	return c.call(ctx, http.MethodPut, c.path("workers", "scripts", script, "routes"), nil, some(routes), nil)
}

// Domain makes a worker answer at a hostname as a whole.
type Domain struct {
	Hostname string `json:"hostname"`
	ZoneID   string `json:"zone_id,omitempty"`
	Zone     string `json:"zone_name,omitempty"`
	Enabled  *bool  `json:"enabled,omitempty"`
	Previews *bool  `json:"previews_enabled,omitempty"`
}

// DomainChanges is what setting a worker's domains would do.
type DomainChanges struct {
	Added       []DomainRecord `json:"added"`
	Removed     []DomainRecord `json:"removed"`
	Updated     []DomainRecord `json:"updated"`
	Conflicting []DomainRecord `json:"conflicting"`
}

// DomainRecord is a custom domain and the worker that has it.
type DomainRecord struct {
	ID       string `json:"id"`
	Hostname string `json:"hostname"`
	Service  string `json:"service"`
	Enabled  bool   `json:"enabled"`
	Modified bool   `json:"modified"` // in DomainChanges: it would change
}

// PlanDomains says what [Client.SetDomains] would do.
func (c *Client) PlanDomains(ctx context.Context, script string, domains []Domain) (DomainChanges, error) {
	q := url.Values{"replace_state": {"true"}}
	return result[DomainChanges](ctx, c, http.MethodPost, c.path("workers", "scripts", script, "domains", "changeset"), q, some(domains))
}

// DomainRecord returns one custom domain.
func (c *Client) DomainRecord(ctx context.Context, id string) (DomainRecord, error) {
	return result[DomainRecord](ctx, c, http.MethodGet, c.path("workers", "domains", "records", id), nil, nil)
}

// SetDomains replaces the custom domains of a worker. With takeOver it takes those that another
// worker has.
func (c *Client) SetDomains(ctx context.Context, script string, domains []Domain, takeOver bool) error {
	in := struct {
		OverrideScope          bool     `json:"override_scope"`
		OverrideExistingOrigin bool     `json:"override_existing_origin"`
		OverrideExistingRecord bool     `json:"override_existing_dns_record"`
		Origins                []Domain `json:"origins"`
	}{true, takeOver, takeOver, some(domains)}
	return c.call(ctx, http.MethodPut, c.path("workers", "scripts", script, "domains", "records"), nil, in, nil)
}

// SetWorkflow makes or changes a workflow that a worker runs, with settings in the configuration's form.
func (c *Client) SetWorkflow(ctx context.Context, name, script string, settings map[string]any) error {
	in := map[string]any{"script_name": script}
	maps.Copy(in, settings)
	return c.call(ctx, http.MethodPut, c.path("workflows", name), nil, in, nil)
}

// SetConsumer makes a worker read a queue, with settings in the configuration's form.
func (c *Client) SetConsumer(ctx context.Context, queue, script string, settings map[string]any) error {
	type found struct {
		ID        string `json:"queue_id"`
		Consumers []struct {
			ID     string `json:"consumer_id"`
			Script string `json:"script"`
		} `json:"consumers"`
	}
	queues, err := result[[]found](ctx, c, http.MethodGet, c.path("queues"), url.Values{"page": {"1"}, "name": {queue}}, nil)
	if err != nil {
		return err
	}
	if len(queues) == 0 {
		return &Error{Status: http.StatusNotFound, Op: "set the consumer of " + queue, Message: "there is no queue of this name"}
	}
	in := map[string]any{"type": "worker", "script_name": script, "settings": settings}
	if dead, ok := settings["dead_letter_queue"]; ok {
		in["dead_letter_queue"] = dead
	}
	for _, consumer := range queues[0].Consumers {
		if consumer.Script == script {
			return c.call(ctx, http.MethodPut, c.path("queues", queues[0].ID, "consumers", consumer.ID), nil, in, nil)
		}
	}
	return c.call(ctx, http.MethodPost, c.path("queues", queues[0].ID, "consumers"), nil, in, nil)
}

// some is a list that is never null.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
