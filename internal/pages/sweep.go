package pages

import (
	"context"
	"fmt"
)

// Blobs calls keep with the id of every blob that a deployment refers to.
func (s *Service) Blobs(ctx context.Context, keep func(id string)) error {
	rows, err := s.db().QueryContext(ctx, `SELECT DISTINCT manifest FROM pages_deployments
		UNION SELECT document ->> '$.rules' FROM pages_deployments WHERE document ->> '$.rules' IS NOT NULL
		UNION SELECT m.value ->> '$.blob' FROM pages_deployments d, json_each(d.document, '$.bundle.modules') m`)
	if err != nil {
		return fmt.Errorf("pages: blobs of deployments: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("pages: blobs of deployments: %w", err)
		}
		keep(id)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("pages: blobs of deployments: %w", err)
	}
	if err := s.keepUnrecorded(ctx, keep); err != nil {
		return fmt.Errorf("pages: blobs of deployments: %w", err)
	}
	if err := s.keepContents(ctx, keep); err != nil {
		return fmt.Errorf("pages: blobs of deployments: %w", err)
	}
	return s.sweepPending(ctx, s.now())
}

// keep calls fn with the blobs that a manifest names.
func (s *Service) keep(manifest string, fn func(id string)) error {
	m, err := s.readManifest(manifest)
	if err != nil {
		return err
	}
	for _, e := range m {
		fn(e.Blob)
	}
	return nil
}
