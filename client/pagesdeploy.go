package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Bounds of what is put into one upload request.
const (
	pagesBucketBytes = 16 << 20
	pagesBucketFiles = 1000
)

// PagesUpload is a site to deploy.
type PagesUpload struct {
	Assets *Assets
	Commit PagesCommit // Branch "" is the production branch
	// Routes is the text of _routes.json, "" for none.
	Routes string
	// Code is that of Functions; nil: a static site.
	Code *PagesCode
	// ConfigHash says that Code has all of the project's settings but its secrets:
	// a digest of the file they are in.
	ConfigHash string
	// Output is the folder of the site as that file names it.
	Output string
}

// PagesCode is the code of Functions.
type PagesCode struct {
	Main    string
	Modules []Module
	// Metadata has the settings that come from a configuration file; nil: those of
	// the project count.
	Metadata map[string]any
}

// DeployPages uploads what the platform has not yet, and deploys. A deployment
// that was refused for what is in it is returned all the same; see
// [PagesDeployment.Failed].
func (c *Client) DeployPages(ctx context.Context, project string, u *PagesUpload) (PagesDeployment, error) {
	var d PagesDeployment
	if err := c.uploadPages(ctx, project, u.Assets); err != nil {
		return d, err
	}
	form, err := u.form()
	if err != nil {
		return d, err
	}
	r := request{method: http.MethodPost, path: c.pagesPath(project, "deployments")}
	if err := form.set(&r); err != nil {
		return d, fmt.Errorf("deploy %s: %w", project, err)
	}
	err = c.send(ctx, &r, &d)
	return d, err
}

func (u *PagesUpload) form() (*formBody, error) {
	manifest := make(map[string]string, len(u.Assets.manifest))
	for p, e := range u.Assets.manifest {
		manifest[p] = e.Hash
	}
	raw, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	f := &formBody{parts: []formPart{{name: "manifest", plain: true, content: raw}}}
	field := func(name, value string) {
		if value != "" {
			f.parts = append(f.parts, formPart{name: name, plain: true, content: []byte(value)})
		}
	}
	field("branch", u.Commit.Branch)
	field("commit_hash", u.Commit.Hash)
	field("commit_message", u.Commit.Message)
	field("commit_dirty", strconv.FormatBool(u.Commit.Dirty))
	field("wrangler_config_hash", u.ConfigHash)
	field("pages_build_output_dir", u.Output)
	file := func(name, text string) {
		if text != "" {
			f.parts = append(f.parts, formPart{name: name, contentType: "application/octet-stream", content: []byte(text)})
		}
	}
	file("_headers", u.Assets.Headers)
	file("_redirects", u.Assets.Redirects)
	file("_routes.json", u.Routes)
	if u.Code == nil {
		return f, nil
	}
	bundle, err := u.Code.bundle()
	if err != nil {
		return nil, err
	}
	file("_worker.bundle", string(bundle))
	return f, nil
}

// bundle is a form that goes into the other one as a file.
func (p *PagesCode) bundle() ([]byte, error) {
	metadata := map[string]any{"main_module": p.Main}
	maps.Copy(metadata, p.Metadata)
	raw, err := json.Marshal(metadata)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	form := formBody{parts: []formPart{{name: "metadata", plain: true, content: raw}}}
	for _, m := range p.Modules {
		form.parts = append(form.parts, formPart{name: m.Name, contentType: m.ContentType, content: m.Body})
	}
	open, _, _, err := form.encode()
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return io.ReadAll(open())
}

// MissingPages says how many of the contents the platform does not have yet, and how many bytes they are.
func (c *Client) MissingPages(ctx context.Context, project string, a *Assets) (files int, size int64, err error) {
	_, missing, err := c.missingPages(ctx, project, a)
	if err != nil {
		return 0, 0, err
	}
	want := make(map[string]bool, len(missing))
	for _, h := range missing {
		want[h] = true
	}
	for _, e := range a.manifest {
		if want[e.Hash] {
			want[e.Hash] = false // once, however many files have it
			size += e.Size
		}
	}
	return len(missing), size, nil
}

func (c *Client) missingPages(ctx context.Context, project string, a *Assets) (jwt string, missing []string, err error) {
	type token struct {
		JWT string `json:"jwt"`
	}
	t, err := result[token](ctx, c, http.MethodGet, c.pagesPath(project, "upload-token"), nil, nil)
	if err != nil {
		return "", nil, err
	}
	hashes := make([]string, 0, len(a.files))
	for hash := range a.files {
		hashes = append(hashes, hash)
	}
	slices.Sort(hashes)
	err = c.pagesAssets(ctx, t.JWT, "check-missing", map[string]any{"hashes": hashes}, &missing)
	return t.JWT, missing, err
}

// uploadPages brings those files to the platform that it does not have yet.
func (c *Client) uploadPages(ctx context.Context, project string, a *Assets) error {
	jwt, missing, err := c.missingPages(ctx, project, a)
	if err != nil {
		return err
	}
	buckets := a.pagesBuckets(missing)
	if len(buckets) == 0 {
		return nil
	}
	report := a.reporter(buckets)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(assetUploads)
	for _, bucket := range buckets {
		group.Go(func() error {
			if err := c.uploadPagesBucket(ctx, jwt, a, bucket); err != nil {
				return err
			}
			report(len(bucket))
			return nil
		})
	}
	return group.Wait()
}

func (a *Assets) pagesBuckets(missing []string) (out [][]string) {
	sizes := make(map[string]int64, len(a.manifest))
	for _, e := range a.manifest {
		sizes[e.Hash] = e.Size
	}
	var bucket []string
	var total int64
	for _, h := range missing {
		if len(bucket) == pagesBucketFiles || len(bucket) > 0 && total+sizes[h] > pagesBucketBytes {
			out, bucket, total = append(out, bucket), nil, 0
		}
		bucket, total = append(bucket, h), total+sizes[h]
	}
	if len(bucket) > 0 {
		out = append(out, bucket)
	}
	return out
}

func (c *Client) uploadPagesBucket(ctx context.Context, jwt string, a *Assets, bucket []string) error {
	type asset struct {
		Key      string            `json:"key"`
		Value    string            `json:"value"`
		Metadata map[string]string `json:"metadata"`
		Base64   bool              `json:"base64"`
	}
	list := make([]asset, 0, len(bucket))
	for _, hash := range bucket {
		file, ok := a.files[hash]
		if !ok {
			return fmt.Errorf("upload files: the platform asks for %q, which is none of them", hash)
		}
		content, err := file.read()
		if err != nil {
			return fmt.Errorf("upload files: %w", err)
		}
		kind := ContentType(file.name)
		if i := strings.IndexByte(kind, ';'); i >= 0 {
			kind = kind[:i] // the platform adds the charset
		}
		list = append(list, asset{Key: hash, Value: base64.StdEncoding.EncodeToString(content), Metadata: map[string]string{"contentType": kind}, Base64: true})
	}
	return c.pagesAssets(ctx, jwt, "upload", list, nil)
}

func (c *Client) pagesAssets(ctx context.Context, jwt, what string, in, out any) error {
	r := request{method: http.MethodPost, path: "/pages/assets/" + what, bearer: jwt, repeat: true}
	if err := r.setJSON(in); err != nil {
		return err
	}
	return c.send(ctx, &r, out)
}
