package pages

import (
	"errors"
	"fmt"
)

// Codes of the v4 API. Those that wrangler looks for are 8000000, 8000007 and
// 8000013.
const (
	CodeUnknown            = 8000000 // the platform failed: wrangler tries again
	CodeInvalidRequest     = 8000001 // the request is not understood
	CodeNameTaken          = 8000002 // there is a project of that name
	CodeInvalidName        = 8000006 // the name cannot be that of a project
	CodeProjectNotFound    = 8000007 // no such project
	CodeDeploymentNotFound = 8000009 // no such deployment
	CodeUploadToken        = 8000013 // an upload token is wrong or expired: wrangler asks for another
	CodeInvalidAsset       = 8000020 // a content is refused
	CodeMissingAsset       = 8000021 // the manifest names a content that was not uploaded
	CodeInvalidManifest    = 8000022 // the manifest is refused
	CodeInvalidSettings    = 8000023 // settings of a project are refused
	CodeInvalidDomain      = 8000015 // the domain cannot be a site's
	CodeDomainTaken        = 8000018 // something has the domain already
	CodeDomainNotFound     = 8000019 // no such custom domain
	CodeActive             = 8000034 // the deployment serves and cannot be deleted
	CodeAliased            = 8000035 // a branch leads to the deployment; force deletes it
	CodeNotDeployable      = 8000036 // the deployment failed, or is no deployment for production
	CodeTooManyProjects    = 8000027 // the account has as many projects as it may have
)

// ErrNoRoute says that no deployment answers on a host: an ordinary outcome of
// [Service.Lookup].
var ErrNoRoute = errors.New("pages: no site answers on this host")

// ErrClosed says that the service is closing and takes no call any more.
var ErrClosed = errors.New("pages: the service is closed")

// Error is an error that the API may show: Code, Status and Message are
// public, Err is the private cause.
type Error struct {
	Code    int    // v4 code, see the constants
	Status  int    // HTTP status that goes with it
	Message string // what went wrong and what to do; nothing secret
	Err     error  // private cause, may be nil
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
	if public, ok := errors.AsType[*Error](err); ok {
		return public
	}
	return &Error{Code: CodeUnknown, Status: 500, Message: "The platform failed while it tried to " + op + ". Try again; the platform's log has the cause.", Err: err}
}

func projectNotFound(name string) *Error {
	return fail(CodeProjectNotFound, 404, "Project not found. The specified project name does not match any of your existing projects: %q.", clip(name))
}

func deploymentNotFound(id string) *Error {
	return fail(CodeDeploymentNotFound, 404, "Deployment not found. The project has no deployment %q.", clip(id))
}

// clip shortens outside text for an error message.
func clip(s string) string {
	const limit = 100
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
