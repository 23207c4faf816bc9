package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/bundle"
	"github.com/selvage-dev/selvage/internal/bundle/functions"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/project"
)

type pagesFlags struct {
	project, branch, hash, message, functions string
	dirty, create                             bool
}

func (a *app) pagesDeploy() *cobra.Command {
	f := &pagesFlags{}
	cmd := &cobra.Command{
		Use:   "deploy [DIR]",
		Short: "Deploy a folder as a site, without Node.js",
		Long: `Uploads those files of a folder that the platform does not have yet, builds the
Functions beside it (./functions, or a _worker.js in the folder), and deploys. On the
production branch the deployment serves at once; on any other it is a preview. The
branch is that of the git repository here unless --branch says another one.

A wrangler file with "pages_build_output_dir" gives the folder, the project's name,
and the bindings of the Functions.`,
		Example: `  selvage pages deploy dist --project docs
  selvage pages deploy dist --project docs --branch try-new-menu
  selvage pages deploy                      # all from wrangler.jsonc`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.pagesSite(cmd.Context(), f, args)
			if err != nil {
				return err
			}
			return a.sendPages(cmd.Context(), f, s)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.project, "project", "", "name of the project (default: \"name\" of the wrangler file)")
	flags.StringVar(&f.branch, "branch", "", "branch (default: that of the repository here, or else the production branch)")
	flags.StringVar(&f.hash, "commit-hash", "", "commit to show with the deployment (default: that of the repository here)")
	flags.StringVar(&f.message, "commit-message", "", "message to show with the deployment")
	flags.BoolVar(&f.dirty, "commit-dirty", false, "say that files were changed since the commit")
	flags.StringVar(&f.functions, "functions", "functions", "folder of functions")
	flags.BoolVar(&f.create, "create", false, "make the project if there is none")
	flags.BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// pagesSite is what there is to deploy.
type pagesSite struct {
	name   string
	root   string // the project's folder
	dir    string // the site's
	config *project.Config
	upload client.PagesUpload
}

func (a *app) pagesSite(ctx context.Context, f *pagesFlags, args []string) (*pagesSite, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the current folder: %w", err)
	}
	s := &pagesSite{root: root, name: f.project}
	commit, err := repository(root)
	if err != nil {
		return nil, err
	}
	s.upload.Commit = client.PagesCommit{Branch: f.branch, Hash: f.hash, Message: f.message, Dirty: f.dirty}
	if f.branch == "" {
		s.upload.Commit.Branch = commit.Branch
	}
	if f.hash == "" && (f.branch == "" || f.branch == commit.Branch) {
		s.upload.Commit.Hash = commit.Hash
	}
	if err := s.configure(a); err != nil {
		return nil, err
	}
	switch {
	case len(args) == 1:
		s.dir = args[0]
	case s.config != nil:
		s.dir = filepath.Join(s.root, s.config.PagesOutput)
	default:
		return nil, errors.New("which folder? Give it as an argument, or as \"pages_build_output_dir\" in a wrangler file here")
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return nil, err
	}
	if info, err := os.Stat(s.dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder; build the site first", s.dir)
	}
	if s.name == "" {
		return nil, errors.New("which project? Give --project, or \"name\" in a wrangler file here")
	}
	if s.upload.Assets, err = client.ReadAssets(ctx, os.DirFS(s.dir), notOfSite); err != nil {
		return nil, err
	}
	return s, s.code(ctx, filepath.Join(s.root, f.functions))
}

// configure reads the wrangler file here, if there is one of a Pages project.
func (s *pagesSite) configure(a *app) error {
	c, err := project.Load(project.Options{Dir: s.root, Pages: true})
	if errors.Is(err, project.ErrNoConfig) {
		return nil
	}
	if c != nil {
		for _, w := range c.Warnings {
			a.warn(w)
		}
	}
	if err != nil {
		if c != nil && c.PagesOutput == "" && s.name != "" {
			return nil // it is the file of a Worker: the project's own settings count
		}
		return err
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("read %s: %w", c.File, err)
	}
	sum := sha256.Sum256(text)
	s.config, s.root, s.upload.ConfigHash = c, c.Root, hex.EncodeToString(sum[:])
	if s.name == "" {
		s.name = c.Name
	}
	return nil
}

// notOfSite says which files are no part of a site.
func notOfSite(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	switch first {
	case "_worker.js", "_routes.json", "functions":
		return true
	}
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool {
		return part == "node_modules" || part == ".git" || part == ".wrangler" || part == ".DS_Store"
	})
}

// code builds the Functions, if there are any.
func (s *pagesSite) code(ctx context.Context, folder string) error {
	routes, err := os.ReadFile(filepath.Join(s.dir, "_routes.json"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read _routes.json: %w", err)
	}
	main := filepath.Join(s.dir, "_worker.js")
	info, err := os.Stat(main)
	switch {
	case err == nil && info.IsDir():
		main = filepath.Join(main, "index.js")
	case err == nil:
	case errors.Is(err, os.ErrNotExist):
		return s.functions(ctx, folder, string(routes))
	default:
		return err
	}
	s.upload.Routes = string(routes)
	return s.build(ctx, main)
}

// functions builds a folder of functions by way of a main module that is made for
// it.
func (s *pagesSite) functions(ctx context.Context, folder, routes string) error {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil // a site without functions is ordinary
	}
	found, err := functions.Scan(folder)
	if err != nil || len(found) == 0 {
		return err
	}
	if routes == "" {
		if routes, err = functions.RoutesJSON(found); err != nil {
			return err
		}
	}
	s.upload.Routes = routes
	source, err := functions.Source(found)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "selvage-functions-")
	if err != nil {
		return fmt.Errorf("build the functions: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	sum := sha256.Sum256([]byte(source))
	main := filepath.Join(tmp, "functionsWorker-"+hex.EncodeToString(sum[:4])+".js")
	if err := fsx.WriteFile(main, []byte(source), 0o600); err != nil {
		return err
	}
	return s.build(ctx, main)
}

func (s *pagesSite) build(ctx context.Context, main string) error {
	o := bundle.Options{Root: s.root, Main: main}
	code := &client.PagesCode{}
	if c := s.config; c != nil {
		o.ConfigFile, o.CompatibilityDate, o.CompatibilityFlags = c.File, c.CompatibilityDate, c.CompatibilityFlags
		o.Define, o.Alias, o.TSConfig = c.Bundling.Define, c.Bundling.Alias, c.Bundling.TSConfig
		for _, b := range c.Bindings {
			if b.Missing != "" {
				return fmt.Errorf("the binding %s has no %q; a Pages project names what there is already", b.Name, b.Missing)
			}
		}
		code.Metadata = map[string]any{"bindings": c.Bindings, "compatibility_flags": c.CompatibilityFlags}
		if c.CompatibilityDate != "" {
			code.Metadata["compatibility_date"] = c.CompatibilityDate
		}
	}
	r, err := bundle.Build(ctx, o)
	if err != nil {
		return err
	}
	if r.ServiceWorker {
		return fmt.Errorf("%s has no default export; a Pages project's code exports its handlers", path.Base(filepath.ToSlash(main)))
	}
	code.Main = r.Main.Name
	for _, m := range slices.Concat([]bundle.Module{r.Main}, r.Modules) {
		code.Modules = append(code.Modules, client.Module{Name: m.Name, ContentType: contentType(m.Kind), Body: m.Content})
	}
	s.upload.Code = code
	return nil
}

func (a *app) sendPages(ctx context.Context, f *pagesFlags, s *pagesSite) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	if c, err = settleAccount(ctx, c); err != nil {
		return err
	}
	if f.create {
		if _, err := c.PagesProject(ctx, s.name); client.HasCode(err, client.CodePagesProjectNotFound) {
			if _, err := c.CreatePagesProject(ctx, s.name, "main", nil); err != nil {
				return plainPages(err)
			}
			a.note("made the project %s", printable(s.name))
		}
	}
	s.upload.Assets.Progress = func(done, total int) { a.note("%d of %d new files uploaded", done, total) }
	d, err := c.DeployPages(ctx, s.name, &s.upload)
	if err != nil {
		return plainPages(err)
	}
	if d.Failed() {
		lines, err := c.PagesLog(ctx, s.name, d.ID)
		for _, l := range lines {
			a.note("%s", printable(l.Line))
		}
		return errors.Join(fmt.Errorf("deployment %s failed, and what served goes on to serve", d.ShortID), err)
	}
	if a.json {
		return a.printJSON(d)
	}
	a.printf("deployed %d files to %s\n", d.Files, printable(d.URL))
	for _, alias := range d.Aliases {
		a.printf("               %s\n", printable(alias))
	}
	return nil
}
