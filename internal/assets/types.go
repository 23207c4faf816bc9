package assets

import (
	"context"
	"os"
)

// Request is what a Site needs to know of an HTTP request. Its strings are not kept after a call
// returns, so they may point into a buffer that is used again.
type Request struct {
	Method string
	// Scheme is "http" or "https", as the visitor sees it.
	Scheme string
	// Host is the host the visitor asked for, with a port if it had one.
	Host string
	// Path is the path as it came in, percent-encoded, without the query.
	Path string
	// RawQuery is the query without the "?", percent-encoded.
	RawQuery string
	// Header returns the value of a request header, "" when absent. The name is in canonical form
	// (textproto.CanonicalMIMEHeaderKey).
	Header func(name string) string
	// Identity asks for the content unencoded, whatever Accept-Encoding says. The ASSETS binding sets
	// it: a worker reads bodies, and it passes on its visitor's Accept-Encoding without being able
	// to decode all that is listed there.
	Identity bool
}

// Action says who answers a request.
type Action int

const (
	// Serve means that Respond has the answer.
	Serve Action = iota
	// RunWorker means that the version's worker must answer.
	RunWorker
	// NotFound means that no asset matches and there is no worker. Respond answers such a request
	// with a 404 without a body; the caller may put its own page there.
	NotFound
	// ServeAny is Serve for every method: the worker has no part in it.
	ServeAny
)

// String returns the name of the action for logs.
func (a Action) String() string {
	switch a {
	case Serve:
		return "serve"
	case RunWorker:
		return "run_worker"
	case NotFound:
		return "not_found"
	case ServeAny:
		return "serve_any"
	}
	return "unknown"
}

// Response is a full answer. Header and Body.Bytes may be shared with other answers: read only.
type Response struct {
	Status int
	// Header holds the fields in the order to write, never Content-Length, Date or Connection.
	Header []Field
	Body   Body
	// Length is the value for Content-Length: the length of the body or, for HEAD, of the body that
	// GET would have. -1 means that the field must not be sent (304).
	Length int64
	// Hints are values of Link fields for an interim 103 response ahead of this one, to clients that
	// understand it (RFC 8297). Read only.
	Hints []string
}

// Field is one header field.
type Field struct{ Name, Value string }

// Body is either Bytes (shared, do not write) or a part of File (the caller closes it) or neither.
type Body struct {
	Bytes []byte
	// File is not nil for a body of Length bytes that starts at Offset in it.
	File   *os.File
	Offset int64
	Length int64
}

// Files gives the contents of assets. It is safe for concurrent use.
type Files interface {
	// Open opens a blob by its id. The caller closes the file.
	Open(blob string) (*os.File, error)
	// Variant returns the id and size of the blob encoded with br, zstd or gzip. It does not wait for
	// the encoding to be made: ok is false until it is there (the call may start that in the
	// background), and for good when it would not be smaller than the blob. See [Compress].
	Variant(ctx context.Context, blob, encoding string) (id string, size int64, ok bool)
}
