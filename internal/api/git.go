package api

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/builds"
	"github.com/selvage-dev/selvage/internal/gitrepo"
)

// GitServer is what the door needs to speak Git's smart HTTP protocol
// (gitprotocol-http(5)).
type GitServer interface {
	Advertise(ctx context.Context, account, project string, v gitrepo.Service, protocol string, w io.Writer) error
	Upload(ctx context.Context, account, project, protocol string, in io.Reader, w io.Writer) error
	Receive(ctx context.Context, account, project string, in io.Reader, w io.Writer) error
}

const (
	gitPath = "/git/{account}/{repository}"
	// What a client may say that it has and wants, in bytes.
	gitFetch = 32 << 20
	// How much of a push is read on and thrown away after it was refused, and for how
	// long: a client reads why only then.
	gitSwallow     = 16 << 30
	gitSwallowTime = 2 * time.Minute
)

// gitRoutes are beside the v4 API. What a push may have is bounded by git, which
// says so in the terminal; the door's own bound is for who does not speak Git.
func (s *server) gitRoutes() []route {
	if s.Builds == nil {
		return nil
	}
	return []route{
		{Method: http.MethodGet, Pattern: gitPath + "/info/refs", Scope: accounts.ScopePagesRead, Basic: true, Handler: gitRefs},
		{Method: http.MethodPost, Pattern: gitPath + "/git-upload-pack", Scope: accounts.ScopePagesRead, Basic: true, MaxBody: gitFetch, Handler: gitUpload},
		{Method: http.MethodPost, Pattern: gitPath + "/git-receive-pack", Scope: accounts.ScopePagesWrite, Basic: true, MaxBody: gitSwallow, Handler: gitReceive},
	}
}

// repository is the project of the path.
func (c *call) repository() (string, error) {
	name, ok := strings.CutSuffix(c.params["repository"], ".git")
	if !ok || name == "" || strings.ContainsAny(name, "/\\") {
		return "", errf(codeNoRoute, "a repository is at /git/<account id>/<project>.git")
	}
	return name, nil
}

func gitRefs(c *call) (any, error) {
	name, err := c.repository()
	if err != nil {
		return nil, err
	}
	v := gitrepo.Service(c.query().Get("service"))
	switch v {
	case gitrepo.UploadPack:
	case gitrepo.ReceivePack:
		if !c.token.Allows(accounts.ScopePagesWrite) {
			return nil, errf(codeUnauthorized, "Unauthorized: the API token %q has not the scope %s that a push needs", c.token.Name, accounts.ScopePagesWrite)
		}
	default:
		return nil, errf(codeBadRequest, "this platform speaks the smart HTTP protocol only: use a git of 2012 or later")
	}
	return stream(func(w http.ResponseWriter) error {
		gitHeader(w, "application/x-"+string(v)+"-advertisement")
		return gitError(c.Builds.Advertise(c.ctx(), c.account(), name, v, c.r.Header.Get("Git-Protocol"), w))
	}), nil
}

func gitUpload(c *call) (any, error) {
	name, err := c.repository()
	if err != nil {
		return nil, err
	}
	body, err := c.gitBody(gitrepo.UploadPack, gitFetch)
	if err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		defer body.end()
		gitHeader(w, "application/x-git-upload-pack-result")
		return gitError(c.Builds.Upload(c.ctx(), c.account(), name, c.r.Header.Get("Git-Protocol"), body, flushing(w)))
	}), nil
}

func gitReceive(c *call) (any, error) {
	name, err := c.repository()
	if err != nil {
		return nil, err
	}
	body, err := c.gitBody(gitrepo.ReceivePack, gitSwallow)
	if err != nil {
		return nil, err
	}
	// git may refuse a pack long before its end, and then answers while it still comes.
	_ = http.NewResponseController(c.w).EnableFullDuplex()
	return stream(func(w http.ResponseWriter) error {
		defer body.end()
		gitHeader(w, "application/x-git-receive-pack-result")
		err := gitError(c.Builds.Receive(c.ctx(), c.account(), name, body, flushing(w)))
		if err == nil {
			c.swallow(body)
		}
		return err
	}), nil
}

// swallow reads what is left of a push that was answered.
func (c *call) swallow(body *gitInput) {
	rc := http.NewResponseController(c.w)
	_ = rc.Flush()
	end := time.Now().Add(gitSwallowTime)
	buf := make([]byte, 64<<10) //nolint:mnd // a size that does
	for time.Now().Before(end) {
		_ = rc.SetReadDeadline(time.Now().Add(c.StallTimeout))
		if _, err := body.Read(buf); err != nil {
			break
		}
	}
	_ = rc.SetReadDeadline(time.Time{})
}

// gitBody is the body of a request, unpacked where git has packed it.
func (c *call) gitBody(v gitrepo.Service, limit int64) (*gitInput, error) {
	if want := "application/x-" + string(v) + "-request"; c.r.Header.Get("Content-Type") != want {
		return nil, errf(codeBadRequest, "the content type is not %s", want)
	}
	switch c.r.Header.Get("Content-Encoding") {
	case "":
		return &gitInput{r: c.r.Body}, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(c.r.Body)
		if err != nil {
			return nil, &apiError{Code: codeBadRequest, Message: "the body of the request is not gzip, as its Content-Encoding says", Err: err}
		}
		return &gitInput{r: io.LimitReader(z, limit)}, nil
	}
	return nil, errf(codeBadRequest, "the Content-Encoding %.40q is not one that git uses", c.r.Header.Get("Content-Encoding"))
}

// gitInput is a body that git reads while this door may: when git has refused what
// comes, say. It is safe for concurrent use, and nobody reads it after its end.
type gitInput struct {
	mu   sync.Mutex
	r    io.Reader
	over bool
}

// Read implements io.Reader.
func (in *gitInput) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over {
		return 0, io.ErrClosedPipe
	}
	return in.r.Read(p)
}

func (in *gitInput) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.over = true
}

// gitHeader sets the fields of an answer, which no cache may keep.
func gitHeader(w http.ResponseWriter, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
}

// flusher sends each write at once: a client shows lines as they come.
type flusher struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func flushing(w http.ResponseWriter) io.Writer { return flusher{w, http.NewResponseController(w)} }

// Write implements io.Writer.
func (f flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.rc.Flush()
	}
	return n, err
}

// gitError puts what the repositories say into words for whoever runs git.
func gitError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gitrepo.ErrNoGit):
		return &apiError{Code: codeUnavailable, Message: "this platform has no git: its operator has to install it", Err: err}
	case errors.Is(err, gitrepo.ErrFull):
		return &apiError{Code: codeBodyTooLarge, Message: "the repository has as many bytes as it may have; deploy with wrangler, or delete the project and push a smaller history", Err: err}
	case errors.Is(err, gitrepo.ErrNotFound):
		return &apiError{Code: codeNotFound, Message: "there is nothing in this repository yet; push to it first", Err: err}
	case errors.Is(err, builds.ErrClosed):
		return &apiError{Code: codeUnavailable, Message: "the platform is stopping; push again when it is back", Err: err}
	}
	return err
}

// gitClient reports whether the caller is git, which shows text and no JSON.
func gitClient(r *http.Request) bool { return strings.HasPrefix(r.UserAgent(), "git/") }

// writeGitFault answers git with one line.
func writeGitFault(w http.ResponseWriter, f fault) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(f.Status)
	_, err := fmt.Fprintf(w, "%s [code: %d]\n", f.Message, f.Code)
	return err
}
