package kv

import (
	"errors"
	"fmt"
)

// Codes of the v4 API. Those of keys and namespaces are the ones that clients
// of the original platform look for.
const (
	CodeInvalidRequest    = 10001
	CodeKeyNotFound       = 10009
	CodeNamespaceNotFound = 10013
	CodeTitleTaken        = 10014
	CodeInternal          = 10500
	CodeInvalidKey        = 10017
	CodeInvalidMetadata   = 10018
	CodeInvalidExpiration = 10019
	CodeTooLarge          = 10020
	CodeInvalidCursor     = 10022
	CodeInUse             = 10030
)

// ErrClosed says that the service is closing and takes no call any more.
var ErrClosed = errors.New("kv: the service is closed")

// Error is an error that a caller of the API, and a worker, may read: Code,
// Status and Message are public, Err is the private cause.
type Error struct {
	Code    int
	Status  int    // HTTP status that goes with it
	Message string // one line of printable ASCII, so that it fits a status line
	Err     error
}

// Error returns the public message with its code and the private cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s [code: %d]: %v", e.Message, e.Code, e.Err)
	}
	return fmt.Sprintf("%s [code: %d]", e.Message, e.Code)
}

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.Err }

func fail(code, status int, format string, args ...any) *Error {
	return &Error{Code: code, Status: status, Message: fmt.Sprintf(format, args...)}
}

// internal wraps an unexpected failure: its text stays private.
func internal(op string, err error) error {
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	if public, ok := errors.AsType[*Error](err); ok {
		return public
	}
	return &Error{Code: CodeInternal, Status: 500, Message: "the platform failed while it tried to " + op + "; its log has the cause", Err: err}
}

func namespaceNotFound() *Error {
	return fail(CodeNamespaceNotFound, 404, "namespace not found")
}

// KeyNotFound is the API's answer for a key that is not there.
func KeyNotFound() *Error { return fail(CodeKeyNotFound, 404, "get: 'key not found'") }
