package client

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Content types of modules.
const (
	TypeESModule  = "application/javascript+module"
	TypeScript    = "application/javascript" // CommonJS, or the script of the service-worker format
	TypeWasm      = "application/wasm"
	TypeText      = "text/plain"
	TypeData      = "application/octet-stream"
	TypeJSON      = "application/json"
	TypeSourceMap = "application/source-map"
)

// Module is one part of a script.
type Module struct {
	// Name is what other modules import it by; it may be a path.
	Name        string
	ContentType string
	Body        []byte
}

// Upload is a version to make. The fields are those of the API's metadata; zero values are left out.
type Upload struct {
	// MainModule names the module with the handlers, BodyPart the one script of the service-worker
	// format. Both empty: static assets only.
	MainModule         string            `json:"main_module,omitempty"`
	BodyPart           string            `json:"body_part,omitempty"`
	Bindings           []any             `json:"bindings,omitempty"`
	CompatibilityDate  string            `json:"compatibility_date,omitempty"`
	CompatibilityFlags []string          `json:"compatibility_flags,omitempty"`
	KeepBindings       []string          `json:"keep_bindings,omitempty"`
	KeepAssets         bool              `json:"keep_assets,omitempty"`
	Annotations        map[string]string `json:"annotations,omitempty"`
	Tags               []string          `json:"tags,omitempty"`
	Assets             *UploadedAssets   `json:"assets,omitempty"`

	// Migrations say how the classes of Durable Objects changed; Exports declare them.
	Migrations *Migrations    `json:"migrations,omitempty"`
	Exports    map[string]any `json:"exports,omitempty"`
	// Settings of the script and of what runs it, in the configuration's form.
	Limits                 any   `json:"limits,omitempty"`
	Placement              any   `json:"placement,omitempty"`
	Observability          any   `json:"observability,omitempty"`
	Logpush                *bool `json:"logpush,omitempty"`
	TailConsumers          []any `json:"tail_consumers,omitempty"`
	StreamingTailConsumers []any `json:"streaming_tail_consumers,omitempty"`
	Containers             []any `json:"containers,omitempty"`
	CacheOptions           any   `json:"cache_options,omitempty"`

	Modules []Module `json:"-"`
}

// Migrations are the steps from one tag to another; an empty OldTag means that there were none before.
type Migrations struct {
	OldTag string           `json:"old_tag,omitempty"`
	NewTag string           `json:"new_tag"`
	Steps  []map[string]any `json:"steps"`
}

// UploadedAssets names assets that [Client.UploadAssets] brought, and says how to serve them.
type UploadedAssets struct {
	JWT    string      `json:"jwt,omitempty"`
	Config AssetConfig `json:"config"`
}

// AssetConfig says how assets are served; see the configuration key "assets" of wrangler.
type AssetConfig struct {
	HTMLHandling     string `json:"html_handling,omitempty"`
	NotFoundHandling string `json:"not_found_handling,omitempty"`
	// RunWorkerFirst is a bool or a []string of path patterns; nil means false.
	RunWorkerFirst any `json:"run_worker_first,omitempty"`
	// Headers and Redirects are the texts of the files _headers and _redirects.
	Headers   string `json:"_headers,omitempty"`
	Redirects string `json:"_redirects,omitempty"`
}

// form encodes the upload as the API takes it.
func (u *Upload) form() (*formBody, error) {
	meta, err := json.Marshal(u)
	if err != nil {
		return nil, fmt.Errorf("encode the upload's metadata: %w", err)
	}
	f := &formBody{parts: []formPart{{name: "metadata", plain: true, content: meta}}}
	for _, m := range u.Modules {
		f.parts = append(f.parts, formPart{name: m.Name, contentType: m.ContentType, content: m.Body})
	}
	return f, nil
}

// Deployed is the outcome of [Client.Deploy].
type Deployed struct {
	Script

	VersionID     string `json:"deployment_id"`
	StartupTimeMS int64  `json:"startup_time_ms"`
}

// Size returns the sizes of the modules: as they are and, about, as gzip makes them. It takes as long
// as compressing them does.
func (u *Upload) Size() (raw, gzipped int64, err error) {
	var n counter
	z := gzip.NewWriter(&n)
	for _, m := range u.Modules {
		if m.ContentType == TypeSourceMap {
			continue
		}
		raw += int64(len(m.Body))
		if _, err := z.Write(m.Body); err != nil {
			return 0, 0, err
		}
	}
	if err := z.Close(); err != nil {
		return 0, 0, err
	}
	return raw, int64(n), nil
}

// counter counts what is written to it, in bytes.
type counter int64

func (n *counter) Write(p []byte) (int, error) {
	*n += counter(len(p))
	return len(p), nil
}

// Deploy uploads a version and makes it the one that serves, in one step. A version that does not
// start is refused with code 10021 and changes nothing.
func (c *Client) Deploy(ctx context.Context, script string, u *Upload) (Deployed, error) {
	r := request{method: http.MethodPut, path: c.path("workers", "scripts", script), query: uploadQuery()}
	return upload[Deployed](ctx, c, &r, u)
}

// CreateVersion uploads a version of a worker that exists, without deploying it. An upload that is
// sent again is recognised by the platform and makes no second version.
func (c *Client) CreateVersion(ctx context.Context, script string, u *Upload) (Version, error) {
	r := request{method: http.MethodPost, path: c.path("workers", "scripts", script, "versions"), query: uploadQuery(), repeat: true}
	return upload[Version](ctx, c, &r, u)
}

func uploadQuery() url.Values {
	return url.Values{"bindings_inherit": {"strict"}, "excludeScript": {"true"}}
}

func upload[T any](ctx context.Context, c *Client, r *request, u *Upload) (out T, err error) {
	f, err := u.form()
	if err != nil {
		return out, err
	}
	if err := f.set(r); err != nil {
		return out, fmt.Errorf("encode the upload: %w", err)
	}
	err = c.send(ctx, r, &out)
	return out, err
}
