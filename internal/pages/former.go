package pages

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
)

// Bounds of what is read of earlier deployments: so many in any case, and further
// ones while they have few files. It is read when production changes.
const (
	minFormer   = 5
	maxFormer   = 100
	formerFiles = 20_000
)

// formerFilesOf are the files of deployments that were in production lately which
// the one in production lacks. A page that came from one of them may be open
// still. Pages themselves are not among them: what was removed is to be gone, and
// only what a page needs to go on is kept.
type formerFilesOf struct {
	site *assets.Site // with the rules of the deployment in production
	has  assets.Manifest
	// until is when the first of them goes; zero: there are none.
	until time.Time
}

// formerFiles reads them.
func (s *Service) formerFiles(ctx context.Context, p *projectRow, d *deploymentRow, current assets.Manifest) (*formerFilesOf, error) {
	since := s.now().Add(-s.o.PreserveTime)
	rows, err := s.db().QueryContext(ctx, `SELECT d.retired_at, `+deploymentColumns+` FROM pages_deployments d
		WHERE d.project_id = ? AND d.retired_at > ? AND d.id <> ? ORDER BY d.retired_at DESC LIMIT ?`, p.id, since.UnixMilli(), d.id, maxFormer)
	if err != nil {
		return nil, fmt.Errorf("pages: former deployments of %s: %w", p.name, err)
	}
	defer func() { _ = rows.Close() }()
	out := &formerFilesOf{has: make(assets.Manifest)}
	read := 0
	for n := 0; rows.Next(); n++ {
		var retired int64
		old, err := scanDeployment(prefixed{rows, &retired})
		if err != nil {
			return nil, fmt.Errorf("pages: former deployments of %s: %w", p.name, err)
		}
		if read += old.doc.Files; n >= minFormer && read > formerFiles {
			break
		}
		manifest, err := s.manifestOf(old)
		if err != nil {
			return nil, fmt.Errorf("pages: former deployments of %s: %w", p.name, err)
		}
		if out.add(manifest, current) {
			out.until = time.UnixMilli(retired).Add(s.o.PreserveTime) // the last one is the first to go
		}
	}
	if err := rows.Err(); err != nil || len(out.has) == 0 {
		return nil, err
	}
	rules, err := s.rulesOf(d)
	if err != nil {
		return nil, err
	}
	out.site, err = assets.NewPages(out.has, assets.PagesConfig{Headers: rules.Headers, Guarded: d.doc.Bundle != nil}, s.o.Files, assets.WithCache(s.files))
	return out, err
}

// add takes what a deployment has and neither a later one nor the current one, and
// says whether that is anything.
func (f *formerFilesOf) add(manifest, current assets.Manifest) bool {
	before := len(f.has)
	for path, e := range manifest {
		if _, ok := current[path]; ok || strings.HasPrefix(e.ContentType, "text/html") {
			continue
		}
		if _, ok := f.has[path]; !ok {
			f.has[path] = e
		}
	}
	return len(f.has) > before
}

// manifestOf returns the manifest of a deployment, from memory if it is there.
func (s *Service) manifestOf(d *deploymentRow) (assets.Manifest, error) {
	if site, ok := s.hosts.site(d.id); ok {
		return site.manifest, nil
	}
	return s.readManifest(d.manifest)
}

// prefixed scans one more column, before the others.
type prefixed struct {
	from  scanner
	first *int64
}

func (p prefixed) Scan(dest ...any) error { return p.from.Scan(append([]any{p.first}, dest...)...) }
