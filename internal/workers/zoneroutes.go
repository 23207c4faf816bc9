package workers

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/routing"
)

// ZoneRoute puts a worker on the URLs that a pattern matches.
type ZoneRoute struct {
	ID        string // 32 hex digits
	ZoneID    string
	ZoneName  string
	Pattern   string
	Script    string // "": no worker answers there, whatever less specific routes say
	CreatedAt time.Time
}

// RouteRequest asks for a route.
type RouteRequest struct {
	Pattern string
	Zone    ZoneRef
}

// zoneRoutes reads routes by a condition on r (zone_routes), s (scripts) or z (zones).
func (s *Service) zoneRoutes(ctx context.Context, where string, args ...any) ([]ZoneRoute, error) {
	rows, err := s.db().QueryContext(ctx, `SELECT r.id, r.zone_id, z.name, r.pattern, coalesce(s.name, ''), r.created_at
		FROM zone_routes r JOIN zones z ON z.id = r.zone_id LEFT JOIN scripts s ON s.id = r.script_id WHERE `+where+` ORDER BY r.pattern`, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []ZoneRoute{}
	for rows.Next() {
		var r ZoneRoute
		var created int64
		if err := rows.Scan(&r.ID, &r.ZoneID, &r.ZoneName, &r.Pattern, &r.Script, &created); err != nil {
			return nil, err
		}
		r.CreatedAt = fromMillis(created)
		out = append(out, r)
	}
	return out, rows.Err()
}

// ZoneRoutes lists the routes of a zone by pattern.
func (s *Service) ZoneRoutes(ctx context.Context, account, zoneID string) ([]ZoneRoute, error) {
	z, err := s.Zone(ctx, account, zoneID)
	if err != nil {
		return nil, err
	}
	out, err := s.zoneRoutes(ctx, `r.zone_id = ?`, z.ID)
	if err != nil {
		return nil, internal("list the routes", err)
	}
	return out, nil
}

// ZoneRoute returns one route of a zone. The error is CodeRouteNotFound when there is none.
func (s *Service) ZoneRoute(ctx context.Context, account, zoneID, id string) (ZoneRoute, error) {
	z, err := s.Zone(ctx, account, zoneID)
	if err != nil {
		return ZoneRoute{}, err
	}
	found, err := s.zoneRoutes(ctx, `r.zone_id = ? AND r.id = ?`, z.ID, id)
	if err != nil {
		return ZoneRoute{}, internal("read the route", err)
	}
	if len(found) == 0 {
		return ZoneRoute{}, fail(CodeRouteNotFound, 404, "The zone %s has no route with the id %q.", z.Name, clip(id))
	}
	return found[0], nil
}

// newRoute is a checked route, to be written.
type newRoute struct {
	id, pattern, canonical string
	zone                   Zone
	script                 sql.NullString // the id
}

// checkRoute checks a pattern and finds its zone.
func (s *Service) checkRoute(ctx context.Context, account string, req RouteRequest) (newRoute, error) {
	p, err := routing.Parse(req.Pattern)
	if bad, ok := errors.AsType[*routing.PatternError](err); ok {
		return newRoute{}, fail(CodeInvalidRoute, 400, "The route pattern %q is not valid: %s.", bad.Pattern, bad.Reason)
	}
	z, err := s.zoneFor(ctx, account, p.Host(), req.Zone)
	if err != nil {
		return newRoute{}, err
	}
	if other := s.zones.find(p.Host()); other != nil && other.ID != z.ID && p.Within(z.Name) {
		return newRoute{}, fail(CodeInvalidRoute, 400, "The hosts of the route pattern %q are in the zone %s, not in %s.", req.Pattern, other.Name, z.Name)
	}
	if !p.Within(z.Name) {
		return newRoute{}, fail(CodeInvalidRoute, 400, "The route pattern %q is not within its zone, %s.", req.Pattern, z.Name)
	}
	if host := p.Name(); host != "" {
		if err := s.checkSite(host, CodeRouteTaken); err != nil {
			return newRoute{}, err
		}
	}
	return newRoute{id: hex32(), pattern: req.Pattern, canonical: p.String(), zone: z}, nil
}

// AddZoneRoute makes a route; script "" is for none. Errors: CodeZoneNotFound,
// CodeInvalidRoute, CodeRouteTaken, CodeNotFound for the script.
func (s *Service) AddZoneRoute(ctx context.Context, account, zoneID, pattern, script string) (ZoneRoute, error) {
	r, err := s.checkRoute(ctx, account, RouteRequest{Pattern: pattern, Zone: ZoneRef{ID: zoneID}})
	if err != nil {
		return ZoneRoute{}, err
	}
	return s.writeRoute(ctx, account, script, r, insertRoute)
}

// SetZoneRoute changes a route; the errors are those of AddZoneRoute and CodeRouteNotFound.
func (s *Service) SetZoneRoute(ctx context.Context, account, zoneID, id, pattern, script string) (ZoneRoute, error) {
	old, err := s.ZoneRoute(ctx, account, zoneID, id)
	if err != nil {
		return ZoneRoute{}, err
	}
	r, err := s.checkRoute(ctx, account, RouteRequest{Pattern: pattern, Zone: ZoneRef{ID: zoneID}})
	if err != nil {
		return ZoneRoute{}, err
	}
	r.id = old.ID
	return s.writeRoute(ctx, account, script, r, func(ctx context.Context, tx *sql.Tx, r newRoute) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM zone_routes WHERE id = ?`, r.id); err != nil {
			return err
		}
		return insertRoute(ctx, tx, r)
	})
}

func (s *Service) writeRoute(ctx context.Context, account, script string, r newRoute, write func(context.Context, *sql.Tx, newRoute) error) (ZoneRoute, error) {
	if script != "" {
		row, err := s.script(ctx, scope{account, script})
		if err != nil {
			return ZoneRoute{}, err
		}
		r.script = sql.NullString{String: row.id, Valid: true}
	}
	if err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error { return write(ctx, tx, r) }); err != nil {
		return ZoneRoute{}, internal("save the route", err)
	}
	s.zones.stale(r.zone.ID)
	return s.ZoneRoute(ctx, account, r.zone.ID, r.id)
}

// DeleteZoneRoute deletes a route.
func (s *Service) DeleteZoneRoute(ctx context.Context, account, zoneID, id string) error {
	r, err := s.ZoneRoute(ctx, account, zoneID, id)
	if err != nil {
		return err
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM zone_routes WHERE id = ?`, r.ID)
		return err
	})
	if err != nil {
		return internal("delete the route", err)
	}
	s.zones.stale(r.ZoneID)
	return nil
}

// ScriptRoutes lists the routes of a worker by pattern.
func (s *Service) ScriptRoutes(ctx context.Context, account, name string) ([]ZoneRoute, error) {
	row, err := s.script(ctx, scope{account, name})
	if err != nil {
		return nil, err
	}
	out, err := s.zoneRoutes(ctx, `r.script_id = ?`, row.id)
	if err != nil {
		return nil, internal("list the routes", err)
	}
	return out, nil
}

// PutScriptRoutes replaces the routes of a worker, in one transaction. Errors:
// CodeNotFound, CodeZoneNotFound, CodeInvalidRoute, and CodeRouteTaken when one
// is another worker's; then nothing has changed.
func (s *Service) PutScriptRoutes(ctx context.Context, account, name string, reqs []RouteRequest) ([]ZoneRoute, error) {
	if len(reqs) > maxZoneRoutes {
		return nil, fail(CodeInvalidRoute, 400, "There are %d routes; at most %d are allowed.", len(reqs), maxZoneRoutes)
	}
	row, err := s.script(ctx, scope{account, name})
	if err != nil {
		return nil, err
	}
	routes := make([]newRoute, len(reqs))
	seen := make(map[string]bool, len(reqs))
	for i, req := range reqs {
		if routes[i], err = s.checkRoute(ctx, account, req); err != nil {
			return nil, err
		}
		if seen[routes[i].canonical] {
			return nil, fail(CodeRouteTaken, 400, "The route %q is given twice.", req.Pattern)
		}
		seen[routes[i].canonical] = true
		routes[i].script = sql.NullString{String: row.id, Valid: true}
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM zone_routes WHERE script_id = ?`, row.id); err != nil {
			return err
		}
		for _, r := range routes {
			if err := insertRoute(ctx, tx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, internal("save the routes", err)
	}
	s.zones.stale("") // also zones that it has none in any more
	return s.ScriptRoutes(ctx, account, name)
}

// insertRoute writes a route unless its pattern is taken or the zone is full.
func insertRoute(ctx context.Context, tx *sql.Tx, r newRoute) error {
	var count int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM zone_routes WHERE zone_id = ?`, r.zone.ID).Scan(&count); err != nil {
		return err
	}
	if count >= maxZoneRoutes {
		return fail(CodeInvalidRoute, 400, "The zone %s has %d routes already, which is the most there may be.", r.zone.Name, count)
	}
	var owner string
	err := tx.QueryRowContext(ctx, `SELECT coalesce(s.name, '') FROM zone_routes r LEFT JOIN scripts s ON s.id = r.script_id
		WHERE r.zone_id = ? AND r.canonical = ?`, r.zone.ID, r.canonical).Scan(&owner)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	case owner == "":
		return fail(CodeRouteTaken, 409, "The route %q exists already, for no Worker. Delete it first.", r.pattern)
	default:
		return fail(CodeRouteTaken, 409, "Can't deploy routes that are assigned to another worker: the route %q is %q's. Take it from that Worker first.", r.pattern, owner)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO zone_routes (id, zone_id, pattern, canonical, script_id, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		r.id, r.zone.ID, r.pattern, r.canonical, r.script, now().UnixMilli())
	return err
}
