// Package fault is how everything below the AI service says that a run did not
// succeed: with the platform's internal code, the HTTP status that goes with it, and
// a message that says what to do.
package fault

import (
	"fmt"
	"net/http"
	"time"
)

// Codes of errors. Those that the platform documents have its meaning; the rest are
// ours, from the same ranges.
const (
	CodeIncomplete   = 3003 // the request lacks a header or its body
	CodeTooLarge     = 3006
	CodeTimeout      = 3007
	CodeAborted      = 3008
	CodeLimited      = 3036 // a limit or a budget is used up
	CodeCapacity     = 3040 // the queue is full, or what would answer is down
	CodeInvalidModel = 3042 // the name cannot be that of a model
	CodeInternal     = 3043
	CodeUpstream     = 3044 // ours: a server behind the platform failed
	CodeNoSpace      = 3045 // ours: the disk, or the store's quota, is full
	CodeInvalidData  = 5004
	CodeNoLoRA       = 5005
	CodeBadInput     = 5006 // the input does not fit the model's schema
	CodeNoModel      = 5007
	CodeNotOffered   = 5020 // ours: this release does not do what was asked for
	CodeModelBroken  = 5021 // ours: the model's files cannot be used
	CodeExists       = 5022 // ours: the store has something of that name
	CodeDownload     = 5023 // ours: a file did not arrive as it should
	CodeJSONMode     = 5024 // the answer is not the JSON that was asked for
)

// Error is for the one who called.
type Error struct {
	Code    int
	Message string // for the public, no secrets
	// RetryAfter says when the same call may succeed; 0: nobody knows.
	RetryAfter time.Duration
	Err        error // the cause; not for the caller
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%d: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%d: %s", e.Code, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Status is the HTTP status that goes with the code.
func (e *Error) Status() int {
	switch e.Code {
	case CodeIncomplete, CodeInvalidData, CodeBadInput, CodeNoModel, CodeNotOffered, CodeJSONMode:
		return http.StatusBadRequest
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeTimeout, CodeAborted:
		return http.StatusRequestTimeout
	case CodeLimited, CodeCapacity:
		return http.StatusTooManyRequests
	case CodeInvalidModel:
		return http.StatusNotFound
	case CodeNoLoRA:
		return http.StatusMethodNotAllowed
	case CodeExists:
		return http.StatusConflict
	case CodeUpstream, CodeDownload:
		return http.StatusBadGateway
	case CodeNoSpace:
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}

// New makes an Error.
func New(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error with a cause.
func Wrap(err error, code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}
