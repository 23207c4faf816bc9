package pages

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// maxDomains bounds the custom domains of a project, as the platform does.
const maxDomains = 100

// Domain is a host of the operator's own at which a site answers: its production, or, for a hostname that begins
// with "*.", the branch or deployment that the first label names.
type Domain struct {
	ID        string // UUID
	Project   string
	Hostname  string // lower case
	CreatedAt time.Time
}

// Domains lists the custom domains of a project by hostname. Error: CodeProjectNotFound.
func (s *Service) Domains(ctx context.Context, account, project string) ([]Domain, error) {
	p, err := s.project(ctx, account, project)
	if err != nil {
		return nil, err
	}
	all, err := s.readDomains(ctx, `p.id = ?`, p.id)
	if err != nil {
		return nil, internal("list the custom domains", err)
	}
	return all, nil
}

// Domain returns a custom domain of a project. Errors: CodeProjectNotFound, CodeDomainNotFound.
func (s *Service) Domain(ctx context.Context, account, project, hostname string) (Domain, error) {
	all, err := s.Domains(ctx, account, project)
	if err != nil {
		return Domain{}, err
	}
	name := strings.ToLower(strings.TrimSuffix(hostname, "."))
	for _, d := range all {
		if d.Hostname == name {
			return d, nil
		}
	}
	return Domain{}, fail(CodeDomainNotFound, 404, "The project %s has no custom domain %q.", project, clip(hostname))
}

// AddDomain gives a project a custom domain. Errors: CodeProjectNotFound, CodeInvalidDomain, CodeDomainTaken.
func (s *Service) AddDomain(ctx context.Context, account, project, hostname string) (Domain, error) {
	p, err := s.project(ctx, account, project)
	if err != nil {
		return Domain{}, err
	}
	name := strings.ToLower(strings.TrimSuffix(hostname, "."))
	if err := s.checkDomain(name); err != nil {
		return Domain{}, err
	}
	if s.o.HostOwner != nil {
		owner, err := s.o.HostOwner(ctx, name)
		if err != nil {
			return Domain{}, internal("look for the host among the workers", err)
		}
		if owner != "" {
			return Domain{}, fail(CodeDomainTaken, 409, "The Worker %s answers at %s. Take the custom domain or the route from it first.", owner, name)
		}
	}
	d := Domain{ID: uuid.NewString(), Project: p.name, Hostname: name, CreatedAt: s.now()}
	err = s.write(ctx, func(tx *sql.Tx) error { return insertDomain(ctx, tx, p.id, &d) })
	if err != nil {
		return Domain{}, internal("save the custom domain", err)
	}
	if err := s.reloadDomains(ctx); err != nil {
		return Domain{}, internal("read the custom domains", err)
	}
	s.hosts.forget(p.name)
	return d, nil
}

func insertDomain(ctx context.Context, tx *sql.Tx, project string, d *Domain) error {
	var all int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM pages_domains WHERE project_id = ?`, project).Scan(&all); err != nil {
		return err
	}
	if all >= maxDomains {
		return fail(CodeInvalidDomain, 400, "The project has %d custom domains, as many as it may have.", all)
	}
	done, err := tx.ExecContext(ctx, `INSERT INTO pages_domains (id, project_id, hostname, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (hostname) DO NOTHING`,
		d.ID, project, d.Hostname, d.CreatedAt.UnixMilli())
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	var owner string
	if err := tx.QueryRowContext(ctx, `SELECT p.name FROM pages_domains d JOIN pages_projects p ON p.id = d.project_id WHERE d.hostname = ?`, d.Hostname).Scan(&owner); err != nil {
		return err
	}
	return fail(CodeDomainTaken, 409, "The domain %s is that of the project %s. Remove it there first.", d.Hostname, owner)
}

// DeleteDomain takes a custom domain away. Errors: CodeProjectNotFound, CodeDomainNotFound.
func (s *Service) DeleteDomain(ctx context.Context, account, project, hostname string) error {
	d, err := s.Domain(ctx, account, project, hostname)
	if err != nil {
		return err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM pages_domains WHERE id = ?`, d.ID)
		return err
	})
	if err != nil {
		return internal("delete the custom domain", err)
	}
	if err := s.reloadDomains(ctx); err != nil {
		return internal("read the custom domains", err)
	}
	s.hosts.forget(project)
	return nil
}

// reloadDomains brings the index in step with what is stored, in whatever order changes of it come to an end.
func (s *Service) reloadDomains(ctx context.Context) error {
	s.domains.mu.Lock()
	defer s.domains.mu.Unlock()
	all, err := s.readDomains(context.WithoutCancel(ctx), `TRUE`)
	if err != nil {
		return err
	}
	next := make(map[string]string, len(all))
	for _, d := range all {
		next[d.Hostname] = d.Project
	}
	s.domains.byHost.Store(&next)
	return nil
}

// HostsOf lists the hostnames of a project's custom domains. It is quick.
func (s *Service) HostsOf(project string) []string { return s.domains.of(project) }

// OfHost returns the project that has a host as a custom domain, or as one of those below a "*". It is quick.
func (s *Service) OfHost(host string) (project string, ok bool) {
	_, project, ok = s.domains.find(host)
	return project, ok
}

// CustomHosts lists the hostnames of all projects' custom domains, but for those with a "*".
func (s *Service) CustomHosts() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.domains.all())), func(h string) bool { return strings.HasPrefix(h, "*.") })
}

// checkDomain checks the form of a custom domain.
func (s *Service) checkDomain(name string) error {
	host, wild := strings.CutPrefix(name, "*.")
	labels := strings.Split(host, ".")
	valid := len(host) <= 253 && (len(labels) >= 2)
	for _, l := range labels {
		valid = valid && validLabel(l)
	}
	switch own := s.o.Domain; {
	case !valid:
		return fail(CodeInvalidDomain, 400, "%q is no domain that a site could have. Give one such as www.example.com, in Punycode if it has other letters, or *.preview.example.com for branches.", clip(name))
	case host == own || strings.HasSuffix(host, "."+own) || wild && strings.HasSuffix("."+own, "."+host):
		return fail(CodeInvalidDomain, 400, "The domain %s is the platform's own. Give another.", name)
	}
	return nil
}

func validLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := range len(l) {
		if c := l[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// readDomains reads custom domains by a condition on d (pages_domains) or p (pages_projects).
func (s *Service) readDomains(ctx context.Context, where string, args ...any) ([]Domain, error) {
	rows, err := s.db().QueryContext(ctx, `SELECT d.id, p.name, d.hostname, d.created_at
		FROM pages_domains d JOIN pages_projects p ON p.id = d.project_id WHERE `+where+` ORDER BY d.hostname`, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := []Domain{}
	for rows.Next() {
		var d Domain
		var created int64
		if err := rows.Scan(&d.ID, &d.Project, &d.Hostname, &created); err != nil {
			return nil, err
		}
		d.CreatedAt = time.UnixMilli(created).UTC()
		out = append(out, d)
	}
	return out, rows.Err()
}
