package workers

import (
	"errors"
	"fmt"
)

// Codes of the v4 API that wrangler and the other clients branch on.
const (
	CodeInvalidRequest     = 10001  // the request is not understood
	CodeNotFound           = 10007  // no such script
	CodeInvalidName        = 10016  // a script name that is not allowed
	CodeInvalidScript      = 10021  // the script, its metadata or a binding is refused, or it failed to start
	CodeTooLarge           = 10027  // the script is too large
	CodeInternal           = 10013  // the platform failed
	CodeNamespaceMissing   = 10041  // a binding names a KV namespace that is not there
	CodeDatabaseMissing    = 10181  // a binding names a D1 database that is not there
	CodeIndexMissing       = 10159  // a binding names a vector index that is not there
	CodeServiceMissing     = 10143  // a binding names a Worker or entrypoint that is not there
	CodeDepth              = 10230  // calls between Workers nest too deeply
	CodeNamespaceInvalid   = 10042  // a binding names what is no id of a KV namespace
	CodeInheritNoSource    = 10057  // an inherit binding without a predecessor
	CodeSecretNotFound     = 10056  // no such secret
	CodeInvalidBinding     = 10066  // a secret's name or value is refused
	CodeVersionNotDeployed = 10215  // the latest version is not deployed
	CodeSecretsChanged     = 10220  // the secrets changed since the version to roll back to
	CodeVersionNotFound    = 10221  // no such version
	CodeNoVersions         = 10222  // the script has no version
	CodeInvalidDeployment  = 10224  // the deployment is refused
	CodeUploadTicket       = 10225  // an asset upload token is missing, wrong or expired
	CodeInvalidAsset       = 10226  // an asset or manifest is refused
	CodeBusy               = 10227  // no process can be started now
	CodeCrashed            = 10228  // the worker's process keeps ending
	CodeReferenced         = 10229  // others refer to the script
	CodeInvalidCron        = 10100  // a cron expression is refused
	CodeInvalidConsumer    = 10230  // a tail worker is not there or has no tail handler
	CodeZoneNotFound       = 1001   // no such zone
	CodeInvalidZone        = 1002   // a zone's name is refused
	CodeZoneExists         = 1061   // the zone exists already
	CodeRouteNotFound      = 10009  // no such route
	CodeRouteTaken         = 10020  // a route with the same pattern exists
	CodeInvalidRoute       = 10022  // a route pattern or custom domain is refused
	CodeDomainNotFound     = 100116 // no such custom domain
	CodeDomainTaken        = 100117 // the custom domain is another worker's
	CodeNotOffered         = 100327 // this release does not offer that

	CodeObjectBinding          = 10061  // a binding names a Durable Object class that has no objects
	CodeClassNotExported       = 10064  // the version lacks a class that has objects
	CodeObjectNamespaceMissing = 10066  // no such Durable Object namespace
	CodeClassMissing           = 10070  // a migration names a class that the version does not export
	CodeObjectMigration        = 10073  // a migration is refused
	CodeClassExists            = 10074  // a migration makes a class that has objects already
	CodeMigrationTag           = 10079  // the migrations do not follow those that were applied
	CodeMigrationOnUpload      = 10211  // a migration needs a deployment
	CodeExportsReconciliation  = 100402 // the declared exports do not fit; Details say which
	CodeInconsistentExports    = 100405 // versions that are deployed together declare other exports
	CodeBindingNeedsExport     = 100406 // a binding to a class that a deployment will provision
)

// ErrNoRoute says that no version answers on a hostname. It is not an *Error:
// it is an ordinary outcome of [Service.Lookup].
var ErrNoRoute = errors.New("workers: no worker answers on this host")

// ErrNoPath says that a zone has no worker for a URL, which [Route.ByURL] finds.
var ErrNoPath = errors.New("workers: no worker of the zone answers this URL")

// ErrClosed says that the service is closing and starts nothing any more.
var ErrClosed = errors.New("workers: the service is closed")

// Error is an error that the API may show: Code, Status and Message are
// public, Err is the private cause and goes to the log only.
type Error struct {
	Code    int    // v4 code, see the constants
	Status  int    // HTTP status that goes with it
	Message string // what went wrong and what to do; nothing secret
	Details any    // public too: what the API adds as meta.details; nil for nothing
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

// fail makes an *Error without a cause.
func fail(code, status int, format string, args ...any) *Error {
	return &Error{Code: code, Status: status, Message: fmt.Sprintf(format, args...)}
}

// internal wraps an unexpected failure: its text stays private.
func internal(op string, err error) error {
	if public, ok := errors.AsType[*Error](err); ok {
		return public
	}
	return &Error{Code: CodeInternal, Status: 500, Message: "The platform failed while it tried to " + op + ". Try again; the platform's log has the cause.", Err: err}
}

func notFound(script string) *Error {
	return fail(CodeNotFound, 404, "This Worker does not exist on your account: %s.", script)
}

func invalidScript(format string, args ...any) *Error {
	return fail(CodeInvalidScript, 400, format, args...)
}
