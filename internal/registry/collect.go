package registry

import (
	"context"
	"database/sql"
	"fmt"
)

// Collected says what a collection removed. The room that blobs take is free when
// the blob store is swept next.
type Collected struct {
	Uploads   int
	Manifests int64
	Blobs     int64
}

type place struct {
	repo Repo
	d    Digest
}

func (s *Service) inUse(ctx context.Context) (map[place]bool, error) {
	used := make(map[place]bool)
	if s.o.InUse == nil {
		return used, nil
	}
	err := s.o.InUse(ctx, func(repo Repo, d Digest) { used[place{repo, d}] = true })
	if err != nil {
		return nil, fmt.Errorf("registry: find out what is in use: %w", err)
	}
	return used, nil
}

// Collect removes manifests that nothing leads to, then blobs that no manifest of
// their repository names, as far as they are not young. It may run beside pushes.
func (s *Service) Collect(ctx context.Context) (out Collected, err error) {
	out.Uploads = s.dropIdle()
	used, err := s.inUse(ctx)
	if err != nil {
		return out, err
	}
	now := s.o.Now()
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		// What an index no longer keeps alive may go in the next round.
		candidates, err := unreachable(ctx, tx, now.Add(-s.o.Limits.YoungManifest).UnixMilli())
		if err != nil {
			return err
		}
		for _, p := range candidates {
			if used[p] {
				continue
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM registry_manifests WHERE account_id = ? AND repository = ? AND digest = ?`, p.repo.Account, p.repo.Name, string(p.d)); err != nil {
				return err
			}
			out.Manifests++
		}
		res, err := tx.ExecContext(ctx, `DELETE FROM registry_blobs AS b WHERE created_at < ? AND NOT EXISTS (
			SELECT 1 FROM registry_references r WHERE r.account_id = b.account_id AND r.repository = b.repository AND r.digest = b.digest)`,
			now.Add(-s.o.Limits.Young).UnixMilli())
		if err != nil {
			return err
		}
		out.Blobs, err = res.RowsAffected()
		return err
	})
	if err != nil {
		return Collected{}, fmt.Errorf("registry: collect: %w", err)
	}
	return out, nil
}

// unreachable returns the manifests without a tag that no other names.
func unreachable(ctx context.Context, tx *sql.Tx, before int64) (out []place, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT account_id, repository, digest FROM registry_manifests AS m WHERE created_at < ?
		AND NOT EXISTS (SELECT 1 FROM registry_tags t WHERE t.account_id = m.account_id AND t.repository = m.repository AND t.digest = m.digest)
		AND NOT EXISTS (SELECT 1 FROM registry_references r WHERE r.account_id = m.account_id AND r.repository = m.repository AND r.digest = m.digest)`, before)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var p place
		if err := rows.Scan(&p.repo.Account, &p.repo.Name, &p.d); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// Blobs calls keep with the id of every blob in the blob store that a repository
// has.
func (s *Service) Blobs(ctx context.Context, keep func(blob string)) error {
	ids, err := texts(s.o.Store.DB.Read().QueryContext(ctx, `SELECT DISTINCT digest FROM registry_blobs`))
	for _, id := range ids {
		keep(id)
	}
	return err
}
