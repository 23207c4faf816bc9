package workers

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/routing"
)

// maxDomains bounds the custom domains of one request.
const maxDomains = 1000

// CustomDomain gives a worker all URLs of one hostname of a zone.
type CustomDomain struct {
	ID        string // 32 hex digits
	ZoneID    string
	ZoneName  string
	Hostname  string // lower case
	Script    string
	Enabled   bool
	CreatedAt time.Time
}

// DomainRequest asks for a custom domain.
type DomainRequest struct {
	Hostname string
	Zone     ZoneRef
	Enabled  *bool // nil: yes
	Previews *bool // previews on the domain, which this release does not offer
}

// DomainChanges is what a request for custom domains would change.
type DomainChanges struct {
	Added   []CustomDomain // without an id
	Removed []CustomDomain
	Updated []DomainUpdate // those that exist already
}

// DomainUpdate is a custom domain as it is.
type DomainUpdate struct {
	CustomDomain

	Modified bool // the request would change it, or take it from another worker
}

// DomainFilter narrows a list; empty fields match all.
type DomainFilter struct {
	Script, Hostname, ZoneID string
}

// domains reads custom domains by a condition on d (custom_domains), s or z.
func (s *Service) domains(ctx context.Context, where string, args ...any) ([]CustomDomain, error) {
	rows, err := s.db().QueryContext(ctx, `SELECT d.id, d.zone_id, z.name, d.hostname, s.name, d.enabled, d.created_at
		FROM custom_domains d JOIN zones z ON z.id = d.zone_id JOIN scripts s ON s.id = d.script_id WHERE `+where+` ORDER BY d.hostname`, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []CustomDomain{}
	for rows.Next() {
		var d CustomDomain
		var created int64
		if err := rows.Scan(&d.ID, &d.ZoneID, &d.ZoneName, &d.Hostname, &d.Script, &d.Enabled, &created); err != nil {
			return nil, err
		}
		d.CreatedAt = fromMillis(created)
		out = append(out, d)
	}
	return out, rows.Err()
}

// Domains lists the custom domains of an account by hostname.
func (s *Service) Domains(ctx context.Context, account string, f DomainFilter) ([]CustomDomain, error) {
	out, err := s.domains(ctx, `z.account_id = ? AND (? = '' OR s.name = ?) AND (? = '' OR d.hostname = ?) AND (? = '' OR d.zone_id = ?)`,
		account, f.Script, f.Script, f.Hostname, f.Hostname, f.ZoneID, f.ZoneID)
	if err != nil {
		return nil, internal("list the custom domains", err)
	}
	return out, nil
}

// Domain returns a custom domain by its id. The error is CodeDomainNotFound when there is none.
func (s *Service) Domain(ctx context.Context, account, id string) (CustomDomain, error) {
	found, err := s.domains(ctx, `z.account_id = ? AND d.id = ?`, account, id)
	if err != nil {
		return CustomDomain{}, internal("read the custom domain", err)
	}
	if len(found) == 0 {
		return CustomDomain{}, fail(CodeDomainNotFound, 404, "There is no custom domain with the id %q.", clip(id))
	}
	return found[0], nil
}

// DeleteDomain takes a hostname from its worker.
func (s *Service) DeleteDomain(ctx context.Context, account, id string) error {
	d, err := s.Domain(ctx, account, id)
	if err != nil {
		return err
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM custom_domains WHERE id = ?`, d.ID)
		return err
	})
	if err != nil {
		return internal("delete the custom domain", err)
	}
	s.zones.stale(d.ZoneID)
	return nil
}

// checkDomains checks requests and returns the domains as they would be.
func (s *Service) checkDomains(ctx context.Context, account, script string, reqs []DomainRequest) ([]CustomDomain, error) {
	if len(reqs) > maxDomains {
		return nil, fail(CodeInvalidRoute, 400, "There are %d custom domains; at most %d are allowed.", len(reqs), maxDomains)
	}
	out := make([]CustomDomain, 0, len(reqs))
	seen := make(map[string]bool, len(reqs))
	for _, r := range reqs {
		host := strings.TrimSuffix(strings.ToLower(r.Hostname), ".")
		switch {
		case !routing.ValidHost(host):
			return nil, fail(CodeInvalidRoute, 400, "The custom domain %q is not a hostname. It has neither a path nor a \"*\"; use a route for those.", clip(r.Hostname))
		case seen[host]:
			return nil, fail(CodeInvalidRoute, 400, "The custom domain %q is given twice.", host)
		case r.Previews != nil && *r.Previews:
			return nil, fail(CodeNotOffered, 400, "The custom domain %q asks for preview URLs, which this release does not offer there. Set previews_enabled to false.", host)
		}
		seen[host] = true
		if err := s.checkSite(host, CodeDomainTaken); err != nil {
			return nil, err
		}
		z, err := s.zoneFor(ctx, account, host, r.Zone)
		if err != nil {
			return nil, err
		}
		if in := s.zones.find(host); in == nil || in.ID != z.ID || s.reserved(host) {
			return nil, fail(CodeInvalidRoute, 400, "The custom domain %q is not within the zone %s.", host, z.Name)
		}
		out = append(out, CustomDomain{
			ID: hex32(), ZoneID: z.ID, ZoneName: z.Name, Hostname: host, Script: script,
			Enabled: r.Enabled == nil || *r.Enabled, CreatedAt: now(),
		})
	}
	return out, nil
}

// DomainChanges says what [Service.PutDomains] would change. With replace, the
// domains that the worker has and the request does not name are removed.
func (s *Service) DomainChanges(ctx context.Context, account, name string, reqs []DomainRequest, replace bool) (DomainChanges, error) { //nolint:revive // a flag of the API
	var out DomainChanges
	if _, err := s.script(ctx, scope{account, name}); err != nil {
		return out, err
	}
	wanted, err := s.checkDomains(ctx, account, name, reqs)
	if err != nil {
		return out, err
	}
	all, err := s.Domains(ctx, account, DomainFilter{})
	if err != nil {
		return out, err
	}
	have := make(map[string]CustomDomain, len(all))
	for _, d := range all {
		have[d.Hostname] = d
	}
	for _, d := range wanted {
		old, ok := have[d.Hostname]
		if !ok {
			d.ID = ""
			out.Added = append(out.Added, d)
			continue
		}
		delete(have, d.Hostname)
		out.Updated = append(out.Updated, DomainUpdate{CustomDomain: old, Modified: old.Script != name || old.Enabled != d.Enabled})
	}
	for _, d := range all {
		if _, left := have[d.Hostname]; left && replace && d.Script == name {
			out.Removed = append(out.Removed, d)
		}
	}
	return out, nil
}

// PutDomains makes reqs the custom domains of a worker, in one transaction; with
// replace, others that it had are taken from it. Those that are another worker's
// are taken over only with override; else the error is CodeDomainTaken and
// nothing has changed. It returns the domains that the worker has then.
func (s *Service) PutDomains(ctx context.Context, account, name string, reqs []DomainRequest, o DomainOptions) ([]CustomDomain, error) {
	row, err := s.script(ctx, scope{account, name})
	if err != nil {
		return nil, err
	}
	wanted, err := s.checkDomains(ctx, account, name, reqs)
	if err != nil {
		return nil, err
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		keep := make(map[string]bool, len(wanted))
		for _, d := range wanted {
			keep[d.Hostname] = true
			if err := putDomain(ctx, tx, row.id, d, o); err != nil {
				return err
			}
		}
		if !o.Replace {
			return nil
		}
		had, err := column(tx.QueryContext(ctx, `SELECT hostname FROM custom_domains WHERE script_id = ?`, row.id))
		if err != nil {
			return err
		}
		for _, host := range had {
			if keep[host] {
				continue
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM custom_domains WHERE hostname = ?`, host); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, internal("save the custom domains", err)
	}
	s.zones.stale("")
	return s.Domains(ctx, account, DomainFilter{Script: name})
}

// DomainOptions says what [Service.PutDomains] may do to what exists.
type DomainOptions struct {
	Replace  bool // remove the worker's domains that are not named
	Override bool // take domains over from other workers
}

// putDomain writes one domain. One that exists keeps its id.
func putDomain(ctx context.Context, tx *sql.Tx, scriptID string, d CustomDomain, o DomainOptions) error {
	var owner, name string
	err := tx.QueryRowContext(ctx, `SELECT d.script_id, s.name FROM custom_domains d JOIN scripts s ON s.id = d.script_id WHERE d.hostname = ?`, d.Hostname).Scan(&owner, &name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	case owner != scriptID && !o.Override:
		return fail(CodeDomainTaken, 409, "The custom domain %s is the Worker %s's. Take it from that Worker first, or say that it may be taken over.", d.Hostname, name)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO custom_domains (id, zone_id, hostname, script_id, enabled, created_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (hostname) DO UPDATE SET zone_id = excluded.zone_id, script_id = excluded.script_id, enabled = excluded.enabled`,
		d.ID, d.ZoneID, d.Hostname, scriptID, d.Enabled, d.CreatedAt.UnixMilli())
	return err
}
