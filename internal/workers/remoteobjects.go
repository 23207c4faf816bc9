package workers

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// objectsSocket is the file name of the socket on which the host of a script's
// objects takes calls from other processes.
const objectsSocket = "objects.sock"

// maxObjectCalls bounds the calls of one process to objects of one namespace in
// another: a loop of calls holds one at each turn, and must end.
const maxObjectCalls = 4096

// objectHost remembers the version whose process has a namespace open, as long
// as nothing is deployed.
type objectHost struct {
	mu         sync.Mutex
	known      bool
	generation uint64
	version    string
}

// of returns the version; "" when there is none.
func (h *objectHost) of(ctx context.Context, s *Service, account, namespace string) (string, error) {
	generation := s.hosts.generation()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known && h.generation == generation {
		return h.version, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	n, err := s.namespace(ctx, account, namespace)
	if err != nil {
		return "", err
	}
	version := ""
	if n != nil {
		live, err := s.liveDeployment(ctx, n.scriptID)
		if err != nil {
			return "", err
		}
		if live != nil {
			version = live.doc.serves()
		}
	}
	h.known, h.generation, h.version = true, generation, version
	return version, nil
}

// acquireHost is Acquire for the objects of a namespace.
func (c *Callee) acquireHost(ctx context.Context, version string) (*Endpoint, error) {
	for range endpointTries {
		if version == "" {
			return nil, fail(CodeObjectNamespaceMissing, 404, "The Durable Objects of this binding were deleted, or their Worker is not deployed. Deploy the Worker again.")
		}
		u, err := c.s.unitOf(ctx, version)
		if err != nil {
			return nil, internal("read the host of the Durable Objects", err)
		}
		in, err := u.acquire(ctx, true)
		if err != nil {
			return nil, err
		}
		if in.claim.openedHere(c.namespace) != nil {
			return &Endpoint{in: in, path: filepath.Join(in.dir, objectsSocket)}, nil
		}
		in.Release() // a deployment came in between
		before := version
		if version, err = c.host.of(ctx, c.s, c.to.account, c.namespace); err != nil {
			return nil, err
		}
		if version == before {
			u.replaceProcess(in) // it began before the objects were its own
		}
	}
	return nil, fail(CodeBusy, 503, "The host of the Durable Objects was replaced again and again while it was called. Try again.")
}

// openedHere reports whether the claim, which may be nil, has the namespace.
func (c *objectClaim) openedHere(id string) *namespaceRow {
	if c == nil {
		return nil
	}
	if i := slices.IndexFunc(c.namespaces, func(n namespaceRow) bool { return n.ID == id }); i >= 0 {
		return &c.namespaces[i]
	}
	return nil
}

// remoteNamespaces returns the ids of the namespaces that the version binds and
// the process will not have open, each once.
func (d *document) remoteNamespaces(claim *objectClaim) []string {
	var out []string
	for i := range d.Bindings {
		b := &d.Bindings[i]
		if b.Type == typeDurableObject && claim.openedHere(b.NamespaceID) == nil && !slices.Contains(out, b.NamespaceID) {
			out = append(out, b.NamespaceID)
		}
	}
	return out
}

func objectsDoor(i int) string { return "objects-" + strconv.Itoa(i) + ".sock" }

// objectDoors returns the doors to objects that other processes have open.
func (s *Service) objectDoors(u *unit, claim *objectClaim) []ServiceDoor {
	var out []ServiceDoor
	for i, id := range u.doc.remoteNamespaces(claim) {
		out = append(out, ServiceDoor{Socket: objectsDoor(i), Callee: &Callee{s: s, from: u.scope, to: u.scope, namespace: id, host: new(objectHost), edge: new(edge)}})
	}
	return out
}

// addObjects tells the process of objects: of those of its script, if it is their
// host, and of those that it reaches in other processes.
func (u *unit) addObjects(w *workerd.Worker, claim *objectClaim) {
	if claim != nil {
		w.Objects, w.Storage, w.Locks = objectClasses(claim.namespaces), claim.storage, claim.locks
		w.Sockets = append(w.Sockets, workerd.Socket{File: objectsSocket, Objects: true})
	}
	for i, id := range u.doc.remoteNamespaces(claim) {
		w.Remote = append(w.Remote, workerd.RemoteClass{Key: id, Socket: objectsDoor(i)})
	}
}

// objectsBinding makes what the process gets of a binding to a namespace.
func (b *binding) objectsBinding(claim *objectClaim) workerd.Binding {
	if n := claim.openedHere(b.NamespaceID); n != nil {
		return workerd.Binding{Name: b.Name, Kind: workerd.ObjectBinding, Class: n.Class}
	}
	return workerd.Binding{Name: b.Name, Kind: workerd.ObjectBinding, Key: b.NamespaceID}
}
