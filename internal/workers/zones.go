package workers

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/routing"
)

const (
	maxZones      = 1000
	maxZoneRoutes = 1000 // of one zone, as the platform has it
)

// Zone is a domain of the operator's own.
type Zone struct {
	ID        string // 32 hex digits
	Account   string
	Name      string // lower case
	CreatedAt time.Time
}

const zoneColumns = `z.id, z.account_id, z.name, z.created_at`

func scanZone(from scanner) (Zone, error) {
	var z Zone
	var created int64
	err := from.Scan(&z.ID, &z.Account, &z.Name, &created)
	z.CreatedAt = fromMillis(created)
	return z, err
}

// AddZone makes a zone: from now on its name and all names below it are the
// platform's, but for those that it has anyway. Errors: CodeInvalidZone,
// CodeZoneExists.
func (s *Service) AddZone(ctx context.Context, account, name string) (Zone, error) {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	switch {
	case !routing.ValidHost(name) || !strings.Contains(name, "."):
		return Zone{}, fail(CodeInvalidZone, 400, "%q is not a domain that could be a zone. Give one such as example.com, in Punycode if it has other letters.", clip(name))
	case s.reserved(name):
		return Zone{}, fail(CodeInvalidZone, 400, "The domain %s is the platform's own. Give another as a zone.", name)
	}
	z := Zone{ID: hex32(), Account: account, Name: name, CreatedAt: now()}
	s.zones.mu.Lock()
	count := len(*s.zones.byName.Load())
	s.zones.mu.Unlock()
	if count >= maxZones {
		return Zone{}, fail(CodeInvalidZone, 400, "There are %d zones already, which is the most there may be.", count)
	}
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `INSERT INTO zones (id, account_id, name, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
			z.ID, z.Account, z.Name, z.CreatedAt.UnixMilli())
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fail(CodeZoneExists, 400, "The zone %s exists already.", z.Name))
		}
		return nil
	})
	if err != nil {
		return Zone{}, internal("add the zone", err)
	}
	s.zones.change(func(all map[string]*zone) { all[z.Name] = s.newZone(z) })
	// A host of the new zone may have been of a wider one.
	s.zones.stale("")
	return z, nil
}

// reserved reports whether a host is one of those that the platform gives to
// workers and pages by itself, or stands above all of them.
func (s *Service) reserved(host string) bool {
	for _, own := range []string{"workers." + s.o.Domain, "pages." + s.o.Domain} {
		if host == own || strings.HasSuffix(host, "."+own) {
			return true
		}
	}
	return false
}

// OwnsHost reports whether a host, in lower case without port, is in a zone.
func (s *Service) OwnsHost(host string) bool { return s.zones.find(host) != nil }

// Zones lists the zones of an account by name; with a name, only that one.
func (s *Service) Zones(ctx context.Context, account, name string) ([]Zone, error) {
	rows, err := s.db().QueryContext(ctx, `SELECT `+zoneColumns+` FROM zones z WHERE z.account_id = ? AND (? = '' OR z.name = ?) ORDER BY z.name`, account, name, name)
	if err != nil {
		return nil, internal("list the zones", err)
	}
	defer func() { _ = rows.Close() }()
	out := []Zone{}
	for rows.Next() {
		z, err := scanZone(rows)
		if err != nil {
			return nil, internal("list the zones", err)
		}
		out = append(out, z)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("list the zones", err)
	}
	return out, nil
}

// Zone returns a zone by its id. The error is CodeZoneNotFound when there is none.
func (s *Service) Zone(ctx context.Context, account, id string) (Zone, error) {
	z, err := scanZone(s.db().QueryRowContext(ctx, `SELECT `+zoneColumns+` FROM zones z WHERE z.account_id = ? AND z.id = ?`, account, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Zone{}, fail(CodeZoneNotFound, 404, "There is no zone with the id %q. GET /zones lists those there are.", clip(id))
	}
	if err != nil {
		return Zone{}, internal("read the zone", err)
	}
	return z, nil
}

// DeleteZone deletes a zone with its routes and custom domains. Workers stay.
func (s *Service) DeleteZone(ctx context.Context, account, id string) error {
	z, err := s.Zone(ctx, account, id)
	if err != nil {
		return err
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM zones WHERE id = ?`, z.ID) // and what refers to it
		return err
	})
	if err != nil {
		return internal("delete the zone", err)
	}
	s.zones.change(func(all map[string]*zone) { delete(all, z.Name) })
	return nil
}

// zoneFor returns the zone for a host: the one with the id or the name if given,
// else the one that the host is in.
func (s *Service) zoneFor(ctx context.Context, account, host string, where ZoneRef) (Zone, error) {
	if where.ID != "" {
		return s.Zone(ctx, account, where.ID)
	}
	if name := strings.TrimSuffix(strings.ToLower(where.Name), "."); name != "" {
		z := (*s.zones.byName.Load())[name]
		if z == nil || z.Account != account {
			return Zone{}, fail(CodeZoneNotFound, 404, "There is no zone %s. Add it with `selvage zone add %[1]s`.", clip(name))
		}
		return z.Zone, nil
	}
	if z := s.zones.find(host); z != nil && z.Account == account {
		return z.Zone, nil
	}
	return Zone{}, fail(CodeZoneNotFound, 404, "No zone has the host %s. Add its domain with `selvage zone add DOMAIN`.", clip(host))
}

// ZoneRef names a zone by its id or its name; both empty: the host says which.
type ZoneRef struct {
	ID   string
	Name string
}
