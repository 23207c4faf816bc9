package instances

import "fmt"

// Code tells errors of this service apart.
type Code string

// The codes.
const (
	CodeNoApplication Code = "no_application" // nothing is deployed for the class
	CodeNoImage       Code = "no_image"       // the image is not there
	CodeBadImage      Code = "bad_image"      // it cannot be run here
	CodeConflict      Code = "conflict"       // a container of the name is there already
	CodeNotFound      Code = "not_found"      // there is no such container
	CodeNotRunning    Code = "not_running"
	CodeFull          Code = "full" // as many instances run as may
	CodeStart         Code = "start"
	CodeRefused       Code = "refused" // asks for what is never given
	CodeUnavailable   Code = "unavailable"
)

// Error is one that a user can do something about.
type Error struct {
	Code    Code
	Message string // for the user; nothing secret
	Err     error
}

// Error returns the message and the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fail returns an [*Error].
func Fail(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
