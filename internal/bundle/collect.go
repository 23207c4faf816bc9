package bundle

import (
	"context"
	"crypto/sha1" //nolint:gosec // a name that wrangler gives too, no protection
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"
)

// maxFile bounds one file that is taken as it is, in bytes. The platform takes less.
const maxFile = 256 << 20

// collector takes imports that match a module rule out of the bundle and keeps
// them as modules of their own.
type collector struct {
	o      *Options
	rules  ruleSet
	format format
	found  map[string]bool // files that FindAdditionalModules brought

	mu      sync.Mutex
	modules map[string]Module
}

func newCollector(ctx context.Context, o *Options, rules ruleSet, f format) (*collector, error) {
	c := &collector{o: o, rules: rules, format: f, found: map[string]bool{}, modules: map[string]Module{}}
	if o.FindAdditionalModules == nil || !*o.FindAdditionalModules {
		return c, nil
	}
	if f == serviceWorker {
		return nil, &Error{Text: "find_additional_modules needs an ES module entry point: remove it, or add \"export default { … }\" with the handlers"}
	}
	more, err := o.additional(ctx, rules)
	if err != nil {
		return nil, err
	}
	for _, m := range more {
		c.found[m.Path] = true
		c.modules[m.Name] = m
	}
	return c, nil
}

func (c *collector) plugin() api.Plugin {
	return api.Plugin{Name: "modules", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: c.siblings()}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if args.PluginData == resolved || args.Kind != api.ResolveJSImportStatement && args.Kind != api.ResolveJSRequireCall {
				return api.OnResolveResult{}, nil
			}
			for i := range c.rules.active {
				r := &c.rules.active[i]
				if !r.script() && r.matches(args.Path) {
					return c.add(r, args.Path, filepath.Join(filepath.Dir(c.o.Main), stripQuery(args.Path)))
				}
			}
			return api.OnResolveResult{}, nil
		})
		for i := range c.rules.active {
			r := &c.rules.active[i]
			if r.script() && len(c.found) == 0 {
				continue
			}
			for _, glob := range r.Globs {
				b.OnResolve(api.OnResolveOptions{Filter: globPattern(glob, false)}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
					return c.resolve(b, r, args)
				})
			}
		}
		for i := range c.rules.shadowed {
			r := &c.rules.shadowed[i]
			for _, glob := range r.Globs {
				b.OnResolve(api.OnResolveOptions{Filter: globPattern(glob, false)}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
					if args.PluginData == resolved || args.Kind == api.ResolveEntryPoint {
						return api.OnResolveResult{}, nil
					}
					return api.OnResolveResult{}, fmt.Errorf("%s matches the module rule %s, which an earlier rule of its type shadows; give that one \"fallthrough\": true", args.Path, r)
				})
			}
		}
		for i := range c.rules.active {
			// The service-worker format has no modules: a global of this name is bound.
			b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: c.rules.active[i].namespace()}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
				text := "export default " + GlobalName(args.Path) + ";"
				return api.OnLoadResult{Contents: &text, Loader: api.LoaderJS}, nil
			})
		}
	}}
}

// namespace shows up in the code of a service worker, so it is wrangler's name.
func (r *Rule) namespace() string { return "wrangler-module-" + r.Type }

func (r *Rule) matches(specifier string) bool {
	return slices.ContainsFunc(r.Globs, func(glob string) bool {
		re, err := compileGlob(glob, false)
		return err == nil && re.MatchString("./"+specifier)
	})
}

// siblings matches a bare name of a file beside Main, which old projects import so.
func (c *collector) siblings() string {
	entries, err := os.ReadDir(filepath.Dir(c.o.Main))
	if err != nil {
		entries = nil // Build has opened Main, so nothing is here that can be imported
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && e.Name() != filepath.Base(c.o.Main) {
			names = append(names, regexp.QuoteMeta(e.Name()))
		}
	}
	if len(names) == 0 {
		return "^$"
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

func (c *collector) resolve(b api.PluginBuild, r *Rule, args api.OnResolveArgs) (api.OnResolveResult, error) {
	if args.PluginData == resolved || args.Kind == api.ResolveEntryPoint {
		return api.OnResolveResult{}, nil
	}
	clean := stripQuery(args.Path)
	file := filepath.Join(args.ResolveDir, clean)
	if c.found[file] {
		return api.OnResolveResult{Path: clean, External: true}, nil
	}
	if r.script() {
		return api.OnResolveResult{}, nil
	}
	found := b.Resolve(clean, api.ResolveOptions{Importer: args.Importer, ResolveDir: args.ResolveDir, Kind: args.Kind, PluginData: resolved})
	if len(found.Errors) == 0 && found.Path != "" {
		file = found.Path
	}
	if installed := installedFile(args.ResolveDir, clean); installed != "" {
		file = installed
	}
	return c.add(r, clean, file)
}

// installedFile finds a file of a package by its path, whatever the package's
// "exports" say: packages seldom list their wasm there. "" when there is none.
func installedFile(dir, specifier string) string {
	if specifier == "" || specifier[0] == '.' || filepath.IsAbs(specifier) {
		return ""
	}
	for {
		file := filepath.Join(dir, "node_modules", filepath.FromSlash(specifier))
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// add keeps a file as a module and refers to it by its new name.
func (c *collector) add(r *Rule, specifier, file string) (api.OnResolveResult, error) {
	content, err := readFile(file)
	if err != nil {
		return api.OnResolveResult{}, fmt.Errorf("could not read %q, which the module rule %s makes a module: %w", specifier, r, err)
	}
	specifier = stripQuery(specifier)
	sum := sha1.Sum(content) //nolint:gosec // as above
	name := c.name(specifier, hex.EncodeToString(sum[:]))
	kind, _ := r.kind() // parseRules has checked it
	c.mu.Lock()
	defer c.mu.Unlock()
	c.modules[name] = Module{Name: name, Path: file, Kind: kind, Content: content}
	return api.OnResolveResult{Path: name, External: c.format != serviceWorker, Namespace: r.namespace()}, nil
}

func (c *collector) name(specifier, hash string) string {
	switch {
	case !c.o.PreserveFileNames:
		return "./" + hash + "-" + path.Base(filepath.ToSlash(specifier))
	case filepath.IsAbs(specifier):
		return "./" + hash + "/" + path.Base(filepath.ToSlash(specifier))
	}
	return specifier
}

func (c *collector) result() []Module {
	out := make([]Module, 0, len(c.modules))
	for _, m := range c.modules {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Module) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func stripQuery(specifier string) string {
	before, _, _ := strings.Cut(specifier, "?")
	return before
}

// GlobalName is a module's name as an identifier.
func GlobalName(module string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '$' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, module)
}

// readFile reads a file of at most maxFile bytes; a link to a device has no end.
func readFile(file string) ([]byte, error) {
	info, err := os.Stat(file) // before it is opened, for which a pipe waits
	if err == nil && !info.Mode().IsRegular() {
		err = &Error{Text: file + " is no regular file"}
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file) //nolint:gosec // a file of the project
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, &Error{Text: fmt.Sprintf("%s is larger than %d bytes", file, maxFile)}
	}
	return content, nil
}
