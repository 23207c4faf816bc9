package native

/*
#include <stdlib.h>
#include "glue.h"
extern const char *sqlite3_column_name(sqlite3_stmt *, int);
*/
import "C"

import (
	"container/list"
	"errors"
	"unsafe"
)

// Stmt is a prepared statement of one connection, which keeps it for the next
// caller. It is valid as long as the statement is being worked on: preparing
// others may end it.
type Stmt struct {
	c C.nat_stmt

	SQL      string   // as prepared
	Columns  []string // of the result; after a change of the schema, as the last run found them
	Params   int
	ReadOnly bool // changes nothing in the database
	Explain  bool
	// Counters is set when it calls changes(), total_changes() or
	// last_insert_rowid(), which speak of what the same connection did before.
	Counters bool
	// Note is whatever the caller keeps with the statement.
	Note any
	// State is set for a pragma that changes the connection; see [Conn.ResetState].
	State bool
}

// ErrEmpty is returned for text without a statement: spaces and comments.
var ErrEmpty = errors.New("sqlite: no statement")

// TransactionError says that the statement begins or ends a transaction, which
// is not for users to do.
type TransactionError struct{ Err *Error }

func (e *TransactionError) Error() string { return e.Err.Error() }
func (e *TransactionError) Unwrap() error { return e.Err }

// Prepare returns the first statement of sql, compiled now or earlier, and the
// text behind it. It belongs to the connection: the caller does not end it.
func (k *Conn) Prepare(sql string) (s *Stmt, rest string, err error) {
	old := k.stmts.get(sql)
	if old != nil && !old.Explain {
		return old, "", nil
	}
	s, rest, err = k.compile(sql)
	// SQLite looks whether another connection has changed the schema when a statement
	// runs. One that explains runs nothing, and one that cannot be compiled ("index i already exists")
	// perhaps could.
	if err == nil && s.Explain || isCode(err, CodeError) {
		if err == nil {
			C.nat_finalize(&s.c)
		}
		if err := k.Exec("SELECT 1 FROM sqlite_schema LIMIT 0"); err != nil {
			return nil, "", err
		}
		s, rest, err = k.compile(sql)
	}
	if err == nil {
		k.stmts.put(sql[:len(sql)-len(rest)], s)
	}
	return s, rest, err
}

func isCode(err error, code int) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Primary() == code
}

// compile is Prepare without the cache.
func (k *Conn) compile(sql string) (*Stmt, string, error) {
	if len(sql) > k.limits.SQLBytes {
		// SQLite would say so of the whole text; what counts is one statement.
		if n := statementEnd(sql); n > k.limits.SQLBytes {
			return nil, "", &Error{Code: CodeTooBig, Message: "statement too long", Offset: -1}
		}
	}
	text := C.CString(sql)
	defer C.free(unsafe.Pointer(text))
	st := &Stmt{}
	var tail C.int
	n := len(sql)
	if n > k.limits.SQLBytes {
		n = statementEnd(sql)
	}
	// With the final zero SQLite need not copy the text.
	length := C.int(n)
	if n == len(sql) {
		length++
	}
	if rc := C.nat_prepare(k.c, text, length, &st.c, &tail); rc != 0 {
		err := k.lastError(int(rc))
		transaction := st.c.noted&C.NAT_TRANSACTION != 0
		C.nat_finalize(&st.c)
		if transaction {
			return nil, "", &TransactionError{err}
		}
		return nil, "", err
	}
	rest := sql[min(int(tail), len(sql)):]
	if st.c.s == nil {
		return nil, rest, ErrEmpty
	}
	st.SQL, st.Params, st.ReadOnly, st.Explain = sql[:len(sql)-len(rest)], int(st.c.params), st.c.readonly != 0, st.c.explain != 0
	st.Counters, st.State = st.c.noted&C.NAT_COUNTERS != 0, st.c.noted&C.NAT_STATE != 0
	st.readColumns()
	return st, rest, nil
}

func (s *Stmt) readColumns() {
	s.Columns = make([]string, s.c.columns)
	for i := range s.Columns {
		s.Columns[i] = C.GoString(C.sqlite3_column_name(s.c.s, C.int(i)))
	}
}

// ResetState takes back what pragmas of users have set.
func (k *Conn) ResetState() error {
	return k.Exec(`PRAGMA foreign_keys=1; PRAGMA case_sensitive_like=0; PRAGMA ignore_check_constraints=0;
		PRAGMA legacy_alter_table=0; PRAGMA recursive_triggers=0; PRAGMA reverse_unordered_selects=0`)
}

// stmtCache keeps the statements that were used last, by their text.
type stmtCache struct {
	limit  int
	byText map[string]*list.Element
	order  list.List // most recent first
}

func (c *stmtCache) get(sql string) *Stmt {
	e := c.byText[sql]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	s, _ := e.Value.(*Stmt)
	return s
}

func (c *stmtCache) put(sql string, s *Stmt) {
	if c.byText == nil {
		c.byText = make(map[string]*list.Element)
	}
	s.SQL = sql
	if old := c.byText[sql]; old != nil {
		c.remove(old)
	}
	c.byText[sql] = c.order.PushFront(s)
	if c.order.Len() > c.limit {
		c.remove(c.order.Back())
	}
}

func (c *stmtCache) remove(e *list.Element) {
	s, _ := c.order.Remove(e).(*Stmt)
	delete(c.byText, s.SQL)
	C.nat_finalize(&s.c)
}

func (c *stmtCache) clear() {
	for c.order.Len() > 0 {
		c.remove(c.order.Back())
	}
}
