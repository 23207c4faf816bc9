package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/bundle"
	"github.com/selvage-dev/selvage/internal/project"
)

// uploadTimeout bounds a deploy as a whole.
const uploadTimeout = 30 * time.Minute

// plan is a deploy before anything is sent.
type plan struct {
	name     string
	flags    *deployFlags
	config   *project.Config
	built    *bundle.Result // nil: static assets only
	assets   *client.Assets // nil: none
	bindings []project.Binding
	secrets  []project.Binding // with their values: never shown
	exists   bool              // the worker, before the deploy
	upload   client.Upload
	// Sizes of the modules in bytes.
	raw, gzipped int64
	took         time.Duration // of building
}

// plan reads the configuration and builds the worker.
func (a *app) plan(cmd *cobra.Command, f *deployFlags, args []string) (*plan, error) {
	start := time.Now()
	c, err := a.loadProject(&f.projectFlags)
	if err != nil {
		return nil, err
	}
	if len(c.Environments) > 0 && c.Env == "" && !f.envSet() {
		a.warn(fmt.Sprintf("the configuration has environments (%s), and its top level is taken. --env names one; --env \"\" says that the top level is meant.", strings.Join(c.Environments, ", ")))
	}
	if err := f.override(c, cmd); err != nil {
		return nil, err
	}
	if err := entry(c, f, args); err != nil {
		return nil, err
	}
	switch {
	case c.Name == "":
		return nil, errors.New("the worker has no name: add \"name\" to the configuration, or give --name")
	case c.CompatibilityDate == "":
		return nil, fmt.Errorf("there is no compatibility date: add \"compatibility_date\": %q to the configuration, or give --compatibility-date", time.Now().UTC().Format(time.DateOnly))
	case c.Site != nil:
		return nil, errors.New("\"site\" (Workers Sites) is not offered; use \"assets\", which serves a folder too")
	}
	if c.Build.Command != "" && !f.skipBuild {
		if err := a.customBuild(cmd.Context(), c, wranglerCommand(cmd)); err != nil {
			return nil, err
		}
	}
	p := &plan{name: c.Name, flags: f, config: c}
	if f.secretsFile != "" {
		if err := p.addSecrets(f.secretsFile); err != nil {
			return nil, err
		}
	}
	if err := p.build(cmd.Context(), a.getenv("NODE_ENV")); err != nil {
		return nil, err
	}
	if p.built != nil {
		for _, w := range p.built.Warnings {
			a.warn(w)
		}
	}
	if err := p.assemble(); err != nil {
		return nil, err
	}
	p.took = time.Since(start)
	if f.outdir != "" {
		if err := p.write(f.outdir); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// wranglerCommand is what wrangler calls the command, which build commands look at.
func wranglerCommand(cmd *cobra.Command) string {
	if cmd.Name() == "upload" {
		return "versions upload"
	}
	return cmd.Name()
}

// entry finds what there is to deploy.
func entry(c *project.Config, f *deployFlags, args []string) error {
	if f.assets != "" {
		dir, err := filepath.Abs(f.assets)
		if err != nil {
			return err
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("--assets names %s, which is no folder", f.assets)
		}
		if c.Assets == nil {
			c.Assets = &project.Assets{}
		}
		c.Assets.Directory = dir
	}
	if f.tsconfig != "" {
		var err error
		if c.Bundling.TSConfig, err = filepath.Abs(f.tsconfig); err != nil {
			return err
		}
	}
	if len(args) > 0 {
		file, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		// As wrangler: a folder as the argument is one of static assets.
		if info, err := os.Stat(file); err == nil && info.IsDir() && c.Assets == nil {
			c.Assets, c.Main = &project.Assets{Directory: file}, ""
			return nil
		}
		c.Main = file
	}
	if c.Main == "" && c.Assets == nil {
		return errNoEntry
	}
	if c.Assets != nil && c.Assets.Directory == "" {
		return errors.New("\"assets\" has no \"directory\"; name the folder")
	}
	return nil
}

// build bundles the code and hashes the assets at the same time.
func (p *plan) build(ctx context.Context, nodeEnv string) error {
	group, ctx := errgroup.WithContext(ctx)
	if p.config.Main != "" {
		group.Go(func() (err error) {
			o := p.bundling()
			o.NodeEnv = nodeEnv
			p.built, err = bundle.Build(ctx, o)
			return err
		})
	}
	if p.config.Assets != nil {
		group.Go(func() (err error) {
			p.assets, err = readAssets(ctx, p.config.Assets.Directory)
			return err
		})
	}
	return group.Wait()
}

// addSecrets uploads the secrets of a file with the version.
func (p *plan) addSecrets(path string) error {
	file, err := os.Open(path) //nolint:gosec // the user's own
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := readBounded(file, maxSecrets)
	if err != nil {
		return fmt.Errorf("read the secrets: %w", err)
	}
	secrets, err := parseSecrets(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if secrets[name] == nil {
			return fmt.Errorf("%s: the secret %q is null; \"selvage secret delete\" deletes one", path, name)
		}
		p.secrets = append(p.secrets, project.Binding{Name: name, Type: "secret_text", Fields: map[string]any{"text": *secrets[name]}})
	}
	return nil
}

func (p *plan) bundling() bundle.Options {
	c := p.config
	b := &c.Bundling
	return bundle.Options{
		Root: c.Root, Main: c.Main, ModuleRoot: b.BaseDir, ConfigFile: c.File,
		CompatibilityDate: c.CompatibilityDate, CompatibilityFlags: c.CompatibilityFlags,
		Rules: b.Rules, FindAdditionalModules: b.FindAdditionalModules, PreserveFileNames: b.PreserveFileNames,
		NoBundle: b.NoBundle, Minify: b.Minify, DropNames: b.KeepNames != nil && !*b.KeepNames,
		SourceMaps: b.UploadSourceMaps == nil || *b.UploadSourceMaps,
		Define:     b.Define, Alias: b.Alias, TSConfig: b.TSConfig, JSXFactory: b.JSXFactory, JSXFragment: b.JSXFragment,
		Objects: c.LocalObjects(), Workflows: c.LocalWorkflows(),
	}
}

// readAssets reads a folder but for what its .assetsignore names.
func readAssets(ctx context.Context, dir string) (*client.Assets, error) {
	text, err := os.ReadFile(filepath.Join(dir, ".assetsignore")) //nolint:gosec // the user's own
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read .assetsignore: %w", err)
	}
	ignore := project.ParseIgnore(string(text))
	assets, err := client.ReadAssets(ctx, os.DirFS(dir), ignore.Match)
	if err != nil {
		return nil, err
	}
	if assets.Has("/_worker.js") {
		return nil, fmt.Errorf("the folder of static assets, %s, has a file _worker.js, which would be public; add it to .assetsignore there, or move it out", dir)
	}
	return assets, nil
}

// assemble makes the upload.
func (p *plan) assemble() error {
	c := p.config
	p.bindings = slices.Clone(c.Bindings)
	u := &p.upload
	u.CompatibilityDate, u.CompatibilityFlags = c.CompatibilityDate, c.CompatibilityFlags
	u.Annotations = p.annotations()
	if p.built == nil {
		if len(p.bindings) > 0 && p.bindings[0].Type == "assets" {
			return errors.New("\"assets.binding\" needs a worker: add \"main\", or remove the binding")
		}
		return nil
	}
	u.KeepBindings = []string{"secret_text", "secret_key"}
	if c.KeepVars {
		u.KeepBindings = append(u.KeepBindings, "plain_text", "json")
	}
	u.Exports, u.Limits, u.Placement, u.Observability = c.Exports, c.Limits, c.Placement, c.Observability
	u.Logpush, u.TailConsumers, u.StreamingTailConsumers = c.Logpush, c.TailConsumers, c.StreamingTailConsumers
	u.Containers, u.CacheOptions = c.Containers, c.Cache
	if err := p.modules(); err != nil {
		return err
	}
	raw, gzipped, err := u.Size()
	if err != nil {
		return fmt.Errorf("measure the upload: %w", err)
	}
	p.raw, p.gzipped = raw, gzipped
	return nil
}

func (p *plan) annotations() map[string]string {
	out := map[string]string{}
	for key, value := range map[string]string{
		client.AnnotationMessage: p.flags.message, client.AnnotationTag: p.flags.tag, client.AnnotationAlias: p.flags.preview,
	} {
		if value != "" {
			out[key] = value
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// modules puts code and files into the upload. The service-worker format has no
// modules: there each one becomes the value of a binding.
func (p *plan) modules() error {
	u, r := &p.upload, p.built
	if r.ServiceWorker {
		u.BodyPart = r.Main.Name
	} else {
		u.MainModule = r.Main.Name
	}
	for _, m := range slices.Concat([]bundle.Module{r.Main}, r.Modules, r.SourceMaps) {
		name := m.Name
		if kind := blobKind(m.Kind); r.ServiceWorker && kind != "" {
			name = bundle.GlobalName(m.Name)
			p.bindings = append(p.bindings, project.Binding{Name: name, Type: kind, Fields: map[string]any{"part": name}})
		}
		u.Modules = append(u.Modules, client.Module{Name: name, ContentType: m.Kind.ContentType(), Body: m.Content})
	}
	for _, b := range p.config.Blobs {
		if !r.ServiceWorker {
			return fmt.Errorf("the binding %q is for service workers: import %s in the code instead", b.Name, b.File)
		}
		content, err := os.ReadFile(b.File)
		if err != nil {
			return fmt.Errorf("read the file of the binding %q: %w", b.Name, err)
		}
		types := map[string]string{"wasm_module": client.TypeWasm, "text_blob": client.TypeText, "data_blob": client.TypeData}
		p.bindings = append(p.bindings, project.Binding{Name: b.Name, Type: b.Kind, Fields: map[string]any{"part": b.Name}})
		u.Modules = append(u.Modules, client.Module{Name: b.Name, ContentType: types[b.Kind], Body: content})
	}
	return nil
}

func blobKind(k bundle.Kind) string {
	switch k {
	case bundle.CompiledWasm:
		return "wasm_module"
	case bundle.Text:
		return "text_blob"
	case bundle.Data:
		return "data_blob"
	case bundle.ESModule, bundle.CommonJS, bundle.SourceMap:
	}
	return ""
}

// assetConfig says how the assets are served.
func (p *plan) assetConfig() client.AssetConfig {
	c := p.config.Assets
	return client.AssetConfig{
		HTMLHandling: c.HTMLHandling, NotFoundHandling: c.NotFoundHandling, RunWorkerFirst: c.RunWorkerFirst,
		Headers: p.assets.Headers, Redirects: p.assets.Redirects,
	}
}

// kib is a size for a person.
func kib(n int64) string {
	const unit = 1024
	return fmt.Sprintf("%.2f KiB", float64(n)/unit)
}

// url adds the scheme that an address may lack.
func withScheme(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "http://" + address
}
