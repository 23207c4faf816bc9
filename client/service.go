package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// Service is what a deploy has to know of the worker that it replaces.
type Service struct {
	// MigrationTag is the last migration of its Durable Objects; "" for none.
	MigrationTag string
	Tags         []string
}

// Service returns it. It has code 10007 when there is no worker of this name.
func (c *Client) Service(ctx context.Context, script string) (Service, error) {
	var out struct {
		Environment struct {
			Script struct {
				MigrationTag string   `json:"migration_tag"`
				Tags         []string `json:"tags"`
			} `json:"script"`
		} `json:"default_environment"`
	}
	err := c.call(ctx, http.MethodGet, c.path("workers", "services", script), nil, nil, &out)
	return Service{MigrationTag: out.Environment.Script.MigrationTag, Tags: out.Environment.Script.Tags}, err
}

// Settings are the settings of a worker and of the version uploaded last.
type Settings struct {
	Bindings []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"bindings"`
	Observability json.RawMessage `json:"observability"`
}

// Settings returns them.
func (c *Client) Settings(ctx context.Context, script string) (Settings, error) {
	return result[Settings](ctx, c, http.MethodGet, c.path("workers", "scripts", script, "settings"), nil, nil)
}

// References says what refers to a worker.
type References struct {
	Services struct {
		Incoming []struct {
			Service string `json:"service"`
		} `json:"incoming"`
	} `json:"services"`
	Objects []struct {
		Service string `json:"service"`
	} `json:"durable_objects"`
}

// References returns them.
func (c *Client) References(ctx context.Context, script string) (References, error) {
	return result[References](ctx, c, http.MethodGet, c.path("workers", "scripts", script, "references"), nil, nil)
}

// SecretChange is a new version that only changes secrets of the latest one, not deployed.
func (c *Client) SecretChange(ctx context.Context, script string, secrets map[string]*string, o DeployOptions) (versionID string, err error) {
	env := map[string]any{}
	for name, text := range secrets {
		if text == nil {
			env[name] = nil
			continue
		}
		env[name] = map[string]string{"type": "secret_text", "text": *text}
	}
	in := map[string]any{"env": env}
	if o.Message != "" {
		in["annotations"] = map[string]string{AnnotationMessage: o.Message}
	}
	out, err := result[struct {
		ID string `json:"id"`
	}](ctx, c, http.MethodPatch, c.path("workers", "workers", script, "versions", "latest"), nil, in)
	return out.ID, err
}

// provisionPage is how many namespaces one call lists.
const provisionPage = 100

// ProvisionKV returns the id of the KV namespace with a title, which it makes if there is none.
func (c *Client) ProvisionKV(ctx context.Context, title string) (id string, made bool, err error) {
	type namespace struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	}
	path := c.path("storage", "kv", "namespaces")
	for page := 1; ; page++ {
		q := url.Values{"per_page": {strconv.Itoa(provisionPage)}, "page": {strconv.Itoa(page)}}
		list, err := result[[]namespace](ctx, c, http.MethodGet, path, q, nil)
		if err != nil {
			return "", false, err
		}
		for _, n := range list {
			if n.Title == title {
				return n.ID, false, nil
			}
		}
		if len(list) < provisionPage {
			break
		}
	}
	n, err := result[namespace](ctx, c, http.MethodPost, path, nil, map[string]string{"title": title})
	return n.ID, err == nil, err
}

// ProvisionD1 returns the id of the D1 database with a name, which it makes if there is none.
func (c *Client) ProvisionD1(ctx context.Context, name string) (id string, made bool, err error) {
	type database struct {
		ID   string `json:"uuid"`
		Name string `json:"name"`
	}
	path := c.path("d1", "database")
	q := url.Values{"per_page": {"1000"}, "page": {"1"}, "name": {name}}
	list, err := result[[]database](ctx, c, http.MethodGet, path, q, nil)
	if err != nil {
		return "", false, err
	}
	for _, d := range list {
		if d.Name == name {
			return d.ID, false, nil
		}
	}
	d, err := result[database](ctx, c, http.MethodPost, path, nil, map[string]string{"name": name})
	return d.ID, err == nil, err
}

// ProvisionR2 makes an R2 bucket unless there is one of this name.
func (c *Client) ProvisionR2(ctx context.Context, bucket string) (made bool, err error) {
	const absent = 10006
	err = c.call(ctx, http.MethodGet, c.path("r2", "buckets", bucket), nil, nil, nil)
	if !HasCode(err, absent) {
		return false, err
	}
	err = c.call(ctx, http.MethodPost, c.path("r2", "buckets"), nil, map[string]string{"name": bucket}, nil)
	return err == nil, err
}
