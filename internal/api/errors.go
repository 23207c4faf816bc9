package api

import (
	"errors"
	"fmt"
	"net/http"
)

// Codes of v4 errors that this door answers by itself. Those that wrangler branches on have the
// meaning it gives them; services bring their own (see workers.Error).
const (
	codeInternal        = 10001  // something failed here; the log has the cause under the ray
	codeNoCredentials   = 9106   // no token at all
	codeAuthentication  = 10000  // a token that is unknown, expired or revoked
	codeUnauthorized    = 9109   // a token whose scopes do not cover the call, or another account
	codeNoRoute         = 7000   // no such endpoint
	codeMethod          = 7001   // the endpoint exists, not with this method
	codeBadRequest      = 10400  // the request cannot be read as what the endpoint takes
	codeTooLarge        = 10413  // the body is larger than the endpoint takes
	codeNotFound        = 10007  // wrangler: the worker (or subdomain) does not exist
	codeInvalidForm     = 10023  // the upload form breaks a rule
	codeScriptTooLarge  = 10027  // wrangler: the script is too large
	codeSubdomainTaken  = 10031  // wrangler: another account has the subdomain
	codeSubdomainFree   = 10032  // wrangler: the subdomain may be registered
	codeNotOffered      = 10404  // this release does not offer what was asked for
	codeObjectNotFound  = 10406  // a token, session or other object that is not a worker does not exist
	codeUnavailable     = 10503  // the platform is starting, stopping or out of some resource
	codeSubdomainFormat = 10033  // the name cannot be a subdomain
	codeDeadline        = 10504  // the caller went away or the time was up
	codeConflict        = 10409  // the state of the object forbids it
	codeAssetMismatch   = 100327 // an asset's content is not what its name says
)

// statuses gives the HTTP status of each code. A code that is missing here is a bug; it answers 500.
func status(code int) int {
	switch code {
	case codeNoCredentials, codeAuthentication:
		return http.StatusUnauthorized
	case codeUnauthorized:
		return http.StatusForbidden
	case codeNoRoute, codeNotFound, codeObjectNotFound, codeSubdomainFree:
		return http.StatusNotFound
	case codeMethod:
		return http.StatusMethodNotAllowed
	case codeBadRequest, codeInvalidForm, codeSubdomainFormat, codeNotOffered, codeAssetMismatch:
		return http.StatusBadRequest
	case codeTooLarge, codeScriptTooLarge:
		return http.StatusRequestEntityTooLarge
	case codeSubdomainTaken, codeConflict:
		return http.StatusConflict
	case codeUnavailable:
		return http.StatusServiceUnavailable
	case codeDeadline:
		return http.StatusGatewayTimeout
	default:
		return http.StatusInternalServerError
	}
}

// apiError is an error that the caller of the API sees. Message is public; Err is for the log.
type apiError struct {
	Code    int
	Message string
	Err     error
}

// Error returns the public message and the cause.
func (e *apiError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s [code: %d]: %v", e.Message, e.Code, e.Err)
	}
	return fmt.Sprintf("%s [code: %d]", e.Message, e.Code)
}

// Unwrap returns the cause.
func (e *apiError) Unwrap() error { return e.Err }

// errf makes an apiError without a cause.
func errf(code int, format string, args ...any) error {
	return &apiError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// notOffered refuses something that the platform's users know but this release does not have.
func notOffered(format string, args ...any) error {
	return errf(codeNotOffered, "%s: this release of selvage does not offer it yet", fmt.Sprintf(format, args...))
}

// fault is what of an error goes on the wire.
type fault struct {
	Status  int
	Code    int
	Message string
	// Internal says that the cause is ours: it is logged, and the caller reads only the ray.
	Internal bool
}

// public turns any error of a handler into what its caller may see.
func public(err error) fault {
	var own *apiError
	if errors.As(err, &own) {
		s := status(own.Code)
		return fault{Status: s, Code: own.Code, Message: own.Message, Internal: s >= http.StatusInternalServerError}
	}
	if f, ok := foreign(err); ok {
		return f
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fault{
			Status: http.StatusRequestEntityTooLarge, Code: codeTooLarge,
			Message: fmt.Sprintf("the body of the request is larger than the %d bytes that this endpoint takes", tooLarge.Limit),
		}
	}
	return fault{Status: http.StatusInternalServerError, Code: codeInternal, Message: "internal error; the platform's log has its cause under this answer's CF-Ray", Internal: true}
}
