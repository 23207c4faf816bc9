package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Codes of Pages that callers branch on.
const (
	CodePagesProjectNotFound    = 8000007
	CodePagesDeploymentNotFound = 8000009
	CodePagesAliased            = 8000035 // a branch leads to the deployment
)

// PagesProject is a site.
type PagesProject struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Domains []string `json:"domains"`
	// URLs are the addresses of production as visitors reach them.
	URLs      []string               `json:"urls"`
	Branch    string                 `json:"production_branch"`
	CreatedOn time.Time              `json:"created_on"`
	Latest    *PagesDeployment       `json:"latest_deployment"`
	Serving   *PagesDeployment       `json:"canonical_deployment"` // in production
	Configs   map[string]PagesConfig `json:"deployment_configs"`
}

// PagesConfig is what the deployments of an environment are made with.
type PagesConfig struct {
	Vars  map[string]PagesVar `json:"env_vars"`
	Date  string              `json:"compatibility_date"`
	Flags []string            `json:"compatibility_flags"`
}

// PagesVar is a variable, or a secret, whose value is not shown.
type PagesVar struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// PagesDeployment is one state of a site.
type PagesDeployment struct {
	ID          string       `json:"id"`
	ShortID     string       `json:"short_id"`
	Environment string       `json:"environment"`
	URL         string       `json:"url"`
	Aliases     []string     `json:"aliases"`
	CreatedOn   time.Time    `json:"created_on"`
	Stage       PagesStage   `json:"latest_stage"`
	Trigger     PagesTrigger `json:"deployment_trigger"`
	Functions   bool         `json:"uses_functions"`
	Files       int          `json:"files"`
}

// Failed says that the deployment never served.
func (d *PagesDeployment) Failed() bool { return d.Stage.Status != "success" }

// PagesStage is a step of a deployment.
type PagesStage struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

// PagesTrigger says what was deployed.
type PagesTrigger struct {
	Type     string      `json:"type"`
	Metadata PagesCommit `json:"metadata"`
}

// PagesCommit is what the one who deployed said of it.
type PagesCommit struct {
	Branch  string `json:"branch"`
	Hash    string `json:"commit_hash"`
	Message string `json:"commit_message"`
	Dirty   bool   `json:"commit_dirty"`
}

// PagesLogLine is a line of what happened while a deployment was made.
type PagesLogLine struct {
	Time time.Time `json:"ts"`
	Line string    `json:"line"`
}

func (c *Client) pagesPath(segments ...string) string {
	return c.path(append([]string{"pages", "projects"}, segments...)...)
}

// CreatePagesProject makes a project, whose deployments of branch are for
// production.
func (c *Client) CreatePagesProject(ctx context.Context, name, branch string, config map[string]any) (PagesProject, error) {
	in := map[string]any{"name": name, "production_branch": branch}
	if len(config) > 0 {
		in["deployment_configs"] = map[string]any{"production": config, "preview": config}
	}
	return result[PagesProject](ctx, c, http.MethodPost, c.pagesPath(), nil, in)
}

// PagesProject returns a project. It has code 8000007 when there is none.
func (c *Client) PagesProject(ctx context.Context, name string) (PagesProject, error) {
	return result[PagesProject](ctx, c, http.MethodGet, c.pagesPath(name), nil, nil)
}

// PagesProjects lists all projects by name.
func (c *Client) PagesProjects(ctx context.Context) ([]PagesProject, error) {
	return pagesList[PagesProject](ctx, c, c.pagesPath(), url.Values{})
}

// pagesList reads a list page by page.
func pagesList[T any](ctx context.Context, c *Client, path string, q url.Values) ([]T, error) {
	const per = 100
	all := []T{}
	for page := 1; ; page++ {
		q.Set("page", strconv.Itoa(page))
		q.Set("per_page", strconv.Itoa(per))
		some, err := result[[]T](ctx, c, http.MethodGet, path, q, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < per {
			return all, nil
		}
	}
}

// PatchPagesConfig changes the settings of an environment, production or preview.
// What is null in config goes.
func (c *Client) PatchPagesConfig(ctx context.Context, name, environment string, config map[string]any) (PagesProject, error) {
	in := map[string]any{"deployment_configs": map[string]any{environment: config}}
	return result[PagesProject](ctx, c, http.MethodPatch, c.pagesPath(name), nil, in)
}

// DeletePagesProject deletes a project with all its deployments.
func (c *Client) DeletePagesProject(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, c.pagesPath(name), nil, nil, nil)
}

// PagesDeployments lists the deployments of a project, newest first; environment
// "" means all.
func (c *Client) PagesDeployments(ctx context.Context, name, environment string) ([]PagesDeployment, error) {
	q := url.Values{}
	if environment != "" {
		q.Set("env", environment)
	}
	return pagesList[PagesDeployment](ctx, c, c.pagesPath(name, "deployments"), q)
}

// RollbackPages makes an earlier deployment of the production branch serve again.
func (c *Client) RollbackPages(ctx context.Context, name, id string) (PagesDeployment, error) {
	return result[PagesDeployment](ctx, c, http.MethodPost, c.pagesPath(name, "deployments", id, "rollback"), nil, nil)
}

// PromotePages makes any deployment, a preview too, the one in production.
func (c *Client) PromotePages(ctx context.Context, name, id string) (PagesDeployment, error) {
	return result[PagesDeployment](ctx, c, http.MethodPost, c.path("selvage", "pages", name, "deployments", id, "promote"), nil, nil)
}

// DeletePagesDeployment deletes a deployment. Without force it has code 8000035
// for the latest one of a branch.
func (c *Client) DeletePagesDeployment(ctx context.Context, name, id string, force bool) error {
	q := url.Values{"force": {strconv.FormatBool(force)}}
	return c.call(ctx, http.MethodDelete, c.pagesPath(name, "deployments", id), q, nil, nil)
}

// PagesLog returns what happened while a deployment was made.
func (c *Client) PagesLog(ctx context.Context, name, id string) ([]PagesLogLine, error) {
	type log struct {
		Data []PagesLogLine `json:"data"`
	}
	l, err := result[log](ctx, c, http.MethodGet, c.pagesPath(name, "deployments", id, "history", "logs"), nil, nil)
	return l.Data, err
}
