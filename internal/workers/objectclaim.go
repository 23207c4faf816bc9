package workers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// lockPoll is how often a lock file is tried that another process has: the one
// of a platform that was killed, in the moment before it dies too.
const lockPoll = 10 * time.Millisecond

// leases says which namespaces have an owner in this process. The zero value
// has none.
type leases struct {
	mu    sync.Mutex
	held  map[string]bool
	freed chan struct{} // closed at the next release; nil: nobody waits
}

// take waits until all ids are free and takes them, all or none.
func (l *leases) take(ctx context.Context, ids []string) error {
	for {
		wait := l.tryTake(ids)
		if wait == nil {
			return nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// tryTake takes all ids, or returns what is closed when it may be tried again.
func (l *leases) tryTake(ids []string) (wait <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(ids, func(id string) bool { return l.held[id] }) {
		if l.freed == nil {
			l.freed = make(chan struct{})
		}
		return l.freed
	}
	if l.held == nil {
		l.held = make(map[string]bool)
	}
	for _, id := range ids {
		l.held[id] = true
	}
	return nil
}

func (l *leases) release(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		delete(l.held, id)
	}
	if l.freed != nil {
		close(l.freed)
		l.freed = nil
	}
}

// objectClaim is the right to have the namespaces of a script open, which one
// process at a time has: from before it starts until it has ended. The lock
// files are inherited by the process, so that a platform that was killed and
// started again waits for what its predecessor left.
type objectClaim struct {
	s          *Service
	scope      scope
	storage    string // absolute path of the folder of all of them
	namespaces []namespaceRow
	locks      []*os.File
}

func namespaceIDs(rows []namespaceRow) []string {
	ids := make([]string, 0, len(rows))
	for i := range rows {
		ids = append(ids, rows[i].ID)
	}
	return ids
}

// claimObjects gives the unit's next process the objects of its script, if the
// unit is their host: then it waits until the host before it has ended. It is
// nil when the process must not open them.
func (s *Service) claimObjects(ctx context.Context, u *unit) (*objectClaim, error) {
	for {
		rows, scriptID, err := s.hosted(ctx, u)
		if err != nil || len(rows) == 0 {
			return nil, err
		}
		c := &objectClaim{s: s, scope: u.scope, namespaces: rows, storage: filepath.Join(s.o.ObjectsDir, scriptID)}
		ids := namespaceIDs(rows)
		if err := s.leases.take(ctx, ids); err != nil {
			return nil, &Error{Code: CodeBusy, Status: 503, Message: "The process that has the Worker's Durable Objects open does not end. Try again.", Err: err}
		}
		// While this waited, a deployment may have moved them.
		again, _, err := s.hosted(ctx, u)
		if err == nil && slices.Equal(ids, namespaceIDs(again)) {
			c.namespaces = again
			err = c.open(ctx)
			if err == nil {
				return c, nil
			}
		}
		c.release()
		if err != nil {
			return nil, err
		}
	}
}

// hosted returns the namespaces that the unit's process is to have open.
func (s *Service) hosted(ctx context.Context, u *unit) (rows []namespaceRow, scriptID string, err error) {
	if u.planned.Load() != nil || u.doc.MainModule == "" {
		return nil, "", nil
	}
	err = s.db().QueryRowContext(ctx, `SELECT script_id FROM versions WHERE id = ?`, u.version).Scan(&scriptID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", nil // deleted, or not saved yet
	}
	if err != nil {
		return nil, "", internal("read a version", err)
	}
	rows, err = s.namespacesOf(ctx, scriptID)
	if err != nil || len(rows) == 0 {
		return nil, "", err
	}
	live, err := s.liveDeployment(ctx, scriptID)
	if err != nil || live == nil || live.doc.serves() != u.version {
		return nil, "", err
	}
	return rows, scriptID, nil
}

// open makes the folders and takes the lock files. On an error what it took is
// released by release.
func (c *objectClaim) open(ctx context.Context) error {
	locks := filepath.Join(c.s.o.ObjectsDir, "locks")
	for _, dir := range []string{locks, c.storage} {
		if err := fsx.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("workers: folder of Durable Objects: %w", err)
		}
	}
	for i := range c.namespaces {
		f, err := lockFile(ctx, filepath.Join(locks, c.namespaces[i].ID))
		if err != nil {
			return fmt.Errorf("workers: lock the objects of %s: %w", c.namespaces[i].Class, err)
		}
		c.locks = append(c.locks, f)
	}
	for i := range c.namespaces {
		if err := c.settle(ctx, &c.namespaces[i]); err != nil {
			return fmt.Errorf("workers: move the objects of %s: %w", c.namespaces[i].Class, err)
		}
	}
	return nil
}

// settle moves data that was taken over from another script to where this
// script's process finds it. It may be done again after a crash at any point.
func (c *objectClaim) settle(ctx context.Context, n *namespaceRow) error {
	if n.folder == n.scriptID {
		return nil
	}
	from, to := filepath.Join(c.s.o.ObjectsDir, n.folder, n.ID), filepath.Join(c.storage, n.ID)
	if err := fsx.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, dir := range []string{c.storage, filepath.Dir(from)} {
		if err := fsx.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	n.folder = n.scriptID
	return c.s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE object_namespaces SET folder = ? WHERE id = ?`, n.folder, n.ID)
		return err
	})
}

func lockFile(ctx context.Context, path string) (*os.File, error) {
	t := time.NewTicker(lockPoll)
	defer t.Stop()
	for {
		f, err := fsx.LockFile(path)
		if !errors.Is(err, fsx.ErrLocked) {
			return f, err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// release gives the objects free. The process must have ended.
func (c *objectClaim) release() {
	if c == nil {
		return
	}
	for _, f := range c.locks {
		_ = f.Close() // nothing was written to it
	}
	c.locks = nil
	c.s.leases.release(namespaceIDs(c.namespaces))
}
