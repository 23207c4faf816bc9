package pages

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

const deploymentColumns = `d.id, d.project_id, d.number, d.short, d.environment, d.alias, d.succeeded, d.manifest, d.version_id, d.document, d.created_at`

// deploymentRow is a deployment as it is stored.
type deploymentRow struct {
	id, projectID, short, environment, alias string
	number                                   int64
	succeeded                                bool
	manifest                                 string
	version                                  sql.NullString
	createdAt                                time.Time
	doc                                      deploymentDocument
	// output is the site\'s folder as a wrangler file names it. It is stored with the project.
	output string
}

// deploymentDocument is the part of a deployment that is stored as JSON. Fields
// are only ever added.
type deploymentDocument struct {
	Commit     Commit    `json:"commit"`
	Trigger    string    `json:"trigger"`
	Source     string    `json:"source,omitempty"`
	Files      int       `json:"files"`
	Rules      string    `json:"rules,omitempty"` // blob: JSON of Rules
	Bundle     *Bundle   `json:"bundle,omitempty"`
	ConfigHash string    `json:"config_hash,omitempty"`
	Config     Config    `json:"config"`
	EndedAt    time.Time `json:"ended_at"`
	Log        []LogLine `json:"log,omitempty"`
	Stages     []Stage   `json:"stages,omitempty"` // of a build
	// BuildFailed says that there is nothing to deploy.
	BuildFailed bool `json:"build_failed,omitempty"`
}

func scanDeployment(from scanner) (*deploymentRow, error) {
	var r deploymentRow
	var doc string
	var created int64
	err := from.Scan(&r.id, &r.projectID, &r.number, &r.short, &r.environment, &r.alias, &r.succeeded, &r.manifest, &r.version, &doc, &created)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(doc), &r.doc); err != nil {
		return nil, fmt.Errorf("pages: document of deployment %s: %w", r.id, err)
	}
	r.createdAt = time.UnixMilli(created).UTC()
	return &r, nil
}

func (s *Service) deploymentRow(ctx context.Context, where string, args ...any) (*deploymentRow, error) {
	r, err := scanDeployment(s.db().QueryRowContext(ctx, `SELECT `+deploymentColumns+` FROM pages_deployments d WHERE `+where, args...))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		err = internal("read the deployment", err)
	}
	return r, err
}

func (s *Service) deploymentBy(ctx context.Context, p *projectRow, where string, args ...any) (*Deployment, error) {
	r, err := s.deploymentRow(ctx, where, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, deploymentNotFound("")
	}
	if err != nil {
		return nil, err
	}
	d := s.public(p, r)
	if err := s.addAliases(ctx, p, r, &d); err != nil {
		return nil, err
	}
	return &d, nil
}

func (s *Service) public(p *projectRow, r *deploymentRow) Deployment {
	return Deployment{
		ID: r.id, Short: r.short, Number: r.number, ProjectID: p.id, ProjectName: p.name, Branch: p.branch,
		Environment: r.environment, Commit: r.doc.Commit, Trigger: r.doc.Trigger, Files: r.doc.Files, Functions: r.doc.Bundle != nil, Version: r.version.String,
		URL: s.URL(r.short + "." + s.Hostname(p.name)), Config: r.doc.Config, Stages: r.stages(),
		CreatedAt: r.createdAt, Succeeded: r.succeeded, Source: r.doc.Source,
	}
}

// addAliases finds the branches that lead to the deployment.
func (s *Service) addAliases(ctx context.Context, p *projectRow, r *deploymentRow, d *Deployment) error {
	if !r.succeeded {
		return nil
	}
	if p.production.Valid && p.production.String == r.id {
		d.Aliases = append(d.Aliases, s.URL(s.Hostname(p.name)))
	}
	aliased, err := s.aliased(ctx, r)
	if aliased {
		d.Aliases = append(d.Aliases, s.URL(r.alias+"."+s.Hostname(p.name)))
	}
	return err
}

// aliased says whether the deployment is the latest of its branch.
func (s *Service) aliased(ctx context.Context, r *deploymentRow) (bool, error) {
	if r.alias == "" || !r.succeeded {
		return false, nil
	}
	var latest string
	err := s.db().QueryRowContext(ctx, `SELECT id FROM pages_deployments WHERE project_id = ? AND alias = ? AND succeeded ORDER BY number DESC LIMIT 1`, r.projectID, r.alias).Scan(&latest)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, internal("read the aliases", err)
	}
	return latest == r.id, nil
}

// find reads a deployment of a project by its id.
func (s *Service) find(ctx context.Context, account, project, id string) (*projectRow, *deploymentRow, error) {
	p, err := s.project(ctx, account, project)
	if err != nil {
		return nil, nil, err
	}
	r, err := s.deploymentRow(ctx, `d.project_id = ? AND d.id = ?`, p.id, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, deploymentNotFound(id)
	}
	return p, r, err
}

// Deployment returns a deployment. Errors: CodeProjectNotFound,
// CodeDeploymentNotFound.
func (s *Service) Deployment(ctx context.Context, account, project, id string) (Deployment, error) {
	p, r, err := s.find(ctx, account, project, id)
	if err != nil {
		return Deployment{}, err
	}
	d := s.public(p, r)
	return d, s.addAliases(ctx, p, r, &d)
}

// Deployments lists the deployments of a project, newest first; environment ""
// means all.
func (s *Service) Deployments(ctx context.Context, account, project, environment string, offset, limit int) (all []Deployment, total int, err error) {
	p, err := s.project(ctx, account, project)
	if err != nil {
		return nil, 0, err
	}
	where, args := `d.project_id = ?`, []any{p.id}
	if environment != "" {
		where, args = where+` AND d.environment = ?`, append(args, environment)
	}
	if err := s.db().QueryRowContext(ctx, `SELECT count(*) FROM pages_deployments d WHERE `+where, args...).Scan(&total); err != nil {
		return nil, 0, internal("list the deployments", err)
	}
	rows, err := s.db().QueryContext(ctx, `SELECT `+deploymentColumns+` FROM pages_deployments d WHERE `+where+` ORDER BY d.number DESC LIMIT ? OFFSET ?`, append(args, limit, offset)...)
	if err != nil {
		return nil, 0, internal("list the deployments", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		r, err := scanDeployment(rows)
		if err != nil {
			return nil, 0, internal("list the deployments", err)
		}
		d := s.public(p, r)
		if err := s.addAliases(ctx, p, r, &d); err != nil {
			return nil, 0, err
		}
		all = append(all, d)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, internal("list the deployments", err)
	}
	return all, total, nil
}

// Log returns what happened while a deployment was made.
func (s *Service) Log(ctx context.Context, account, project, id string) ([]LogLine, error) {
	_, r, err := s.find(ctx, account, project, id)
	if err != nil {
		return nil, err
	}
	return r.doc.Log, nil
}

// Retry makes a new deployment of what another one deployed, with the settings
// that the project has now.
func (s *Service) Retry(ctx context.Context, account, project, id string) (Deployment, error) {
	p, old, err := s.find(ctx, account, project, id)
	if err != nil {
		return Deployment{}, err
	}
	if old.doc.BuildFailed {
		return Deployment{}, fail(CodeNotDeployable, 409, "The build of the deployment %s has failed, so there is nothing to deploy. Push again.", clip(id))
	}
	if err := s.refresh(ctx, old); err != nil {
		return Deployment{}, err
	}
	d := *old
	d.id = uuid.NewString()
	d.short, d.createdAt, d.succeeded, d.version = d.id[:shortLen], s.now(), false, sql.NullString{}
	d.environment = Preview
	if d.doc.Commit.Branch == p.branch {
		d.environment = Production
	}
	d.doc.Stages = nil
	d.doc.Trigger, d.doc.Log, d.doc.Config = "retry", nil, *p.settings.Configs.of(d.environment)
	return s.launch(ctx, p, &d)
}

// refresh makes young what a deployment consists of: whoever deletes it must not
// take that from its copy.
func (s *Service) refresh(ctx context.Context, r *deploymentRow) error {
	blobs := make(map[string]bool)
	if err := s.keep(r.manifest, func(id string) { blobs[id] = true }); err != nil {
		return internal("read the deployment", err)
	}
	blobs[r.manifest] = true
	if r.doc.Rules != "" {
		blobs[r.doc.Rules] = true
	}
	if r.doc.Bundle != nil {
		for _, m := range r.doc.Bundle.Modules {
			blobs[m.Blob] = true
		}
	}
	for id := range blobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		there, err := s.o.Store.Blobs.Touch(id)
		if err != nil {
			return internal("read the deployment", err)
		}
		if !there {
			return fail(CodeMissingAsset, 400, "A content of the deployment is gone. Deploy the site again.")
		}
	}
	return nil
}

// Rollback makes an earlier deployment the one of production. Errors:
// CodeDeploymentNotFound, CodeNotDeployable.
func (s *Service) Rollback(ctx context.Context, account, project, id string) (Deployment, error) {
	return s.serve(ctx, account, project, id, false)
}

// Promote makes any deployment the one of production, one of a preview too. It
// keeps the variables it was made with.
func (s *Service) Promote(ctx context.Context, account, project, id string) (Deployment, error) {
	return s.serve(ctx, account, project, id, true)
}

func (s *Service) serve(ctx context.Context, account, project, id string, previews bool) (Deployment, error) {
	p, r, err := s.find(ctx, account, project, id)
	if err != nil {
		return Deployment{}, err
	}
	switch {
	case !r.succeeded:
		return Deployment{}, fail(CodeNotDeployable, 400, "The deployment %s failed and cannot serve.", id)
	case !previews && r.environment != Production:
		return Deployment{}, fail(CodeNotDeployable, 400, "The deployment %s is a preview; only a deployment of the production branch can be rolled back to.", id)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		var before sql.NullString
		err := tx.QueryRowContext(ctx, `SELECT p.production_id FROM pages_projects p JOIN pages_deployments d ON d.project_id = p.id WHERE p.id = ? AND d.id = ?`, p.id, r.id).Scan(&before)
		if errors.Is(err, sql.ErrNoRows) {
			return deploymentNotFound(id) // deleted meanwhile
		}
		if err != nil {
			return err
		}
		return s.switchTo(ctx, tx, p.id, before, r.id)
	})
	if err != nil {
		return Deployment{}, internal("switch to the deployment", err)
	}
	s.renew(ctx, p.name, "")
	return s.Deployment(ctx, account, project, id)
}

// DeleteDeployment deletes a deployment. The one that is in production is never
// deleted (CodeActive); one that a branch leads to only with force
// (CodeAliased).
func (s *Service) DeleteDeployment(ctx context.Context, account, project, id string, force bool) error {
	p, r, err := s.find(ctx, account, project, id)
	if err != nil {
		return err
	}
	aliased, err := s.aliased(ctx, r)
	if err != nil {
		return err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		var active sql.NullString
		if err := tx.QueryRowContext(ctx, `SELECT production_id FROM pages_projects WHERE id = ?`, p.id).Scan(&active); err != nil {
			return err
		}
		switch {
		case active.String == id:
			return fail(CodeActive, 400, "The deployment %s is in production and cannot be deleted. Deploy or roll back to another one first.", id)
		case aliased && !force:
			return fail(CodeAliased, 400, "The deployment %s is the latest of the branch %q, whose address leads to it. Delete it with force=true (--force).", id, r.doc.Commit.Branch)
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM pages_deployments WHERE id = ?`, id)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return projectNotFound(project)
	}
	if err != nil {
		return internal("delete the deployment", err)
	}
	s.hosts.forget(p.name)
	if r.version.Valid {
		if err := s.o.Functions.Delete(ctx, account, project, r.version.String); err != nil {
			return internal("delete the Functions of the deployment", err)
		}
	}
	return nil
}
