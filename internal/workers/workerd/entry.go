package workerd

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

//go:embed js/*.js
var scripts embed.FS

// Modules of our extension. The ones with "internal" in the name cannot be
// imported by a worker.
const (
	moduleALS    = "selvage-internal:als"
	moduleTagged = "selvage-internal:tagged"
)

// secrets are what one process knows and its worker does not.
type secrets struct {
	// nonce begins the lines that only the platform's modules write.
	nonce string
	// trace is the name of the module that knows the nonce.
	trace string
}

func newSecrets() secrets {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return secrets{nonce: hex.EncodeToString(b[:16]), trace: "selvage:" + hex.EncodeToString(b[16:])}
}

// newPlan puts our modules around the worker's. With plain, the entry module has
// no default export.
func newPlan(w *Worker, v8Flags []string, sec secrets, plain bool) (p *plan, entry string, err error) {
	p = &plan{worker: w, v8Flags: v8Flags}
	als, err := script("als")
	if err != nil {
		return nil, "", err
	}
	tagged, err := script("tagged", "HEADER", HeaderBindingRay)
	if err != nil {
		return nil, "", err
	}
	trace, err := script("trace", "NONCE", sec.nonce)
	if err != nil {
		return nil, "", err
	}
	p.extensions = []extensionModule{
		{name: moduleALS, source: als, internal: true},
		{name: moduleTagged, source: tagged, internal: true},
		{name: sec.trace, source: trace},
	}
	if w.ServiceWorker {
		return p, "", nil
	}
	name := "entry"
	if plain {
		name = "entry_plain"
	}
	source, err := script(name, "RAY", HeaderRay, "TRACE", sec.trace, "MAIN", "./"+cleanName(w.Modules[0].Name))
	if err != nil {
		return nil, "", err
	}
	entry = entryName(w.Modules)
	p.modules = append([]Module{{Name: entry, Kind: ESModule, Body: []byte(source)}}, w.Modules...)
	return p, entry, nil
}

// script returns an embedded module with its placeholders filled. Values are
// put into string literals, so they are escaped as JSON is, which JavaScript
// reads the same way.
func script(name string, pairs ...string) (string, error) {
	src, err := scripts.ReadFile("js/" + name + ".js")
	if err != nil {
		return "", fmt.Errorf("workerd: built without its module %s: %w", name, err)
	}
	escaped := make([]string, len(pairs))
	for i := 0; i < len(pairs); i += 2 {
		quoted, err := json.Marshal(pairs[i+1])
		if err != nil {
			return "", fmt.Errorf("workerd: module %s: %w", name, err)
		}
		escaped[i] = "@@" + pairs[i] + "@@"
		escaped[i+1] = string(quoted[1 : len(quoted)-1])
	}
	// One pass: a value that looks like a placeholder stays as it is.
	return strings.NewReplacer(escaped...).Replace(string(src)), nil
}

// entryName returns a name for our main module that no module of the worker has.
func entryName(modules []Module) string {
	taken := make(map[string]bool, len(modules))
	for _, m := range modules {
		taken[cleanName(m.Name)] = true
	}
	name := "selvage-entry.js"
	for i := 1; taken[name]; i++ {
		name = fmt.Sprintf("selvage-entry-%d.js", i)
	}
	return name
}

// cleanName is how a module's name reads after resolution: "./a.js" is "a.js".
func cleanName(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// surelyNoDefault reports whether a main module cannot have a default export:
// every way to write one holds the word. False means "not known": the entry
// module then finds out.
func surelyNoDefault(m *Module) bool {
	return m.Kind == ESModule && !bytes.Contains(m.Body, []byte("default")) && !bytes.Contains(m.Body, []byte(`\u`)) && !bytes.Contains(m.Body, []byte("export *"))
}
