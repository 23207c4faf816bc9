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

const projectColumns = `p.id, p.account_id, p.name, p.branch, p.settings, p.production_id, p.created_at, p.modified_at`

// projectRow is a project as it is stored.
type projectRow struct {
	id, account, name, branch string
	settings                  settings
	production                sql.NullString
	createdAt, modifiedAt     time.Time
}

// settings is the part of a project that is stored as JSON. Fields are only
// ever added.
type settings struct {
	Build   json.RawMessage `json:"build_config,omitempty"`
	Configs Configs         `json:"deployment_configs"`
}

type scanner interface{ Scan(dest ...any) error }

func scanProject(from scanner) (*projectRow, error) {
	var r projectRow
	var doc string
	var created, modified int64
	if err := from.Scan(&r.id, &r.account, &r.name, &r.branch, &doc, &r.production, &created, &modified); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(doc), &r.settings); err != nil {
		return nil, fmt.Errorf("pages: settings of project %s: %w", r.name, err)
	}
	r.createdAt, r.modifiedAt = time.UnixMilli(created).UTC(), time.UnixMilli(modified).UTC()
	return &r, nil
}

// project reads a project; the error is CodeProjectNotFound when there is none.
func (s *Service) project(ctx context.Context, account, name string) (*projectRow, error) {
	r, err := scanProject(s.db().QueryRowContext(ctx, `SELECT `+projectColumns+` FROM pages_projects p WHERE p.account_id = ? AND p.name = ?`, account, name))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, projectNotFound(name)
	}
	if err != nil {
		return nil, internal("read the project", err)
	}
	return r, nil
}

// NewProject is a project to make.
type NewProject struct {
	Name    string
	Branch  string // "": main
	Build   json.RawMessage
	Configs ConfigsPatch
}

// CreateProject makes a project. Errors: CodeInvalidName, CodeNameTaken,
// CodeInvalidSettings, CodeTooManyProjects.
func (s *Service) CreateProject(ctx context.Context, account string, n NewProject) (Project, error) {
	if err := checkName(n.Name); err != nil {
		return Project{}, err
	}
	if n.Branch == "" {
		n.Branch = "main"
	}
	at := s.now()
	r := &projectRow{id: uuid.NewString(), account: account, name: n.Name, createdAt: at, modifiedAt: at}
	if err := s.apply(r, ProjectPatch{Branch: &n.Branch, Build: n.Build, Configs: n.Configs}); err != nil {
		return Project{}, err
	}
	doc, err := json.Marshal(r.settings)
	if err != nil {
		return Project{}, internal("save the project", err)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		var all int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM pages_projects WHERE account_id = ?`, account).Scan(&all); err != nil {
			return err
		}
		if all >= s.o.MaxProjects {
			return fail(CodeTooManyProjects, 400, "The account has %d projects, as many as it may have.", all)
		}
		done, err := tx.ExecContext(ctx, `INSERT INTO pages_projects (id, account_id, name, branch, settings, created_at, modified_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
			r.id, account, r.name, r.branch, string(doc), at.UnixMilli(), at.UnixMilli())
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return fail(CodeNameTaken, 409, "A project with the name %q already exists. Choose another name.", r.name)
	})
	if err != nil {
		return Project{}, internal("save the project", err)
	}
	return r.public(), nil
}

// ProjectPatch changes the fields that are not nil.
type ProjectPatch struct {
	Branch  *string
	Build   json.RawMessage
	Configs ConfigsPatch
}

func (s *Service) apply(r *projectRow, p ProjectPatch) error {
	if p.Branch != nil {
		if err := checkBranch(*p.Branch); err != nil {
			return err
		}
		r.branch = *p.Branch
	}
	if p.Build != nil {
		var fields map[string]any
		if len(p.Build) > maxSetting || json.Unmarshal(p.Build, &fields) != nil {
			return invalidSettings("build_config must be an object of at most %d bytes.", maxSetting)
		}
		r.settings.Build = p.Build
	}
	var err error
	c := &r.settings.Configs
	if c.Production, err = c.Production.patch(p.Configs.Production, s.sealer(r.id)); err != nil {
		return err
	}
	c.Preview, err = c.Preview.patch(p.Configs.Preview, s.sealer(r.id))
	return err
}

// PatchProject changes a project. What was deployed stays as it is. Errors:
// CodeProjectNotFound, CodeInvalidSettings.
func (s *Service) PatchProject(ctx context.Context, account, name string, p ProjectPatch) (Project, error) {
	// Read and written in one transaction: of two changes none is lost.
	err := s.write(ctx, func(tx *sql.Tx) error {
		r, err := scanProject(tx.QueryRowContext(ctx, `SELECT `+projectColumns+` FROM pages_projects p WHERE p.account_id = ? AND p.name = ?`, account, name))
		if errors.Is(err, sql.ErrNoRows) {
			return projectNotFound(name)
		}
		if err != nil {
			return err
		}
		if err := s.apply(r, p); err != nil {
			return err
		}
		doc, err := json.Marshal(r.settings)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE pages_projects SET branch = ?, settings = ?, modified_at = ? WHERE id = ?`, r.branch, string(doc), s.now().UnixMilli(), r.id)
		return err
	})
	if err != nil {
		return Project{}, internal("save the project", err)
	}
	return s.Project(ctx, account, name)
}

// Project returns a project with its deployments in production and latest. The
// error is CodeProjectNotFound when there is none.
func (s *Service) Project(ctx context.Context, account, name string) (Project, error) {
	r, err := s.project(ctx, account, name)
	if err != nil {
		return Project{}, err
	}
	return s.whole(ctx, r)
}

func (s *Service) whole(ctx context.Context, r *projectRow) (Project, error) {
	p := r.public()
	latest, err := s.deploymentBy(ctx, r, `d.project_id = ? ORDER BY d.number DESC LIMIT 1`, r.id)
	if err != nil && !isCode(err, CodeDeploymentNotFound) {
		return Project{}, err
	}
	p.Latest = latest
	if r.production.Valid {
		if p.Production, err = s.deploymentBy(ctx, r, `d.id = ?`, r.production.String); err != nil && !isCode(err, CodeDeploymentNotFound) {
			return Project{}, err
		}
	}
	return p, nil
}

// Projects lists the projects of an account by name.
func (s *Service) Projects(ctx context.Context, account string, offset, limit int) (all []Project, total int, err error) {
	if err := s.db().QueryRowContext(ctx, `SELECT count(*) FROM pages_projects WHERE account_id = ?`, account).Scan(&total); err != nil {
		return nil, 0, internal("list the projects", err)
	}
	rows, err := s.db().QueryContext(ctx, `SELECT `+projectColumns+` FROM pages_projects p WHERE p.account_id = ? ORDER BY p.name LIMIT ? OFFSET ?`, account, limit, offset)
	if err != nil {
		return nil, 0, internal("list the projects", err)
	}
	defer func() { _ = rows.Close() }()
	var found []*projectRow
	for rows.Next() {
		r, err := scanProject(rows)
		if err != nil {
			return nil, 0, internal("list the projects", err)
		}
		found = append(found, r)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, internal("list the projects", err)
	}
	for _, r := range found {
		p, err := s.whole(ctx, r)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, p)
	}
	return all, total, nil
}

// DeleteProject deletes a project with all its deployments. The error is
// CodeProjectNotFound when there is none.
func (s *Service) DeleteProject(ctx context.Context, account, name string) error {
	r, err := s.project(ctx, account, name)
	if err != nil {
		return err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM pages_projects WHERE id = ?`, r.id) // and its deployments
		return err
	})
	if err != nil {
		return internal("delete the project", err)
	}
	if err := s.reloadDomains(ctx); err != nil {
		return internal("read the custom domains", err)
	}
	s.hosts.forget(name)
	if err := s.o.Functions.DeleteAll(ctx, account, name); err != nil {
		return internal("delete the Functions of the project", err)
	}
	return nil
}

func (r *projectRow) public() Project {
	return Project{
		ID: r.id, Account: r.account, Name: r.name, Branch: r.branch, Build: r.settings.Build, Configs: r.settings.Configs,
		CreatedAt: r.createdAt, ModifiedAt: r.modifiedAt,
	}
}

func isCode(err error, code int) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}
