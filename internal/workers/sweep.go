package workers

import (
	"context"
	"database/sql"
	"fmt"
	"runtime/debug"
	"time"
)

// Swept says what a sweep removed.
type Swept struct {
	Sessions int // expired asset upload sessions
	Assets   int // contents that no version and no session refers to
	Blobs    int
}

// Sweep removes expired upload sessions and every blob that nothing refers to
// and that is older than Options.BlobGrace. The server runs it at the start and
// then every hour.
func (s *Service) Sweep(ctx context.Context) (Swept, error) {
	var out Swept
	keep, err := s.sweepRows(ctx, &out)
	if err != nil {
		return out, fmt.Errorf("workers: sweep: %w", err)
	}
	if err := s.removeObjects(ctx); err != nil {
		return out, fmt.Errorf("workers: sweep: %w", err)
	}
	out.Blobs, err = s.o.Store.Blobs.Sweep(ctx, func(id string) bool { return keep[id] }, s.o.BlobGrace)
	if err != nil {
		return out, fmt.Errorf("workers: sweep: %w", err)
	}
	return out, nil
}

// sweepRows removes the rows that are not needed and returns the blobs that
// are. Blobs that come to be needed after it are new, or were put again, and so
// are too young for Blobs.Sweep: with the row of a content gone, a new session
// asks for it again.
func (s *Service) sweepRows(ctx context.Context, out *Swept) (keep map[string]bool, err error) {
	s.assetSweep.Lock()
	defer s.assetSweep.Unlock()
	at := time.Now()
	expired, err := s.expireSessions(ctx, at)
	if err != nil {
		return nil, err
	}
	out.Sessions = expired
	keep, err = s.referenced(ctx)
	if err != nil {
		return nil, err
	}
	if s.o.Referenced != nil {
		if err := s.o.Referenced(ctx, func(blob string) { keep[blob] = true }); err != nil {
			return nil, err
		}
	}
	before := at.Add(-s.o.BlobGrace)
	unused, err := s.unusedAssets(ctx, keep, before)
	if err != nil {
		return nil, err
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		// Another service may have promised one of them to somebody meanwhile: then
		// it is young.
		for _, a := range unused {
			if _, err := tx.ExecContext(ctx, `DELETE FROM asset_files WHERE account_id = ? AND hash = ? AND created_at < ?`, a.account, a.hash, before.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Assets = len(unused)
	return keep, s.sweepVariants(ctx, keep)
}

func (s *Service) expireSessions(ctx context.Context, at time.Time) (n int, err error) {
	var ids []string
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		ids, err = column(tx.QueryContext(ctx, `DELETE FROM asset_sessions WHERE expires_at <= ? RETURNING id`, at.UnixMilli()))
		return err
	})
	for _, id := range ids {
		s.sessions.drop(id)
	}
	return len(ids), err
}

// column reads the rows of a query of one text column.
func column(rows *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// referenced returns the ids of all blobs that versions and open sessions refer to.
func (s *Service) referenced(ctx context.Context) (map[string]bool, error) {
	keep := make(map[string]bool)
	for _, query := range []string{
		`SELECT DISTINCT blob_id FROM version_blobs`,
		`SELECT manifest_blob FROM asset_sessions`,
		`SELECT f.blob_id FROM asset_session_files x JOIN asset_sessions s ON s.id = x.session_id
			JOIN asset_files f ON f.account_id = s.account_id AND f.hash = x.hash`,
	} {
		ids, err := column(s.db().QueryContext(ctx, query))
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			keep[id] = true
		}
	}
	// The contents of a version's assets are named by its manifest alone.
	manifests, err := column(s.db().QueryContext(ctx, `SELECT DISTINCT document ->> '$.assets.manifest' FROM versions WHERE document ->> '$.assets.manifest' IS NOT NULL`))
	if err != nil {
		return nil, err
	}
	for _, blob := range manifests {
		if err := s.keepManifest(blob, keep); err != nil {
			return nil, err // better to keep all than to lose what it names
		}
	}
	return keep, nil
}

func (s *Service) keepManifest(blob string, keep map[string]bool) error {
	manifest, err := s.siteManifest(blob)
	if err != nil {
		return err
	}
	for _, e := range manifest {
		keep[e.Blob] = true
	}
	return nil
}

type assetKey struct{ account, hash string }

func (s *Service) unusedAssets(ctx context.Context, keep map[string]bool, before time.Time) ([]assetKey, error) {
	rows, err := s.db().QueryContext(ctx, `SELECT account_id, hash, blob_id FROM asset_files WHERE created_at < ?`, before.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var unused []assetKey
	for rows.Next() {
		var a assetKey
		var blob string
		if err := rows.Scan(&a.account, &a.hash, &blob); err != nil {
			return nil, err
		}
		if !keep[blob] {
			unused = append(unused, a)
		}
	}
	return unused, rows.Err()
}

// sweepVariants keeps the precompressed forms of what is kept and forgets the others.
func (s *Service) sweepVariants(ctx context.Context, keep map[string]bool) error {
	rows, err := s.db().QueryContext(ctx, `SELECT DISTINCT blob_id, variant_id FROM blob_variants`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	gone := make(map[string]bool)
	for rows.Next() {
		var blob, variant string
		if err := rows.Scan(&blob, &variant); err != nil {
			return err
		}
		// The original may be young and not referred to yet; then both stay.
		if keep[blob] || s.o.Store.Blobs.Has(blob) {
			keep[variant] = true
		} else {
			gone[blob] = true
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		for blob := range gone {
			if _, err := tx.ExecContext(ctx, `DELETE FROM blob_variants WHERE blob_id = ?`, blob); err != nil {
				return err
			}
		}
		return nil
	})
}

// SetIdleTimeout changes how long a process may be without requests; it applies
// to those that run already.
func (s *Service) SetIdleTimeout(d time.Duration) {
	s.idle.Store(int64(d))
	select {
	case s.idleChanged <- struct{}{}:
	default: // the janitor is about to look anyway
	}
}

// janitor stops processes that are not used any more.
func (s *Service) janitor() {
	period := func() time.Duration {
		return min(max(time.Duration(s.idle.Load())/4, 10*time.Millisecond), 30*time.Second)
	}
	t := time.NewTicker(period())
	defer t.Stop()
	ran := false
	for {
		select {
		case at := <-t.C:
			running := s.stopIdle(at)
			if ran && running == 0 {
				// Nobody waits for anything now: what the last starts and requests left behind
				// goes back to the system.
				debug.FreeOSMemory()
			}
			ran = running > 0
		case <-s.idleChanged:
			t.Reset(period())
		case <-s.closing:
			return
		}
	}
}

// stopIdle returns how many processes run, those that are ending included.
func (s *Service) stopIdle(at time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := time.Duration(s.idle.Load())
	for in := range s.running {
		in.observe(at)
		if in.hasContainers() {
			in.lastUsed = at
		}
		if at.Sub(in.lastUsed) < idle {
			continue
		}
		if in.claim != nil {
			s.stopIdleHost(in, at)
			continue
		}
		if in.closeIdle() {
			s.log.Debug("idle worker process stopped", "script", in.u.scope.script, "version", in.u.version)
		}
	}
	for version, p := range s.units {
		if p.Value() == nil {
			delete(s.units, version)
		}
	}
	return len(s.running)
}

// stopIdleHost stops a process that has objects open unless one of their alarms
// is near. To find out means to read files, which is not done under s.mu.
func (s *Service) stopIdleHost(in *Instance, at time.Time) {
	if in.looking.Swap(true) {
		return
	}
	s.wg.Go(func() {
		defer in.looking.Store(false)
		ctx, cancel := s.untilClosing()
		defer cancel()
		if in.claim.mayIdle(ctx, at) && in.closeIdle() {
			s.log.Debug("idle worker process stopped", "script", in.u.scope.script, "version", in.u.version)
		}
	})
}
