package server

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"github.com/selvage-dev/selvage/internal/api"
	"github.com/selvage-dev/selvage/internal/instances"
	"github.com/selvage-dev/selvage/internal/registry"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

func (s *Server) openInstances(ctx context.Context) error {
	d, why, err := s.containerDriver()
	if err != nil {
		return err
	}
	if d == nil {
		s.log.DebugContext(ctx, "no containers can be run", "reason", why)
	}
	service, err := instances.New(instances.Options{
		Dir: filepath.Join(s.store.Dir, "containers"), Driver: d, Unavailable: why, Log: s.log,
		Applications: deployedContainers{s}, Images: ownImages{s.images}, OnLog: s.containerLog,
	})
	if err != nil {
		return err
	}
	s.instances = service
	s.onClose("containers", service.Close)
	return nil
}

func (s *Server) sweepInstances(ctx context.Context) {
	out, err := s.instances.Collect(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.log.WarnContext(ctx, "unpacked layers of images could not be removed; it is tried again in an hour", "error", err)
	default:
		s.log.DebugContext(ctx, "unpacked images collected", "images", out.Images, "layers", out.Layers)
	}
}

// containerLayers says what containers are kept to here, for the status.
func (s *Server) containerLayers() []api.Layer {
	if err := s.instances.Unavailable(); err != nil {
		return []api.Layer{{Name: "none", Detail: err.Error()}}
	}
	name, limits := s.instances.Driver()
	out := []api.Layer{{Name: name, Holds: true, Detail: "runs containers"}}
	for _, l := range limits {
		out = append(out, api.Layer{Name: l.Name, Holds: l.Enforced, Detail: l.Detail})
	}
	return out
}

// containerLog puts what a container prints beside what its worker does.
func (s *Server) containerLog(l instances.Line) {
	level := "log"
	if l.Stderr {
		level = "error"
	}
	s.workerLog(l.Account, l.Script, "", workerd.LogLine{Time: l.Time, Level: level, Message: l.Text, Kind: workerd.Console})
}

// deployedContainers finds the application of a class. It has the images that the
// version of the Worker names itself.
type deployedContainers struct{ s *Server }

// Application implements [instances.Applications].
func (a deployedContainers) Application(ctx context.Context, account, script, class, _ string) (instances.Application, error) {
	named, err := a.s.workers.ContainerImages(ctx, account, script, class)
	if err != nil {
		return instances.Application{}, err
	}
	app := instances.Application{ID: script + "-" + class, Name: script + "-" + class, Images: make(map[string]instances.Image)}
	for name, image := range named {
		ref, err := ownImage(account, image.Image)
		if err != nil {
			return instances.Application{}, err
		}
		app.Images[name] = ref
		if name == mainImage {
			app.Image = ref
		}
	}
	if app.Image.Digest == "" {
		return instances.Application{}, instances.Fail(instances.CodeNoApplication, "no container application is deployed for the class %s of %s: deploy the Worker with its containers", class, script)
	}
	return app, nil
}

// mainImage is the name of the image that a class runs when it chooses none.
const mainImage = "main"

// ownImage reads "<registry>/<account>/<repository>@sha256:…".
func ownImage(account, ref string) (instances.Image, error) {
	name, digest, ok := strings.Cut(ref, "@")
	_, path, ok2 := strings.Cut(name, "/")
	repository, own := strings.CutPrefix(path, account+"/")
	if _, err := registry.ParseDigest(digest); err != nil || !ok || !ok2 || !own {
		return instances.Image{}, instances.Fail(instances.CodeNoImage, "the image %.200q is not one of this account's registry, by its digest", ref)
	}
	return instances.Image{Repository: repository, Digest: digest}, nil
}

// ownImages are those of the platform's registry.
type ownImages struct{ service *registry.Service }

// Manifest implements [instances.Images].
func (i ownImages) Manifest(ctx context.Context, account, repository, digest string) (string, []byte, error) {
	d, err := registry.ParseDigest(digest)
	if err != nil {
		return "", nil, err
	}
	m, err := i.service.Manifest(ctx, registry.Repo{Account: account, Name: repository}, registry.Reference{Digest: d})
	return m.MediaType, m.Body, err
}

// Blob implements [instances.Images].
func (i ownImages) Blob(ctx context.Context, account, repository, digest string) (io.ReadCloser, error) {
	d, err := registry.ParseDigest(digest)
	if err != nil {
		return nil, err
	}
	f, _, err := i.service.OpenBlob(ctx, registry.Repo{Account: account, Name: repository}, d)
	if err != nil {
		return nil, err // a nil *os.File must not become a non-nil ReadCloser
	}
	return f, nil
}
