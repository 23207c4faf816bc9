package workerd

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// firstOf returns the name of one binding of a kind; all of a kind share one
// prototype. Empty: there is none.
func firstOf(w *Worker, kind BindingKind) string {
	i := slices.IndexFunc(w.Bindings, func(b Binding) bool { return b.Kind == kind })
	if i < 0 {
		return ""
	}
	return w.Bindings[i].Name
}

// countedSource returns what the entry module needs so that calls of the runtime's
// own bindings count as subrequests; those of wrapped ones count by themselves.
func countedSource(w *Worker, sec secrets) (string, error) {
	var out strings.Builder
	for _, c := range []struct {
		kind BindingKind
		call string
	}{{KVBinding, "countKV"}, {ObjectBinding, "countObjects"}} {
		first := firstOf(w, c.kind)
		if first == "" {
			continue
		}
		name, err := json.Marshal(first) // JavaScript reads it the same way
		if err != nil {
			return "", fmt.Errorf("workerd: binding %s: %w", first, err)
		}
		fmt.Fprintf(&out, "%s(countable[%s]);\n", c.call, name)
	}
	if out.Len() == 0 {
		return "", nil
	}
	source, err := script("counted", map[string]string{"TRACE": sec.trace})
	return source + out.String(), err
}

// preludeInner tells the module that runs before a script in service-worker syntax
// the same.
func preludeInner(w *Worker) []Binding {
	first := firstOf(w, KVBinding)
	if first == "" {
		return nil
	}
	return []Binding{{Name: "kv", Kind: TextBinding, Text: first}}
}
