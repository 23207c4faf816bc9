package workerd

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed js/*.js
var scripts embed.FS

// Modules of our extension. The ones with "internal" in the name cannot be
// imported by a worker.
const (
	moduleALS         = "selvage-internal:als"
	moduleTagged      = "selvage-internal:tagged"
	moduleSubrequests = "selvage-internal:subrequests"
	moduleDispatch    = "selvage-internal:dispatch"
	moduleCalls       = "selvage-internal:calls"
	moduleService     = "selvage-internal:service"
	moduleListeners   = "selvage-internal:listeners"
	// ModuleRateLimit makes a rate limiting binding of a "fetcher" and a "config"
	// {binding, limit, period}.
	ModuleRateLimit = "selvage-internal:ratelimit"
	// ModuleVectorize makes a binding to a vector index of a "fetcher", an "indexId",
	// an "indexVersion" and "useNdJson".
	ModuleVectorize = "selvage-internal:vectorize"
)

// secrets are what one process knows and its worker does not.
type secrets struct {
	// nonce begins the lines that only the platform's modules write.
	nonce string
	// trace is the name of the module that knows the nonce.
	trace string
	// dispatch is what a ray begins with that carries an event of ours.
	dispatch string
	// binding is the name of a global that is gone before a script runs.
	binding string
}

func newSecrets() secrets {
	var b [56]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return secrets{
		nonce: hex.EncodeToString(b[:16]), trace: "selvage:" + hex.EncodeToString(b[16:32]),
		dispatch: hex.EncodeToString(b[32:48]), binding: "selvage_" + hex.EncodeToString(b[48:]),
	}
}

// An entryKind is the name of the file with which the main module ends.
type entryKind string

const (
	entryDefault entryKind = "entry_default" // has a default export
	entryPlain   entryKind = "entry_plain"   // has none
)

// newPlan puts our modules around the worker's. It also returns the name of the
// module that runs the worker's handlers.
func newPlan(w *Worker, v8Flags []string, sec secrets, kind entryKind) (p *plan, entry string, err error) {
	p = &plan{worker: w, v8Flags: v8Flags}
	modules := []struct {
		name, file string
		internal   bool
	}{
		{moduleALS, "als", true},
		{moduleDispatch, "dispatch", true},
		{moduleTagged, "tagged", true},
		{moduleSubrequests, "subrequests", true},
		{moduleCalls, "calls", true},
		{moduleService, "service", true},
		{ModuleRateLimit, "ratelimit", true},
		{ModuleVectorize, "vectorize", true},
		{sec.trace, "trace", w.ServiceWorker},
		{moduleListeners, "listeners", true},
	}
	if !w.ServiceWorker {
		modules = modules[:len(modules)-1]
	}
	for _, m := range modules {
		source, err := script(m.file, map[string]string{
			"HEADER": HeaderBindingRay, "NONCE": sec.nonce, "DISPATCH": sec.dispatch, "SUBREQUESTS": strconv.Itoa(w.Subrequests),
			"RAY": HeaderRay, "THROWN": HeaderThrown, "DEPTH": strconv.Itoa(MaxDepth), "TRACE": sec.trace, "BINDING": sec.binding,
		})
		if err != nil {
			return nil, "", err
		}
		p.extensions = append(p.extensions, extensionModule{name: m.name, source: source, internal: m.internal})
	}
	if p.objects, err = p.remote(); err != nil {
		return nil, "", err
	}
	if w.ServiceWorker {
		p.prelude = sec.binding
		return p, moduleListeners, nil
	}
	source, err := entrySource(w, sec, kind)
	if err != nil {
		return nil, "", err
	}
	entry = entryName(w.Modules)
	p.modules = append([]Module{{Name: entry, Kind: ESModule, Body: []byte(source)}}, w.Modules...)
	return p, entry, nil
}

// entrySource puts the parts of the entry module together.
func entrySource(w *Worker, sec secrets, kind entryKind) (string, error) {
	var out strings.Builder
	for _, part := range []string{"entry", string(kind)} {
		source, err := script(part, map[string]string{
			"RAY": HeaderRay, "TRACE": sec.trace, "MAIN": "./" + cleanName(w.Modules[0].Name),
		})
		if err != nil {
			return "", err
		}
		out.WriteString(source)
	}
	named, err := namedSource(w)
	if err != nil {
		return "", err
	}
	objects, err := objectsSource(w, sec)
	if err != nil {
		return "", err
	}
	jurisdictions, err := jurisdictionSource(w)
	if err != nil {
		return "", err
	}
	counted, err := countedSource(w, sec)
	if err != nil {
		return "", err
	}
	return out.String() + named + objects + jurisdictions + counted, nil
}

// script returns an embedded module with its placeholders filled. Values are
// put into string literals, so they are escaped as JSON is, which JavaScript
// reads the same way.
func script(name string, values map[string]string) (string, error) {
	src, err := scripts.ReadFile("js/" + name + ".js")
	if err != nil {
		return "", fmt.Errorf("workerd: built without its module %s: %w", name, err)
	}
	var pairs []string
	for key, value := range values {
		quoted, err := json.Marshal(value)
		if err != nil {
			return "", fmt.Errorf("workerd: module %s: %w", name, err)
		}
		pairs = append(pairs, "@@"+key+"@@", string(quoted[1:len(quoted)-1]))
	}
	// One pass: a value that looks like a placeholder stays as it is.
	return strings.NewReplacer(pairs...).Replace(string(src)), nil
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

// listens reports whether modules may register handlers by addEventListener. The
// runtime takes those of a module without a default export, too; without any it
// would send each request on as if by fetch, which leads back here.
func listens(modules []Module) bool {
	return slices.ContainsFunc(modules, func(m Module) bool { return bytes.Contains(m.Body, []byte("addEventListener")) })
}
