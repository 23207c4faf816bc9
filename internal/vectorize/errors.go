package vectorize

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/selvage-dev/selvage/internal/ann"
)

// Codes of errors. Those that are not marked as ours have been seen from the platform,
// with the meaning and the text that they have here. The numbers of the others are
// ours, from the same range: what the platform sends there is not known.
const (
	CodeNotFound       = 3000  // no index of this name
	CodeDuplicate      = 3002  // the name is taken
	CodeDeleted        = 3005  // there was one
	CodeTooManyIndexes = 3006  // ours
	CodeQueryVector    = 40006 // the query's vector does not fit the index
	CodeTooMany        = 40007 // more vectors or ids than one call may have
	CodeLongID         = 40008
	CodeLongNamespace  = 40009 // ours
	CodeLongMetadata   = 40010 // ours
	CodeNoVector       = 40011 // ours: the vector to query by is not in the index
	CodeVector         = 40012 // a vector that does not fit the index
	CodeTooLarge       = 40013 // ours: a body over the limit
	CodeFilter         = 40015 // ours: a filter that cannot be read
	CodeNotIndexed     = 40016 // ours: a filter on a property without a metadata index
	CodeMetadataKey    = 40018
	CodeMetadataIndex  = 40020 // ours: a metadata index that cannot be made or is not there
	CodeManyNamespaces = 40021 // ours
	CodeParse          = 40023 // vectors that are no JSON
	CodeContentType    = 40024 // ours
	CodeTopK           = 40025
	CodeBody           = 40026 // a body that cannot be read as what the endpoint takes
	CodeCursor         = 40027 // ours
	CodeCorrupt        = 50001 // ours: the index's files are damaged
	CodeReadOnly       = 50002 // ours: the index takes no mutations because the disk failed it
)

// ErrClosed is the error of every call on a service that is closed.
var ErrClosed = errors.New("vectorize: the service is closed")

// Error is for the one who called.
type Error struct {
	Code    int
	Status  int // of HTTP
	Message string
	Err     error // the cause; not for the caller
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Err }

// Fail makes an Error that says that the call is at fault.
func Fail(code int, format string, args ...any) *Error {
	return &Error{Code: code, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

func notFound(name string) *Error {
	return &Error{Code: CodeNotFound, Status: http.StatusNotFound, Message: fmt.Sprintf("vectorize.index.not_found - Index name %q", clip(name))}
}

func deleted(name string) *Error {
	return &Error{Code: CodeDeleted, Status: http.StatusGone, Message: fmt.Sprintf("vectorize.index.deleted - Index name %q was deleted", clip(name))}
}

// CorruptError says that a file of an index is damaged. The index is not opened.
type CorruptError struct {
	Path   string
	Offset int64
	Reason string
}

// Error names the file and the place.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("vectorize: %s is damaged at byte %d: %s", e.Path, e.Offset, e.Reason)
}

// corrupt is what a caller sees of err when an index cannot be opened for it.
func corrupt(name string, err error) error {
	_, own := errors.AsType[*CorruptError](err)
	_, vectors := errors.AsType[*ann.CorruptError](err)
	if !own && !vectors {
		return err
	}
	return &Error{
		Code: CodeCorrupt, Status: http.StatusInternalServerError, Err: err,
		Message: fmt.Sprintf("The files of the index %q are damaged and it is not served. The platform's log says where. Restore a backup with \"selvage vectorize restore\".", clip(name)),
	}
}

func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
