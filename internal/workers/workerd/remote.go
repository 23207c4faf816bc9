package workerd

import (
	"fmt"
	"slices"
	"strings"

	"capnproto.org/go/capnp/v3"
)

// remoteDate is the compatibility date of js/remote.js.
const remoteDate = "2026-09-01"

// RemoteClass is a namespace whose objects another process has open.
type RemoteClass struct {
	// Key is that of the [ObjectClass] there: the ids are the same.
	Key string
	// Socket is the file name of the unix socket, in the private folder, that
	// leads to that process's socket for objects.
	Socket string
}

// remoteName is the name of a class that stands in for another.
func remoteName(i int) string { return fmt.Sprintf("Remote%d", i) }

// remote makes the plan of the worker that takes and makes calls to objects from
// process to process; nil when there are none.
func (p *plan) remote() (*plan, error) {
	w := p.worker
	takes := false
	for i := range w.Sockets {
		takes = takes || w.Sockets[i].Objects
	}
	if !takes && len(w.Remote) == 0 {
		return nil, nil //nolint:nilnil // documented above
	}
	source, err := script("remote", nil)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	out.WriteString(source)
	own := &Worker{CompatibilityDate: remoteDate}
	if takes {
		for _, o := range w.Objects {
			own.Bindings = append(own.Bindings, Binding{Name: o.Key, Kind: ObjectBinding, Class: o.Class, Service: serviceUser})
		}
	}
	for i, r := range w.Remote {
		door := "door " + r.Socket
		fmt.Fprintf(&out, "export const %s = remote(%q, %q);\n", remoteName(i), r.Key, door)
		own.Objects = append(own.Objects, ObjectClass{Class: remoteName(i), Key: r.Key, SQL: true})
		own.Bindings = append(own.Bindings, Binding{Name: door, Kind: FetcherBinding, Socket: r.Socket, RPC: true})
	}
	own.Modules = []Module{{Name: "remote.js", Kind: ESModule, Body: []byte(out.String())}}
	return &plan{worker: own, modules: own.Modules}, nil
}

// encodeRemote makes the service that p.remote planned.
func encodeRemote(b *builder, s capnp.Struct, p *plan) {
	b.text(s, serviceName, serviceRemote)
	b.tag(s, serviceTagWorker)
	p.encodeWorker(b, b.child(s, serviceValue, wordBytes, workerPtrs))
}

// aimed returns the bindings with those to remote objects aimed at the classes
// that stand in for them.
func (w *Worker) aimed() []Binding {
	if len(w.Remote) == 0 {
		return w.Bindings
	}
	out := slices.Clone(w.Bindings)
	for i := range out {
		b := &out[i]
		if b.Kind != ObjectBinding || b.Key == "" {
			continue
		}
		j := slices.IndexFunc(w.Remote, func(r RemoteClass) bool { return r.Key == b.Key })
		b.Class, b.Service = remoteName(j), serviceRemote // validateRemote holds that it is there
	}
	return out
}

// encodeObjectBinding designates the class of an ObjectBinding.
func encodeObjectBinding(b *builder, s capnp.Struct, v *Binding) {
	d := b.child(s, bindingValue, 0, objectBindingPtrs)
	b.text(d, objectBindingClass, v.Class)
	if v.Service != "" {
		b.text(d, objectBindingService, v.Service)
	}
}

// validateRemote checks what the platform itself put together.
func validateRemote(w *Worker) error {
	seen := make(map[string]bool)
	for _, o := range w.Objects {
		seen[o.Key] = true
	}
	for _, r := range w.Remote {
		if !validSocket(r.Socket) || seen[r.Key] || strings.ContainsAny(r.Key, "\"\\\x00") || r.Key == "" {
			return fmt.Errorf("workerd: the objects %q through %q are not understood, or there twice", r.Key, r.Socket)
		}
		seen[r.Key] = true
	}
	for i := range w.Bindings {
		b := &w.Bindings[i]
		if b.Kind == ObjectBinding && b.Key != "" && !slices.ContainsFunc(w.Remote, func(r RemoteClass) bool { return r.Key == b.Key }) {
			return fmt.Errorf("workerd: binding %q names objects %q that are not declared", b.Name, b.Key)
		}
	}
	return nil
}
