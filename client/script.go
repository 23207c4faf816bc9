package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Script is a worker as the list shows it.
type Script struct {
	ID                 string    `json:"id"` // its name
	Tag                string    `json:"tag"`
	Etag               string    `json:"etag"`
	Handlers           []string  `json:"handlers"`
	CreatedOn          time.Time `json:"created_on"`
	ModifiedOn         time.Time `json:"modified_on"`
	CompatibilityDate  string    `json:"compatibility_date"`
	CompatibilityFlags []string  `json:"compatibility_flags"`
	HasAssets          bool      `json:"has_assets"`
	HasModules         bool      `json:"has_modules"`
}

// Scripts lists the account's workers.
func (c *Client) Scripts(ctx context.Context) ([]Script, error) {
	return result[[]Script](ctx, c, http.MethodGet, c.path("workers", "scripts"), nil, nil)
}

// Worker says where a worker is.
type Worker struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	UpdatedOn time.Time `json:"updated_on"`
	Subdomain Place     `json:"subdomain"`
}

// Place says where a worker answers.
type Place struct {
	Enabled         bool `json:"enabled"`
	PreviewsEnabled bool `json:"previews_enabled"`
	// URL is where the live version answers when Enabled.
	URL string `json:"url"`
	// PreviewURLSuffix follows the first eight characters of a version's id, or an alias.
	PreviewURLSuffix string `json:"preview_url_suffix"`
}

// Worker returns one worker. It has code 10007 when there is none of this name.
func (c *Client) Worker(ctx context.Context, script string) (Worker, error) {
	return result[Worker](ctx, c, http.MethodGet, c.path("workers", "workers", script), nil, nil)
}

// SetPlace says whether a worker answers at its hostname, and whether its versions have preview
// hostnames (nil: as the platform decides).
func (c *Client) SetPlace(ctx context.Context, script string, enabled bool, previews *bool) (Place, error) {
	in := struct {
		Enabled         bool  `json:"enabled"`
		PreviewsEnabled *bool `json:"previews_enabled,omitempty"`
	}{enabled, previews}
	return result[Place](ctx, c, http.MethodPost, c.path("workers", "scripts", script, "subdomain"), nil, in)
}

// DeleteScript deletes a worker with all its versions and secrets. Without force it is refused while
// others refer to it.
func (c *Client) DeleteScript(ctx context.Context, script string, force bool) error {
	q := url.Values{"force": {strconv.FormatBool(force)}}
	return c.call(ctx, http.MethodDelete, c.path("workers", "scripts", script), q, nil, nil)
}

// Version is an immutable upload of a worker.
type Version struct {
	ID            string            `json:"id"`
	Number        int64             `json:"number"`
	Metadata      VersionMetadata   `json:"metadata"`
	Annotations   map[string]string `json:"annotations"`
	Resources     VersionResources  `json:"resources"`
	StartupTimeMS int64             `json:"startup_time_ms"` // 0: it has no code, or was not measured
}

// VersionMetadata says who made a version and when.
type VersionMetadata struct {
	CreatedOn   time.Time `json:"created_on"`
	Source      string    `json:"source"`
	AuthorEmail string    `json:"author_email"`
	HasPreview  bool      `json:"has_preview"`
}

// VersionResources is what a version is made of.
type VersionResources struct {
	Script struct {
		Etag     string   `json:"etag"`
		Handlers []string `json:"handlers"`
	} `json:"script"`
	ScriptRuntime struct {
		CompatibilityDate  string   `json:"compatibility_date"`
		CompatibilityFlags []string `json:"compatibility_flags"`
	} `json:"script_runtime"`
	Bindings []json.RawMessage `json:"bindings"`
}

// Versions lists a worker's versions, newest first.
func (c *Client) Versions(ctx context.Context, script string) ([]Version, error) {
	type items struct {
		Items []Version `json:"items"`
	}
	out, err := result[items](ctx, c, http.MethodGet, c.path("workers", "scripts", script, "versions"), nil, nil)
	return out.Items, err
}

// Version returns one version.
func (c *Client) Version(ctx context.Context, script, id string) (Version, error) {
	return result[Version](ctx, c, http.MethodGet, c.path("workers", "scripts", script, "versions", id), nil, nil)
}

// Deployment says which versions serve.
type Deployment struct {
	ID          string              `json:"id"`
	Source      string              `json:"source"`
	Strategy    string              `json:"strategy"`
	AuthorEmail string              `json:"author_email"`
	CreatedOn   time.Time           `json:"created_on"`
	Annotations map[string]string   `json:"annotations"`
	Versions    []DeploymentVersion `json:"versions"`
}

// DeploymentVersion is the share of one version in percent.
type DeploymentVersion struct {
	VersionID  string  `json:"version_id"`
	Percentage float64 `json:"percentage"`
}

// Deployments lists a worker's deployments, the live one first.
func (c *Client) Deployments(ctx context.Context, script string) ([]Deployment, error) {
	type deployments struct {
		Deployments []Deployment `json:"deployments"`
	}
	out, err := result[deployments](ctx, c, http.MethodGet, c.path("workers", "scripts", script, "deployments"), nil, nil)
	return out.Deployments, err
}

// Annotation keys.
const (
	AnnotationMessage = "workers/message"
	AnnotationTag     = "workers/tag"
	AnnotationAlias   = "workers/alias"
)

// DeployOptions are optional.
type DeployOptions struct {
	// Message is kept with the deployment.
	Message string
	// Force deploys also when secrets changed since the version was made (else code 10220).
	Force bool
}

// DeployVersion makes a version the one that serves.
func (c *Client) DeployVersion(ctx context.Context, script, version string, o DeployOptions) (Deployment, error) {
	return c.DeployShares(ctx, script, []DeploymentVersion{{VersionID: version, Percentage: 100}}, o)
}

// DeployShares makes versions serve, each with its share. The shares sum to 100.
func (c *Client) DeployShares(ctx context.Context, script string, shares []DeploymentVersion, o DeployOptions) (Deployment, error) {
	in := struct {
		Strategy    string              `json:"strategy"`
		Versions    []DeploymentVersion `json:"versions"`
		Annotations map[string]string   `json:"annotations,omitempty"`
	}{Strategy: "percentage", Versions: shares}
	if o.Message != "" {
		in.Annotations = map[string]string{AnnotationMessage: o.Message}
	}
	q := url.Values{}
	if o.Force {
		q.Set("force", "true")
	}
	return result[Deployment](ctx, c, http.MethodPost, c.path("workers", "scripts", script, "deployments"), q, in)
}

// Rollback makes the version serve that served alone before the live deployment. The error has code
// 10007 when there was none.
func (c *Client) Rollback(ctx context.Context, script string, o DeployOptions) (Deployment, error) {
	all, err := c.Deployments(ctx, script)
	if err != nil {
		return Deployment{}, err
	}
	for _, d := range all[min(1, len(all)):] {
		if len(d.Versions) == 1 && d.Versions[0].Percentage == 100 {
			return c.DeployVersion(ctx, script, d.Versions[0].VersionID, o)
		}
	}
	return Deployment{}, &Error{Code: CodeNotFound, Status: http.StatusNotFound, Op: "rollback " + script, Message: "there is no earlier deployment to return to; name a version"}
}

// Secret is the public side of a secret.
type Secret struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Secrets lists the names of a worker's secrets.
func (c *Client) Secrets(ctx context.Context, script string) ([]Secret, error) {
	return result[[]Secret](ctx, c, http.MethodGet, c.path("workers", "scripts", script, "secrets"), nil, nil)
}

// PutSecret sets one secret and deploys.
func (c *Client) PutSecret(ctx context.Context, script, name, text string) error {
	in := map[string]string{"name": name, "text": text, "type": "secret_text"}
	return c.call(ctx, http.MethodPut, c.path("workers", "scripts", script, "secrets"), nil, in, nil)
}

// DeleteSecret deletes one secret and deploys.
func (c *Client) DeleteSecret(ctx context.Context, script, name string) error {
	return c.call(ctx, http.MethodDelete, c.path("workers", "scripts", script, "secrets", name), url.Values{"url_encoded": {"true"}}, nil, nil)
}

// PatchSecrets sets (not nil) and deletes (nil) secrets in one step and returns those there are then.
func (c *Client) PatchSecrets(ctx context.Context, script string, secrets map[string]*string) ([]Secret, error) {
	in := map[string]map[string]any{"secrets": {}}
	for name, text := range secrets {
		if text == nil {
			in["secrets"][name] = nil
			continue
		}
		in["secrets"][name] = map[string]string{"name": name, "text": *text, "type": "secret_text"}
	}
	return result[[]Secret](ctx, c, http.MethodPatch, c.path("workers", "scripts", script, "secrets-bulk"), nil, in)
}

// EgressRule allows a worker to reach the ports FromPort to ToPort (both 0: all) of a network, given
// as CIDR, that is otherwise refused.
type EgressRule struct {
	Prefix   string `json:"prefix"`
	FromPort uint16 `json:"from_port,omitempty"`
	ToPort   uint16 `json:"to_port,omitempty"`
}

type egress struct {
	Allow []EgressRule `json:"allow"`
}

// Egress returns what a worker may reach of what is otherwise refused.
func (c *Client) Egress(ctx context.Context, script string) ([]EgressRule, error) {
	out, err := result[egress](ctx, c, http.MethodGet, c.path("selvage", "workers", script, "egress"), nil, nil)
	return out.Allow, err
}

// SetEgress replaces those rules. It needs a token with all rights.
func (c *Client) SetEgress(ctx context.Context, script string, rules []EgressRule) error {
	return c.call(ctx, http.MethodPut, c.path("selvage", "workers", script, "egress"), nil, egress{rules}, nil)
}
