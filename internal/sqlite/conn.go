package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// connector opens connections of one database for database/sql. It is used in
// place of a registered driver, which would be a global.
type connector struct {
	dsn           string
	path          string
	interruptible bool
}

func (c *connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func (c *connector) Connect(context.Context) (driver.Conn, error) {
	conn, err := (&sqlite3.SQLiteDriver{}).Open(c.dsn)
	if err != nil {
		return nil, classify(c.path, err)
	}
	raw, ok := conn.(*sqlite3.SQLiteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlite: the driver opened a %T", conn), conn.Close())
	}
	if c.interruptible {
		return raw, nil
	}
	return &writerConn{SQLiteConn: raw, path: c.path}, nil
}

// writerConn is a connection whose statements are never interrupted by a
// context: an interrupted INSERT, UPDATE or DELETE rolls back the whole
// transaction (https://sqlite.org/c3ref/interrupt.html), which is shared.
// A context that has ended stops the next statement instead. Failures of the
// disk get their types here, so that whoever runs the statement adds its own
// words to them.
type writerConn struct {
	*sqlite3.SQLiteConn

	path string
}

func (c *writerConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	result, err := c.SQLiteConn.ExecContext(context.WithoutCancel(ctx), query, args)
	return result, classify(c.path, err)
}

func (c *writerConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rows, err := c.SQLiteConn.QueryContext(context.WithoutCancel(ctx), query, args)
	return rows, classify(c.path, err)
}

func (c *writerConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	stmt, err := c.SQLiteConn.PrepareContext(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil, classify(c.path, err)
	}
	raw, ok := stmt.(*sqlite3.SQLiteStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlite: the driver prepared a %T", stmt), stmt.Close())
	}
	return &writerStmt{SQLiteStmt: raw, path: c.path}, nil
}

// writerStmt is a prepared statement of a writerConn.
type writerStmt struct {
	*sqlite3.SQLiteStmt

	path string
}

func (s *writerStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	result, err := s.SQLiteStmt.ExecContext(context.WithoutCancel(ctx), args)
	return result, classify(s.path, err)
}

func (s *writerStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rows, err := s.SQLiteStmt.QueryContext(context.WithoutCancel(ctx), args)
	return rows, classify(s.path, err)
}

// IsConstraint says whether err is SQLite refusing a row for a constraint of
// the schema: a duplicate key, a missing parent, a NULL.
func IsConstraint(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && e.Code == sqlite3.ErrConstraint
}

// IsUnique says whether err is SQLite refusing a duplicate key.
func IsUnique(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) &&
		(e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}

// classify gives the disk's own failures the types of fsx.
func classify(path string, err error) error {
	var e sqlite3.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Code == sqlite3.ErrFull:
		return fsx.NewError(fsx.OpWrite, path, fmt.Errorf("%w: %w", fsx.ErrNoSpace, err))
	case e.Code == sqlite3.ErrReadonly:
		return fsx.NewError(fsx.OpWrite, path, fmt.Errorf("%w: %w", fsx.ErrReadOnly, err))
	case e.SystemErrno != 0:
		return fsx.NewError(fsx.OpWrite, path, fmt.Errorf("%w: %w", err, e.SystemErrno))
	default:
		return err
	}
}
