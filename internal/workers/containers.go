package workers

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// ContainersSocket is the file name, in the private folder, of the socket by which a
// process has the containers of its objects run.
const ContainersSocket = "containers.sock"

// maxContainerClasses bounds how many classes of a version have containers.
const maxContainerClasses = 50

// ContainerClass says that the objects of a class have a container each. What it
// runs is not the version's business: it belongs to an application, which the client
// makes after the upload.
type ContainerClass struct {
	Name  string `json:"name,omitempty"`
	Class string `json:"class_name"`
	// Images are the names of images that the class can choose from, of those that the
	// version names itself; "main" is the one for all.
	Images map[string]ContainerImage `json:"images,omitempty"`
}

// ContainerImage is one that was pushed before the upload.
type ContainerImage struct {
	Image string `json:"image"` // <registry>/<account>/<repository>@sha256:…
}

// containerNames are the images' names, in order.
func (c *ContainerClass) containerNames() []string {
	out := make([]string, 0, len(c.Images))
	for name := range c.Images {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// readContainers reads the containers key of the metadata.
func readContainers(u *Upload, raw json.RawMessage) error {
	var all []ContainerClass
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields() // what is not understood is not to be ignored
	if err := d.Decode(&all); err != nil {
		return err
	}
	if len(all) > maxContainerClasses {
		return fail(CodeInvalidRequest, 400, "The upload names %d classes with containers; at most %d are allowed.", len(all), maxContainerClasses)
	}
	for i := range all {
		if checkClassName(all[i].Class) != nil {
			return fail(CodeInvalidRequest, 400, "The class_name %q of a container cannot be the name of a Durable Object class.", clip(all[i].Class))
		}
		if slices.ContainsFunc(all[:i], func(c ContainerClass) bool { return c.Class == all[i].Class }) {
			return fail(CodeInvalidRequest, 400, "The class %q has two containers. Give each class one.", clip(all[i].Class))
		}
		for name := range all[i].Images {
			if name == "" || len(name) > maxBindingName || strings.ContainsAny(name, ":/@ ") || strings.ContainsFunc(name, isControl) {
				return fail(CodeInvalidRequest, 400, "The image %q of the class %q has a name that cannot be used: no colons, slashes and spaces.", clip(name), clip(all[i].Class))
			}
		}
	}
	u.Containers = all
	return nil
}

// checkContainers refuses containers where none can be run, and for what is no
// class.
func (s *Service) checkContainers(u *Upload) error {
	if len(u.Containers) == 0 {
		return nil
	}
	if s.o.Containers == nil {
		return fail(CodeNotOffered, 400, "The upload names containers, which this platform does not run.")
	}
	if err := s.o.Containers(); err != nil {
		return &Error{Code: CodeNotOffered, Status: 400, Message: "The upload names containers: " + err.Error() + ".", Err: err}
	}
	if u.MainModule == "" {
		return invalidScript("Containers belong to Durable Object classes, which only a Worker in module syntax has.")
	}
	return nil
}

// containerClasses returns the classes with containers that the process of a claim
// has open.
func (d *document) containerClasses(claim *objectClaim) []string {
	if claim == nil {
		return nil
	}
	var out []string
	for i := range d.Containers {
		class := d.Containers[i].Class
		if slices.ContainsFunc(claim.namespaces, func(n namespaceRow) bool { return n.Class == class }) {
			out = append(out, class)
		}
	}
	return out
}

// addContainers tells the process of the containers of its objects.
func (u *unit) addContainers(w *workerd.Worker) {
	for i := range w.Objects {
		o := &w.Objects[i]
		for j := range u.doc.Containers {
			c := &u.doc.Containers[j]
			if c.Class == o.Class {
				o.Container, o.Images = true, c.containerNames()
				w.Containers = ContainersSocket
			}
		}
	}
}

// busy is what doors may say that are needed although nobody asks for anything: a
// container runs.
type busy interface{ Busy() bool }

// hasContainers reports whether containers run for the process.
func (in *Instance) hasContainers() bool {
	b, ok := in.doors.(busy)
	return ok && b.Busy()
}

// ContainerImages returns the images that the live version of a script names for a
// class itself, by their names. It is nil when it names none.
func (s *Service) ContainerImages(ctx context.Context, account, script, class string) (map[string]ContainerImage, error) {
	var id string
	err := s.db().QueryRowContext(ctx, `SELECT id FROM scripts WHERE account_id = ? AND name = ?`, account, script).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, internal("read a script", err)
	}
	live, err := s.liveDeployment(ctx, id)
	if err != nil || live == nil {
		return nil, err
	}
	u, err := s.unitOf(ctx, live.doc.serves())
	if err != nil {
		return nil, err
	}
	for i := range u.doc.Containers {
		if c := &u.doc.Containers[i]; c.Class == class {
			return c.Images, nil
		}
	}
	return nil, nil
}
