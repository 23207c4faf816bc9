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
	"github.com/selvage-dev/selvage/internal/project"
)

// Options say what to read.
type Options struct {
	// Dir is the project's folder, absolute. The wrangler file is there or above.
	Dir string
	// Environment is the one of the wrangler file that counts; "" is its top level.
	Environment string
	// Output is the folder of the site, absolute; "" is the one that the wrangler file names.
	Output string
	// CompatibilityDate and CompatibilityFlags are the project's own. They count without a wrangler file.
	CompatibilityDate  string
	CompatibilityFlags []string
	// Functions is the folder of functions, below the project's; "" is "functions".
	Functions string
}

// Site is what a folder has to deploy.
type Site struct {
	// Config is the wrangler file; nil when there is none of a Pages project.
	Config *project.Config
	// ConfigHash is a digest of that file.
	ConfigHash string
	// Root is the project's folder and Output that of the site, absolute.
	Root, Output string
	// Routes is the text of _routes.json, "" for none.
	Routes string
	// Code is that of Functions; nil when there is none.
	Code *Code
	// Mounts are folders that are part of the site besides: path in it → absolute path.
	Mounts map[string]string
	// Warnings are for whoever deploys.
	Warnings []string

	date  string
	flags []string
}

// Code is the code of Functions.
type Code struct {
	Main    bundle.Module
	Modules []bundle.Module // besides Main
}

// ErrNoOutput says that nothing names the folder of the site.
var ErrNoOutput = errors.New("which folder is the site? Name it, as \"pages_build_output_dir\" in a wrangler file for example")

// Error is a project that cannot be deployed.
type Error struct{ Text string }

// Error returns the text.
func (e *Error) Error() string { return e.Text }

func errorf(format string, args ...any) *Error { return &Error{Text: fmt.Sprintf(format, args...)} }

// Settings reads the wrangler file alone. Config stays nil when there is none, or one of a Worker, which does not
// say how to deploy a site.
func Settings(o Options) (*Site, error) {
	s := &Site{Root: o.Dir}
	c, err := project.Load(project.Options{Dir: o.Dir, Env: o.Environment, Pages: true})
	switch {
	case errors.Is(err, project.ErrNoConfig):
		return s, nil
	case c == nil:
		return nil, err
	case c.PagesOutput == "":
		s.Warnings = append(s.Warnings, filepath.Base(c.File)+" has no \"pages_build_output_dir\", so it is taken for that of a Worker: the project's own settings count")
		return s, nil
	}
	s.Warnings = append(s.Warnings, c.Warnings...)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.File, err)
	}
	sum := sha256.Sum256(text)
	s.Config, s.Root, s.ConfigHash = c, c.Root, hex.EncodeToString(sum[:])
	s.Output = filepath.Join(filepath.Dir(c.File), filepath.FromSlash(c.PagesOutput))
	return s, nil
}

// Read reads a project and puts its code together. An error that is the project's is an [*Error], a
// [*bundle.Error] or a [*project.Error].
func Read(ctx context.Context, o Options) (*Site, error) {
	s, err := Settings(o)
	if err != nil {
		return nil, err
	}
	if o.Output != "" {
		s.Output = o.Output
	}
	if s.Output == "" {
		return nil, ErrNoOutput
	}
	if info, err := os.Stat(s.Output); err != nil || !info.IsDir() {
		return nil, errorf("%s is no folder; build the site first", s.Output)
	}
	if o.Functions == "" {
		o.Functions = "functions"
	}
	s.date, s.flags = o.CompatibilityDate, o.CompatibilityFlags
	if c := s.Config; c != nil {
		s.date, s.flags = c.CompatibilityDate, c.CompatibilityFlags
	}
	return s, s.code(ctx, filepath.Join(s.Root, filepath.FromSlash(o.Functions)))
}

// Metadata is what the upload of the code says of its settings: nil when the project's own count.
func (s *Site) Metadata() (map[string]any, error) {
	c := s.Config
	if c == nil {
		return nil, nil //nolint:nilnil // as said
	}
	for _, b := range c.Bindings {
		if b.Missing != "" {
			return nil, errorf("the binding %s has no %q; a Pages project names what there is already", b.Name, b.Missing)
		}
	}
	out := map[string]any{"bindings": c.Bindings, "compatibility_flags": c.CompatibilityFlags}
	if c.Bindings == nil {
		out["bindings"] = []project.Binding{}
	}
	if c.CompatibilityFlags == nil {
		out["compatibility_flags"] = []string{}
	}
	if c.CompatibilityDate != "" {
		out["compatibility_date"] = c.CompatibilityDate
	}
	if c.Limits != nil {
		out["limits"] = c.Limits
	}
	if c.Placement != nil {
		out["placement"] = c.Placement
	}
	return out, nil
}
