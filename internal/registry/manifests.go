package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
)

// Manifest is one that is stored.
type Manifest struct {
	Digest    Digest
	MediaType string
	Body      []byte
}

// PutManifest stores a manifest under a tag or under its digest alone. All that it
// names must be in the repository.
func (s *Service) PutManifest(ctx context.Context, repo Repo, ref Reference, mediaType string, body []byte) (Digest, error) {
	if err := repo.check(); err != nil {
		return "", err
	}
	if int64(len(body)) > s.o.Limits.Manifest {
		return "", fail(CodeSizeInvalid, "the manifest has %d bytes, and %d are allowed", len(body), s.o.Limits.Manifest)
	}
	sum := sha256.Sum256(body)
	d := Digest(hex.EncodeToString(sum[:]))
	if ref.Tag == "" && ref.Digest != d {
		return "", fail(CodeDigestInvalid, "the manifest has the digest %s, not %s", d, ref.Digest)
	}
	c, err := ParseManifest(mediaType, body)
	if err != nil {
		return "", err
	}
	now := s.o.Now().UnixMilli()
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		if err := checkParts(ctx, tx, repo, mediaType, c); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO registry_manifests (account_id, repository, digest, media_type, body, created_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET created_at = excluded.created_at`, repo.Account, repo.Name, string(d), mediaType, body, now); err != nil {
			return err
		}
		for _, part := range c.parts() {
			if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO registry_references (account_id, repository, manifest, digest) VALUES (?, ?, ?, ?)`,
				repo.Account, repo.Name, string(d), part.Digest[len(algorithm):]); err != nil {
				return err
			}
		}
		if ref.Tag == "" {
			return nil
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO registry_tags (account_id, repository, tag, digest, updated_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET digest = excluded.digest, updated_at = excluded.updated_at`, repo.Account, repo.Name, ref.Tag, string(d), now)
		return err
	})
	if own, ok := errors.AsType[*Error](err); ok {
		return "", own
	}
	if err != nil {
		return "", fmt.Errorf("registry: put a manifest of %s: %w", repo.Name, err)
	}
	return d, nil
}

// checkParts holds that all that a manifest names is in the repository, with the
// size that it says. It runs in the transaction that stores the manifest, so that
// nothing of it is collected in between.
func checkParts(ctx context.Context, tx *sql.Tx, repo Repo, mediaType string, c *Content) error {
	query := `SELECT size FROM registry_blobs WHERE account_id = ? AND repository = ? AND digest = ?`
	if IsIndex(mediaType) {
		query = `SELECT length(body) FROM registry_manifests WHERE account_id = ? AND repository = ? AND digest = ?`
	}
	for _, part := range c.parts() {
		var size int64
		err := tx.QueryRowContext(ctx, query, repo.Account, repo.Name, part.Digest[len(algorithm):]).Scan(&size)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fail(CodeManifestBlobUnknown, "the manifest names %s, which %s does not have: push it first", part.Digest, repo.Name)
		case err != nil:
			return err
		case size != part.Size:
			return fail(CodeManifestInvalid, "the manifest says that %s has %d bytes, and it has %d", part.Digest, part.Size, size)
		}
	}
	return nil
}

// Manifest finds a manifest by its tag or digest.
func (s *Service) Manifest(ctx context.Context, repo Repo, ref Reference) (Manifest, error) {
	var m Manifest
	var digest string
	query, key := `SELECT digest, media_type, body FROM registry_manifests WHERE account_id = ? AND repository = ? AND digest = ?`, string(ref.Digest)
	if ref.Tag != "" {
		query, key = `SELECT m.digest, m.media_type, m.body FROM registry_tags t
			JOIN registry_manifests m ON m.account_id = t.account_id AND m.repository = t.repository AND m.digest = t.digest
			WHERE t.account_id = ? AND t.repository = ? AND t.tag = ?`, ref.Tag
	}
	err := s.o.Store.DB.Read().QueryRowContext(ctx, query, repo.Account, repo.Name, key).Scan(&digest, &m.MediaType, &m.Body)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return m, fail(CodeManifestUnknown, "%.80q has no manifest %s", repo.Name, ref)
	case err != nil:
		return m, fmt.Errorf("registry: read a manifest: %w", err)
	}
	m.Digest = Digest(digest)
	return m, nil
}

// DeleteManifest removes a tag, or a manifest with all of its tags. A manifest that
// an index names or that is in use is not removed. Without its tag a manifest goes
// when it is collected.
func (s *Service) DeleteManifest(ctx context.Context, repo Repo, ref Reference) error {
	if ref.Tag == "" {
		if err := s.checkUnused(ctx, repo, ref.Digest); err != nil {
			return err
		}
	}
	var n int64
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		query, key := `DELETE FROM registry_tags WHERE account_id = ? AND repository = ? AND tag = ?`, ref.Tag
		if ref.Tag == "" {
			query, key = `DELETE FROM registry_manifests WHERE account_id = ? AND repository = ? AND digest = ?`, string(ref.Digest)
			var index string
			err := tx.QueryRowContext(ctx, `SELECT manifest FROM registry_references WHERE account_id = ? AND repository = ? AND digest = ?`, repo.Account, repo.Name, key).Scan(&index)
			if err == nil {
				return fail(CodeDenied, "the index %s names this manifest; delete that first", Digest(index))
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		res, err := tx.ExecContext(ctx, query, repo.Account, repo.Name, key)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	switch own, ok := errors.AsType[*Error](err); {
	case ok:
		return own
	case err != nil:
		return fmt.Errorf("registry: delete a manifest of %s: %w", repo.Name, err)
	case n == 0:
		return fail(CodeManifestUnknown, "%.80q has no manifest %s", repo.Name, ref)
	}
	return nil
}

func (s *Service) checkUnused(ctx context.Context, repo Repo, d Digest) error {
	used, err := s.inUse(ctx)
	if err != nil {
		return err
	}
	if used[place{repo, d}] {
		return fail(CodeDenied, "%s is in use by an application of containers; delete that or give it another image first", d)
	}
	return nil
}

// Tags returns up to limit tags of a repository in their order, those behind after.
func (s *Service) Tags(ctx context.Context, repo Repo, after string, limit int) ([]string, error) {
	db := s.o.Store.DB.Read()
	tags, err := texts(db.QueryContext(ctx, `SELECT tag FROM registry_tags WHERE account_id = ? AND repository = ? AND tag > ? ORDER BY tag LIMIT ?`,
		repo.Account, repo.Name, after, limit))
	if err != nil || len(tags) > 0 {
		return tags, err
	}
	var n int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM registry_manifests WHERE account_id = ? AND repository = ? LIMIT 1)`, repo.Account, repo.Name).Scan(&n); err != nil {
		return nil, fmt.Errorf("registry: read tags: %w", err)
	}
	if n == 0 {
		return nil, fail(CodeNameUnknown, "there is no repository %.80q", repo.Name)
	}
	return nil, nil
}

// Repositories returns up to limit names of an account's repositories that have a
// manifest, in their order, those behind after.
func (s *Service) Repositories(ctx context.Context, account, after string, limit int) ([]string, error) {
	return texts(s.o.Store.DB.Read().QueryContext(ctx, `SELECT DISTINCT repository FROM registry_manifests WHERE account_id = ? AND repository > ? ORDER BY repository LIMIT ?`, account, after, limit))
}

// texts reads the rows of a query of one text column.
func texts(rows *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, fmt.Errorf("registry: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, fmt.Errorf("registry: list: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
