package instances

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/imagefs"
)

const (
	maxConfig = 4 << 20 // bytes of an image's configuration
	maxLayers = 127     // overlayfs stacks no more than 500, and their paths must fit a page
	sha256Len = 64
)

// imageConfig is what counts of an image's configuration (OCI image specification,
// and Docker's HEALTHCHECK).
type imageConfig struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       struct {
		User        string       `json:"User"`
		Env         []string     `json:"Env"`
		Entrypoint  []string     `json:"Entrypoint"`
		Cmd         []string     `json:"Cmd"`
		WorkingDir  string       `json:"WorkingDir"`
		StopSignal  string       `json:"StopSignal"`
		Healthcheck *healthcheck `json:"Healthcheck"`
	} `json:"config"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// healthcheck has times in nanoseconds, as the image's configuration has.
type healthcheck struct {
	Test        []string      `json:"Test"`
	Interval    time.Duration `json:"Interval"`
	Timeout     time.Duration `json:"Timeout"`
	StartPeriod time.Duration `json:"StartPeriod"`
	Retries     int           `json:"Retries"`
}

// manifest is an image's, or a list of them.
type manifest struct {
	Config    descriptor   `json:"config"`
	Layers    []descriptor `json:"layers"`
	Manifests []descriptor `json:"manifests"`
}

type descriptor struct {
	Digest   string `json:"digest"`
	Size     int64  `json:"size"`
	Platform *struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	} `json:"platform"`
}

// image is one that can be run: its layers are folders.
type image struct {
	config imageConfig
	layers []string  // the lowest first
	used   time.Time // last; under Service.mu
}

// prepare makes an image ready, once for all who ask.
func (s *Service) prepare(ctx context.Context, account string, ref Image) (*image, error) {
	key := account + "/" + ref.Repository + "@" + ref.Digest
	if known := s.known(key); known != nil {
		return known, nil
	}
	made := s.loading.DoChan(key, func() (any, error) {
		// The result is everybody's, so that nobody's leaving counts.
		s.collecting.RLock()
		defer s.collecting.RUnlock()
		img, err := s.load(context.WithoutCancel(ctx), account, ref)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		img.used = time.Now()
		s.images[key] = img
		s.mu.Unlock()
		return img, nil
	})
	select {
	case r := <-made:
		if r.Err != nil {
			return nil, r.Err
		}
		img, ok := r.Val.(*image)
		if !ok {
			return nil, fmt.Errorf("instances: an image was loaded as %T", r.Val)
		}
		return img, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// known returns an image that is ready, and notes that it is used.
func (s *Service) known(key string) *image {
	s.mu.Lock()
	defer s.mu.Unlock()
	img := s.images[key]
	if img != nil {
		img.used = time.Now()
	}
	return img
}

func (s *Service) load(ctx context.Context, account string, ref Image) (*image, error) {
	m, err := s.manifest(ctx, account, ref)
	if err != nil {
		return nil, err
	}
	img := new(image)
	if err := s.readConfig(ctx, account, ref, m.Config.Digest, &img.config); err != nil {
		return nil, err
	}
	c := &img.config
	switch {
	case c.OS != "linux" || c.Architecture != runtime.GOARCH:
		return nil, Fail(CodeBadImage, "the image %s is for %s/%s, and this machine is linux/%s: build it with --platform linux/%s", ref.name(), c.OS, c.Architecture, runtime.GOARCH, runtime.GOARCH)
	case len(c.RootFS.DiffIDs) != len(m.Layers):
		return nil, Fail(CodeBadImage, "the image %s has %d layers and names %d", ref.name(), len(m.Layers), len(c.RootFS.DiffIDs))
	case len(m.Layers) == 0 || len(m.Layers) > maxLayers:
		return nil, Fail(CodeBadImage, "the image %s has %d layers; from 1 to %d can be run", ref.name(), len(m.Layers), maxLayers)
	}
	for i, l := range m.Layers {
		dir, err := s.layer(ctx, account, ref, l.Digest, c.RootFS.DiffIDs[i])
		if err != nil {
			return nil, err
		}
		img.layers = append(img.layers, dir)
	}
	return img, nil
}

func (i Image) name() string { return i.Repository + "@" + i.Digest }

// manifest reads the image's manifest, that for this machine when there are several.
func (s *Service) manifest(ctx context.Context, account string, ref Image) (*manifest, error) {
	for range 2 {
		_, body, err := s.o.Images.Manifest(ctx, account, ref.Repository, ref.Digest)
		if err != nil {
			return nil, &Error{Code: CodeNoImage, Message: fmt.Sprintf("the image %s cannot be read", ref.name()), Err: err}
		}
		m := new(manifest)
		if err := json.Unmarshal(body, m); err != nil {
			return nil, &Error{Code: CodeBadImage, Message: fmt.Sprintf("the manifest of the image %s is no JSON", ref.name()), Err: err}
		}
		if len(m.Manifests) == 0 {
			return m, nil
		}
		var offered []string
		found := ""
		for _, d := range m.Manifests {
			if d.Platform == nil {
				continue
			}
			offered = append(offered, d.Platform.OS+"/"+d.Platform.Architecture)
			if d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH && found == "" {
				found = d.Digest
			}
		}
		if found == "" {
			return nil, Fail(CodeBadImage, "the image %s is for %.200s, and this machine is linux/%s", ref.name(), strings.Join(offered, ", "), runtime.GOARCH)
		}
		ref.Digest = found
	}
	return nil, Fail(CodeBadImage, "the image %s is a list of lists", ref.name())
}

func (s *Service) readConfig(ctx context.Context, account string, ref Image, digest string, into *imageConfig) error {
	r, err := s.o.Images.Blob(ctx, account, ref.Repository, digest)
	if err != nil {
		return &Error{Code: CodeNoImage, Message: fmt.Sprintf("the configuration of the image %s cannot be read", ref.name()), Err: err}
	}
	defer func() { _ = r.Close() }()
	var b bytes.Buffer
	if n, err := io.Copy(&b, io.LimitReader(r, maxConfig+1)); err != nil || n > maxConfig {
		return &Error{Code: CodeBadImage, Message: fmt.Sprintf("the configuration of the image %s cannot be read, or is larger than %d bytes", ref.name(), maxConfig), Err: err}
	}
	if err := json.Unmarshal(b.Bytes(), into); err != nil {
		return &Error{Code: CodeBadImage, Message: fmt.Sprintf("the configuration of the image %s is no JSON of the form that is known", ref.name()), Err: err}
	}
	return nil
}

// layer returns the folder of a layer, unpacking it if it is not there.
func (s *Service) layer(ctx context.Context, account string, ref Image, digest, diffID string) (string, error) {
	id, ok := strings.CutPrefix(diffID, "sha256:")
	if !ok || len(id) != sha256Len || strings.Trim(id, "0123456789abcdef") != "" {
		return "", Fail(CodeBadImage, "the image %s names a layer by %.80q, which is no SHA-256", ref.name(), diffID)
	}
	dir := filepath.Join(s.layers, id)
	_, err, _ := s.unpacking.Do(id, func() (any, error) {
		if _, err := os.Stat(dir); err == nil {
			return nil, nil //nolint:nilnil // the folder is the result
		}
		r, err := s.o.Images.Blob(ctx, account, ref.Repository, digest)
		if err != nil {
			return nil, &Error{Code: CodeNoImage, Message: fmt.Sprintf("a layer of the image %s cannot be read", ref.name()), Err: err}
		}
		defer func() { _ = r.Close() }()
		return nil, s.unpack(ctx, r, dir, id)
	})
	return dir, err
}

// unpack makes the folder of a layer, which appears when all of it is on disk.
func (s *Service) unpack(ctx context.Context, r io.Reader, dir, id string) (err error) {
	part := dir + partial
	if err := errors.Join(os.RemoveAll(part), fsx.MkdirAll(part, 0o755)); err != nil {
		return fmt.Errorf("instances: folder of a layer: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(part))
		}
	}()
	begin := time.Now()
	out, err := imagefs.Unpack(ctx, part, r, imagefs.Options{Shift: s.o.Driver.Shift()})
	if bad, ok := errors.AsType[*imagefs.LayerError](err); ok {
		return &Error{Code: CodeBadImage, Message: "a layer of the image cannot be used", Err: bad}
	}
	if err != nil {
		return err
	}
	if out.DiffID != id {
		return Fail(CodeBadImage, "a layer of the image is not what its configuration says: it has the SHA-256 %s, and %s is said", out.DiffID, id)
	}
	if err := fsx.Rename(part, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	s.o.Log.DebugContext(ctx, "layer unpacked", "layer", id, "bytes", out.Bytes, "entries", out.Entries, "took", time.Since(begin))
	return nil
}

// partial ends the name of a folder that is not whole.
const partial = ".part"
