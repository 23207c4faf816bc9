package builds

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// listed are the columns without what is long.
const listed = `id, account_id, project_id, project, branch, commit_hash, status, attempts, json_remove(document, '$.log'), created_at`

const columns = `id, account_id, project_id, project, branch, commit_hash, status, attempts, document, created_at`

type scanner interface{ Scan(dest ...any) error }

func scan(from scanner) (*Build, error) {
	var b Build
	var doc string
	var created int64
	if err := from.Scan(&b.ID, &b.Account, &b.ProjectID, &b.Project, &b.Branch, &b.Commit, &b.Status, &b.Attempts, &doc, &created); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(doc), &b.document); err != nil {
		return nil, fmt.Errorf("builds: document of build %s: %w", b.ID, err)
	}
	b.CreatedAt = time.UnixMilli(created).UTC()
	return &b, nil
}

func insert(ctx context.Context, tx *sql.Tx, b *Build) error {
	doc, err := json.Marshal(&b.document)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO builds (`+columns+`, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(seq), 0) + 1 FROM builds))`,
		b.ID, b.Account, b.ProjectID, b.Project, b.Branch, b.Commit, b.Status, b.Attempts, string(doc), b.CreatedAt.UnixMilli())
	return err
}

// update writes what has changed of a build.
func (s *Service) update(ctx context.Context, b *Build) error {
	doc, err := json.Marshal(&b.document)
	if err != nil {
		return err
	}
	return s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE builds SET status = ?, attempts = ?, document = ? WHERE id = ?`, b.Status, b.Attempts, string(doc), b.ID)
		return err
	})
}

func (s *Service) query(ctx context.Context, cols, where string, args ...any) ([]*Build, error) {
	rows, err := s.o.Store.DB.Read().QueryContext(ctx, `SELECT `+cols+` FROM builds WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("builds: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []*Build
	for rows.Next() {
		b, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, rows.Err()
}

// Build returns a build of a project. The error is CodeBuildNotFound or one of
// the site's.
func (s *Service) Build(ctx context.Context, account, project, id string) (Build, error) {
	b, err := scan(s.o.Store.DB.Read().QueryRowContext(ctx, `SELECT `+columns+` FROM builds WHERE id = ? AND account_id = ? AND project = ?`, id, account, project))
	if errors.Is(err, sql.ErrNoRows) {
		return Build{}, &Error{Code: CodeBuildNotFound, Status: 404, Message: fmt.Sprintf("Build not found. The project %.100q has no build %.100q.", project, id)}
	}
	if err != nil {
		return Build{}, fmt.Errorf("builds: read a build: %w", err)
	}
	return *b, nil
}

// Builds returns builds of a project, newest first, without their logs.
func (s *Service) Builds(ctx context.Context, account, project string, offset, limit int) (page []Build, total int, err error) {
	site, err := s.site(ctx, account, project)
	if err != nil {
		return nil, 0, err
	}
	if err := s.o.Store.DB.Read().QueryRowContext(ctx, `SELECT count(*) FROM builds WHERE project_id = ?`, site.ID).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("builds: count: %w", err)
	}
	all, err := s.query(ctx, listed, `project_id = ? ORDER BY seq DESC LIMIT ? OFFSET ?`, site.ID, limit, offset)
	if err != nil {
		return nil, 0, err
	}
	page = make([]Build, len(all))
	for i, b := range all {
		page[i] = *b
	}
	return page, total, nil
}

func (s *Service) site(ctx context.Context, account, project string) (*Site, error) {
	site, err := s.o.Sites.Site(ctx, account, project)
	if err != nil {
		return nil, err
	}
	if site == nil {
		return nil, &Error{Code: codeNoProject, Status: 404, Message: fmt.Sprintf("Project not found. The specified project name does not match any of your existing projects: %.100q.", project)}
	}
	return site, nil
}

// codeNoProject is that of the sites.
const codeNoProject = 8000007
