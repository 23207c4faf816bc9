package registry

import (
	"errors"
	"fmt"
)

// ErrClosed is returned when the service is closed.
var ErrClosed = errors.New("registry: the service is closed")

// Code is one of the specification's.
type Code string

// The codes that the service gives; the door has a status for each.
const (
	CodeNameInvalid         Code = "NAME_INVALID"
	CodeNameUnknown         Code = "NAME_UNKNOWN"
	CodeBlobUnknown         Code = "BLOB_UNKNOWN"
	CodeUploadUnknown       Code = "BLOB_UPLOAD_UNKNOWN"
	CodeUploadInvalid       Code = "BLOB_UPLOAD_INVALID"
	CodeDigestInvalid       Code = "DIGEST_INVALID"
	CodeSizeInvalid         Code = "SIZE_INVALID"
	CodeManifestBlobUnknown Code = "MANIFEST_BLOB_UNKNOWN"
	CodeManifestInvalid     Code = "MANIFEST_INVALID"
	CodeManifestUnknown     Code = "MANIFEST_UNKNOWN"
	CodeDenied              Code = "DENIED"
	CodeTooManyRequests     Code = "TOOMANYREQUESTS"
)

// Error is what a client is told.
type Error struct {
	Code    Code
	Message string // for people; nothing secret
	Err     error  // for the log
}

// Error returns the message and the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("registry: %s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("registry: %s: %s", e.Code, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func fail(code Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
