package bundle

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"
)

// nodeMode says how much of Node.js the runtime offers.
type nodeMode int

const (
	nodeNone nodeMode = iota
	nodeALS           // nodejs_als: node:async_hooks only
	nodeV1            // nodejs_compat before 2024-09-23: modules by their node: names
	nodeV2            // nodejs_compat since: also by bare names, and globals
)

// Dates from which the runtime changes its mind, as it documents them.
const (
	nodeDefaultOn = "2026-08-04"
	nodeV2Since   = "2024-09-23"
)

// node resolves imports of Node.js modules to those of the runtime.
type node struct {
	o    *Options
	mode nodeMode
	// unenv and preset are the folders of the packages that wrangler brings; ""
	// when the project does not have them.
	unenv, preset string

	mu       sync.Mutex
	builtins map[string]string // node:… imports left to the runtime without its promise → importer
}

func newNode(o *Options) *node {
	n := &node{o: o, mode: modeOf(o.CompatibilityDate, o.CompatibilityFlags), builtins: map[string]string{}}
	n.unenv, n.preset = findPackage(o.Root, "unenv"), findPackage(o.Root, "@cloudflare/unenv-preset")
	return n
}

func modeOf(date string, flags []string) nodeMode {
	has := func(flag string) bool { return slices.Contains(flags, flag) }
	byDate := date >= nodeDefaultOn
	compat := has("nodejs_compat") || byDate && !has("no_nodejs_compat")
	switch {
	case has("nodejs_compat_v2"), !has("no_nodejs_compat_v2") && (byDate || compat && date >= nodeV2Since):
		return nodeV2
	case compat:
		return nodeV1
	case has("nodejs_als"):
		return nodeALS
	}
	return nodeNone
}

// findPackage looks for an installed package from dir upwards.
func findPackage(dir, name string) string {
	for {
		folder := filepath.Join(dir, "node_modules", filepath.FromSlash(name))
		if _, err := os.Stat(filepath.Join(folder, "package.json")); err == nil {
			return folder
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

func (n *node) plugin(f format) api.Plugin {
	return api.Plugin{Name: "node", Setup: func(b api.PluginBuild) {
		if n.mode == nodeV2 {
			n.setupV2(b, f)
			return
		}
		b.OnResolve(api.OnResolveOptions{Filter: "^node:"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			switch {
			case args.PluginData == resolved:
				return api.OnResolveResult{}, nil
			case f == serviceWorker:
				return api.OnResolveResult{}, serviceImport(args.Path)
			case n.mode != nodeALS || args.Path != "node:async_hooks" && !strings.HasPrefix(args.Path, "node:async_hooks/"):
				n.note(args)
			}
			return api.OnResolveResult{Path: args.Path, External: true}, nil
		})
	}}
}

// note remembers an import that the runtime may not have.
func (n *node) note(args api.OnResolveArgs) {
	if n.mode == nodeV1 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.builtins[args.Path] = n.o.rel(args.Importer)
}

func (n *node) warnings() []string {
	var out []string
	for name, importer := range n.builtins {
		out = append(out, fmt.Sprintf("%s imports %q, which needs the compatibility flag \"nodejs_compat\"; without it the worker fails to start", importer, name))
	}
	slices.Sort(out)
	return out
}

const (
	nodeRequireNamespace = "node-built-in-modules" // shows up in the code, so it is wrangler's name
	shimNamespace        = "selvage-shim"
	injectNamespace      = "selvage-node-global"
)

func (n *node) setupV2(b api.PluginBuild, f format) {
	b.OnResolve(api.OnResolveOptions{Filter: nodePattern()}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
		switch {
		case args.PluginData == resolved || args.Kind == api.ResolveEntryPoint:
			return api.OnResolveResult{}, nil
		case f == serviceWorker:
			return api.OnResolveResult{}, serviceImport(args.Path)
		case args.Kind == api.ResolveJSRequireCall:
			return api.OnResolveResult{Path: args.Path, Namespace: nodeRequireNamespace}, nil
		}
		return n.resolve(b, args)
	})
	b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: nodeRequireNamespace}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
		text := "import libDefault from '" + args.Path + "';\nmodule.exports = libDefault;"
		return api.OnLoadResult{Contents: &text, Loader: api.LoaderJS, ResolveDir: n.o.Root}, nil
	})
	b.OnResolve(api.OnResolveOptions{Filter: shimPattern()}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
		if args.PluginData == resolved {
			return api.OnResolveResult{}, nil
		}
		if n.unenv != "" {
			if found := n.lookup(b, shims()[args.Path].from, args.Kind); found != "" && args.Kind != api.ResolveJSRequireCall {
				return api.OnResolveResult{Path: found}, nil
			}
		}
		return api.OnResolveResult{Path: args.Path, Namespace: shimNamespace}, nil
	})
	b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: shimNamespace}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
		text := shims()[args.Path].text
		return api.OnLoadResult{Contents: &text, Loader: api.LoaderJS}, nil
	})
	n.setupInjects(b)
}

// resolve leaves a module to the runtime where it has it at the project's
// compatibility date, takes the replacement that wrangler takes where the
// project has that installed, and else says what would help.
func (n *node) resolve(b api.PluginBuild, args api.OnResolveArgs) (api.OnResolveResult, error) {
	name := strings.TrimPrefix(args.Path, "node:")
	m, known := nodeModules()[name]
	if !known {
		return api.OnResolveResult{}, nil // esbuild says that it was not found
	}
	if m.native(n.o) {
		return api.OnResolveResult{Path: args.Path, External: true}, nil
	}
	if m.hybrid && n.preset != "" {
		if found := n.lookup(b, "@cloudflare/unenv-preset/node/"+name, args.Kind); found != "" {
			return api.OnResolveResult{Path: found}, nil
		}
	}
	if m.always {
		return api.OnResolveResult{Path: args.Path, External: true}, nil
	}
	if n.unenv != "" {
		from := "unenv/node/" + name
		if strings.HasPrefix(name, "_") {
			from = "unenv/mock/proxy-cjs"
		}
		if found := n.lookup(b, from, args.Kind); found != "" {
			return api.OnResolveResult{Path: found}, nil
		}
	}
	return api.OnResolveResult{}, fmt.Errorf("%q is part of the runtime from the compatibility date %s on, or with the compatibility flag %q; this project has the date %s. Raise the date, add the flag, or install the package \"unenv\", whose replacement wrangler uses",
		args.Path, m.since, m.flag(), orNone(n.o.CompatibilityDate))
}

func orNone(date string) string {
	if date == "" {
		return "none"
	}
	return date
}

// lookup resolves a specifier from the project's folder; "" when it is not there.
func (n *node) lookup(b api.PluginBuild, specifier string, kind api.ResolveKind) string {
	dir := n.o.Root
	found := b.Resolve(specifier, api.ResolveOptions{ResolveDir: dir, Kind: kind, PluginData: resolved})
	if len(found.Errors) > 0 {
		return ""
	}
	return found.Path
}

// injects are virtual files that set the globals which the runtime has only
// from a later date on, where the project has wrangler's replacements installed.
func (n *node) injects() []string {
	if n.mode != nodeV2 || n.preset == "" {
		return nil
	}
	var out []string
	for _, name := range []string{"process", "console", "performance"} {
		if !globalNative(n.o, name) {
			out = append(out, injectPrefix+name)
		}
	}
	return out
}

const injectPrefix = "selvage-node-global:"

func (n *node) setupInjects(b api.PluginBuild) {
	b.OnResolve(api.OnResolveOptions{Filter: "^" + injectPrefix}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
		return api.OnResolveResult{Path: strings.TrimPrefix(args.Path, injectPrefix), Namespace: injectNamespace}, nil
	})
	b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: injectNamespace}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
		text := fmt.Sprintf("import value from %q;\nglobalThis.%s = value;\n", "@cloudflare/unenv-preset/node/"+args.Path, args.Path)
		if args.Path == "performance" {
			text = `import "@cloudflare/unenv-preset/polyfill/performance";`
		}
		return api.OnLoadResult{Contents: &text, Loader: api.LoaderJS, ResolveDir: n.o.Root}, nil
	})
}
