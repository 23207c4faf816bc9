package d1

import (
	"errors"
	"fmt"

	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// Codes of errors, as the platform's API knows them.
const (
	CodeQuery       = 7500 // the statement is at fault
	CodeNotFound    = 7404
	CodeLimit       = 7406
	CodeInvalid     = 7400
	CodeExists      = 7502
	CodeUnavailable = 7503
)

// ErrClosed is returned once the service is closed.
var ErrClosed = errors.New("d1: the service is closed")

// Error is for the one who called.
type Error struct {
	Code    int
	Message string
	Err     error // the cause; not for the caller
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Err }

// errEarlyParams is what D1 says of parameters of any statement but the last.
var errEarlyParams = errors.New("When executing multiple SQL statements in a single call, only the last statement can have parameters.") //nolint:revive,staticcheck // D1's text

func fail(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// notAllowed is what D1 says of statements that begin or end a transaction.
const notAllowed = "To execute a transaction, please use the state.storage.transaction() or state.storage.transactionSync() APIs " +
	"instead of the SQL BEGIN TRANSACTION or SAVEPOINT statements. On D1, send the statements together with batch(): they are one transaction."

// QueryError says that one statement of a call failed, and so the whole call did.
type QueryError struct {
	Index int // of the query
	Err   error
}

// Error is the text that D1 gives: SQLite's message, where in the statement, and
// the name of the code.
func (e *QueryError) Error() string {
	if errors.As(e.Err, new(*native.TransactionError)) {
		return notAllowed
	}
	if errors.Is(e.Err, native.ErrEmpty) {
		return "No SQL statements detected."
	}
	s, ok := errors.AsType[*native.Error](e.Err)
	if !ok || s.Code == native.CodeRange { // D1 counts the parameters itself
		return e.Err.Error()
	}
	text := s.Message
	if s.Offset >= 0 {
		text += fmt.Sprintf(" at offset %d", s.Offset)
	}
	text += ": " + s.Name()
	if extended := s.ExtendedName(); extended != "" {
		text += " (extended: " + extended + ")"
	}
	return text
}

func (e *QueryError) Unwrap() error { return e.Err }

// Broken reports whether the query failed for a reason that is not its own: the
// disk, the memory, the platform.
func (e *QueryError) Broken() bool {
	s, ok := errors.AsType[*native.Error](e.Err)
	if !ok {
		return !errors.Is(e.Err, native.ErrEmpty) && !errors.Is(e.Err, errEarlyParams)
	}
	switch s.Primary() {
	case native.CodeFull, native.CodeIO, native.CodeCorrupt, native.CodeNoMemory, native.CodeBusy:
		return true
	}
	return false
}
