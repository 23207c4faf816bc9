package kv

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	// In one transaction sweepBatch expired keys go, so that writers never wait
	// long behind the sweep.
	sweepBatch = 500
	// A file without a row may wait for it for orphanAge: longer than anyone takes
	// from Stage to Put.
	orphanAge = time.Hour
)

// Swept says what a sweep removed.
type Swept struct{ Keys, Files, Namespaces int }

// Sweep reclaims keys that have expired, files that a crash left without a row,
// and folders of namespaces that were deleted.
func (s *Service) Sweep(ctx context.Context) (Swept, error) {
	var out Swept
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return out, internal("sweep the KV namespaces", err)
	}
	var errs []error
	for _, e := range entries {
		if err := context.Cause(ctx); err != nil {
			return out, err
		}
		if !e.IsDir() || !isNamespaceID(e.Name()) {
			continue
		}
		// One namespace that cannot be read must not keep the others from it.
		errs = append(errs, s.sweepNamespace(ctx, e.Name(), &out))
	}
	return out, errors.Join(errs...)
}

func (s *Service) sweepNamespace(ctx context.Context, id string, out *Swept) error {
	var account string
	// The row is made before the folder: without one, it was deleted.
	err := s.o.Store.DB.Read().QueryRowContext(ctx, "SELECT coalesce(max(account_id), '') FROM kv_namespaces WHERE id = ?", id).Scan(&account)
	if err != nil {
		return internal("sweep a KV namespace", err)
	}
	if account == "" {
		out.Namespaces++
		return s.clear(ctx, id)
	}
	sp, release, err := s.acquire(ctx, account, id)
	if err != nil {
		return err
	}
	defer release()
	keys, err := sp.sweepKeys(ctx, s.o.Now().Unix())
	out.Keys += keys
	if err != nil {
		return internal("reclaim expired keys", err)
	}
	files, err := sp.sweepFiles(ctx, s.o.Now().Add(-orphanAge))
	out.Files += files
	if err != nil {
		return internal("remove files without a key", err)
	}
	return nil
}

// sweepKeys deletes what expired by now, batch after batch.
func (sp *space) sweepKeys(ctx context.Context, now int64) (total int, err error) {
	for {
		keys, err := sp.expired(ctx, now)
		if err != nil || len(keys) == 0 {
			return total, err
		}
		// A key that was put again meanwhile stays.
		n, err := sp.remove(ctx, keys, now)
		total += n
		if err != nil {
			return total, err
		}
	}
}

func (sp *space) expired(ctx context.Context, now int64) (keys []string, err error) {
	rows, err := sp.db.Read().QueryContext(ctx, "SELECT key FROM entries WHERE expires <= ? ORDER BY expires LIMIT ?", now, sweepBatch)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key []byte
		if err := rows.Scan(&key); err != nil {
			return nil, err
		}
		keys = append(keys, string(key))
	}
	return keys, rows.Err()
}

// sweepFiles removes the files of values that no row names and that were written
// before that time.
func (sp *space) sweepFiles(ctx context.Context, before time.Time) (removed int, err error) {
	dir, err := os.Open(sp.values)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = dir.Close() }() // only read
	for {
		names, err := dir.ReadDir(1024)
		for _, e := range names {
			gone, err := sp.sweepFile(ctx, e, before)
			if err != nil {
				return removed, err
			}
			if gone {
				removed++
			}
		}
		if errors.Is(err, io.EOF) {
			return removed, nil
		}
		if err != nil {
			return removed, err
		}
	}
}

func (sp *space) sweepFile(ctx context.Context, e os.DirEntry, before time.Time) (bool, error) {
	info, err := e.Info()
	if errors.Is(err, os.ErrNotExist) || err == nil && !info.ModTime().Before(before) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var used bool
	if err := sp.db.Read().QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM entries WHERE file = ?)", e.Name()).Scan(&used); err != nil {
		return false, err
	}
	if used {
		return false, nil
	}
	return true, sp.fs.Remove(filepath.Join(sp.values, e.Name()))
}
