package workerd

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on what goes into one config.
const (
	// The name of a module or binding, in bytes.
	maxName = 1024
	// The number of modules of a worker, of bindings, of flags.
	maxModules = 50_000
	// All bodies together, in bytes: far above what an upload
	// may bring, and below what one message can hold.
	maxTotal = 512 << 20
	// Wrapped bindings within wrapped bindings.
	maxNesting = 4
)

// validate checks a worker before anything is started. What the script brought
// is refused with a *StartError, what the platform put in with another error.
func validate(w *Worker) error {
	if len(w.Modules) == 0 {
		return startError("The script has no modules.")
	}
	if len(w.Modules) > maxModules || len(w.CompatibilityFlags) > maxModules {
		return startError("The script has more than %d modules or flags.", maxModules)
	}
	if w.ServiceWorker && len(w.Modules) != 1 {
		return startError("A script in service-worker syntax is one file; this one has %d modules.", len(w.Modules))
	}
	if err := validateModules(w.Modules); err != nil {
		return err
	}
	if !w.ServiceWorker && w.Modules[0].Kind != ESModule {
		return startError("The main module %q must be an ES module.", w.Modules[0].Name)
	}
	for _, text := range append([]string{w.CompatibilityDate}, w.CompatibilityFlags...) {
		if err := checkName("compatibility date or flag", text); err != nil {
			return err
		}
	}
	if slices.Contains(w.CompatibilityFlags, "python_workers") {
		return startError("Python Workers are not supported by this platform. Remove the compatibility flag python_workers.")
	}
	if w.Assets != "" {
		if err := checkName("binding", w.Assets); err != nil {
			return err
		}
	}
	if err := validateObjects(w); err != nil {
		return err
	}
	if err := validateRemote(w); err != nil {
		return err
	}
	if err := validateSockets(w.Sockets); err != nil {
		return err
	}
	return validateBindings(w.Bindings, 0)
}

// maxSockets bounds the sockets of one process: each is a descriptor.
const maxSockets = 256

func validateSockets(list []Socket) error {
	if len(list) > maxSockets {
		return fmt.Errorf("workerd: %d sockets, at most %d", len(list), maxSockets)
	}
	seen := map[string]bool{httpSocket: true, readySocket: true, EgressSocket: true, AssetsSocket: true}
	for i := range list {
		s := &list[i]
		if !validSocket(s.File) || seen[s.File] {
			return fmt.Errorf("workerd: %q is not the file name of a socket, or used twice", s.File)
		}
		seen[s.File] = true
		if err := validateEntrypoint(s.Entrypoint, s.Props); err != nil {
			return err
		}
	}
	return nil
}

func validateEntrypoint(entrypoint, props string) error {
	if entrypoint != "" {
		if err := checkName("entrypoint", entrypoint); err != nil {
			return err
		}
	}
	if props != "" && !json.Valid([]byte(props)) {
		return fmt.Errorf("workerd: the props of entrypoint %q are not JSON", entrypoint)
	}
	return nil
}

func validateModules(modules []Module) error {
	total := 0
	seen := make(map[string]bool, len(modules))
	for i := range modules {
		m := &modules[i]
		if err := checkName("module", m.Name); err != nil {
			return err
		}
		total += len(m.Body)
		if total > maxTotal {
			return startError("The script is larger than %d bytes.", maxTotal)
		}
		switch m.Kind {
		case ESModule, CommonJSModule, TextModule, DataModule, WasmModule, JSONModule:
		case PythonModule:
			return startError("Python Workers are not supported by this platform: module %q.", m.Name)
		default:
			return fmt.Errorf("workerd: module %q is of unknown kind %d", m.Name, m.Kind)
		}
		name := cleanName(m.Name)
		if name == "" || seen[name] {
			return startError("The module name %q is empty or used twice.", m.Name)
		}
		seen[name] = true
	}
	return nil
}

func validateBindings(bs []Binding, depth int) error {
	if len(bs) > maxModules || depth > maxNesting {
		return fmt.Errorf("workerd: more than %d bindings or deeper than %d", maxModules, maxNesting)
	}
	for i := range bs {
		b := &bs[i]
		if err := checkName("binding", b.Name); err != nil {
			return err
		}
		switch b.Kind {
		case TextBinding, JSONBinding, DataBinding, WasmBinding:
			if len(b.Text)+len(b.Data) > maxTotal {
				return startError("The value of binding %q is larger than %d bytes.", b.Name, maxTotal)
			}
		case FetcherBinding:
			if !validSocket(b.Socket) {
				return fmt.Errorf("workerd: binding %q: %q is not the file name of a socket", b.Name, b.Socket)
			}
			if b.TagRay && depth == 0 {
				return fmt.Errorf("workerd: binding %q: only an inner binding can carry the ray", b.Name)
			}
		case KVBinding:
			if !validSocket(b.Socket) {
				return fmt.Errorf("workerd: binding %q: %q is not the file name of a socket", b.Name, b.Socket)
			}
		case ObjectBinding:
			if (b.Class == "") == (b.Key == "") || depth > 0 {
				return fmt.Errorf("workerd: binding %q names no class, or is not the worker's own", b.Name)
			}
		case SelfBinding:
			if err := validateEntrypoint(b.Entrypoint, b.Props); err != nil {
				return err
			}
		case WrappedBinding:
			if b.Wrapped == nil || b.Wrapped.Module == "" {
				return fmt.Errorf("workerd: binding %q names no module", b.Name)
			}
			if err := validateBindings(b.Wrapped.Inner, depth+1); err != nil {
				return err
			}
		default:
			return fmt.Errorf("workerd: binding %q is of unknown kind %d", b.Name, b.Kind)
		}
	}
	return nil
}

// checkName refuses what would end or change a name on its way through the
// runtime, or through a terminal.
func checkName(what, name string) error {
	switch {
	case name == "":
		return startError("The name of a %s is empty.", what)
	case len(name) > maxName:
		return startError("The name of a %s is longer than %d bytes: %.60q…", what, maxName, name)
	case !utf8.ValidString(name):
		return startError("The name of a %s is not valid UTF-8: %q", what, name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return startError("The name of a %s has a control character: %q", what, name)
	}
	return nil
}

func validSocket(name string) bool {
	return name != "" && len(name) < 64 && name[0] != '.' && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
}

func startError(format string, args ...any) *StartError {
	text := fmt.Sprintf(format, args...)
	return &StartError{Text: text, Message: text}
}
