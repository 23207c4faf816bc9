package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/selvage-dev/selvage/internal/registry"
)

// ociPage is how many names a page of a list has when the client does not say, and
// at most.
const ociPage = 1000

// manifests answers what is asked of /v2/<name>/manifests/<reference>.
func (c *ociCall) manifests(rest string) error {
	ref, err := registry.ParseReference(rest)
	if err != nil {
		return err
	}
	switch c.r.Method {
	case http.MethodGet, http.MethodHead:
		m, err := c.Images.Manifest(c.ctx(), c.repo, ref)
		if err != nil {
			return err
		}
		h := c.w.Header()
		h.Set("Content-Type", m.MediaType)
		h.Set("Docker-Content-Digest", m.Digest.String())
		h.Set("Etag", `"`+m.Digest.String()+`"`)
		h.Set("Content-Length", strconv.Itoa(len(m.Body)))
		c.w.WriteHeader(http.StatusOK)
		if c.r.Method == http.MethodGet {
			_, _ = c.w.Write(m.Body) // who does not read it is gone
		}
	case http.MethodPut:
		most := c.Images.Limits().Manifest
		body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, most))
		if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return &registry.Error{Code: registry.CodeSizeInvalid, Message: "the manifest has more than " + strconv.FormatInt(large.Limit, 10) + " bytes"}
		}
		if err != nil {
			return err
		}
		mediaType, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
		if err != nil {
			return &registry.Error{Code: registry.CodeManifestInvalid, Message: "the request has no Content-Type that says what the manifest is"}
		}
		d, err := c.Images.PutManifest(c.ctx(), c.repo, ref, mediaType, body)
		if err != nil {
			return err
		}
		c.created(d, "/manifests/"+d.String())
	case http.MethodDelete:
		if err := c.Images.DeleteManifest(c.ctx(), c.repo, ref); err != nil {
			return err
		}
		c.w.WriteHeader(http.StatusAccepted)
	default:
		return errOCIMethod(c)
	}
	return nil
}

// page reads n and last of a list.
func (c *ociCall) page() (after string, limit int) {
	q := c.r.URL.Query()
	limit, err := strconv.Atoi(q.Get("n"))
	if err != nil || limit < 1 || limit > ociPage {
		limit = ociPage
	}
	return q.Get("last"), limit
}

// next says where a list goes on.
func (c *ociCall) next(last string, limit int) {
	q := c.r.URL.Query()
	q.Set("last", last)
	q.Set("n", strconv.Itoa(limit))
	u := url.URL{Path: c.r.URL.Path, RawQuery: q.Encode()}
	c.w.Header().Set("Link", "<"+u.String()+`>; rel="next"`)
}

func (c *ociCall) tags(string) error {
	if !reads(c.r) {
		return errOCIMethod(c)
	}
	after, limit := c.page()
	tags, err := c.Images.Tags(c.ctx(), c.repo, after, limit)
	if err != nil {
		return err
	}
	if len(tags) == limit {
		c.next(tags[limit-1], limit)
	}
	if tags == nil {
		tags = []string{}
	}
	return c.json(http.StatusOK, map[string]any{"name": c.repo.Account + "/" + c.repo.Name, "tags": tags})
}

// catalog lists the account's repositories: as the specification has it, or with
// tags=true as the map from repository to tags that wrangler reads.
func (c *ociCall) catalog() error {
	if !reads(c.r) {
		return errOCIMethod(c)
	}
	after, limit := c.page()
	if rest, ok := cutAccount(after, c.account); ok {
		after = rest
	}
	names, err := c.Images.Repositories(c.ctx(), c.account, after, limit)
	if err != nil {
		return err
	}
	if len(names) == limit {
		c.next(c.account+"/"+names[limit-1], limit)
	}
	if c.r.URL.Query().Get("tags") != "true" {
		full := make([]string, len(names))
		for i, name := range names {
			full[i] = c.account + "/" + name
		}
		return c.json(http.StatusOK, map[string]any{"repositories": full})
	}
	all := make(map[string][]string, len(names))
	for _, name := range names {
		// One that has more tags than a page is listed by /tags/list.
		tags, err := c.Images.Tags(c.ctx(), registry.Repo{Account: c.account, Name: name}, "", ociPage)
		if err != nil {
			return err
		}
		if len(tags) > 0 {
			all[c.account+"/"+name] = tags
		}
	}
	return c.json(http.StatusOK, map[string]any{"repositories": all})
}

func cutAccount(name, account string) (string, bool) {
	if len(name) > len(account) && name[:len(account)] == account && name[len(account)] == '/' {
		return name[len(account)+1:], true
	}
	return name, false
}

// collect is what wrangler asks for after it has deleted an image.
func (c *ociCall) collect() error {
	if c.r.Method != http.MethodPut {
		return errOCIMethod(c)
	}
	if !c.push {
		return &registry.Error{Code: registry.CodeDenied, Message: "these credentials allow to pull only"}
	}
	if _, err := c.Images.Collect(c.ctx()); err != nil {
		return err
	}
	return c.json(http.StatusOK, struct{}{})
}
