package native

/*
#cgo CFLAGS: -O2 -std=gnu11 -Wall
#cgo linux LDFLAGS: -Wl,--unresolved-symbols=ignore-in-object-files
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#cgo LDFLAGS: -lm
#cgo noescape nat_run
#include <stdlib.h>
#include "glue.h"
extern const char *sqlite3_errmsg(sqlite3 *);
extern int sqlite3_error_offset(sqlite3 *);
extern const char *sqlite3_column_name(sqlite3_stmt *, int);
extern int sqlite3_get_autocommit(sqlite3 *);
extern int sqlite3_compileoption_used(const char *);
extern int sqlite3_total_changes(sqlite3 *);
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unsafe"

	_ "github.com/mattn/go-sqlite3" // compiles the amalgamation that this package links against
)

// Check reports what this build of SQLite lacks, nil when it is complete.
func Check() error {
	var missing []string
	// Without these, counts would be wrong or features missing.
	for _, option := range []string{"ENABLE_STMT_SCANSTATUS", "ENABLE_BYTECODE_VTAB", "ENABLE_FTS5", "ENABLE_RTREE", "ENABLE_MATH_FUNCTIONS"} {
		name := C.CString(option)
		if C.sqlite3_compileoption_used(name) == 0 {
			missing = append(missing, "SQLITE_"+option)
		}
		C.free(unsafe.Pointer(name))
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("sqlite: this program was built without %s: build it with make, which sets CGO_CFLAGS", strings.Join(missing, ", "))
}

// Limits of a connection; zero fields take the defaults, which are those that D1
// documents.
type Limits struct {
	SQLBytes     int           // of one statement; 100,000
	ValueBytes   int           // of a string, a blob or a row; 2,000,000
	Columns      int           // of a table or a result; 100
	Params       int           // of a statement; 100
	FunctionArgs int           // 32
	PatternBytes int           // of LIKE and GLOB; 50
	ResultBytes  int64         // of all rows of a statement; 50 MB
	Duration     time.Duration // of one statement; 30 s
}

func (l *Limits) setDefaults() {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.SQLBytes, 100_000},
		{&l.ValueBytes, 2_000_000},
		{&l.Columns, 100},
		{&l.Params, 100},
		{&l.FunctionArgs, 32},
		{&l.PatternBytes, 50},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.ResultBytes == 0 {
		l.ResultBytes = 50_000_000
	}
	if l.Duration == 0 {
		l.Duration = 30 * time.Second
	}
}

// Options of [Open].
type Options struct {
	ReadOnly bool // statements that write fail
	Create   bool // make the file when there is none
	Limits   Limits
	// Setup are statements of ours that run once, before the limits apply and
	// the authorizer watches: pragmas.
	Setup string
	// MaxStatements bounds the prepared statements that are kept; 128.
	MaxStatements int
}

// Conn is one connection.
type Conn struct {
	c      *C.nat_conn
	limits Limits
	stmts  stmtCache
	result C.nat_result
	size   [2]*Stmt // see Size
}

// Open flags of SQLite (https://sqlite.org/c3ref/c_open_autoproxy.html).
const (
	openReadOnly  = 0x1
	openReadWrite = 0x2
	openCreate    = 0x4
)

// Open opens the file at path, an absolute one. The caller ends it with Close.
func Open(path string, o Options) (*Conn, error) {
	if err := Check(); err != nil {
		return nil, err
	}
	o.Limits.setDefaults()
	flags := openReadWrite
	switch {
	case o.ReadOnly:
		flags = openReadOnly
	case o.Create:
		flags |= openCreate
	}
	if o.MaxStatements == 0 {
		o.MaxStatements = 128
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	k := &Conn{limits: o.Limits, stmts: stmtCache{limit: o.MaxStatements}}
	if rc := C.nat_open(name, C.int(flags), &k.c); rc != 0 {
		err := k.lastError(int(rc))
		if k.c != nil {
			C.nat_close(k.c)
		}
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	if err := k.Exec(o.Setup); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: set up %s: %w", path, err), k.Close())
	}
	k.setLimits()
	k.c.trusted = 0
	return k, nil
}

// Categories of sqlite3_limit (https://sqlite.org/c3ref/c_limit_attached.html).
const (
	limitLength      = 0
	limitSQLLength   = 1
	limitColumn      = 2
	limitExprDepth   = 3
	limitFunctionArg = 6
	limitAttached    = 7
	limitPattern     = 8
	limitVariable    = 9
)

// maxExprDepth is SQLite's own default.
const maxExprDepth = 1000

func (k *Conn) setLimits() {
	l := &k.limits
	for _, s := range []struct{ id, value int }{
		{limitLength, l.ValueBytes},
		{limitSQLLength, l.SQLBytes},
		{limitColumn, l.Columns},
		{limitExprDepth, maxExprDepth},
		{limitFunctionArg, l.FunctionArgs},
		{limitAttached, 0},
		{limitPattern, l.PatternBytes},
		{limitVariable, l.Params},
	} {
		C.nat_limit(k.c, C.int(s.id), C.int(min(s.value, math.MaxInt32)))
	}
	k.c.limit = C.size_t(l.ResultBytes)
}

// Close ends the connection.
func (k *Conn) Close() error {
	k.stmts.clear()
	for _, s := range k.size {
		if s != nil {
			C.nat_finalize(&s.c)
		}
	}
	if rc := C.nat_close(k.c); rc != 0 {
		return &Error{Code: int(rc), Message: "close", Offset: -1}
	}
	return nil
}

// Exec runs statements of the platform's own, unchecked and without rows.
func (k *Conn) Exec(sql string) error {
	if sql == "" {
		return nil
	}
	text := C.CString(sql)
	defer C.free(unsafe.Pointer(text))
	k.c.deadline = 0
	if rc := C.nat_exec(k.c, text); rc != 0 {
		return k.lastError(int(rc))
	}
	return nil
}

// InTransaction reports whether a transaction is open.
func (k *Conn) InTransaction() bool { return C.sqlite3_get_autocommit(k.c.db) == 0 }

// Size returns the bytes of the database as the connection sees it.
func (k *Conn) Size() (int64, error) {
	k.c.trusted = 1 // SQLite compiles statements anew when the schema has changed
	defer func() { k.c.trusted = 0 }()
	var product int64 = 1
	for i, pragma := range []string{"PRAGMA page_count", "PRAGMA page_size"} {
		if k.size[i] == nil { // not in the cache, where users would find what they may not ask
			s, _, err := k.compile(pragma)
			if err != nil {
				return 0, err
			}
			k.size[i] = s
		}
		r, err := k.Run(k.size[i], &Args{})
		if err != nil {
			return 0, err
		}
		v, _ := Next(r.Rows)
		product *= v.Int
	}
	return product, nil
}

// TotalChanges counts the rows that were changed since the connection was opened.
func (k *Conn) TotalChanges() int { return int(C.sqlite3_total_changes(k.c.db)) }

// Result is what one run of a statement did.
type Result struct {
	// Rows holds the values of all rows, one after the other, as [Args] encodes
	// them. It is valid until the next call on the connection.
	Rows        []byte
	Count       int64 // rows
	Changes     int64 // of the last INSERT, UPDATE or DELETE of the connection
	LastRowID   int64
	RowsRead    int64
	RowsWritten int64 // index entries included
}

// Run binds args to s, runs it to its end and returns all rows. A statement that
// fails has changed nothing. Errors are of type *[Error].
func (k *Conn) Run(s *Stmt, args *Args) (Result, error) {
	if args.count != s.Params {
		return Result{}, &Error{Code: CodeRange, Offset: -1, Message: fmt.Sprintf("Wrong number of parameter bindings for SQL query: it has %d, %d were bound", s.Params, args.count)}
	}
	var p *C.uchar
	if len(args.buf) > 0 {
		p = (*C.uchar)(unsafe.Pointer(unsafe.SliceData(args.buf)))
	}
	k.c.deadline = C.nat_clock() + C.int64_t(k.limits.Duration)
	// Not nocallback: SQLite may sync in here, and a file system of the tests is in Go. All
	// that is passed lives in the heap, where a growing stack does not move it.
	C.nat_run(k.c, &s.c, p, C.int(args.count), &k.result)
	r := &k.result
	if r.recompiled != 0 {
		s.readColumns()
	}
	if r.rc != 0 {
		return Result{}, k.runError(int(r.rc))
	}
	return Result{
		Rows: unsafe.Slice((*byte)(k.c.out), int(k.c.len)), Count: int64(r.rows), Changes: int64(r.changes), LastRowID: int64(r.last_id),
		RowsRead: int64(r.rows_read), RowsWritten: int64(r.rows_written),
	}, nil
}

func (k *Conn) runError(rc int) error {
	switch {
	case rc&0xff == CodeInterrupt:
		return &Error{Code: rc, Offset: -1, Message: fmt.Sprintf("D1 DB storage operation exceeded timeout: the query ran longer than %s and was stopped.", k.limits.Duration)}
	case k.result.full != 0:
		return &Error{Code: rc, Offset: -1, Message: fmt.Sprintf("The result has more than %d bytes. Ask for fewer rows.", k.limits.ResultBytes)}
	}
	return k.lastError(rc)
}

// lastError is the connection's last error with its extended code.
func (k *Conn) lastError(rc int) *Error {
	e := &Error{Code: rc, Offset: -1, Message: "out of memory"}
	if k.c != nil && k.c.db != nil {
		e.Message = C.GoString(C.sqlite3_errmsg(k.c.db))
		e.Offset = int(C.sqlite3_error_offset(k.c.db))
	}
	return e
}
