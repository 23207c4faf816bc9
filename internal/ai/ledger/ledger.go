// Package ledger counts what models are used for, and keeps that within limits.
//
// Invariants:
//
//   - What Settle acknowledged is on disk: whoever got an answer, or the end of a
//     stream, finds it counted after a crash. Of a stream that a crash cuts, at most
//     the last second is missing.
//   - A request begins only if what it may use at most fits into every limit that
//     applies to it, together with what all others that run may use: a limit stops,
//     it does not follow.
//   - Days and months are those of UTC.
package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/sqlite"
)

// Micro is how many units of [Amount].Neurons are one neuron.
const Micro = 1_000_000

// AccountSubject is the subject of limits on all together.
const AccountSubject = "account"

// Amount is what was used.
type Amount struct {
	Requests int64
	Failed   int64 // of these
	In, Out  int64 // tokens
	Neurons  int64 // millionths
}

func (a *Amount) add(b Amount) {
	a.Requests += b.Requests
	a.Failed += b.Failed
	a.In += b.In
	a.Out += b.Out
	a.Neurons += b.Neurons
}

func (a *Amount) take(b Amount) {
	a.add(Amount{-b.Requests, -b.Failed, -b.In, -b.Out, -b.Neurons})
}

// Ledger is safe for concurrent use.
type Ledger struct {
	db  *sqlite.DB
	now func() time.Time
	log *slog.Logger

	mu     sync.Mutex
	limits map[key]Limits
	scopes map[key]*scope
}

// key is who is counted, in which account.
type key struct{ account, subject string }

// Open reads the limits, and what was used of this day and this month.
func Open(ctx context.Context, db *sqlite.DB, now func() time.Time, log *slog.Logger) (*Ledger, error) {
	l := &Ledger{db: db, now: now, log: log, limits: make(map[key]Limits), scopes: make(map[key]*scope)}
	if err := l.readLimits(ctx); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := l.readUsage(ctx); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return l, nil
}

func (l *Ledger) readLimits(ctx context.Context) error {
	rows, err := l.db.Read().QueryContext(ctx, `SELECT account_id, subject, limits FROM ai_limits`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var k key
		var text string
		if err := rows.Scan(&k.account, &k.subject, &text); err != nil {
			return err
		}
		var limits Limits
		if err := json.Unmarshal([]byte(text), &limits); err != nil {
			return fmt.Errorf("limits of %s: %w", k.subject, err)
		}
		l.limits[k] = limits
	}
	return rows.Err()
}

func (l *Ledger) readUsage(ctx context.Context) error {
	at := l.now().UTC()
	today := hourOf(startOf(Day, at))
	rows, err := l.db.Read().QueryContext(ctx, `SELECT account_id, subject, hour >= ?, sum(requests), sum(failed), sum(tokens_in), sum(tokens_out), sum(neurons)
		FROM ai_usage WHERE hour >= ? GROUP BY 1, 2, 3`, today, hourOf(startOf(Month, at)))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var k key
		var now bool
		var a Amount
		if err := rows.Scan(&k.account, &k.subject, &now, &a.Requests, &a.Failed, &a.In, &a.Out, &a.Neurons); err != nil {
			return err
		}
		for _, k := range []key{k, {k.account, AccountSubject}} {
			s := l.scope(k)
			s.windows[Month].roll(Month, at)
			s.windows[Month].used.add(a)
			s.windows[Day].roll(Day, at)
			if now {
				s.windows[Day].used.add(a)
			}
		}
	}
	return rows.Err()
}

func hourOf(t time.Time) int64 {
	const hour = 3600
	return t.Unix() / hour
}

// write records what was used. It is on disk when write returns.
func (l *Ledger) write(ctx context.Context, k key, model string, a Amount) error {
	hour := hourOf(l.now())
	return l.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO ai_usage (account_id, hour, subject, model, requests, failed, tokens_in, tokens_out, neurons) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, failed = failed + excluded.failed, tokens_in = tokens_in + excluded.tokens_in,
			tokens_out = tokens_out + excluded.tokens_out, neurons = neurons + excluded.neurons`,
			k.account, hour, k.subject, model, a.Requests, a.Failed, a.In, a.Out, a.Neurons)
		return err
	})
}

// Row is what one subject used of one model on one day.
type Row struct {
	Day     string // 2006-01-02
	Subject string
	Model   string
	Amount
}

// Report returns what was used from a day to another, both included, by day, subject and
// model.
func (l *Ledger) Report(ctx context.Context, account string, from, to time.Time) ([]Row, error) {
	rows, err := l.db.Read().QueryContext(ctx, `SELECT date(hour * 3600, 'unixepoch'), subject, model, sum(requests), sum(failed), sum(tokens_in), sum(tokens_out), sum(neurons)
		FROM ai_usage WHERE account_id = ? AND hour >= ? AND hour < ? GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
		account, hourOf(startOf(Day, from)), hourOf(startOf(Day, to).AddDate(0, 0, 1)))
	if err != nil {
		return nil, fmt.Errorf("ledger: report: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := []Row{}
	for rows.Next() {
		var r Row
		if err := rows.Scan(&r.Day, &r.Subject, &r.Model, &r.Requests, &r.Failed, &r.In, &r.Out, &r.Neurons); err != nil {
			return nil, fmt.Errorf("ledger: report: %w", err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
