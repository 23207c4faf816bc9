package d1

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/d1/insights"
)

const (
	// Counts are kept for insightRetention, by hour.
	insightRetention = 31 * 24 * time.Hour
	// A database has at most maxStoredStatements; what comes later is counted as one.
	maxStoredStatements = 512
	// …and at most maxStoredHours pairs of a statement and an hour, some megabytes; the oldest go.
	maxStoredHours = 20_000
	// …and at most maxStoredLoops.
	maxStoredLoops = 100
)

// flush writes what was counted since the last time, in one transaction.
func (s *Service) flush(ctx context.Context) error {
	o := s.observer
	o.flushing.Lock()
	defer o.flushing.Unlock()
	o.mu.Lock()
	parts := o.left
	o.left = nil
	for id, r := range o.recorders {
		if taken := r.Take(); len(taken) > 0 {
			parts = append(parts, left{id, taken})
		}
	}
	o.mu.Unlock()
	now := time.Now()
	found := o.loops.take(now)
	if len(parts) == 0 && len(found) == 0 {
		return nil
	}
	hour := now.Unix() / 3600
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		for _, p := range parts {
			if err := storeCounts(ctx, tx, p.id, hour, p.taken); err != nil {
				return err
			}
		}
		for i := range found {
			if err := storeLoop(ctx, tx, &found[i]); err != nil {
				return err
			}
		}
		return pruneInsights(ctx, tx, hour, parts)
	})
	if err != nil {
		return fmt.Errorf("d1: store insights: %w", err)
	}
	return nil
}

func storeCounts(ctx context.Context, tx *sql.Tx, database uuid.UUID, hour int64, taken []insights.Taken) error {
	var known int
	err := tx.QueryRowContext(ctx, `SELECT count(s.id) FROM d1_databases d LEFT JOIN d1_statements s ON s.database_id = d.id WHERE d.id = ? GROUP BY d.id`, database.String()).Scan(&known)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	for i := range taken {
		id, isNew, err := statementID(ctx, tx, database, &taken[i], known < maxStoredStatements)
		if err != nil {
			return err
		}
		if isNew {
			known++
		}
		if err := addHour(ctx, tx, id, hour, taken[i].Counts); err != nil {
			return err
		}
	}
	return nil
}

// statementID finds or stores a statement. Without room for another it is the one that
// stands for all that are not told apart.
func statementID(ctx context.Context, tx *sql.Tx, database uuid.UUID, t *insights.Taken, room bool) (id int64, isNew bool, err error) { //nolint:revive // whether there is room is known to the caller
	find := func(text string) error {
		return tx.QueryRowContext(ctx, `SELECT id FROM d1_statements WHERE database_id = ? AND text = ?`, database.String(), text).Scan(&id)
	}
	if err = find(t.Text); !errors.Is(err, sql.ErrNoRows) {
		return id, false, err
	}
	text, sample := t.Text, t.Sample
	if !room && text != "" {
		text, sample = "", ""
		if err = find(""); !errors.Is(err, sql.ErrNoRows) {
			return id, false, err
		}
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO d1_statements (database_id, text, sample, writes) VALUES (?, ?, ?, ?) RETURNING id`,
		database.String(), text, sample, t.Writes).Scan(&id)
	return id, true, err
}

// addHour adds c to an hour of a statement.
func addHour(ctx context.Context, tx *sql.Tx, statement, hour int64, c insights.Counts) error {
	var old []byte
	err := tx.QueryRowContext(ctx, `SELECT durations FROM d1_statement_hours WHERE statement_id = ? AND hour = ?`, statement, hour).Scan(&old)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if !c.Durations.AddBinary(old) {
		return fmt.Errorf("the histogram of statement %d in hour %d is damaged", statement, hour)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO d1_statement_hours (statement_id, hour, runs, micros, rows_read, rows_written, rows_returned, durations)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (statement_id, hour) DO UPDATE SET runs = runs + excluded.runs, micros = micros + excluded.micros,
		rows_read = rows_read + excluded.rows_read, rows_written = rows_written + excluded.rows_written,
		rows_returned = rows_returned + excluded.rows_returned, durations = excluded.durations`,
		statement, hour, int64(c.Runs), int64(c.Micros), int64(c.RowsRead), int64(c.RowsWritten), int64(c.RowsReturned), c.Durations.AppendBinary(nil)) //nolint:gosec // far below 2^63
	return err
}

func storeLoop(ctx context.Context, tx *sql.Tx, l *storable) error {
	first := 0
	if l.first {
		first = 1
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO d1_repeats (database_id, script, text, route, ray, most, requests, last_at)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, 1, ?7 WHERE EXISTS (SELECT 1 FROM d1_databases WHERE id = ?1)
		ON CONFLICT (database_id, script, text) DO UPDATE SET route = iif(excluded.route = '' AND ray = excluded.ray, route, excluded.route),
		ray = excluded.ray, most = max(most, excluded.most), requests = requests + ?8, last_at = excluded.last_at`,
		l.Database.String(), l.Script, l.Statement, l.Route, l.Ray, l.Calls, l.At.UnixMilli(), first)
	return err
}

// pruneInsights removes what is too old, everywhere, and too much, of the databases that were
// just written.
func pruneInsights(ctx context.Context, tx *sql.Tx, hour int64, parts []left) error {
	oldest := hour - int64(insightRetention/time.Hour)
	for _, q := range []string{
		`DELETE FROM d1_statement_hours WHERE hour < ?1`,
		`DELETE FROM d1_repeats WHERE last_at < ?1 * 3600000`,
	} {
		if _, err := tx.ExecContext(ctx, q, oldest); err != nil {
			return err
		}
	}
	for _, p := range parts {
		for _, q := range []string{
			`DELETE FROM d1_statement_hours WHERE statement_id IN (SELECT id FROM d1_statements WHERE database_id = ?1) AND hour < coalesce((
				SELECT h.hour FROM d1_statement_hours h JOIN d1_statements s ON s.id = h.statement_id WHERE s.database_id = ?1 ORDER BY h.hour DESC LIMIT 1 OFFSET ?2), 0)`,
			`DELETE FROM d1_statements WHERE database_id = ?1 AND ?2 > 0 AND NOT EXISTS (SELECT 1 FROM d1_statement_hours WHERE statement_id = d1_statements.id)`,
		} {
			if _, err := tx.ExecContext(ctx, q, p.id.String(), maxStoredHours); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM d1_repeats WHERE database_id = ?1 AND last_at < coalesce((
			SELECT last_at FROM d1_repeats WHERE database_id = ?1 ORDER BY last_at DESC LIMIT 1 OFFSET ?2), 0)`, p.id.String(), maxStoredLoops)
		if err != nil {
			return err
		}
	}
	return nil
}
