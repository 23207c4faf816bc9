package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Options configures a [Client]. The zero value is fine.
type Options struct {
	// HTTP sends the requests; nil means a client of its own without a total time limit, since log
	// streams and uploads last. Bound calls by their contexts.
	HTTP *http.Client
	// UserAgent is sent with each request; "" means "selvage-client".
	UserAgent string
	// Attempts is how often a call that may be repeated is sent at most; 0 means 4, 1 means never again.
	Attempts int
	// Backoff is the pause before the second attempt, doubled for each one after it, with jitter; 0
	// means 200 ms. A Retry-After of the answer wins, up to a minute.
	Backoff time.Duration
}

const (
	defaultAttempts = 4
	defaultBackoff  = 200 * time.Millisecond
	maxRetryAfter   = time.Minute
	// An answer that is held in memory has at most maxAnswer bytes.
	maxAnswer = 256 << 20
)

// Client calls the API of one account.
type Client struct {
	base    string
	token   string
	account string
	options Options
}

// New returns a client. The API's base, baseURL, is the one that wrangler takes in
// CLOUDFLARE_API_BASE_URL, for example http://127.0.0.1:8788/client/v4. For calls that need no account
// ([Client.User], [Client.Accounts], [Client.Verify]) account may be "".
func New(baseURL, token, account string, o Options) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("client: the API's base URL %q is not of the form http://host:port/client/v4", baseURL)
	}
	if token == "" {
		return nil, errors.New("client: no API token; \"selvage env\" prints the operator's")
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
		}}
	}
	if o.UserAgent == "" {
		o.UserAgent = "selvage-client"
	}
	if o.Attempts <= 0 {
		o.Attempts = defaultAttempts
	}
	if o.Backoff <= 0 {
		o.Backoff = defaultBackoff
	}
	return &Client{base: strings.TrimSuffix(baseURL, "/"), token: token, account: account, options: o}, nil
}

// Close closes connections that are idle.
func (c *Client) Close() { c.options.HTTP.CloseIdleConnections() }

// Account returns the account whose API the client calls; "" for none.
func (c *Client) Account() string { return c.account }

// ForAccount returns a client of another account that shares the connections of c.
func (c *Client) ForAccount(id string) *Client {
	other := *c
	other.account = id
	return &other
}

// Error is an error that the API answered with.
type Error struct {
	// Code is the v4 code, for example 10007 for a worker that does not exist; 0 when the answer was
	// no v4 envelope.
	Code    int
	Message string
	// Status is the HTTP status.
	Status int
	// Ray names the request in the platform's log.
	Ray string
	// Op is the method and path of the call.
	Op string
}

// Codes that callers branch on.
const (
	CodeNotFound      = 10007 // the worker does not exist
	CodeInvalidScript = 10021 // the script is refused, or it failed to start
	CodeTooLarge      = 10027 // the script is too large
)

// Error returns the message with code and ray.
func (e *Error) Error() string {
	s := e.Message
	if e.Code != 0 {
		s += fmt.Sprintf(" [code: %d]", e.Code)
	}
	if e.Ray != "" {
		s += " [ray: " + e.Ray + "]"
	}
	return e.Op + ": " + s
}

// HasCode says whether err is an [*Error] with this code.
func HasCode(err error, code int) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// request is one call, which may be sent several times.
type request struct {
	method string
	path   string // below the base, escaped
	query  url.Values
	// body opens the body anew for each attempt; nil means none.
	body        func() (io.ReadCloser, error)
	length      int64 // of the body; -1 when not known
	contentType string
	// bearer stands in for the client's token.
	bearer string
	// repeat says that a request may be sent again though the method alone does not promise that.
	repeat bool
}

func (r *request) repeatable() bool {
	switch r.method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete:
		return true
	}
	return r.repeat
}

// path joins segments below the account, each escaped.
func (c *Client) path(segments ...string) string {
	return "/accounts/" + url.PathEscape(c.account) + join(segments)
}

func join(segments []string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// call sends in as JSON (nil: no body) and decodes the result into out (nil: drop it).
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	r := request{method: method, path: path, query: query}
	if in != nil {
		if err := r.setJSON(in); err != nil {
			return err
		}
	}
	return c.send(ctx, &r, out)
}

// result calls and returns the decoded result.
func result[T any](ctx context.Context, c *Client, method, path string, query url.Values, in any) (T, error) {
	var out T
	err := c.call(ctx, method, path, query, in, &out)
	return out, err
}

// setJSON makes a value the body of a request.
func (r *request) setJSON(in any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s %s: encode: %w", r.method, r.path, err)
	}
	r.contentType, r.length = "application/json", int64(len(body))
	r.body = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return nil
}

// send sends a request until it is answered for good and decodes its result.
func (c *Client) send(ctx context.Context, r *request, out any) error {
	resp, err := c.exchange(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: read answer: %w", r.method, r.path, err)
	}
	if out == nil {
		return nil
	}
	var env struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(body, &env); err != nil {
		return fmt.Errorf("%s %s: the answer is no JSON envelope; is %s the API of a selvage platform? %w", r.method, r.path, c.base, err)
	}
	if err := json.Unmarshal(env.Result, out); err != nil {
		return fmt.Errorf("%s %s: decode result: %w", r.method, r.path, err)
	}
	return nil
}

// exchange returns the first answer that is a success. The caller closes its body.
func (c *Client) exchange(ctx context.Context, r *request) (*http.Response, error) {
	pause := c.options.Backoff
	for attempt := 1; ; attempt++ {
		resp, err := c.once(ctx, r)
		if err == nil {
			return resp, nil
		}
		var a *attemptError
		if !errors.As(err, &a) {
			return nil, err
		}
		wait, err := a.wait, a.err
		if !a.again || !r.repeatable() || attempt >= c.options.Attempts || ctx.Err() != nil {
			return nil, err
		}
		if wait == 0 {
			wait = pause/2 + rand.N(pause) //nolint:gosec // jitter is no secret
			pause *= 2
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, errors.Join(context.Cause(ctx), err)
		case <-timer.C:
		}
	}
}

// attemptError is what one attempt failed with, and whether another may do better.
type attemptError struct {
	err   error
	again bool
	wait  time.Duration
}

func (e *attemptError) Error() string { return e.err.Error() }
func (e *attemptError) Unwrap() error { return e.err }

func (c *Client) once(ctx context.Context, r *request) (*http.Response, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.ReadCloser
	if r.body != nil {
		var err error
		if body, err = r.body(); err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	req.ContentLength = r.length
	req.Header.Set("User-Agent", c.options.UserAgent)
	req.Header.Set("Authorization", "Bearer "+c.token)
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	resp, err := c.options.HTTP.Do(req)
	if err != nil {
		return nil, &attemptError{err: fmt.Errorf("%s %s: %w", r.method, r.path, err), again: true}
	}
	if resp.StatusCode/100 == 2 { // the class of successes, RFC 9110 section 15
		return resp, nil
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	return nil, readError(r, resp)
}

// maxErrorText bounds what is read of an answer that is an error.
const maxErrorText = 1 << 20

func readError(r *request, resp *http.Response) error {
	e := &Error{Status: resp.StatusCode, Ray: resp.Header.Get("CF-Ray"), Op: r.method + " " + r.path}
	var env struct {
		Errors []struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorText))
	if err == nil && json.Unmarshal(text, &env) == nil && len(env.Errors) > 0 {
		e.Code, e.Message = env.Errors[0].Code, env.Errors[0].Message
	} else {
		e.Message = "the API answered " + resp.Status
	}
	a := &attemptError{err: e}
	a.again = resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		a.wait = time.Duration(n) * time.Second
		a.again = a.again && a.wait <= maxRetryAfter
	}
	return a
}
