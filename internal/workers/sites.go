package workers

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/selvage-dev/selvage/internal/assets"
)

// sitePrefix begins the names of scripts that are the code of sites which another
// service keeps. No script of a user can have such a name, so the API finds none
// of them; they are in no list, and have no hostname of their own.
const sitePrefix = "pages:"

// SiteScript returns the name under which the code of a site runs and logs.
func SiteScript(site string) string { return sitePrefix + site }

// Responder answers requests for static files: an [assets.Site], or what another
// service has in its place.
type Responder interface {
	Respond(r *assets.Request) (assets.Response, error)
}

// Sites gives the static files of sites that other services keep.
type Sites interface {
	// Site returns the files of a deployment.
	Site(ctx context.Context, deployment string) (Responder, error)
	// Live says whether a version is the code of a deployment that production or a
	// branch leads to.
	Live(ctx context.Context, version string) (bool, error)
	// OfHost returns the site that has a host as a custom domain. It is quick.
	OfHost(host string) (project string, ok bool)
}

// CreateSiteVersion makes a version of a site's code, which has answered when it
// returns. It is not deployed: [Service.VersionRoute] leads to it. The upload's
// Site says whose files its binding of type assets has. The errors are those of
// [Service.PutScript].
func (s *Service) CreateSiteVersion(ctx context.Context, account, site string, u *Upload) (Version, error) {
	sc := scope{account, SiteScript(site)}
	unlock, err := s.locks.lock(ctx, sc)
	if err != nil {
		return Version{}, err
	}
	defer unlock()
	row, err := s.siteScript(ctx, sc)
	if isNotFound(err) {
		row, err = &scriptRow{id: hex32(), scope: sc, isNew: true, createdAt: now(), modifiedAt: now()}, nil
	}
	if err != nil {
		return Version{}, err
	}
	v, _, err := s.upload(ctx, row, uploadRequest{u, false})
	if err != nil {
		return Version{}, err
	}
	return v.public(sc), nil
}

func (s *Service) siteScript(ctx context.Context, sc scope) (*scriptRow, error) {
	row, err := scanScript(s.db().QueryRowContext(ctx, `SELECT `+scriptColumns+` FROM scripts s WHERE s.account_id = ? AND s.name = ?`, sc.account, sc.script))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound(sc.script)
	}
	if err != nil {
		return nil, internal("read the script", err)
	}
	return row, nil
}

// VersionRoute returns the route of one version. The error is [ErrNoRoute] when
// there is no such version.
func (s *Service) VersionRoute(ctx context.Context, version string) (*Route, error) {
	r, err := s.routeOf(ctx, version)
	if err == nil {
		r.Preview = true // no deployment of the script leads elsewhere
	}
	return r, err
}

// DeleteSiteVersions deletes versions of a site's code, or all of it when none is
// named. Requests in flight finish.
func (s *Service) DeleteSiteVersions(ctx context.Context, account, site string, versions ...string) error {
	sc := scope{account, SiteScript(site)}
	unlock, err := s.locks.lock(ctx, sc)
	if err != nil {
		return err
	}
	defer unlock()
	row, err := s.siteScript(ctx, sc)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		if len(versions) == 0 {
			_, err := tx.ExecContext(ctx, `DELETE FROM scripts WHERE id = ?`, row.id) // and its versions
			return err
		}
		for _, v := range versions {
			if _, err := tx.ExecContext(ctx, `DELETE FROM versions WHERE script_id = ? AND id = ?`, row.id, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return internal("delete the code of the site", err)
	}
	for _, u := range s.unitsOf(sc) {
		if len(versions) == 0 {
			u.discard()
			continue
		}
		for _, v := range versions {
			if u.version == v {
				u.discard()
			}
		}
	}
	return nil
}

// SiteVersions returns the versions of all sites' code, by script.
func (s *Service) SiteVersions(ctx context.Context) ([]Version, error) {
	rows, err := s.db().QueryContext(ctx, `SELECT `+versionColumns+`, s.account_id, s.name FROM versions v JOIN scripts s ON s.id = v.script_id WHERE s.name LIKE 'pages:%'`)
	if err != nil {
		return nil, internal("list the code of the sites", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Version
	for rows.Next() {
		var sc scope
		v, err := scanVersion(rows, &sc.account, &sc.script)
		if err != nil {
			return nil, internal("list the code of the sites", err)
		}
		p := v.public(sc)
		p.Script = strings.TrimPrefix(sc.script, sitePrefix)
		out = append(out, p)
	}
	return out, rows.Err()
}

// siteOf returns what the version's binding of type assets answers with; nil when
// it has no files.
func (s *Service) siteOf(ctx context.Context, u *unit) (Responder, error) {
	switch {
	case u.doc.Site != "":
		return s.o.Sites.Site(ctx, u.doc.Site)
	case u.site != nil:
		return u.site, nil
	}
	return nil, nil //nolint:nilnil // documented above
}
