package workers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/selvage-dev/selvage/internal/assets"
)

// versionPrefix is how many digits of a version's id its preview hostname has.
const versionPrefix = 8

// Route says which version answers on a host. It is immutable and may be kept
// for the length of a request.
type Route struct {
	Account string
	Script  string
	Version string
	Site    *assets.Site // static assets, nil when there are none
	Code    bool         // there is a worker to run; without it Acquire fails
	Preview bool         // reached through a preview hostname
	// Cache is where the worker's answers are kept; nil when it did not ask for that.
	Cache *CacheScope

	unit   *unit
	shares *Shares // of a gradual deployment; else nil
	zone   *zone   // see Zoned; then there is no unit
}

// Acquire returns a process of the route's version, starting one if need be;
// concurrent callers wait for one start. The caller Releases it once. Errors:
// *Error with status 503 when the process cannot be had, [ErrNoRoute] when the
// version was deleted, [ErrClosed], and ctx's cause.
func (r *Route) Acquire(ctx context.Context) (*Instance, error) {
	if r.unit == nil {
		return nil, ErrNoRoute
	}
	if in := r.unit.pick(); in != nil && in.acquire() {
		return in, nil
	}
	if !r.Code {
		return nil, ErrNoRoute
	}
	return r.unit.acquire(ctx, !r.Preview)
}

// Lookup returns the route of a host, which is in lower case and has no port. That
// of a zone's host has to be asked for each URL, see [Route.Zoned]; that of a
// gradual deployment for each request, see [Route.Pick].
// The error is [ErrNoRoute] when no version answers there. Answers, also
// negative ones, are cached and true to the last change that was acknowledged.
func (s *Service) Lookup(ctx context.Context, host string) (*Route, error) {
	if r, ok := s.hosts.get(host); ok {
		if r == nil {
			return nil, ErrNoRoute
		}
		return r, nil
	}
	label, sub, ok := s.splitHost(host)
	var account string
	if ok {
		account, ok = s.o.AccountBySubdomain(sub)
	}
	if !ok {
		if z := s.zones.find(host); z != nil && !s.reserved(host) {
			return &z.route, nil
		}
		return nil, ErrNoRoute // not ours: not worth a place in the cache
	}
	generation := s.hosts.generation()
	r, err := s.resolve(ctx, account, label)
	if err != nil && !errors.Is(err, ErrNoRoute) {
		return nil, fmt.Errorf("workers: look up %s: %w", host, err)
	}
	s.hosts.put(host, label, r, generation)
	return r, err
}

// ForgetHosts drops every cached route. The server calls it when an account's
// subdomain has changed.
func (s *Service) ForgetHosts() { s.hosts.forgetAll() }

// cloudDomain is where the original's workers answer, below their account's subdomain.
const cloudDomain = ".workers.dev"

// IsCloudHost reports whether host, in lower case and without a port, is one below
// workers.dev that the account's subdomain here makes ours: apps have such names written
// in their code. A subdomain is one account's alone, there and here.
func (s *Service) IsCloudHost(host string) bool {
	_, sub, ok := s.splitHost(host)
	if !ok || !strings.HasSuffix(host, cloudDomain) {
		return false
	}
	_, ok = s.o.AccountBySubdomain(sub)
	return ok
}

// splitHost takes <label>.<subdomain>.workers.<domain> apart, and
// <label>.<subdomain>.workers.dev.
func (s *Service) splitHost(host string) (label, sub string, ok bool) {
	const maxHost = 253 // RFC 1035, section 2.3.4
	if len(host) > maxHost {
		return "", "", false
	}
	rest, ok := strings.CutSuffix(host, cloudDomain)
	if !ok {
		if rest, ok = strings.CutSuffix(host, s.o.Domain); !ok {
			return "", "", false
		}
		if rest, ok = strings.CutSuffix(rest, ".workers."); !ok {
			return "", "", false
		}
	}
	label, sub, ok = strings.Cut(rest, ".")
	if !ok || label == "" || sub == "" || strings.Contains(sub, ".") {
		return "", "", false
	}
	return label, sub, true
}

// Hostname returns where the live version of a script answers.
func (s *Service) Hostname(account, script string) string {
	return script + "." + s.o.Subdomain(account) + ".workers." + s.o.Domain
}

// PreviewSuffix returns what follows the version's first eight digits, or the
// alias, in the hostname of a preview.
func (s *Service) PreviewSuffix(account, script string) string {
	return "-" + s.Hostname(account, script)
}

// resolve finds what a label means: a script; else a preview, by version or by alias.
func (s *Service) resolve(ctx context.Context, account, label string) (*Route, error) {
	if checkScriptName(label) != nil {
		return nil, ErrNoRoute
	}
	d, err := s.resolveLive(ctx, account, label)
	if err == nil {
		return s.liveRoute(ctx, d)
	}
	var version string
	if errors.Is(err, sql.ErrNoRows) {
		version, err = s.resolvePreview(ctx, account, label)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoRoute
	}
	if err != nil {
		return nil, err
	}
	r, err := s.routeOf(ctx, version)
	if err == nil {
		r.Preview = true
	}
	return r, err
}

// routeOf makes the route of one version. The error is ErrNoRoute when it was
// deleted meanwhile.
func (s *Service) routeOf(ctx context.Context, version string) (*Route, error) {
	u, err := s.unitOf(ctx, version)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoRoute
	}
	if err != nil {
		return nil, err
	}
	return &Route{
		Account: u.scope.account, Script: u.scope.script, Version: u.version,
		Site: u.site, Code: u.doc.hasCode(), Cache: u.doc.Cache.scope(u.scope, u.version), unit: u,
	}, nil
}

// liveRoute makes the route of a deployment.
func (s *Service) liveRoute(ctx context.Context, d *deploymentRow) (*Route, error) {
	primary, err := s.routeOf(ctx, d.doc.serves())
	if err != nil || len(d.doc.Versions) == 1 {
		return primary, err
	}
	routes := make([]*Route, len(d.doc.Versions))
	for i, v := range d.doc.Versions {
		if routes[i], err = s.routeOf(ctx, v.VersionID); err != nil {
			return nil, err
		}
	}
	primary.shares = newShares(d.scriptID, d.doc.Versions, routes)
	return primary, nil
}

func (s *Service) resolveLive(ctx context.Context, account, script string) (*deploymentRow, error) {
	return scanDeployment(s.db().QueryRowContext(ctx, `SELECT `+deploymentColumns+` FROM scripts s JOIN deployments d ON d.script_id = s.id
		WHERE s.account_id = ? AND s.name = ? AND s.subdomain_enabled ORDER BY d.sequence DESC LIMIT 1`, account, script))
}

func (s *Service) resolvePreview(ctx context.Context, account, label string) (version string, err error) {
	if len(label) > versionPrefix+1 && label[versionPrefix] == '-' && isLowerHex(label[:versionPrefix]) {
		prefix, script := label[:versionPrefix], label[versionPrefix+1:]
		// "-" follows the prefix in a UUID, "." follows "-" in ASCII.
		err := s.db().QueryRowContext(ctx, `SELECT v.id FROM versions v JOIN scripts s ON s.id = v.script_id
			WHERE v.id > ? AND v.id < ? AND s.account_id = ? AND s.name = ? AND s.previews_enabled LIMIT 1`,
			prefix+"-", prefix+".", account, script).Scan(&version)
		if !errors.Is(err, sql.ErrNoRows) {
			return version, err
		}
	}
	for i := range len(label) { // from the left: the longest script name wins
		if label[i] != '-' || !validAlias(label[:i]) {
			continue
		}
		err := s.db().QueryRowContext(ctx, `SELECT a.version_id FROM preview_aliases a JOIN scripts s ON s.id = a.script_id
			WHERE s.account_id = ? AND s.name = ? AND a.alias = ? AND s.previews_enabled`, account, label[i+1:], label[:i]).Scan(&version)
		if !errors.Is(err, sql.ErrNoRows) {
			return version, err
		}
	}
	return "", sql.ErrNoRows
}

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
