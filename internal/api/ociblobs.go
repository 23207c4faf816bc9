package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/registry"
)

// blobs answers what is asked of /v2/<name>/blobs/<digest>.
func (c *ociCall) blobs(rest string) error {
	d, err := registry.ParseDigest(rest)
	if err != nil {
		return err
	}
	if !reads(c.r) {
		return errOCIMethod(c) // a blob goes when nothing names it
	}
	f, size, err := c.Images.OpenBlob(c.ctx(), c.repo, d)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	h := c.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Docker-Content-Digest", d.String())
	h.Set("Etag", `"`+d.String()+`"`)
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	if c.r.Method == http.MethodHead {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
		c.w.WriteHeader(http.StatusOK)
		return nil
	}
	http.ServeContent(c.w, c.r, "", time.Time{}, f)
	return nil
}

// uploads answers what is asked of /v2/<name>/blobs/uploads/[<id>].
func (c *ociCall) uploads(rest string) error {
	if rest == "" {
		if c.r.Method != http.MethodPost {
			return errOCIMethod(c)
		}
		return c.startUpload()
	}
	id, err := uuid.Parse(rest)
	if err != nil {
		return &registry.Error{Code: registry.CodeUploadUnknown, Message: "there is no such upload; begin another"}
	}
	switch c.r.Method {
	case http.MethodGet, http.MethodHead:
		size, err := c.Images.UploadSize(c.ctx(), c.repo, id)
		if err != nil {
			return err
		}
		c.uploadState(id, size, http.StatusNoContent)
	case http.MethodPatch:
		from, err := c.rangeStart()
		if err != nil {
			return err
		}
		size, err := c.Images.AppendUpload(c.ctx(), c.repo, id, from, c.r.Body)
		if err != nil {
			return err
		}
		c.uploadState(id, size, http.StatusAccepted)
	case http.MethodPut:
		return c.finishUpload(id)
	case http.MethodDelete:
		if err := c.Images.CancelUpload(c.ctx(), c.repo, id); err != nil {
			return err
		}
		c.w.WriteHeader(http.StatusNoContent)
	default:
		return errOCIMethod(c)
	}
	return nil
}

func (c *ociCall) startUpload() error {
	q := c.r.URL.Query()
	if mount := q.Get("mount"); mount != "" {
		d, err := registry.ParseDigest(mount)
		if err != nil {
			return err
		}
		// One of another account's, or none at all: the client sends it instead.
		if from, ok := strings.CutPrefix(q.Get("from"), c.account+"/"); ok {
			mounted, err := c.Images.Mount(c.ctx(), c.repo, from, d)
			if err != nil {
				return err
			}
			if mounted {
				c.created(d, "/blobs/"+d.String())
				return nil
			}
		}
	}
	id, err := c.Images.StartUpload(c.ctx(), c.repo)
	if err != nil {
		return err
	}
	if q.Get("digest") != "" { // all in one request
		return c.finishUpload(id)
	}
	c.uploadState(id, 0, http.StatusAccepted)
	return nil
}

func (c *ociCall) finishUpload(id uuid.UUID) error {
	d, err := registry.ParseDigest(c.r.URL.Query().Get("digest"))
	if err != nil {
		return err
	}
	from, err := c.rangeStart()
	if err != nil {
		return err
	}
	if err := c.Images.FinishUpload(c.ctx(), c.repo, id, d, from, c.r.Body); err != nil {
		return err
	}
	c.created(d, "/blobs/"+d.String())
	return nil
}

// rangeStart reads a Content-Range of the protocol's form, "0-1023"; -1 when there
// is none.
func (c *ociCall) rangeStart() (int64, error) {
	v := c.r.Header.Get("Content-Range")
	if v == "" {
		return -1, nil
	}
	start, _, ok := strings.Cut(strings.TrimPrefix(v, "bytes "), "-")
	from, err := strconv.ParseInt(start, 10, 64)
	if !ok || err != nil || from < 0 {
		return 0, &registry.Error{Code: registry.CodeUploadInvalid, Message: fmt.Sprintf("the Content-Range %.40q is not of the form <first>-<last>", v)}
	}
	return from, nil
}

// at returns a path of the repository.
func (c *ociCall) at(rest string) string {
	return ociBase + c.repo.Account + "/" + c.repo.Name + rest
}

func (c *ociCall) uploadState(id uuid.UUID, size int64, status int) {
	h := c.w.Header()
	h.Set("Location", c.at("/blobs/uploads/"+id.String()))
	h.Set("Docker-Upload-Uuid", id.String())
	// "0-0" is also what an empty one says, as everybody does.
	h.Set("Range", "0-"+strconv.FormatInt(max(size-1, 0), 10))
	h.Set("Content-Length", "0")
	c.w.WriteHeader(status)
}

func (c *ociCall) created(d registry.Digest, rest string) {
	h := c.w.Header()
	h.Set("Location", c.at(rest))
	h.Set("Docker-Content-Digest", d.String())
	h.Set("Content-Length", "0")
	c.w.WriteHeader(http.StatusCreated)
}
