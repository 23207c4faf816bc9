package workers

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

type scriptRow struct {
	id           string
	scope        scope
	createdAt    time.Time
	modifiedAt   time.Time
	workersDev   bool
	previews     bool
	migrationTag string
	settings     Settings
	isNew        bool // not in the database yet
}

type versionRow struct {
	id        string
	scriptID  string
	number    int64
	createdAt time.Time
	uploadKey string
	doc       document
}

type deploymentRow struct {
	id        string
	scriptID  string
	createdAt time.Time
	doc       deploymentDocument
	exports   *ExportsReport // only of the call that made it
}

// deploymentDocument is the part of a deployment that is stored as JSON.
type deploymentDocument struct {
	Strategy    string              `json:"strategy"`
	Versions    []DeploymentVersion `json:"versions"`
	Annotations map[string]string   `json:"annotations,omitempty"`
	Origin      Origin              `json:"origin,omitzero"`
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

const scriptColumns = `s.id, s.account_id, s.name, s.created_at, s.modified_at, s.subdomain_enabled, s.previews_enabled, s.settings, s.migration_tag`

// scanner is a *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

func scanScript(from scanner, more ...any) (*scriptRow, error) {
	var r scriptRow
	var created, modified int64
	var settings string
	dest := append([]any{&r.id, &r.scope.account, &r.scope.script, &created, &modified, &r.workersDev, &r.previews, &settings, &r.migrationTag}, more...)
	if err := from.Scan(dest...); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(settings), &r.settings); err != nil {
		return nil, fmt.Errorf("workers: settings of script %s: %w", r.scope.script, err)
	}
	r.createdAt, r.modifiedAt = fromMillis(created), fromMillis(modified)
	r.settings.WorkersDev, r.settings.Previews = r.workersDev, r.previews
	return &r, nil
}

// script reads a script; the error is CodeNotFound when there is none.
func (s *Service) script(ctx context.Context, sc scope) (*scriptRow, error) {
	if err := checkScriptName(sc.script); err != nil {
		return nil, notFound(clip(sc.script))
	}
	row, err := scanScript(s.db().QueryRowContext(ctx, `SELECT `+scriptColumns+` FROM scripts s WHERE s.account_id = ? AND s.name = ?`, sc.account, sc.script))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound(sc.script)
	}
	if err != nil {
		return nil, internal("read the script", err)
	}
	return row, nil
}

func (s *Service) db() *sql.DB { return s.o.Store.DB.Read() }

const versionColumns = `v.id, v.script_id, v.number, v.created_at, coalesce(v.upload_key, ''), v.document`

func scanVersion(from scanner, more ...any) (*versionRow, error) {
	var r versionRow
	var created int64
	var doc string
	dest := append([]any{&r.id, &r.scriptID, &r.number, &created, &r.uploadKey, &doc}, more...)
	if err := from.Scan(dest...); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(doc), &r.doc); err != nil {
		return nil, fmt.Errorf("workers: document of version %s: %w", r.id, err)
	}
	r.createdAt = fromMillis(created)
	return &r, nil
}

// latestVersion returns the version uploaded last, nil when there is none.
func (s *Service) latestVersion(ctx context.Context, scriptID string) (*versionRow, error) {
	row, err := scanVersion(s.db().QueryRowContext(ctx, `SELECT `+versionColumns+` FROM versions v WHERE v.script_id = ? ORDER BY v.number DESC LIMIT 1`, scriptID))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil // a script without versions is an ordinary state
	}
	if err != nil {
		return nil, internal("read the latest version", err)
	}
	return row, nil
}

func (s *Service) version(ctx context.Context, scriptID, id string) (*versionRow, error) {
	row, err := scanVersion(s.db().QueryRowContext(ctx, `SELECT `+versionColumns+` FROM versions v WHERE v.script_id = ? AND v.id = ?`, scriptID, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fail(CodeVersionNotFound, 404, "The Worker has no version %s.", clip(id))
	}
	if err != nil {
		return nil, internal("read a version", err)
	}
	return row, nil
}

func scanDeployment(from scanner) (*deploymentRow, error) {
	var r deploymentRow
	var created int64
	var doc string
	if err := from.Scan(&r.id, &r.scriptID, &created, &doc); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(doc), &r.doc); err != nil {
		return nil, fmt.Errorf("workers: document of deployment %s: %w", r.id, err)
	}
	r.createdAt = fromMillis(created)
	return &r, nil
}

const deploymentColumns = `d.id, d.script_id, d.created_at, d.document`

// liveDeployment returns the deployment that is in force, nil when there is none.
func (s *Service) liveDeployment(ctx context.Context, scriptID string) (*deploymentRow, error) {
	row, err := scanDeployment(s.db().QueryRowContext(ctx, `SELECT `+deploymentColumns+` FROM deployments d WHERE d.script_id = ? ORDER BY d.sequence DESC LIMIT 1`, scriptID))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil // a script that is not deployed is an ordinary state
	}
	if err != nil {
		return nil, internal("read the live deployment", err)
	}
	return row, nil
}

// change is what one transaction writes: any of its parts may be missing.
type change struct {
	script     *scriptRow // written when it is new or has new settings
	settings   bool
	version    *versionRow
	alias      string
	deployment *deploymentRow
	objects    *objectPlan
}

// commit writes the change and returns once it is durable. It sets the number of the version.
func (s *Service) commit(ctx context.Context, c *change) error {
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		at := now().UnixMilli()
		if err := writeScript(ctx, tx, c, at); err != nil {
			return err
		}
		if c.version != nil {
			if err := insertVersion(ctx, tx, c); err != nil {
				return err
			}
		}
		if c.objects != nil {
			if err := c.objects.write(ctx, tx, at); err != nil {
				return err
			}
		}
		if c.deployment != nil {
			return insertDeployment(ctx, tx, c)
		}
		return nil
	})
	if err != nil {
		return internal("save the change", err)
	}
	return nil
}

func writeScript(ctx context.Context, tx *sql.Tx, c *change, at int64) error {
	settings, err := json.Marshal(c.script.settings.stored())
	if err != nil {
		return err
	}
	if c.script.isNew {
		_, err = tx.ExecContext(ctx, `INSERT INTO scripts (id, account_id, name, created_at, modified_at, subdomain_enabled, previews_enabled, settings) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			c.script.id, c.script.scope.account, c.script.scope.script, c.script.createdAt.UnixMilli(), at, c.script.workersDev, c.script.previews, string(settings))
		return err
	}
	if c.settings {
		_, err = tx.ExecContext(ctx, `UPDATE scripts SET modified_at = ?, subdomain_enabled = ?, previews_enabled = ?, settings = ? WHERE id = ?`,
			at, c.script.workersDev, c.script.previews, string(settings), c.script.id)
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE scripts SET modified_at = ? WHERE id = ?`, at, c.script.id)
	return err
}

func insertVersion(ctx context.Context, tx *sql.Tx, c *change) error {
	v := c.version
	doc, err := json.Marshal(&v.doc)
	if err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, `UPDATE scripts SET next_version = next_version + 1 WHERE id = ? RETURNING next_version - 1`, c.script.id).Scan(&v.number); err != nil {
		return err
	}
	key := sql.NullString{String: v.uploadKey, Valid: v.uploadKey != ""}
	if _, err := tx.ExecContext(ctx, `INSERT INTO versions (id, script_id, number, created_at, upload_key, document) VALUES (?, ?, ?, ?, ?, ?)`,
		v.id, c.script.id, v.number, v.createdAt.UnixMilli(), key, string(doc)); err != nil {
		return err
	}
	for _, blob := range v.doc.blobs() {
		if _, err := tx.ExecContext(ctx, `INSERT INTO version_blobs (version_id, blob_id) VALUES (?, ?)`, v.id, blob); err != nil {
			return err
		}
	}
	if err := writeObjectBindings(ctx, tx, v); err != nil {
		return err
	}
	if c.alias == "" {
		return nil
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO preview_aliases (script_id, alias, version_id) VALUES (?, ?, ?)
		ON CONFLICT (script_id, alias) DO UPDATE SET version_id = excluded.version_id`, c.script.id, c.alias, v.id)
	return err
}

func insertDeployment(ctx context.Context, tx *sql.Tx, c *change) error {
	d := c.deployment
	doc, err := json.Marshal(&d.doc)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO deployments (id, script_id, created_at, sequence, document)
		SELECT ?, ?, ?, coalesce(max(sequence), 0) + 1, ? FROM deployments WHERE script_id = ?`,
		d.id, c.script.id, d.createdAt.UnixMilli(), string(doc), c.script.id)
	return err
}
