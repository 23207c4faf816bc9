package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/fault"
)

// try makes one request. Of an answer and a failure one is nil.
func (s *Server) try(ctx context.Context, path string, body []byte) (*http.Response, *failure) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.URL.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, &failure{fault: fault.Wrap(err, fault.CodeInternal, "the server %q has no valid address", s.o.Name)}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "selvage")
	if s.o.Key != "" {
		req.Header.Set("Authorization", "Bearer "+s.o.Key)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, s.unreachable(err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	return nil, s.refused(res)
}

// refused reads an answer that is an error.
func (s *Server) refused(res *http.Response) *failure {
	const most = 64 << 10
	text, _ := io.ReadAll(io.LimitReader(res.Body, most)) // what there is of it
	said := message(text)
	switch status := res.StatusCode; {
	case status == http.StatusTooManyRequests:
		f := &failure{fault: fault.New(fault.CodeCapacity, "Out of capacity: the server %q has too much to do", s.o.Name), again: true, wait: retryAfter(res.Header)}
		f.fault.RetryAfter = max(f.wait, time.Second)
		f.again = f.wait <= longestWait
		return f
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &failure{fault: fault.New(fault.CodeUpstream, "The server %q does not take the platform's key for it (%d)", s.o.Name, status)}
	case status == http.StatusNotFound:
		return &failure{fault: fault.New(fault.CodeUpstream, "The server %q does not have the model that this one is routed to%s", s.o.Name, said)}
	case status == http.StatusRequestEntityTooLarge:
		return &failure{fault: fault.New(fault.CodeTooLarge, "Request is too large for the server %q%s", s.o.Name, said)}
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return &failure{fault: fault.New(fault.CodeBadInput, "Bad input: Error: the server %q refuses it%s", s.o.Name, said)}
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		return &failure{fault: fault.New(fault.CodeUpstream, "The server %q failed (%d)%s", s.o.Name, status, said), blame: true, again: true, wait: min(retryAfter(res.Header), longestWait)}
	default:
		return &failure{fault: fault.New(fault.CodeUpstream, "The server %q failed (%d)%s", s.o.Name, status, said), blame: true}
	}
}

// retryAfter reads the header in seconds; 0 when it says nothing.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 || n > 3600 {
		return 0
	}
	return time.Duration(n) * time.Second
}

// message is what a server says in an error, after a colon, as one bounded line.
func message(body []byte) string {
	const longest = 300
	var in struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
	}
	if json.Unmarshal(body, &in) != nil {
		return ""
	}
	text := in.Message
	var object struct {
		Message string `json:"message"`
	}
	var plain string
	if json.Unmarshal(in.Error, &object) == nil && object.Message != "" {
		text = object.Message
	} else if json.Unmarshal(in.Error, &plain) == nil && plain != "" {
		text = plain
	}
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return ""
	}
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return ": " + text
}
