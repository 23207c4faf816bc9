package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/registry"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// Images is what the door needs of the registry service to speak the OCI
// distribution protocol.
type Images interface {
	ImageUploads
	ImageManifests
	StatBlob(ctx context.Context, repo registry.Repo, d registry.Digest) (int64, error)
	OpenBlob(ctx context.Context, repo registry.Repo, d registry.Digest) (*os.File, int64, error)
	Collect(ctx context.Context) (registry.Collected, error)
	Limits() registry.Limits
}

// ImageUploads takes blobs.
type ImageUploads interface {
	StartUpload(ctx context.Context, repo registry.Repo) (uuid.UUID, error)
	AppendUpload(ctx context.Context, repo registry.Repo, id uuid.UUID, from int64, r io.Reader) (int64, error)
	FinishUpload(ctx context.Context, repo registry.Repo, id uuid.UUID, d registry.Digest, from int64, r io.Reader) error
	UploadSize(ctx context.Context, repo registry.Repo, id uuid.UUID) (int64, error)
	CancelUpload(ctx context.Context, repo registry.Repo, id uuid.UUID) error
	Mount(ctx context.Context, to registry.Repo, from string, d registry.Digest) (bool, error)
}

// ImageManifests takes and gives manifests and their tags.
type ImageManifests interface {
	PutManifest(ctx context.Context, repo registry.Repo, ref registry.Reference, mediaType string, body []byte) (registry.Digest, error)
	Manifest(ctx context.Context, repo registry.Repo, ref registry.Reference) (registry.Manifest, error)
	DeleteManifest(ctx context.Context, repo registry.Repo, ref registry.Reference) error
	Tags(ctx context.Context, repo registry.Repo, after string, limit int) ([]string, error)
	Repositories(ctx context.Context, account, after string, limit int) ([]string, error)
}

// ActionRegistry is what a ticket that opens the registry allows; its object is the
// permissions, "pull" or "pull,push".
const ActionRegistry = "registry"

const (
	ociBase    = "/v2/"
	ociRealm   = `Basic realm="selvage registry: any user name; the password is an API token, or what \"wrangler containers registries credentials\" prints"`
	permitPush = "push"
	permitPull = "pull"
)

// ociCall is one request to the registry.
type ociCall struct {
	*server

	w       *recorder
	r       *http.Request
	account string // whose images the caller may reach
	push    bool
	token   string // id, for the log
	repo    registry.Repo
}

func (c *ociCall) ctx() context.Context { return c.r.Context() }

// ociPath reports whether a path is the registry's.
func ociPath(path string) bool { return path == "/v2" || strings.HasPrefix(path, ociBase) }

// serveOCI answers one request of the OCI distribution protocol. Its paths have
// names of several segments, and its errors a form of their own, so it is beside
// the routes of the v4 API.
func (s *server) serveOCI(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	c := &ociCall{server: s, w: &recorder{ResponseWriter: w}, r: r}
	ray := telemetry.NewRay()
	h := c.w.Header()
	h.Set("CF-Ray", ray)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Docker-Distribution-Api-Version", "registry/2.0")
	paced := &pacedBody{ReadCloser: r.Body, rc: http.NewResponseController(c.w), stall: s.StallTimeout}
	r.Body = paced
	err := c.run() //nolint:contextcheck // a call carries its request's context
	if err != nil {
		c.fail(err)
	}
	s.metrics.observe(method(r), ociBase, c.w.code(), time.Since(began))
	level := slog.LevelInfo
	if reads(r) && c.w.code() < http.StatusInternalServerError {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("ray", ray), slog.String("method", r.Method), slog.String("path", r.URL.EscapedPath()), slog.String("route", ociBase),
		slog.Int("status", c.w.code()), slog.Int64("duration_us", time.Since(began).Microseconds()), slog.Int64("bytes_out", c.w.bytes), slog.String("client", r.RemoteAddr),
	}
	if c.token != "" {
		attrs = append(attrs, slog.String("token_id", c.token))
	}
	if err != nil && c.w.code() >= http.StatusInternalServerError {
		level = slog.LevelError
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	s.Log.LogAttrs(r.Context(), level, "registry request", attrs...)
}

func (c *ociCall) run() error {
	if err := c.authenticate(); err != nil {
		return err
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(c.r.URL.EscapedPath(), "/v2"), "/")
	rest, err := url.PathUnescape(rest)
	if err != nil {
		return &registry.Error{Code: registry.CodeNameInvalid, Message: "the path is not well-formed"}
	}
	switch rest {
	case "":
		return c.json(http.StatusOK, struct{}{})
	case "_catalog":
		return c.catalog()
	case "gc/layers":
		return c.collect()
	}
	// The name may hold any of the words that follow it, so it is what stands before
	// the last of them.
	for _, kind := range []struct {
		word   string
		handle func(c *ociCall, rest string) error
	}{{"/blobs/uploads/", (*ociCall).uploads}, {"/blobs/", (*ociCall).blobs}, {"/manifests/", (*ociCall).manifests}, {"/tags/list", (*ociCall).tags}} {
		i := strings.LastIndex(rest, kind.word)
		if i < 0 || kind.word == "/tags/list" && i+len(kind.word) != len(rest) {
			continue
		}
		if err := c.enter(rest[:i]); err != nil {
			return err
		}
		return kind.handle(c, rest[i+len(kind.word):])
	}
	return &ociError{Status: http.StatusNotFound, Code: "UNSUPPORTED", Message: "this registry has nothing at this path"}
}

// authenticate takes an API token, or a ticket that the credentials call gave out,
// as the password of Basic authentication or as a bearer token.
func (c *ociCall) authenticate() error {
	_, secret, ok := c.r.BasicAuth()
	if !ok {
		scheme, bearer, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
		if strings.EqualFold(scheme, "Bearer") {
			secret = strings.TrimSpace(bearer)
		}
	}
	if secret == "" {
		return errOCIUnauthenticated("sign in: docker login with any user name, and an API token as the password")
	}
	if t, err := c.Accounts.VerifyTicket(secret, ActionRegistry); err == nil {
		c.account, c.push = t.Account, slices.Contains(strings.Split(t.Object, ","), permitPush)
		return nil
	}
	token, err := c.Accounts.Authenticate(c.ctx(), secret)
	if errors.Is(err, accounts.ErrUnauthenticated) {
		return errOCIUnauthenticated("the password is no valid API token, or a registry password that has expired")
	}
	if err != nil {
		return err
	}
	c.token, c.account = token.ID, c.Accounts.Account().ID
	c.push = token.Allows(accounts.ScopeContainersWrite)
	if !token.Allows(accounts.ScopeContainersRead) {
		return &registry.Error{Code: registry.CodeDenied, Message: "the API token has not the scope " + string(accounts.ScopeContainersRead)}
	}
	return nil
}

// enter checks that the caller may reach the repository of a full name,
// "<account>/<name>".
func (c *ociCall) enter(full string) error {
	account, name, ok := strings.Cut(full, "/")
	if !ok || account != c.account {
		return &registry.Error{Code: registry.CodeDenied, Message: "your repositories are below " + c.account + "/"}
	}
	c.repo = registry.Repo{Account: account, Name: name}
	if !c.push && !reads(c.r) {
		return &registry.Error{Code: registry.CodeDenied, Message: "these credentials allow to pull only"}
	}
	return nil
}

func (c *ociCall) json(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // who does not read it is gone
	return nil
}

// ociError is an error of the protocol that is not the service's.
type ociError struct {
	Status  int
	Code    string
	Message string
}

func (e *ociError) Error() string { return e.Code + ": " + e.Message }

func errOCIUnauthenticated(message string) error {
	return &ociError{Status: http.StatusUnauthorized, Code: "UNAUTHORIZED", Message: message}
}

func errOCIMethod(c *ociCall) error {
	return &ociError{Status: http.StatusMethodNotAllowed, Code: "UNSUPPORTED", Message: c.r.Method + " is not done to this path"}
}

func ociStatus(code registry.Code) int {
	switch code {
	case registry.CodeNameInvalid, registry.CodeDigestInvalid, registry.CodeManifestInvalid, registry.CodeManifestBlobUnknown:
		return http.StatusBadRequest
	case registry.CodeUploadInvalid:
		return http.StatusRequestedRangeNotSatisfiable
	case registry.CodeNameUnknown, registry.CodeBlobUnknown, registry.CodeUploadUnknown, registry.CodeManifestUnknown:
		return http.StatusNotFound
	case registry.CodeSizeInvalid:
		return http.StatusRequestEntityTooLarge
	case registry.CodeDenied:
		return http.StatusForbidden
	case registry.CodeTooManyRequests:
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
}

// fail answers with an error in the protocol's form.
func (c *ociCall) fail(err error) {
	if c.w.began {
		panic(http.ErrAbortHandler) // the only way left to say that the answer is not whole
	}
	out := ociError{Status: http.StatusInternalServerError, Code: "UNKNOWN", Message: "internal error; the platform's log has its cause under the ray of this answer (CF-Ray)"}
	own, isOwn := errors.AsType[*ociError](err)
	public, isPublic := errors.AsType[*registry.Error](err)
	switch {
	case errors.Is(err, fsx.ErrNoSpace):
		out = ociError{Status: http.StatusInsufficientStorage, Code: "UNKNOWN", Message: "no space is left on the disk of the platform's data directory"}
	case isOwn:
		out = *own
	case isPublic:
		out = ociError{Status: ociStatus(public.Code), Code: string(public.Code), Message: public.Message}
	case errors.Is(err, registry.ErrClosed):
		out = ociError{Status: http.StatusServiceUnavailable, Code: "UNAVAILABLE", Message: "the platform is stopping; try again when it is back"}
		c.w.Header().Set("Retry-After", "1")
	case errors.Is(err, os.ErrDeadlineExceeded):
		out = ociError{Status: http.StatusRequestTimeout, Code: "BLOB_UPLOAD_INVALID", Message: "the body of the request stopped coming; what came is kept"}
	}
	if out.Status == http.StatusUnauthorized {
		c.w.Header().Set("WWW-Authenticate", ociRealm)
	}
	if !reads(c.r) {
		// What the client still sends would have to be read before the next request.
		c.w.Header().Set("Connection", "close")
	}
	_ = c.json(out.Status, map[string]any{"errors": []map[string]any{{"code": out.Code, "message": out.Message}}})
}
