package pages

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/selvage-dev/selvage/internal/assets"
)

// maxManifest bounds a stored manifest, in bytes.
const maxManifest = 256 << 20

// Route says which deployment answers on a host. It is immutable and may be kept
// for the length of a request.
type Route struct {
	Account    string
	Project    string
	Deployment string
	// Version is that of the Functions; "" for a static site.
	Version string
	// Preview says that search engines are not to list what the host has.
	Preview bool

	site   *builtSite
	former *formerFilesOf // nil: none
}

// Lookup returns the route of a host, which is in lower case and has no port. The
// error is [ErrNoRoute] when no deployment answers there.
func (s *Service) Lookup(ctx context.Context, host string) (*Route, error) {
	if r := s.hosts.get(host); r != nil && (r.former == nil || s.o.Now().Before(r.former.until)) {
		return r, nil
	}
	label, project, ok := s.splitHost(host)
	if !ok {
		if label, project, ok = s.domains.find(host); !ok {
			return nil, ErrNoRoute
		}
	}
	generation := s.hosts.generation()
	// Many ask at once for what is read once. Whoever asks after a change is not given what was before it.
	v, err, _ := s.reads.Do(strconv.FormatUint(generation, 36)+" "+host, func() (any, error) {
		r, err := s.read(context.WithoutCancel(ctx), label, project)
		if err == nil {
			s.hosts.put(host, r, generation)
		}
		return r, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*Route), nil //nolint:forcetypeassert,errcheck // what the function above returns
}

// Owns says whether a host is of a site's form, or of a custom domain.
func (s *Service) Owns(host string) bool {
	if strings.HasSuffix(host, s.zone()) {
		return true
	}
	_, _, ok := s.domains.find(host)
	return ok
}

// splitHost takes [<label>.]<project>.pages.<domain> apart.
func (s *Service) splitHost(host string) (label, project string, ok bool) {
	const maxHost = 253 // RFC 1035, section 2.3.4
	rest, ok := strings.CutSuffix(host, s.zone())
	if !ok || len(host) > maxHost {
		return "", "", false
	}
	if before, after, two := strings.Cut(rest, "."); two {
		label, rest = before, after
		if label == "" {
			return "", "", false
		}
	}
	return label, rest, checkName(rest) == nil
}

func (s *Service) read(ctx context.Context, label, project string) (*Route, error) {
	p, err := scanProject(s.db().QueryRowContext(ctx, `SELECT `+projectColumns+` FROM pages_projects p WHERE p.name = ?`, project))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoRoute
	}
	if err != nil {
		return nil, fmt.Errorf("pages: look up %s: %w", project, err)
	}
	d, err := s.answering(ctx, p, label)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoRoute
	}
	if err != nil {
		return nil, fmt.Errorf("pages: look up %s: %w", project, err)
	}
	r, _, err := s.build(ctx, p, d)
	if err != nil {
		return nil, fmt.Errorf("pages: site of deployment %s: %w", d.id, err)
	}
	if label != "" {
		return r, nil
	}
	return s.production(ctx, p, d, r)
}

// answering finds what a label means: a deployment; else a branch.
func (s *Service) answering(ctx context.Context, p *projectRow, label string) (*deploymentRow, error) {
	if label == "" {
		return s.deploymentRow(ctx, `d.id = ? AND d.succeeded`, p.production.String)
	}
	if len(label) == shortLen && isHex(label) {
		d, err := s.deploymentRow(ctx, `d.project_id = ? AND d.short = ? AND d.succeeded`, p.id, label)
		if !errors.Is(err, sql.ErrNoRows) {
			return d, err
		}
	}
	return s.deploymentRow(ctx, `d.project_id = ? AND d.alias = ? AND d.succeeded ORDER BY d.number DESC LIMIT 1`, p.id, label)
}

// build makes the route of a deployment as its own host has it, with what is
// wrong with its rules.
func (s *Service) build(_ context.Context, p *projectRow, d *deploymentRow) (*Route, []string, error) {
	site, ok := s.hosts.site(d.id)
	if !ok {
		manifest, err := s.readManifest(d.manifest)
		if err != nil {
			return nil, nil, err
		}
		rules, err := s.rulesOf(d)
		if err != nil {
			return nil, nil, err
		}
		if site, err = s.newSite(d, manifest, rules); err != nil {
			return nil, nil, err
		}
		s.hosts.keepSite(site)
	}
	return &Route{Account: p.account, Project: p.name, Deployment: d.id, Version: d.version.String, Preview: true, site: site}, warnings(site), nil
}

// warnings says which lines of the site's rules are ignored.
func warnings(b *builtSite) []string {
	var out []string
	for _, w := range b.production.Warnings() {
		out = append(out, w.String())
	}
	return out
}

// production makes the route of the production host out of that of a deployment.
func (s *Service) production(ctx context.Context, p *projectRow, d *deploymentRow, r *Route) (*Route, error) {
	former, err := s.formerFiles(ctx, p, d, r.site.manifest)
	if err != nil {
		return nil, err
	}
	out := *r
	out.Preview, out.former = false, former
	return &out, nil
}

// rulesOf reads the rule files of a deployment.
func (s *Service) rulesOf(d *deploymentRow) (rules Rules, err error) {
	if d.doc.Rules != "" {
		err = s.readJSON(d.doc.Rules, maxRules, &rules)
	}
	return rules, err
}

// readManifest reads the stored manifest of a deployment. What was allowed when
// it was made stays so.
func (s *Service) readManifest(blob string) (assets.Manifest, error) {
	f, err := s.o.Store.Blobs.Open(blob)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	defer func() { _ = f.Close() }()
	m, err := assets.DecodeManifest(io.LimitReader(f, maxManifest), assets.Limits{Files: math.MaxInt, FileSize: math.MaxInt64})
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", blob, err)
	}
	return m, nil
}

func (s *Service) readJSON(blob string, limit int64, v any) error {
	f, err := s.o.Store.Blobs.Open(blob)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := json.NewDecoder(io.LimitReader(f, limit)).Decode(v); err != nil {
		return fmt.Errorf("blob %s: %w", blob, err)
	}
	return nil
}

// Site returns the files of a deployment, for its Functions.
func (s *Service) Site(ctx context.Context, deployment string) (*Route, error) {
	if site, ok := s.hosts.site(deployment); ok {
		return &Route{Deployment: deployment, site: site}, nil
	}
	d, err := s.deploymentRow(ctx, `d.id = ?`, deployment)
	if err != nil {
		return nil, fmt.Errorf("pages: site of deployment %s: %w", deployment, err)
	}
	r, _, err := s.build(ctx, &projectRow{}, d)
	return r, err
}

// HasVersion says whether a version is the code of a deployment.
func (s *Service) HasVersion(ctx context.Context, version string) (has bool, err error) {
	err = s.db().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pages_deployments WHERE version_id = ?)`, version).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("pages: look for version %s: %w", version, err)
	}
	return has, nil
}

// Live says whether a version is the code of a deployment that production or a branch leads to. What only the address
// of an older deployment leads to is not.
func (s *Service) Live(ctx context.Context, version string) (live bool, err error) {
	err = s.db().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pages_deployments d JOIN pages_projects p ON p.id = d.project_id
		WHERE d.version_id = ? AND d.succeeded AND (p.production_id = d.id OR NOT EXISTS (
			SELECT 1 FROM pages_deployments n WHERE n.project_id = d.project_id AND n.alias = d.alias AND n.succeeded AND n.number > d.number)))`, version).Scan(&live)
	if err != nil {
		return false, fmt.Errorf("pages: look for version %s: %w", version, err)
	}
	return live, nil
}
