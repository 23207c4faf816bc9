package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/builds"
	"github.com/selvage-dev/selvage/internal/d1"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/kv"
	"github.com/selvage-dev/selvage/internal/pages"
	"github.com/selvage-dev/selvage/internal/vectorize"
	"github.com/selvage-dev/selvage/internal/workers"
)

// Codes of v4 errors that this door answers by itself. Those that wrangler branches on have the
// meaning it gives them; services bring their own (see workers.Error).
const (
	codeInternal       = 10013  // something failed here; the log has the cause under the ray
	codeNoCredentials  = 9106   // no token at all
	codeAuthentication = 9109   // a token that is unknown, expired or revoked; see below
	codeUnauthorized   = 10023  // a token whose scopes do not cover the call, or another account
	codeNoRoute        = 7000   // no such endpoint
	codeMethod         = 7001   // the endpoint exists, not with this method
	codeBadRequest     = 10001  // the request cannot be read as what the endpoint takes
	codeStalled        = 10408  // the client stopped sending the body
	codeBodyTooLarge   = 10413  // the body is larger than the endpoint takes
	codeNotFound       = 10007  // wrangler: the worker (or subdomain) does not exist
	codeInvalidScript  = 10021  // wrangler: the script, its metadata or a module is refused
	codeScriptTooLarge = 10027  // wrangler: the script is too large
	codeSubdomainTaken = 10031  // wrangler: the subdomain is taken
	codeSubdomainFree  = 10032  // wrangler: the subdomain may be registered
	codeSubdomainName  = 10033  // the name cannot be a subdomain
	codeInvalidAsset   = 10226  // an asset is refused
	codeTokenNotFound  = 10404  // no such token
	codeTooManyTails   = 10409  // a script has as many tails as it may have
	codeUnavailable    = 10503  // the platform is starting, stopping or out of some resource
	codeTimeout        = 10504  // the caller went away or the time was up
	codeDiskFull       = 10507  // what was sent cannot be kept
	codeNotOffered     = 100327 // this release does not offer what was asked for
)

// Neither error of authentication is 10000, which the platform that wrangler was made for uses too: on
// that code wrangler's error handler calls the API again to show who is logged in, fails the same way,
// and prints a stack in place of our message.

// status is the one table from code to HTTP status. An unknown code answers 500.
func status(code int) int {
	switch code {
	case codeNoCredentials, codeAuthentication, pages.CodeUploadToken:
		return http.StatusUnauthorized
	case codeUnauthorized:
		return http.StatusForbidden
	case codeNoRoute, codeNotFound, codeTokenNotFound, codeSubdomainFree:
		return http.StatusNotFound
	case codeMethod:
		return http.StatusMethodNotAllowed
	case codeBadRequest, codeInvalidScript, codeSubdomainName, codeInvalidAsset, codeNotOffered, pages.CodeInvalidAsset, pages.CodeInvalidManifest:
		// Not offered is no 501: wrangler repeats a call three times when the status is 5xx.
		return http.StatusBadRequest
	case codeBodyTooLarge, codeScriptTooLarge, kv.CodeTooLarge, vectorize.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case codeStalled:
		return http.StatusRequestTimeout
	case codeSubdomainTaken, codeTooManyTails:
		return http.StatusConflict
	case codeUnavailable:
		return http.StatusServiceUnavailable
	case codeTimeout:
		return http.StatusGatewayTimeout
	case codeDiskFull:
		return http.StatusInsufficientStorage
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
	Details any // for a program; nil for none
	// Internal says that the cause is ours: it is logged, and the caller reads only the ray.
	Internal bool
}

// public turns any error of a handler into what its caller may see.
func public(err error) fault {
	var own *apiError
	var service *workers.Error
	var namespace *kv.Error
	var database *d1.Error
	var site *pages.Error
	var build *builds.Error
	var index *vectorize.Error
	var model *ai.Error
	var query *d1.QueryError
	var tooLarge *http.MaxBytesError
	var input *accounts.InputError
	switch {
	case errors.Is(err, fsx.ErrNoSpace): // whoever met it
		return newFault(codeDiskFull, status(codeDiskFull), "no space is left on the disk of the platform's data directory, so nothing was changed; free some and try again")
	case errors.As(err, &own):
		return newFault(own.Code, status(own.Code), own.Message)
	case errors.As(err, &service):
		s := service.Status
		if s == 0 {
			s = status(service.Code)
		}
		f := newFault(service.Code, s, service.Message)
		f.Details = service.Details
		return f
	case errors.As(err, &namespace):
		return newFault(namespace.Code, namespace.Status, namespace.Message)
	case errors.As(err, &site):
		return newFault(site.Code, site.Status, site.Message)
	case errors.As(err, &build):
		return newFault(build.Code, build.Status, build.Message)
	case errors.As(err, &database):
		return newFault(database.Code, d1Status(database.Code), database.Message)
	case errors.As(err, &index):
		return newFault(index.Code, index.Status, index.Message)
	case errors.As(err, &model):
		return aiFault(model)
	case errors.As(err, &query) && !query.Broken():
		return newFault(d1.CodeQuery, http.StatusBadRequest, query.Error())
	case errors.As(err, &tooLarge):
		return newFault(codeBodyTooLarge, status(codeBodyTooLarge),
			fmt.Sprintf("the body of the request is larger than the %d bytes that this endpoint takes", tooLarge.Limit))
	case errors.As(err, &input):
		return newFault(codeBadRequest, status(codeBadRequest), input.Error())
	case errors.Is(err, accounts.ErrNotFound):
		return newFault(codeTokenNotFound, status(codeTokenNotFound), "there is no API token with this id; GET …/selvage/tokens lists those there are")
	case errors.Is(err, workers.ErrClosed), errors.Is(err, kv.ErrClosed), errors.Is(err, d1.ErrClosed), errors.Is(err, vectorize.ErrClosed), errors.Is(err, ai.ErrClosed):
		return newFault(codeUnavailable, status(codeUnavailable), "the platform is stopping; try again when it is back")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return newFault(codeTimeout, status(codeTimeout), "the request was given up before it was done")
	default:
		return newFault(codeInternal, http.StatusInternalServerError, "internal error; the platform's log has its cause under the ray of this answer (CF-Ray)")
	}
}

// newFault makes a fault; a 5xx is ours.
func newFault(code, status int, message string) fault {
	return fault{Status: status, Code: code, Message: message, Internal: status >= http.StatusInternalServerError}
}
