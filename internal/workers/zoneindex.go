package workers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/selvage-dev/selvage/internal/workers/routing"
)

// URL is what of a request decides which worker of a zone answers it.
type URL struct {
	Scheme       string // "http" or "https"
	Host, Target string // lower case, without port; path and query
	// Inside says that one of the platform's own workers asks. It gets a custom
	// domain before any route: a worker on a route reaches by it what lies behind.
	Inside bool
}

// zoneIndex finds the zone of a host. All zones are in memory: they are few, and
// a flood of invented hosts must not become one of queries.
type zoneIndex struct {
	mu     sync.Mutex // held to replace byName
	byName atomic.Pointer[map[string]*zone]
}

// zone is a zone with its routes, which are compiled when they are first asked for.
type zone struct {
	Zone

	s     *Service
	route Route // of any host of the zone
	table atomic.Pointer[zoneTable]
	mu    sync.Mutex // held to read the table and to drop it
}

// zoneTable is what a zone had at one moment. It is immutable.
type zoneTable struct {
	routes  *routing.Table[*zoneTarget]
	domains map[string]*zoneTarget // by hostname
}

// zoneTarget is a worker by name; nil in a table stands for none.
type zoneTarget struct {
	scope scope
	key   string // of its live route in the cache of hosts
}

func (i *zoneIndex) load(ctx context.Context, s *Service) error {
	rows, err := s.db().QueryContext(ctx, `SELECT `+zoneColumns+` FROM zones z`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	all := make(map[string]*zone)
	for rows.Next() {
		z, err := scanZone(rows)
		if err != nil {
			return err
		}
		all[z.Name] = s.newZone(z)
	}
	i.byName.Store(&all)
	return rows.Err()
}

func (s *Service) newZone(z Zone) *zone {
	n := &zone{Zone: z, s: s}
	n.route = Route{Account: z.Account, zone: n}
	return n
}

// find returns the zone that a host is in: the one with the longest name.
func (i *zoneIndex) find(host string) *zone {
	all := *i.byName.Load()
	if len(all) == 0 {
		return nil
	}
	for {
		if z := all[host]; z != nil {
			return z
		}
		_, parent, ok := strings.Cut(host, ".")
		if !ok {
			return nil
		}
		host = parent
	}
}

func (i *zoneIndex) change(edit func(map[string]*zone)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := maps.Clone(*i.byName.Load())
	edit(all)
	i.byName.Store(&all)
}

// stale drops what is known of a zone's routes, or with "" of all zones'. It is
// called after the change was committed and before it is acknowledged.
func (i *zoneIndex) stale(id string) {
	for _, z := range *i.byName.Load() {
		if id == "" || z.ID == id {
			z.mu.Lock() // a table that is being read may be of before the change
			z.table.Store(nil)
			z.mu.Unlock()
		}
	}
}

// Zoned reports whether the host's answer depends on the URL: then ByURL says
// whose it is, and the other fields of the route, but for Account, are empty.
func (r *Route) Zoned() bool { return r.zone != nil }

// ByURL returns the route of the worker that a zone has for a request. The error
// is [ErrNoPath] when there is none.
func (r *Route) ByURL(ctx context.Context, u URL) (*Route, error) {
	if r.zone == nil {
		return r, nil
	}
	t, err := r.zone.loaded(ctx)
	if err != nil {
		return nil, err
	}
	target := t.find(u)
	if target == nil {
		return nil, ErrNoPath
	}
	return r.zone.s.scriptRoute(ctx, target)
}

func (t *zoneTable) find(u URL) *zoneTarget {
	domain := t.domains[u.Host]
	if u.Inside && domain != nil {
		return domain
	}
	if target, ok := t.routes.Find(u.Scheme, u.Host, u.Target); ok {
		return target
	}
	return domain
}

// scriptRoute returns the live route of a worker, whether or not it has a hostname
// of the platform's.
func (s *Service) scriptRoute(ctx context.Context, t *zoneTarget) (*Route, error) {
	if r, ok := s.hosts.get(t.key); ok {
		if r == nil {
			return nil, ErrNoPath
		}
		return r, nil
	}
	generation := s.hosts.generation()
	var r *Route
	d, err := scanDeployment(s.db().QueryRowContext(ctx, `SELECT `+deploymentColumns+` FROM scripts s JOIN deployments d ON d.script_id = s.id
		WHERE s.account_id = ? AND s.name = ? ORDER BY d.sequence DESC LIMIT 1`, t.scope.account, t.scope.script))
	if err == nil {
		r, err = s.liveRoute(ctx, d)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) && !errors.Is(err, ErrNoRoute) {
		return nil, fmt.Errorf("workers: look up the worker %s of a zone: %w", t.scope.script, err)
	}
	s.hosts.put(t.key, t.scope.script, r, generation)
	if r == nil {
		return nil, ErrNoPath
	}
	return r, nil
}

// loaded returns the zone's table, reading it if need be.
func (z *zone) loaded(ctx context.Context) (*zoneTable, error) {
	if t := z.table.Load(); t != nil {
		return t, nil
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if t := z.table.Load(); t != nil {
		return t, nil
	}
	t, err := z.read(context.WithoutCancel(ctx)) // others wait for it
	if err != nil {
		return nil, fmt.Errorf("workers: read the routes of the zone %s: %w", z.Name, err)
	}
	z.table.Store(t)
	return t, nil
}

func (z *zone) read(ctx context.Context) (*zoneTable, error) {
	t := &zoneTable{domains: make(map[string]*zoneTarget)}
	targets := make(map[string]*zoneTarget)
	target := func(script string) *zoneTarget {
		if script == "" {
			return nil
		}
		if targets[script] == nil {
			// No host has a NUL in it.
			targets[script] = &zoneTarget{scope: scope{z.Account, script}, key: "\x00" + z.Account + "/" + script}
		}
		return targets[script]
	}
	routes, err := z.s.zoneRoutes(ctx, `r.zone_id = ?`, z.ID)
	if err != nil {
		return nil, err
	}
	compiled := make([]routing.Route[*zoneTarget], 0, len(routes))
	for _, r := range routes {
		p, err := routing.Parse(r.Pattern)
		if err != nil {
			return nil, err // it was checked before it was stored
		}
		compiled = append(compiled, routing.Route[*zoneTarget]{Pattern: p, Value: target(r.Script)})
	}
	t.routes = routing.NewTable(compiled)
	domains, err := z.s.domains(ctx, `d.zone_id = ? AND d.enabled`, z.ID)
	if err != nil {
		return nil, err
	}
	for _, d := range domains {
		t.domains[d.Hostname] = target(d.Script)
	}
	return t, nil
}
