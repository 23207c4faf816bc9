package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/selvage-dev/selvage/internal/assets"
)

// Assets are the static files of a version. Only their names, hashes and sizes are in memory.
type Assets struct {
	manifest map[string]manifestEntry
	files    map[string]assetFile // by hash
	// Progress, when set, is told how many of the files that the platform asked for it has. Calls come
	// one at a time.
	Progress func(done, total int)
	// Headers and Redirects are the texts of the files _headers and _redirects, which are no assets.
	Headers, Redirects string
}

// assetFile is where a content is.
type assetFile struct {
	fsys fs.FS
	name string
}

func (f assetFile) read() ([]byte, error) { return fs.ReadFile(f.fsys, f.name) }

type manifestEntry struct {
	Hash string `json:"hash"`
	Size int64  `json:"size"`
}

// Len returns the number of files.
func (a *Assets) Len() int { return len(a.manifest) }

// ErrAssetsIgnore says that a folder has a file .assetsignore and the caller gave no function that
// understands it.
var ErrAssetsIgnore = errors.New("client: the assets folder has a file .assetsignore")

// ReadAssets reads and hashes a folder of static assets. It leaves out the files of whose
// slash-separated paths ignore says so. With a nil ignore it leaves none out, and then the folder may
// not have a file .assetsignore ([ErrAssetsIgnore]).
func ReadAssets(ctx context.Context, fsys fs.FS, ignore func(name string) bool) (*Assets, error) {
	a := &Assets{manifest: map[string]manifestEntry{}, files: map[string]assetFile{}}
	if err := a.walk(ctx, fsys, "", ignore); err != nil {
		return nil, err
	}
	return a, nil
}

// AddFolder adds all files of another folder, whose path among the assets is at.
func (a *Assets) AddFolder(ctx context.Context, fsys fs.FS, at string) error {
	return a.walk(ctx, fsys, strings.Trim(at, "/")+"/", func(string) bool { return false })
}

func (a *Assets) walk(ctx context.Context, fsys fs.FS, at string, ignore func(string) bool) error {
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		return a.add(fsys, at, name, ignore)
	})
	if err != nil {
		return fmt.Errorf("read assets: %w", err)
	}
	return nil
}

func (a *Assets) add(fsys fs.FS, at, name string, ignore func(string) bool) error {
	switch {
	case at+name == ".assetsignore":
		if ignore == nil {
			return ErrAssetsIgnore
		}
		return nil
	case ignore != nil && ignore(name):
		return nil
	}
	content, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	switch at + name {
	case "_headers":
		a.Headers = string(content)
		return nil
	case "_redirects":
		a.Redirects = string(content)
		return nil
	}
	hash := assets.Hash(content, extension(name))
	a.manifest["/"+at+name] = manifestEntry{Hash: hash, Size: int64(len(content))}
	a.files[hash] = assetFile{fsys, name}
	return nil
}

// extension is the one that is part of a file's hash, as Node.js sees it: a name
// that begins with its only dot has none.
func extension(name string) string {
	base := path.Base(name)
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		return base[i+1:]
	}
	return ""
}

// assetUploads is how many buckets are uploaded at the same time; wrangler does as many.
const assetUploads = 3

// UploadAssets brings those assets to the platform that it does not have yet, and returns the token
// to put into [UploadedAssets]. It works before the worker exists.
func (c *Client) UploadAssets(ctx context.Context, script string, a *Assets) (token string, err error) {
	type session struct {
		JWT     string     `json:"jwt"`
		Buckets [][]string `json:"buckets"`
	}
	in := map[string]any{"manifest": a.manifest}
	r := request{method: http.MethodPost, path: c.path("workers", "scripts", script, "assets-upload-session"), repeat: true}
	if err := r.setJSON(in); err != nil {
		return "", err
	}
	var s session
	if err := c.send(ctx, &r, &s); err != nil {
		return "", err
	}
	if !slices.ContainsFunc(s.Buckets, func(b []string) bool { return len(b) > 0 }) {
		return s.JWT, nil
	}
	tokens := make([]string, len(s.Buckets))
	report := a.reporter(s.Buckets)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(assetUploads)
	for i, bucket := range s.Buckets {
		group.Go(func() (err error) {
			if tokens[i], err = c.uploadBucket(ctx, s.JWT, a, bucket); err == nil {
				report(len(bucket))
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	for _, t := range tokens {
		if t != "" {
			return t, nil
		}
	}
	return "", fmt.Errorf("upload assets of %s: the platform did not say that it has all of them", script)
}

// reporter returns a function that counts files that are uploaded.
func (a *Assets) reporter(buckets [][]string) func(more int) {
	if a.Progress == nil {
		return func(int) {}
	}
	var mu sync.Mutex
	done, total := 0, 0
	for _, b := range buckets {
		total += len(b)
	}
	a.Progress(0, total)
	return func(more int) {
		mu.Lock()
		defer mu.Unlock()
		done += more
		a.Progress(done, total)
	}
}

// uploadBucket returns the completion token if this bucket was the last one.
func (c *Client) uploadBucket(ctx context.Context, jwt string, a *Assets, bucket []string) (string, error) {
	var form formBody
	for _, hash := range bucket {
		file, ok := a.files[hash]
		if !ok {
			return "", fmt.Errorf("upload assets: the platform asks for %q, which is none of them", hash)
		}
		content, err := file.read()
		if err != nil {
			return "", fmt.Errorf("upload assets: %w", err)
		}
		form.parts = append(form.parts, formPart{
			name: hash, contentType: ContentType(file.name), content: base64.StdEncoding.AppendEncode(nil, content),
		})
	}
	r := request{
		method: http.MethodPost, path: c.path("workers", "assets", "upload"), query: url.Values{"base64": {"true"}},
		bearer: jwt, repeat: true,
	}
	if err := form.set(&r); err != nil {
		return "", fmt.Errorf("upload assets: %w", err)
	}
	var out struct {
		JWT string `json:"jwt"`
	}
	err := c.send(ctx, &r, &out)
	return out.JWT, err
}

// ContentType is the type to serve a file with; application/null says that there is none.
func ContentType(name string) string {
	if t := webType(strings.TrimPrefix(path.Ext(name), ".")); t != "" {
		return t
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/null"
}

// Has says whether a path, which begins with a slash, is among them.
func (a *Assets) Has(path string) bool {
	_, ok := a.manifest[path]
	return ok
}
