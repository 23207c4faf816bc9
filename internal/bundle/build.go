package bundle

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// Build builds a worker. The error is an [*Error] when the project is at fault.
func Build(ctx context.Context, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.ModuleRoot == "" {
		o.ModuleRoot = filepath.Dir(o.Main)
	}
	rules, err := parseRules(o.Rules)
	if err != nil {
		return nil, err
	}
	f, warning, err := o.format()
	if err != nil {
		return nil, err
	}
	r := &Result{ServiceWorker: f == serviceWorker, Warnings: rules.warnings}
	if warning != "" {
		r.Warnings = append(r.Warnings, warning)
	}
	if o.NoBundle {
		err = o.copy(ctx, r, rules, f)
	} else {
		err = o.bundle(ctx, r, rules, f)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (o *Options) check() error {
	info, err := os.Stat(o.Main)
	switch {
	case err != nil:
		return &Error{Text: fmt.Sprintf("the entry point %s was not found; \"main\" names it, relative to the configuration file", o.rel(o.Main))}
	case info.IsDir():
		return &Error{Text: fmt.Sprintf("the entry point %s is a folder; name the file with the worker's handlers", o.rel(o.Main))}
	case filepath.Ext(o.Main) == ".py":
		return &Error{Text: fmt.Sprintf("the entry point %s is Python; Python workers are not offered", o.rel(o.Main))}
	}
	return nil
}

// copy takes Main as it is.
func (o *Options) copy(ctx context.Context, r *Result, rules ruleSet, f format) error {
	content, err := readFile(o.Main)
	if err != nil {
		return err
	}
	r.Main = Module{Name: filepath.Base(o.Main), Path: o.Main, Kind: f.kind(), Content: content}
	if o.FindAdditionalModules == nil || *o.FindAdditionalModules {
		if r.Modules, err = o.additional(ctx, rules); err != nil {
			return err
		}
	}
	if !o.SourceMaps {
		return nil
	}
	for _, m := range slices.Concat([]Module{r.Main}, r.Modules) {
		if own, ok := sourceMapOf(m); ok {
			r.SourceMaps = append(r.SourceMaps, own)
		}
	}
	return nil
}

// bundle runs esbuild.
func (o *Options) bundle(ctx context.Context, r *Result, rules ruleSet, f format) error {
	collect, err := newCollector(ctx, o, rules, f)
	if err != nil {
		return err
	}
	node := newNode(o)
	name := strings.TrimSuffix(filepath.Base(o.Main), filepath.Ext(o.Main))
	// Paths in the source map are relative to the output's folder: with the
	// project's they come out as a person knows them. Nothing is written there.
	outdir := o.Root
	shape := api.FormatESModule
	if f == serviceWorker {
		shape = api.FormatIIFE
	}
	opts := api.BuildOptions{
		EntryPoints: []string{o.Main}, Bundle: true, AbsWorkingDir: o.Root, Outdir: outdir, EntryNames: name,
		Format: shape, Target: api.ES2024, Supported: supported(), Loader: loaders(),
		Conditions: []string{"workerd", "worker", "browser"}, External: []string{"__STATIC_CONTENT_MANIFEST"},
		KeepNames: !o.DropNames, MinifyWhitespace: o.Minify, MinifyIdentifiers: o.Minify, MinifySyntax: o.Minify,
		Define: o.defines(), JSXFactory: o.JSXFactory, JSXFragment: o.JSXFragment, Tsconfig: o.TSConfig,
		Metafile: true, LogLevel: api.LogLevelSilent,
		Inject:  node.injects(),
		Plugins: []api.Plugin{o.aliases(), o.assetFolders(), collect.plugin(), node.plugin(f), runtimeModules(f)},
	}
	if o.SourceMaps {
		opts.Sourcemap = api.SourceMapLinked
	}
	out, err := run(ctx, opts)
	if err != nil {
		return err
	}
	if len(out.Errors) > 0 {
		return o.failure(out.Errors, node)
	}
	r.Warnings = append(r.Warnings, formatted(out.Warnings, api.WarningMessage)...)
	r.Warnings = append(r.Warnings, node.warnings()...)
	if err := o.take(r, out.OutputFiles, name); err != nil {
		return err
	}
	names, err := exports(out.Metafile)
	if err != nil {
		return err
	}
	if err := o.checkExports(names); err != nil {
		return err
	}
	// The bundler knows better than the first look, which sees one file only.
	f = modules
	if len(names) == 0 {
		f = serviceWorker
	}
	r.Main.Kind, r.ServiceWorker = f.kind(), f == serviceWorker
	r.Modules = collect.result()
	return nil
}

// run runs esbuild and stops it when ctx ends.
func run(ctx context.Context, opts api.BuildOptions) (api.BuildResult, error) {
	b, bad := api.Context(opts)
	if bad != nil {
		return api.BuildResult{Errors: bad.Errors}, nil
	}
	defer b.Dispose()
	stop := context.AfterFunc(ctx, b.Cancel)
	defer stop()
	out := b.Rebuild()
	return out, context.Cause(ctx)
}

// take finds the script and its map among the bundler's output.
func (o *Options) take(r *Result, files []api.OutputFile, name string) error {
	for _, f := range files {
		switch base := filepath.Base(f.Path); base {
		case name + ".js":
			r.Main = Module{Name: base, Content: f.Contents}
		case name + ".js.map":
			cleaned, err := cleanMap(f.Contents, name+".js")
			if err != nil {
				return err
			}
			r.SourceMaps = append(r.SourceMaps, Module{Name: base, Kind: SourceMap, Content: cleaned})
		default:
			if !strings.HasSuffix(base, ".map") {
				r.Warnings = append(r.Warnings, fmt.Sprintf("%s is left out of the upload: a worker has no use for it. To import its content, add a module rule of type Text.", base))
			}
		}
	}
	if r.Main.Name == "" {
		return fmt.Errorf("the bundler made no %s.js", name)
	}
	return nil
}

func (o *Options) defines() map[string]string {
	env := o.NodeEnv
	if env == "" {
		env = "production"
	}
	env = quote(env)
	d := map[string]string{"process.env.NODE_ENV": env, "global.process.env.NODE_ENV": env, "globalThis.process.env.NODE_ENV": env}
	if o.enabled("global_navigator", "no_global_navigator", "2022-03-21") {
		d["navigator.userAgent"] = `"Cloudflare-Workers"`
	}
	maps.Copy(d, o.Define)
	return d
}

// enabled says whether something that the runtime has from a date on is there.
func (o *Options) enabled(on, off, since string) bool {
	switch {
	case slices.Contains(o.CompatibilityFlags, off):
		return false
	case slices.Contains(o.CompatibilityFlags, on):
		return true
	}
	return o.CompatibilityDate >= since
}

// checkExports holds that the classes the configuration names are there.
func (o *Options) checkExports(names []string) error {
	for _, c := range []struct {
		what    string
		classes []string
	}{{"Durable Object", o.Objects}, {"Workflow", o.Workflows}} {
		var missing []string
		for _, class := range c.classes {
			if !slices.Contains(names, class) {
				missing = append(missing, class)
			}
		}
		if len(missing) > 0 {
			return &Error{Text: fmt.Sprintf("the configuration names %s classes that %s does not export: %s; add \"export class %s …\" there",
				c.what, o.rel(o.Main), strings.Join(missing, ", "), missing[0])}
		}
	}
	return nil
}

// aliases resolves the specifiers of the configuration's alias from the project's folder.
func (o *Options) aliases() api.Plugin {
	return api.Plugin{Name: "alias", Setup: func(b api.PluginBuild) {
		if len(o.Alias) == 0 {
			return
		}
		b.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			target, ok := o.Alias[args.Path]
			if !ok || args.PluginData == resolved {
				return api.OnResolveResult{}, nil
			}
			if _, builtin := nodeModules()[strings.TrimPrefix(target, "node:")]; builtin {
				return api.OnResolveResult{Path: target, External: true}, nil
			}
			found := b.Resolve(target, api.ResolveOptions{ResolveDir: o.Root, Kind: args.Kind, PluginData: resolved})
			if len(found.Errors) > 0 {
				return api.OnResolveResult{}, fmt.Errorf("the alias of %q is %q, which was not found from %s", args.Path, target, o.Root)
			}
			return api.OnResolveResult{Path: found.Path, External: found.External, Namespace: found.Namespace, Suffix: found.Suffix}, nil
		})
	}}
}

// mark is the data of a resolution that a plugin here asked for itself.
type mark struct{}

// resolved marks what must not be resolved by these plugins again.
var resolved = mark{} //nolint:gochecknoglobals // a constant that the language cannot express

// runtimeModules leaves cloudflare:… to the runtime.
func runtimeModules(f format) api.Plugin {
	return api.Plugin{Name: "cloudflare", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: "^cloudflare:"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if f == serviceWorker {
				return api.OnResolveResult{}, serviceImport(args.Path)
			}
			return api.OnResolveResult{Path: args.Path, External: true}, nil
		})
	}}
}

// serviceImport is an import of the runtime's modules where there can be none.
func serviceImport(name string) error {
	return fmt.Errorf("%q cannot be imported here: the entry point has no default export, so it is built as a service worker, which has no modules. Add \"export default { … }\" with the handlers", name)
}
