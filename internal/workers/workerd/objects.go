package workerd

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"capnproto.org/go/capnp/v3"
)

// ObjectClass is a Durable Object class that the process runs.
type ObjectClass struct {
	// Class is the name under which the main module exports the class. If it
	// exports none of that name, each call to such an object fails.
	Class string
	// Key makes the ids of the namespace's objects and names the folder of
	// their data within [Worker.Storage]. It must never change.
	Key string
	// SQL says that the objects may use the SQL interface of their storage.
	SQL bool
	// Container says that each object has one; Images are the names of those that it
	// can choose from.
	Container bool
	Images    []string
}

// validateObjects checks what the platform itself put together.
func validateObjects(w *Worker) error {
	if len(w.Objects) > maxModules {
		return fmt.Errorf("workerd: %d Durable Object classes", len(w.Objects))
	}
	if len(w.Objects) > 0 && w.ServiceWorker {
		return startError("A script in service-worker syntax cannot have Durable Objects: they are exported classes. Use module syntax.")
	}
	if w.Storage != "" && !filepath.IsAbs(w.Storage) {
		return fmt.Errorf("workerd: the storage folder %s is not an absolute path", w.Storage)
	}
	seen := make(map[string]bool)
	for _, o := range w.Objects {
		if err := checkName("Durable Object class", o.Class); err != nil {
			return err
		}
		if o.Key == "" || strings.ContainsAny(o.Key, "/\x00") || o.Key[0] == '.' {
			return fmt.Errorf("workerd: the key %q of class %s cannot name a folder", o.Key, o.Class)
		}
		if seen[o.Class] || seen["/"+o.Key] {
			return fmt.Errorf("workerd: the Durable Object class %s or its key is there twice", o.Class)
		}
		seen[o.Class], seen["/"+o.Key] = true, true
	}
	return nil
}

// encodeObjects declares the classes and where their data lies.
func encodeObjects(b *builder, worker capnp.Struct, w *Worker) {
	if len(w.Objects) == 0 || b.err != nil {
		return
	}
	l := b.list(worker, workerObjects, len(w.Objects), wordBytes, objectPtrs)
	for i, o := range w.Objects {
		if b.err != nil {
			return
		}
		s := l.Struct(i)
		b.text(s, objectClass, o.Class)
		b.text(s, objectKey, o.Key)
		if o.SQL {
			b.flag(s, objectEnableSQL)
		}
		encodeContainer(b, s, &o)
	}
	if w.Storage == "" {
		worker.SetUint16(workerStorage, workerStorageInMemory)
		return
	}
	worker.SetUint16(workerStorage, workerStorageLocalDisk)
	b.text(worker, workerLocalDisk, serviceDisk)
}

// encodeDisk makes the service that is the folder of the objects' data.
func encodeDisk(b *builder, s capnp.Struct, path string) {
	b.text(s, serviceName, serviceDisk)
	b.tag(s, serviceTagDisk)
	disk := b.child(s, serviceValue, wordBytes, diskPtrs)
	b.text(disk, diskPath, path)
	b.flag(disk, diskWritable)
}

// objectsSource returns what the entry module needs to export the worker's
// Durable Object classes with their handlers run by us. An export of its own
// takes precedence over one that it passes on.
func objectsSource(w *Worker, sec secrets) (string, error) {
	if len(w.Objects) == 0 {
		return "", nil
	}
	source, err := script("objects", map[string]string{"TRACE": sec.trace, "RAY": HeaderRay})
	if err != nil {
		return "", err
	}
	var out strings.Builder
	out.WriteString(source)
	for i, o := range w.Objects {
		name, err := json.Marshal(o.Class) // JavaScript reads it the same way
		if err != nil {
			return "", fmt.Errorf("workerd: class %s: %w", o.Class, err)
		}
		fmt.Fprintf(&out, "const object%d = objectClass(user[%s], %s);\nexport { object%d as %s };\n", i, name, name, i, name)
	}
	return out.String(), nil
}

// jurisdictionSource returns what the entry module needs so that namespaces take
// jurisdictions. All namespaces share one prototype.
func jurisdictionSource(w *Worker) (string, error) {
	first := firstOf(w, ObjectBinding)
	if first == "" {
		return "", nil
	}
	source, err := script("jurisdiction", nil)
	if err != nil {
		return "", err
	}
	name, err := json.Marshal(first) // JavaScript reads it the same way
	if err != nil {
		return "", fmt.Errorf("workerd: binding %s: %w", first, err)
	}
	return fmt.Sprintf("%sacceptJurisdictions(bindings[%s]);\n", source, name), nil
}
