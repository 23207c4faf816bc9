package remote

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/fault"
)

// Chat has the server's model answer. With stream the pieces are passed on as they
// come, else the answer is one piece. Whoever emit leads to is gone when it fails, and
// so the work stops.
func (s *Server) Chat(ctx context.Context, model string, r *chat.Request, stream bool, emit func(*chat.Delta) error) error {
	path := "chat/completions"
	if r.Raw {
		path = "completions"
	}
	body, err := json.Marshal(encode(model, r, stream))
	if err != nil {
		return fault.Wrap(err, fault.CodeInternal, "the request cannot be written for the server %q", s.o.Name)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	res, err := s.post(ctx, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return s.events(ctx, cancel, res.Body, emit)
	}
	raw, err := readAll(ctx, res, s.o.FirstByte, cancel)
	if err != nil {
		return s.brokenOff(ctx, err)
	}
	var answer completion
	if err := json.Unmarshal(raw, &answer); err != nil || len(answer.Choices) == 0 {
		return s.nonsense(err)
	}
	return emit(answer.delta(true))
}

// errStalled is why a request is given up that pauses for too long.
var errStalled = errors.New("remote: the server paused for too long")

// readAll reads a whole answer, within its bound and a time.
func readAll(ctx context.Context, res *http.Response, most time.Duration, cancel context.CancelCauseFunc) ([]byte, error) {
	t := time.AfterFunc(most, func() { cancel(errStalled) })
	defer t.Stop()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case len(raw) > maxAnswer:
		return nil, errTooLong
	}
	return raw, ctx.Err()
}

var errTooLong = errors.New("remote: the answer is too long")

// brokenOff is the error for an answer that did not come whole.
func (s *Server) brokenOff(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errStalled):
		s.breaker.done(true)
		return fault.Wrap(err, fault.CodeTimeout, "Request timeout: the server %q stopped answering", s.o.Name)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	s.breaker.done(true)
	return fault.Wrap(err, fault.CodeUpstream, "The answer of the server %q broke off", s.o.Name)
}

// nonsense is the error for an answer that is no answer.
func (s *Server) nonsense(err error) error {
	return fault.Wrap(err, fault.CodeUpstream, "The server %q answered with something that is not OpenAI's API", s.o.Name)
}
