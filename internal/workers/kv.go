package workers

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const typeKVNamespace = "kv_namespace"

// Namespaces is what this service needs to know of KV namespaces.
type Namespaces interface {
	Exists(ctx context.Context, account, id string) (bool, error)
}

// KVDoor is a socket through which a process reaches one KV namespace.
type KVDoor struct {
	Socket    string // file name in the private folder
	Namespace string // id
}

// isHexID holds for what the API uses as ids: 32 lower-case hex digits.
func isHexID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}

// checkNamespaces refuses a version whose KV bindings, inherited ones included,
// name namespaces that are not there.
func (s *Service) checkNamespaces(ctx context.Context, account string, doc *document) error {
	for _, b := range doc.Bindings {
		switch {
		case b.Type != typeKVNamespace:
			continue
		case s.o.Namespaces == nil:
			return refuseType(b.Name, b.Type)
		case !isHexID(b.NamespaceID):
			return fail(CodeNamespaceInvalid, 400, "KV namespace '%s' is not valid. Give the binding %q the id of a namespace, 32 hex digits; \"kv namespace list\" shows them.", clip(b.NamespaceID), b.Name)
		}
		ok, err := s.o.Namespaces.Exists(ctx, account, b.NamespaceID)
		if err != nil {
			return internal("look up a KV namespace", err)
		}
		if !ok {
			return fail(CodeNamespaceMissing, 400, "KV namespace '%s' not found. The binding %q names it; \"kv namespace list\" shows those there are.", b.NamespaceID, b.Name)
		}
	}
	return nil
}

// kvDoors returns one door for each namespace that the version binds.
func (d *document) kvDoors() []KVDoor {
	var doors []KVDoor
	for _, b := range d.Bindings {
		if b.Type == typeKVNamespace && !slices.ContainsFunc(doors, func(k KVDoor) bool { return k.Namespace == b.NamespaceID }) {
			doors = append(doors, KVDoor{Socket: "kv-" + strconv.Itoa(len(doors)) + ".sock", Namespace: b.NamespaceID})
		}
	}
	return doors
}

// kvBinding is what the process gets of a KV binding.
func (d *document) kvBinding(b *binding) (workerd.Binding, error) {
	doors := d.kvDoors()
	i := slices.IndexFunc(doors, func(k KVDoor) bool { return k.Namespace == b.NamespaceID })
	if i < 0 {
		return workerd.Binding{}, fmt.Errorf("no door leads to the KV namespace %s", b.NamespaceID)
	}
	return workerd.Binding{Name: b.Name, Kind: workerd.KVBinding, Socket: doors[i].Socket}, nil
}
