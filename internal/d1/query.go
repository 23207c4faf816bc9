package d1

import (
	"errors"
	"time"

	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// Query is one statement with its parameters.
type Query struct {
	SQL  string
	Args native.Args
}

// Result is what one query returned. It is valid inside [Sink.Result] only.
type Result struct {
	Columns []string
	Rows    []byte // see native.Result
	Count   int64
	Meta    Meta
}

// Meta is what a query did and cost.
type Meta struct {
	Duration    time.Duration // in SQLite
	Changes     int64         // rows that INSERT, UPDATE or DELETE changed; 0 for others
	LastRowID   int64
	ChangedDB   bool
	SizeAfter   int64 // bytes of the database
	RowsRead    int64
	RowsWritten int64 // index entries included
}

// Sink takes the results of a call.
type Sink interface {
	// Reset forgets all results so far: the call runs again.
	Reset()
	// Result takes the result of the query at index i, in order.
	Result(i int, r *Result)
}

// onlyRead reports whether all queries only read and none depends on what the
// writing connection did before, compiling them on the reader c. What cannot be
// compiled is left to whoever runs it, unless it is the first.
func onlyRead(c *native.Conn, queries []Query) (read, state bool) {
	read = true
	for i := range queries {
		s, rest, err := c.Prepare(queries[i].SQL)
		if err != nil {
			continue
		}
		read = read && s.ReadOnly && !s.Counters && !s.State && native.Blank(rest)
		state = state || s.State
	}
	return read, state
}

// lastStatement compiles the last statement of q and runs those before it, whose
// rows nobody sees, as D1 does with a text of several.
func lastStatement(c *native.Conn, q *Query) (*native.Stmt, error) {
	for sql := q.SQL; ; {
		s, rest, err := c.Prepare(sql)
		if errors.Is(err, native.ErrEmpty) && !native.Blank(rest) {
			sql = rest // a comment with a semicolon
			continue
		}
		if err != nil || native.Blank(rest) {
			return s, err
		}
		if s.Params > 0 {
			return nil, errEarlyParams
		}
		if _, err := c.Run(s, &native.Args{}); err != nil {
			return nil, err
		}
		sql = rest
	}
}

// runQuery runs one query on c and hands on its result.
func (d *Database) runQuery(c *native.Conn, by *Caller, i int, q *Query, sink Sink) error {
	start := time.Now()
	s, err := lastStatement(c, q)
	if err != nil {
		return d.failed(i, err)
	}
	before := 0
	if !s.ReadOnly {
		before = c.TotalChanges()
	}
	r, err := c.Run(s, &q.Args)
	if err != nil {
		return d.failed(i, err)
	}
	out := Result{Columns: s.Columns, Rows: r.Rows, Count: r.Count, Meta: Meta{
		Duration: time.Since(start), LastRowID: r.LastRowID, SizeAfter: d.size.Load(), RowsRead: r.RowsRead, RowsWritten: r.RowsWritten,
		ChangedDB: !s.ReadOnly,
	}}
	if !s.ReadOnly && c.TotalChanges() != before {
		out.Meta.Changes = r.Changes // of an older statement otherwise
	}
	d.count(s, by, i, start, &out.Meta, out.Count)
	sink.Result(i, &out)
	return nil
}
