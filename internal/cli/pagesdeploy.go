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

	"github.com/spf13/cobra"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/bundle"
	"github.com/selvage-dev/selvage/internal/bundle/site"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/project"
)

type pagesFlags struct {
	project, branch, hash, message, functions, outdir string
	dirty, create, dry                                bool
}

func (a *app) pagesDeployCommand() *cobra.Command {
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
  selvage pages deploy dist --project docs --dry-run
  selvage pages deploy                      # all from wrangler.jsonc`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.newPagesDeploy(f, args)
			if err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(cmd.Context(), uploadTimeout)
			defer cancel()
			if d.c, err = settleAccount(ctx, c); err != nil {
				return err
			}
			return d.run(ctx)
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
	flags.BoolVar(&f.dry, "dry-run", false, "build, and show what would be uploaded and deployed, but change nothing")
	flags.StringVar(&f.outdir, "outdir", "", "folder to write the built modules of the Functions to")
	flags.BoolVar(&a.json, "json", false, "print JSON")
	return cmd
}

// pagesDeploy is one deployment on its way.
type pagesDeploy struct {
	a      *app
	c      *client.Client
	flags  *pagesFlags
	dir    string // the current folder
	output string // absolute; "": as the wrangler file says
	name   string // of the project
	commit client.PagesCommit
}

func (a *app) newPagesDeploy(f *pagesFlags, args []string) (*pagesDeploy, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the current folder: %w", err)
	}
	d := &pagesDeploy{a: a, flags: f, dir: dir, name: f.project}
	here, err := repository(dir)
	if err != nil {
		return nil, err
	}
	d.commit = client.PagesCommit{Branch: f.branch, Hash: f.hash, Message: f.message, Dirty: f.dirty}
	if f.branch == "" {
		d.commit.Branch = here.Branch
	}
	if f.hash == "" && (f.branch == "" || f.branch == here.Branch) {
		d.commit.Hash = here.Hash
	}
	if len(args) == 1 {
		if d.output, err = filepath.Abs(args[0]); err != nil {
			return nil, fmt.Errorf("find the folder: %w", err)
		}
	}
	// For which environment counts is known only when the project's production branch is.
	s, err := site.Settings(site.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	switch {
	case d.output == "" && s.Config == nil:
		return nil, errors.New("which folder? Give it as an argument, or as \"pages_build_output_dir\" in a wrangler file here")
	case d.name == "" && s.Config == nil:
		return nil, errors.New("which project? Give --project, or \"name\" in a wrangler file here")
	case d.name == "":
		d.name = s.Config.Name
	}
	return d, nil
}

// run builds and deploys.
func (d *pagesDeploy) run(ctx context.Context) error {
	p, err := d.project(ctx)
	if err != nil {
		return err
	}
	if d.commit.Branch == "" {
		d.commit.Branch = p.Branch
	}
	environment := project.PagesPreview
	if d.commit.Branch == p.Branch {
		environment = project.PagesProduction
	}
	settings := p.Configs[environment]
	s, err := site.Read(ctx, site.Options{
		Dir: d.dir, Environment: environment, Output: d.output, Functions: d.flags.functions,
		CompatibilityDate: settings.Date, CompatibilityFlags: settings.Flags,
	})
	if err != nil {
		return err
	}
	for _, w := range s.Warnings {
		d.a.warn(w)
	}
	u, err := d.upload(ctx, s)
	if err != nil {
		return err
	}
	if d.flags.outdir != "" && s.Code != nil {
		if err := writeModules(d.flags.outdir, slices.Concat([]bundle.Module{s.Code.Main}, s.Code.Modules)); err != nil {
			return err
		}
	}
	if d.flags.dry {
		return d.showDry(ctx, environment, s, u, p.ID != "")
	}
	return d.send(ctx, u)
}

// project gets the project, or makes it when that is wanted. One that is only going to be made has no ID.
func (d *pagesDeploy) project(ctx context.Context) (client.PagesProject, error) {
	p, err := d.c.PagesProject(ctx, d.name)
	if !d.flags.create || !client.HasCode(err, client.CodePagesProjectNotFound) {
		return p, plainPages(err)
	}
	const branch = "main"
	if d.flags.dry {
		return client.PagesProject{Name: d.name, Branch: branch}, nil
	}
	if p, err = d.c.CreatePagesProject(ctx, d.name, branch, nil); err != nil {
		return p, plainPages(err)
	}
	d.a.note("made the project %s", printable(d.name))
	return p, nil
}

func (d *pagesDeploy) upload(ctx context.Context, s *site.Site) (*client.PagesUpload, error) {
	u := &client.PagesUpload{Commit: d.commit, ConfigHash: s.ConfigHash, Routes: s.Routes}
	if s.Config != nil {
		u.Output = s.Config.PagesOutput
	}
	var err error
	if u.Assets, err = client.ReadAssets(ctx, os.DirFS(s.Output), notOfSite); err != nil {
		return nil, err
	}
	for _, at := range slices.Sorted(maps.Keys(s.Mounts)) {
		if err := u.Assets.AddFolder(ctx, os.DirFS(s.Mounts[at]), at); err != nil {
			return nil, err
		}
	}
	if s.Code == nil {
		return u, nil
	}
	u.Code = &client.PagesCode{Main: s.Code.Main.Name}
	if u.Code.Metadata, err = s.Metadata(); err != nil {
		return nil, err
	}
	for _, m := range slices.Concat([]bundle.Module{s.Code.Main}, s.Code.Modules) {
		u.Code.Modules = append(u.Code.Modules, client.Module{Name: m.Name, ContentType: m.Kind.ContentType(), Body: m.Content})
	}
	return u, nil
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

func (d *pagesDeploy) send(ctx context.Context, u *client.PagesUpload) error {
	a := d.a
	u.Assets.Progress = func(done, total int) { a.note("%d of %d new files uploaded", done, total) }
	out, err := d.c.DeployPages(ctx, d.name, u)
	if err != nil {
		return plainPages(err)
	}
	if out.Failed() {
		lines, err := d.c.PagesLog(ctx, d.name, out.ID)
		for _, l := range lines {
			a.note("%s", printable(l.Line))
		}
		return errors.Join(fmt.Errorf("deployment %s failed, and what served goes on to serve", out.ShortID), err)
	}
	if a.json {
		return a.printJSON(out)
	}
	a.printf("deployed %d files to %s\n", out.Files, printable(out.URL))
	for _, alias := range out.Aliases {
		a.printf("               %s\n", printable(alias))
	}
	return nil
}

// pagesPlan is what a dry run shows.
type pagesPlan struct {
	DryRun      bool     `json:"dry_run"`
	Project     string   `json:"project"`
	Environment string   `json:"environment"`
	Branch      string   `json:"branch"`
	Files       int      `json:"files"`
	NewFiles    int      `json:"new_files"` // contents that the platform does not have
	NewBytes    int64    `json:"new_bytes"`
	Modules     []string `json:"modules"` // of the Functions, with the main one first
	CodeBytes   int      `json:"code_bytes"`
	Routes      string   `json:"routes,omitempty"`
	Bindings    []string `json:"bindings"`
}

// showDry shows what a deployment would be. The project may be one that is not there.
func (d *pagesDeploy) showDry(ctx context.Context, environment string, s *site.Site, u *client.PagesUpload, exists bool) error { //nolint:revive // the flag is what is asked
	out := pagesPlan{
		DryRun: true, Project: d.name, Environment: environment, Branch: d.commit.Branch,
		Files: u.Assets.Len(), NewFiles: u.Assets.Len(), Modules: []string{}, Routes: s.Routes, Bindings: []string{},
	}
	if exists {
		var err error
		if out.NewFiles, out.NewBytes, err = d.c.MissingPages(ctx, d.name, u.Assets); err != nil {
			return plainPages(err)
		}
	}
	if u.Code != nil {
		for _, m := range u.Code.Modules {
			out.Modules = append(out.Modules, m.Name)
			out.CodeBytes += len(m.Body)
		}
	}
	if s.Config != nil {
		for _, b := range s.Config.Bindings {
			out.Bindings = append(out.Bindings, b.Name)
		}
	}
	if d.a.json {
		return d.a.printJSON(out)
	}
	d.a.printf("would deploy %d files (%d new) to %s of %s, branch %s\n", out.Files, out.NewFiles, environment, printable(d.name), printable(out.Branch))
	if len(out.Modules) > 0 {
		d.a.printf("Functions: %d modules, %d bytes; _routes.json: %s\n", len(out.Modules), out.CodeBytes, printable(orNone(out.Routes)))
	}
	if len(out.Bindings) > 0 {
		d.a.printf("bindings of the wrangler file: %s\n", printable(strings.Join(out.Bindings, ", ")))
	}
	d.a.printf("nothing was uploaded (--dry-run)\n")
	return nil
}

func orNone(text string) string {
	if text == "" {
		return "none, so that they answer all paths"
	}
	return text
}

// writeModules puts built modules into a folder.
func writeModules(dir string, all []bundle.Module) error {
	for _, m := range all {
		if !filepath.IsLocal(filepath.FromSlash(m.Name)) {
			return fmt.Errorf("the module %q has a name that leads out of %s; it was not written", m.Name, dir)
		}
		file := filepath.Join(dir, filepath.FromSlash(m.Name))
		if err := fsx.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := fsx.WriteFile(file, m.Content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
