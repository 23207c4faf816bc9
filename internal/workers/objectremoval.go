package workers

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// removeLater removes the data of deleted namespaces as soon as the processes
// that have it open have ended.
func (s *Service) removeLater() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return // the next start does it
	}
	s.wg.Go(func() {
		ctx, cancel := s.untilClosing()
		defer cancel()
		if err := s.removeObjects(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("data of deleted Durable Objects was not removed; it is tried again at the next sweep", "error", err)
		}
	})
}

// removeObjects removes what object_removals lists. What a crash leaves half
// done is still listed.
func (s *Service) removeObjects(ctx context.Context) error {
	s.removing.Lock()
	defer s.removing.Unlock()
	all, err := s.removals(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := s.removeNamespace(ctx, r.id, r.folder); err != nil {
			return fmt.Errorf("namespace %s: %w", r.id, err)
		}
	}
	return nil
}

// removal is one row of object_removals.
type removal struct{ id, folder string }

func (s *Service) removals(ctx context.Context) (all []removal, err error) {
	rows, err := s.db().QueryContext(ctx, `SELECT namespace_id, folder FROM object_removals`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r removal
		if err := rows.Scan(&r.id, &r.folder); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// removeScriptFolder removes the folder of a script that is gone, once it is empty.
func (s *Service) removeScriptFolder(ctx context.Context, id string) error {
	var n int
	if err := s.db().QueryRowContext(ctx, `SELECT count(*) FROM scripts WHERE id = ?`, id).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		_ = os.Remove(filepath.Join(s.o.ObjectsDir, id)) // fails while there is something in it
	}
	return nil
}

func (s *Service) removeNamespace(ctx context.Context, id, folder string) error {
	if !isLowerHex(id) || !isLowerHex(folder) || id == "" || folder == "" {
		return fmt.Errorf("its folder %q is no name of ours", folder)
	}
	if err := s.leases.take(ctx, []string{id}); err != nil {
		return err
	}
	defer s.leases.release([]string{id})
	lock := filepath.Join(s.o.ObjectsDir, "locks", id)
	if _, err := os.Stat(lock); err == nil { // else nobody ever had it open
		f, err := lockFile(ctx, lock)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
	}
	if err := os.RemoveAll(filepath.Join(s.o.ObjectsDir, folder, id)); err != nil {
		return err
	}
	if err := s.removeScriptFolder(ctx, folder); err != nil {
		return err
	}
	if err := fsx.Remove(lock); err != nil {
		return err
	}
	return s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM object_removals WHERE namespace_id = ?`, id)
		return err
	})
}
