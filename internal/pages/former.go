package pages

import (
	"context"
	"fmt"
	"time"
)

// maxFormer is of how many earlier deployments the assets are still served.
const maxFormer = 5

// formerSites returns the sites that were in production within
// Options.PreserveTime, the latest first, and when that changes.
func (s *Service) formerSites(ctx context.Context, p *projectRow, r *Route) (former []*formerSite, until time.Time, err error) {
	since := s.now().Add(-s.o.PreserveTime)
	rows, err := s.db().QueryContext(ctx, `SELECT d.retired_at, `+deploymentColumns+` FROM pages_deployments d
		WHERE d.project_id = ? AND d.retired_at > ? AND d.id <> ? ORDER BY d.retired_at DESC LIMIT ?`, p.id, since.UnixMilli(), r.Deployment, maxFormer)
	if err != nil {
		return nil, until, fmt.Errorf("pages: former deployments of %s: %w", p.name, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var retired int64
		d, err := scanDeployment(prefixed{rows, &retired})
		if err != nil {
			return nil, until, fmt.Errorf("pages: former deployments of %s: %w", p.name, err)
		}
		old, _, err := s.build(ctx, p, d)
		if err != nil {
			return nil, until, fmt.Errorf("pages: former deployments of %s: %w", p.name, err)
		}
		f := &formerSite{site: old.site, until: time.UnixMilli(retired).Add(s.o.PreserveTime)}
		former = append(former, f)
		until = f.until // the last one is the first to go
	}
	return former, until, rows.Err()
}

// prefixed scans one more column, before the others.
type prefixed struct {
	from  scanner
	first *int64
}

func (p prefixed) Scan(dest ...any) error { return p.from.Scan(append([]any{p.first}, dest...)...) }
