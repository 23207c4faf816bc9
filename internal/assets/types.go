package assets

import (
	"context"
	"os"
)

// Request is what a Site needs to know of an HTTP request.
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
	// Header returns the value of a request header, "" when absent. The name is in canonical form.
	Header func(name string) string
}

// Action says who answers a request.
type Action int

const (
	// Serve means that Respond has the answer.
	Serve Action = iota
	// RunWorker means that the version's worker must answer.
	RunWorker
	// NotFound means that no asset matches and there is no worker; Respond gives the 404 answer.
	NotFound
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
	}
	return "unknown"
}

// Response is a full answer. Header and Body.Bytes may be shared with other answers: read only.
type Response struct {
	Status int
	// Header holds the fields in the order to write, names in canonical form. Content-Length is not
	// among them unless the answer has no body to measure it by (HEAD, 304): see Length.
	Header []Field
	Body   Body
	// Length is the value of Content-Length: of the body, or for HEAD of the body that GET would
	// have. -1 means that the field must not be sent (304).
	Length int64
}

// Field is one header field.
type Field struct{ Name, Value string }

// Body is either Bytes (shared, do not write) or a part of File (the caller closes it) or neither.
type Body struct {
	Bytes  []byte
	File   *os.File
	Offset int64
	Length int64
}

// Files gives the contents of assets.
type Files interface {
	// Open opens a blob by its id. The caller closes the file.
	Open(blob string) (*os.File, error)
	// Variant returns the id and size of the blob encoded with br, gzip or zstd. It does not wait for
	// the encoding to be made: ok is false until it is there (a call may start that in the
	// background), and for good when the variant would not be smaller.
	Variant(ctx context.Context, blob, encoding string) (id string, size int64, ok bool)
}
