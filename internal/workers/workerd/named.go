package workerd

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxNamed bounds the named exports that the entry module wraps.
const maxNamed = 500

// What declares a named export, and a list of them. Whatever else these find, in a
// comment for instance, costs an export that is undefined and that nobody can be
// bound to.
var (
	exportDeclaration = regexp.MustCompile(`\bexport\s+(?:const|let|var|class)\s+([\pL_$][\pL\pN_$]*)`)
	exportList        = regexp.MustCompile(`\bexport\s*\{([^}]*)\}`)
	exportItem        = regexp.MustCompile(`([\pL_$][\pL\pN_$]*)\s*$`)
)

// namedExports returns the exports of the main module that may be entrypoints, but
// for the Durable Objects: those that its text declares, and in any case those that
// a binding of this process or of a caller names.
func namedExports(w *Worker) []string {
	var names []string
	add := func(name string) {
		if name != "" && name != "default" && len(names) < maxNamed && !slices.Contains(names, name) &&
			!slices.ContainsFunc(w.Objects, func(o ObjectClass) bool { return o.Class == name }) {
			names = append(names, name)
		}
	}
	for i := range w.Sockets {
		add(w.Sockets[i].Entrypoint)
	}
	for i := range w.Bindings {
		if w.Bindings[i].Kind == SelfBinding {
			add(w.Bindings[i].Entrypoint)
		}
	}
	text := w.Modules[0].Body
	for _, m := range exportDeclaration.FindAllSubmatch(text, maxNamed) {
		add(string(m[1]))
	}
	for _, list := range exportList.FindAllSubmatch(text, maxNamed) {
		for item := range strings.SplitSeq(string(list[1]), ",") {
			if m := exportItem.FindStringSubmatch(item); m != nil {
				add(m[1])
			}
		}
	}
	return names
}

// namedSource returns what the entry module needs to export the worker's named
// entrypoints with their handlers run by us. An export of its own takes precedence
// over one that it passes on.
func namedSource(w *Worker) (string, error) {
	var out strings.Builder
	for i, name := range namedExports(w) {
		quoted, err := json.Marshal(name) // JavaScript reads it the same way
		if err != nil {
			return "", fmt.Errorf("workerd: export %s: %w", name, err)
		}
		fmt.Fprintf(&out, "const named%d = named(%s);\nexport { named%d as %s };\n", i, quoted, i, quoted)
	}
	return out.String(), nil
}
