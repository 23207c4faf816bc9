package workers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/selvage-dev/selvage/internal/cron"
)

// maxSchedules bounds the cron triggers of one script.
const maxSchedules = 250

// Schedule is one cron trigger of a script.
type Schedule struct {
	Cron      string
	CreatedAt time.Time
	LastRun   time.Time // the minute of the last tick that was run; zero before the first
}

// scheduleKey is a script in the scheduler.
type scheduleKey struct {
	id    string
	scope scope
}

// Schedules returns the cron triggers of a script by their text.
func (s *Service) Schedules(ctx context.Context, account, name string) ([]Schedule, error) {
	row, err := s.script(ctx, scope{account, name})
	if err != nil {
		return nil, err
	}
	return s.schedules(ctx, row.id)
}

func (s *Service) schedules(ctx context.Context, scriptID string) ([]Schedule, error) {
	rows, err := s.db().QueryContext(ctx, `SELECT cron, created_at, last_run FROM schedules WHERE script_id = ? ORDER BY cron`, scriptID)
	if err != nil {
		return nil, internal("list the cron triggers", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Schedule
	for rows.Next() {
		sc, err := scanSchedule(rows)
		if err != nil {
			return nil, internal("list the cron triggers", err)
		}
		out = append(out, sc)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("list the cron triggers", err)
	}
	return out, nil
}

func scanSchedule(from scanner, before ...any) (Schedule, error) {
	var sc Schedule
	var created, last int64
	if err := from.Scan(append(before, &sc.Cron, &created, &last)...); err != nil {
		return sc, err
	}
	sc.CreatedAt = fromMillis(created)
	if last != 0 {
		sc.LastRun = fromMillis(last)
	}
	return sc, nil
}

// PutSchedules replaces the cron triggers of a script and returns the new ones.
// Those that stay keep their history. Errors: CodeNotFound, CodeInvalidCron with
// what is wrong with which expression, and CodeNotOffered for a script that has no
// handlers that could be called.
func (s *Service) PutSchedules(ctx context.Context, account, name string, crons []string) ([]Schedule, error) {
	if len(crons) > maxSchedules {
		return nil, fail(CodeInvalidCron, 400, "There are %d cron triggers; at most %d are allowed for a Worker.", len(crons), maxSchedules)
	}
	for _, text := range crons {
		if _, err := cron.Parse(text); err != nil {
			return nil, &Error{Code: CodeInvalidCron, Status: 400, Message: "Invalid cron string: " + err.Error() + ".", Err: err}
		}
	}
	sc := scope{account, name}
	unlock, err := s.locks.lock(ctx, sc)
	if err != nil {
		return nil, err
	}
	defer unlock()
	row, err := s.script(ctx, sc)
	if err != nil {
		return nil, err
	}
	if len(crons) > 0 {
		if err := s.checkSchedulable(ctx, row); err != nil {
			return nil, err
		}
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error { return replaceSchedules(ctx, tx, row.id, crons) })
	if err != nil {
		return nil, internal("save the cron triggers", err)
	}
	out, err := s.schedules(ctx, row.id)
	if err != nil {
		return nil, err
	}
	return out, s.plan(scheduleKey{row.id, sc}, out)
}

// checkSchedulable refuses a script of which it is known that no handler can be
// called. One that merely lacks the handler is taken, as elsewhere: the version
// that has it may come later.
func (s *Service) checkSchedulable(ctx context.Context, row *scriptRow) error {
	v, err := s.latestVersion(ctx, row.id)
	switch {
	case err != nil:
		return err
	case v == nil:
		return nil
	case !v.doc.hasCode():
		return fail(CodeInvalidRequest, 400, "The Worker %s has static assets only, and no script with a scheduled handler.", row.scope.script)
	}
	return nil
}

func replaceSchedules(ctx context.Context, tx *sql.Tx, scriptID string, crons []string) error {
	keep := make(map[string]bool, len(crons))
	at := now().UnixMilli()
	for _, text := range crons {
		keep[text] = true
		if _, err := tx.ExecContext(ctx, `INSERT INTO schedules (script_id, cron, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, scriptID, text, at); err != nil {
			return err
		}
	}
	rows, err := tx.QueryContext(ctx, `SELECT cron FROM schedules WHERE script_id = ?`, scriptID)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var gone []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		if !keep[text] {
			gone = append(gone, text)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, text := range gone {
		if _, err := tx.ExecContext(ctx, `DELETE FROM schedules WHERE script_id = ? AND cron = ?`, scriptID, text); err != nil {
			return err
		}
	}
	return nil
}

// plan tells the scheduler the triggers of a script.
func (s *Service) plan(key scheduleKey, list []Schedule) error {
	entries := make([]cron.Entry, 0, len(list))
	for _, sc := range list {
		e, err := cron.Parse(sc.Cron)
		if err != nil { // an earlier release took it
			return internal("plan the cron triggers", err)
		}
		after := sc.CreatedAt
		if sc.LastRun.After(after) {
			after = sc.LastRun
		}
		entries = append(entries, cron.Entry{Expr: e, After: after})
	}
	s.crons.Set(key, entries)
	return nil
}

// planAll reads the triggers of every script that has some.
func (s *Service) planAll(ctx context.Context) error {
	rows, err := s.db().QueryContext(ctx, `SELECT s.id, s.account_id, s.name, c.cron, c.created_at, c.last_run FROM schedules c JOIN scripts s ON s.id = c.script_id`)
	if err != nil {
		return fmt.Errorf("workers: read the cron triggers: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := make(map[scheduleKey][]Schedule)
	for rows.Next() {
		var key scheduleKey
		sc, err := scanSchedule(rows, &key.id, &key.scope.account, &key.scope.script)
		if err != nil {
			return fmt.Errorf("workers: read the cron triggers: %w", err)
		}
		all[key] = append(all[key], sc)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("workers: read the cron triggers: %w", err)
	}
	for key, list := range all {
		if err := s.plan(key, list); err != nil {
			return err
		}
	}
	return nil
}

// claim writes down that the ticks run now and returns those that nobody has
// claimed before.
func (s *Service) claim(ctx context.Context, due []cron.Tick[scheduleKey]) (granted []cron.Tick[scheduleKey], err error) {
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		granted = granted[:0] // the transaction may be tried again
		for _, tick := range due {
			ms := tick.At.UnixMilli()
			result, err := tx.ExecContext(ctx, `UPDATE schedules SET last_run = ? WHERE script_id = ? AND cron = ? AND last_run < ?`, ms, tick.Key.id, tick.Cron, ms)
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err != nil {
				return err
			} else if n == 1 {
				granted = append(granted, tick)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("workers: claim cron triggers: %w", err)
	}
	return granted, nil
}
