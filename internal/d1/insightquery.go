package d1

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/d1/insights"
)

// MaxStats bounds the statements of one answer.
const MaxStats = 10_000

// StatsQuery says which statements are wanted.
type StatsQuery struct {
	Database   string    // an id; "" for all of the account
	From, To   time.Time // whole hours that touch this time
	By         StatsOrder
	Average    bool // order by the average of a run, not by the sum
	Ascending  bool
	Limit      int  // 1 to MaxStats
	Percentile bool // fill in P50, P95 and P99
}

// StatsOrder is what statements are ordered by.
type StatsOrder int

// The orders.
const (
	ByTime StatsOrder = iota
	ByRowsRead
	ByRowsWritten
	ByRowsReturned
	ByRuns
)

// Stats is what one statement did.
type Stats struct {
	Database      string
	Statement     string // the normal form; "" for those that are not told apart
	Writes        bool
	Runs          int64
	Total         time.Duration
	P50, P95, P99 time.Duration
	RowsRead      int64
	RowsWritten   int64
	RowsReturned  int64

	id     int64
	sample string
}

// statsSQL has the order, one of a few fixed texts, in place of $order.
const statsSQL = `SELECT s.id, s.database_id, s.text, s.sample, s.writes, sum(h.runs) AS runs, sum(h.micros) AS micros,
	sum(h.rows_read) AS rows_read, sum(h.rows_written) AS rows_written, sum(h.rows_returned) AS rows_returned
	FROM d1_databases d JOIN d1_statements s ON s.database_id = d.id JOIN d1_statement_hours h ON h.statement_id = s.id
	WHERE d.account_id = ?1 AND (?2 = '' OR d.id = ?2) AND h.hour BETWEEN ?3 AND ?4
	GROUP BY s.id ORDER BY $order, s.id LIMIT ?5`

// Statements returns what statements did, in the order that is asked for.
func (s *Service) Statements(ctx context.Context, account string, q StatsQuery) (_ []Stats, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("d1: read insights: %w", err)
		}
	}()
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	db := s.o.Store.DB.Read()
	rows, err := db.QueryContext(ctx, strings.Replace(statsSQL, "$order", q.order(), 1),
		account, q.Database, hourOf(q.From), hourOf(q.To), min(max(q.Limit, 1), MaxStats))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var out []Stats
	for rows.Next() {
		var st Stats
		var micros int64
		if err := rows.Scan(&st.id, &st.Database, &st.Statement, &st.sample, &st.Writes, &st.Runs, &micros, &st.RowsRead, &st.RowsWritten, &st.RowsReturned); err != nil {
			return nil, err
		}
		st.Total = time.Duration(micros) * time.Microsecond
		out = append(out, st)
	}
	if err := rows.Err(); err != nil || !q.Percentile {
		return out, err
	}
	for i := range out {
		if err := percentiles(ctx, db, &out[i], q); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// order is the ORDER BY of the query: one of a few fixed texts.
func (q *StatsQuery) order() string {
	by := [...]string{ByTime: "micros", ByRowsRead: "rows_read", ByRowsWritten: "rows_written", ByRowsReturned: "rows_returned", ByRuns: "runs"}[q.By]
	if q.Average && q.By != ByRuns {
		by = "sum(h." + by + ") * 1.0 / sum(h.runs)"
	}
	if q.Ascending {
		return by
	}
	return by + " DESC"
}

func percentiles(ctx context.Context, db *sql.DB, st *Stats, q StatsQuery) (err error) {
	rows, err := db.QueryContext(ctx, `SELECT durations FROM d1_statement_hours WHERE statement_id = ? AND hour BETWEEN ? AND ?`, st.id, hourOf(q.From), hourOf(q.To))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var h insights.Histogram
	for rows.Next() {
		var part []byte
		if err := rows.Scan(&part); err != nil {
			return err
		}
		if !h.AddBinary(part) {
			return fmt.Errorf("the histogram of statement %d is damaged", st.id)
		}
	}
	st.P50, st.P95, st.P99 = h.Percentile(0.5), h.Percentile(0.95), h.Percentile(0.99)
	return rows.Err()
}

// Activity is what a database did in one hour.
type Activity struct {
	Hour                    time.Time
	ReadQueries             int64
	WriteQueries            int64
	RowsRead, RowsWritten   int64
	RowsReturned            int64
	ReadMicros, WriteMicros int64
}

// Hours returns what a database did, by hour, or all of the account when database is "".
func (s *Service) Hours(ctx context.Context, account, database string, from, to time.Time) (out []Activity, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("d1: read insights: %w", err)
		}
	}()
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	rows, err := s.o.Store.DB.Read().QueryContext(ctx, `SELECT h.hour, sum(iif(s.writes, 0, h.runs)), sum(iif(s.writes, h.runs, 0)), sum(h.rows_read), sum(h.rows_written),
		sum(h.rows_returned), sum(iif(s.writes, 0, h.micros)), sum(iif(s.writes, h.micros, 0))
		FROM d1_databases d JOIN d1_statements s ON s.database_id = d.id JOIN d1_statement_hours h ON h.statement_id = s.id
		WHERE d.account_id = ?1 AND (?2 = '' OR d.id = ?2) AND h.hour BETWEEN ?3 AND ?4 GROUP BY h.hour ORDER BY h.hour`, account, database, hourOf(from), hourOf(to))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var a Activity
		var hour int64
		if err := rows.Scan(&hour, &a.ReadQueries, &a.WriteQueries, &a.RowsRead, &a.RowsWritten, &a.RowsReturned, &a.ReadMicros, &a.WriteMicros); err != nil {
			return nil, err
		}
		a.Hour = time.Unix(hour*3600, 0).UTC()
		out = append(out, a)
	}
	return out, rows.Err()
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// StoredLoop is a statement that requests of one worker ran in a loop.
type StoredLoop struct {
	Script, Statement string
	Route, Ray        string // of the last request; Route is "" when it has not ended or was none
	Most              int    // calls of one request
	Requests          int64
	At                time.Time // of the last
}

// Loops returns the loops of a database, the latest first.
func (s *Service) Loops(ctx context.Context, database string, from time.Time) (out []StoredLoop, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("d1: read insights: %w", err)
		}
	}()
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	rows, err := s.o.Store.DB.Read().QueryContext(ctx, `SELECT script, text, route, ray, most, requests, last_at FROM d1_repeats
		WHERE database_id = ? AND last_at >= ? ORDER BY last_at DESC`, database, from.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var l StoredLoop
		var at int64
		if err := rows.Scan(&l.Script, &l.Statement, &l.Route, &l.Ray, &l.Most, &l.Requests, &at); err != nil {
			return nil, err
		}
		l.At = time.UnixMilli(at).UTC()
		out = append(out, l)
	}
	return out, rows.Err()
}
