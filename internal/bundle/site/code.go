package site

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/bundle"
	"github.com/selvage-dev/selvage/internal/bundle/functions"
	"github.com/selvage-dev/selvage/internal/fsx"
)

// Names of what is code in a site's folder.
const (
	workerName = "_worker.js"
	routesName = "_routes.json"
)

// maxRoutes bounds a _routes.json, in bytes.
const maxRoutes = 1 << 20

// code builds the Functions, if there are any. A _worker.js goes before a folder of functions, as with wrangler.
func (s *Site) code(ctx context.Context, folder string) error {
	var err error
	if s.Routes, err = s.routes(); err != nil {
		return err
	}
	main := filepath.Join(s.Output, workerName)
	info, err := os.Stat(main)
	switch {
	case errors.Is(err, os.ErrNotExist) && !isLink(main):
		return s.functions(ctx, folder)
	case errors.Is(err, os.ErrNotExist):
		return errorf("%s is a link that leads nowhere", workerName)
	case err != nil:
		return fmt.Errorf("look for %s: %w", workerName, err)
	}
	if info, err := os.Stat(folder); err == nil && info.IsDir() {
		s.Warnings = append(s.Warnings, fmt.Sprintf("there are a %s and a folder of functions: only the former is used", workerName))
	}
	o := s.options()
	if s.Config != nil {
		o.NoBundle = s.Config.Bundling.NoBundle
	}
	if o.Main = main; info.IsDir() {
		// Its scripts stay modules of their own, which can be imported by names that are made at run time.
		o.Main, o.ModuleRoot = filepath.Join(main, "index.js"), main
		o.Rules = []bundle.Rule{{Type: "ESModule", Globs: []string{"**/*.js", "**/*.mjs"}}}
		yes := true
		o.FindAdditionalModules = &yes
	}
	return s.build(ctx, o)
}

// isLink says whether a link is there, wherever it leads. A site is not to be deployed without its code because of one
// that leads nowhere.
func isLink(file string) bool {
	info, err := os.Lstat(file)
	return err == nil && info.Mode()&os.ModeSymlink != 0
}

func (s *Site) routes() (string, error) {
	file := filepath.Join(s.Output, routesName)
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("look for %s: %w", routesName, err)
	case !info.Mode().IsRegular() || info.Size() > maxRoutes:
		return "", errorf("%s is no file, or larger than %d bytes", routesName, maxRoutes)
	}
	text, err := os.ReadFile(file) //nolint:gosec // a file of the project
	if err != nil {
		return "", fmt.Errorf("read %s: %w", routesName, err)
	}
	return string(text), nil
}

// functions builds a folder of functions by way of a main module that is made for it.
func (s *Site) functions(ctx context.Context, folder string) error {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		if isLink(folder) {
			return errorf("the folder of functions, %s, is a link that leads to no folder", filepath.Base(folder))
		}
		s.Routes = "" // a site without functions is ordinary
		return nil
	}
	found, err := functions.Scan(folder)
	if own, ok := errors.AsType[*functions.Error](err); ok {
		return &Error{Text: own.Text}
	}
	if err != nil {
		return err
	}
	if len(found) == 0 {
		s.Warnings = append(s.Warnings, "the folder of functions has no file that exports a handler, such as onRequest")
		s.Routes = ""
		return nil
	}
	if s.Routes == "" {
		if s.Routes, err = functions.RoutesJSON(found); err != nil {
			return err
		}
	}
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
	o := s.options()
	// The platform knows by this name that the code has a router, see internal/pages.
	o.Main = filepath.Join(tmp, "functionsWorker-"+hex.EncodeToString(sum[:4])+".js")
	if err := fsx.WriteFile(o.Main, []byte(source), 0o600); err != nil {
		return err
	}
	return s.build(ctx, o)
}

func (s *Site) options() bundle.Options {
	o := bundle.Options{Root: s.Root, AssetFolder: s.mount, CompatibilityDate: s.date, CompatibilityFlags: s.flags}
	if s.Config != nil {
		o.ConfigFile = s.Config.File
	}
	return o
}

func (s *Site) build(ctx context.Context, o bundle.Options) error {
	r, err := bundle.Build(ctx, o)
	if err != nil {
		return err
	}
	if r.ServiceWorker {
		return errorf("%s has no default export; a Pages project's code exports its handlers", filepath.Base(o.Main))
	}
	s.Warnings = append(s.Warnings, r.Warnings...)
	s.Code = &Code{Main: r.Main, Modules: r.Modules}
	return nil
}
