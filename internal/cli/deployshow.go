package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/selvage-dev/selvage/internal/bundle"
	"github.com/selvage-dev/selvage/internal/project"
)

// deployed is the outcome of a deploy.
type deployed struct {
	Name          string            `json:"name"`
	Env           string            `json:"env,omitempty"`
	VersionID     string            `json:"version_id,omitempty"`
	URL           string            `json:"url,omitempty"`
	PreviewURL    string            `json:"preview_url,omitempty"`
	AliasURL      string            `json:"alias_url,omitempty"`
	StartupTimeMS int64             `json:"startup_time_ms,omitempty"`
	Size          *sizes            `json:"size,omitempty"`
	Assets        int               `json:"assets,omitempty"`
	Bindings      []project.Binding `json:"bindings"`
	Targets       []string          `json:"targets,omitempty"`
	Failed        []string          `json:"failed,omitempty"`
	DryRun        bool              `json:"dry_run,omitempty"`
	BuildMS       int64             `json:"build_ms"`

	failures []failure
}

type sizes struct {
	Raw     int64 `json:"raw_bytes"`
	Gzipped int64 `json:"gzip_bytes"`
}

// failure is a trigger that could not be set; the worker is deployed all the same.
type failure struct {
	what string
	err  error
}

func (p *plan) outcome(version string, startupMS int64) *deployed {
	d := &deployed{
		Name: p.name, Env: p.config.Env, VersionID: version, StartupTimeMS: startupMS,
		Bindings: p.bindings, BuildMS: p.took.Milliseconds(),
	}
	if d.Bindings == nil {
		d.Bindings = []project.Binding{}
	}
	if p.assets != nil {
		d.Assets = p.assets.Len()
	}
	if p.built != nil {
		d.Size = &sizes{p.raw, p.gzipped}
	}
	return d
}

// showDry shows a plan that stays one.
func (a *app) showDry(p *plan) error {
	d := p.outcome("", 0)
	d.DryRun = true
	if err := a.showBuilt(d); err != nil || a.json {
		return err
	}
	if p.flags.outdir != "" {
		a.printf("written to %s\n", p.flags.outdir)
	}
	a.printf("nothing was uploaded (--dry-run)\n")
	return nil
}

// showBuilt shows what is uploaded.
func (a *app) showBuilt(d *deployed) error {
	if a.json {
		return a.printJSON(d)
	}
	if d.Size != nil {
		a.printf("upload %s, gzip %s\n", kib(d.Size.Raw), kib(d.Size.Gzipped))
	}
	if d.Assets > 0 {
		a.printf("static assets: %d files\n", d.Assets)
	}
	if len(d.Bindings) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BINDING\tTYPE\tTARGET") //nolint:errcheck // Flush tells
	for _, b := range d.Bindings {
		fmt.Fprintf(w, "env.%s\t%s\t%s\n", printable(b.Name), b.Kind(), printable(clip(b.Target()))) //nolint:errcheck // Flush tells
	}
	return w.Flush()
}

// clip keeps a cell of a table short.
func clip(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

func (a *app) showDeployed(d *deployed) error {
	for _, f := range d.failures {
		d.Failed = append(d.Failed, f.what+": "+f.err.Error())
	}
	if err := a.showBuilt(d); err != nil {
		return err
	}
	if !a.json {
		a.printf("deployed %s", d.Name)
		if d.StartupTimeMS > 0 {
			a.printf(" (starts in %d ms)", d.StartupTimeMS)
		}
		a.printf("\n")
		for _, target := range d.Targets {
			a.printf("  %s\n", printable(target))
		}
		a.printf("version %s\n", d.VersionID)
	}
	return triggersFailed(d.failures)
}

// triggersFailed is the error for triggers that could not be set.
func triggersFailed(failures []failure) error {
	if len(failures) == 0 {
		return nil
	}
	lines := []string{"the worker is deployed, but not all that should lead to it could be set:"}
	for _, f := range failures {
		lines = append(lines, "  "+f.what+": "+strings.ReplaceAll(f.err.Error(), "\n", "\n    "))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// write puts the built modules into a folder.
func (p *plan) write(dir string) error {
	if p.built == nil {
		return nil
	}
	return writeModules(dir, slices.Concat([]bundle.Module{p.built.Main}, p.built.Modules, p.built.SourceMaps))
}
