package pages

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

// How the sweep learns what a deployment has, the column recorded. 0 is one made before pages_contents was there.
const (
	contentsRecorded = 1
	contentsNone     = 2 // its build has failed
)

// liveContents is true of a row c of pages_contents that a deployment still needs.
const liveContents = `EXISTS (SELECT 1 FROM pages_deployments d WHERE d.project_id = c.project_id AND d.number >= c.since
	AND d.number < ifnull(c.until, 9223372036854775807) AND d.recorded = 1)`

// recordContents writes what deployment number n of a project has that the one made before it lacks, and the other
// way round. It is part of the transaction that saves the deployment: the order of numbers is the order of
// transactions.
func recordContents(ctx context.Context, tx *sql.Tx, project string, n int64, blobs string) error {
	_, err := tx.ExecContext(ctx, `UPDATE pages_contents SET until = ?1 WHERE project_id = ?2 AND until IS NULL
		AND blob_id NOT IN (SELECT value FROM json_each(?3))`, n, project, blobs)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO pages_contents (project_id, blob_id, since) SELECT DISTINCT ?2, value, ?1 FROM json_each(?3)
		WHERE value NOT IN (SELECT blob_id FROM pages_contents WHERE project_id = ?2 AND until IS NULL)`, n, project, blobs)
	return err
}

// contentsOf returns what recordContents is to write, as a JSON list of blobs.
func (s *Service) contentsOf(d *deploymentRow) (string, error) {
	manifest, err := s.manifestOf(d)
	if err != nil {
		return "", err
	}
	seen := make(map[string]bool, len(manifest))
	blobs := make([]string, 0, len(manifest))
	for _, e := range manifest {
		if !seen[e.Blob] {
			seen[e.Blob] = true
			blobs = append(blobs, e.Blob)
		}
	}
	raw, err := json.Marshal(blobs)
	return string(raw), err
}

// keepContents calls keep with what deployments have. Its cost grows with how many different contents there are and
// how often they came and went, not with the deployments that have them. Rows that no deployment needs are removed.
func (s *Service) keepContents(ctx context.Context, keep func(id string)) error {
	rows, err := s.db().QueryContext(ctx, `SELECT c.blob_id, `+liveContents+` FROM pages_contents c`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	dead := false
	for rows.Next() {
		var id string
		var live bool
		if err := rows.Scan(&id, &live); err != nil {
			return err
		}
		if live {
			keep(id)
		}
		dead = dead || !live
	}
	if err := rows.Err(); err != nil || !dead {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM pages_contents AS c WHERE NOT `+liveContents)
		return err
	})
}

// keepUnrecorded does so for deployments that an earlier release has made.
func (s *Service) keepUnrecorded(ctx context.Context, keep func(id string)) error {
	rows, err := s.db().QueryContext(ctx, `SELECT DISTINCT manifest FROM pages_deployments WHERE recorded = 0`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if err := s.keep(id, keep); err != nil {
			return fmt.Errorf("manifest %s: %w", id, err) // better to keep all than to lose what it names
		}
	}
	return rows.Err()
}
