package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/websock"
)

// Tails is what the door needs of those who watch.
type Tails interface {
	Open(s tail.Script, f *tail.Filter) (*tail.Tail, error)
	Find(s tail.Script, id, ticket string) (*tail.Tail, error)
	Delete(s tail.Script, id string)
}

// tailProtocol is the subprotocol that wrangler asks for.
const tailProtocol = "trace-v1"

type tailJSON struct {
	ID        string    `json:"id"`
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expires_at"`
}

// tailFilter reads the filters, which are the body.
func (c *call) tailFilter() (*tail.Filter, error) {
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		return nil, err
	}
	var self netip.Addr
	if from, err := netip.ParseAddrPort(c.r.RemoteAddr); err == nil {
		self = from.Addr()
	}
	f, err := tail.ParseFilters(body, self)
	if bad, ok := errors.AsType[*tail.FilterError](err); ok {
		return nil, &apiError{Code: codeBadRequest, Message: bad.Text, Err: err}
	}
	return f, err
}

// openTail opens a tail for the caller, whose filters are the body.
func (c *call) openTail() (*tail.Tail, error) {
	f, err := c.tailFilter()
	if err != nil {
		return nil, err
	}
	if err := c.exists(); err != nil {
		return nil, err
	}
	return c.watch(tail.Script{Account: c.account(), Name: c.script()}, f)
}

func (c *call) watch(script tail.Script, f *tail.Filter) (*tail.Tail, error) {
	t, err := c.Tails.Open(script, f)
	switch {
	case errors.Is(err, tail.ErrTooMany):
		return nil, errf(codeTooManyTails, "the worker %s has as many tails as it may have; end one of them first", script.Name)
	case err != nil:
		return nil, errf(codeUnavailable, "the platform is stopping; try again when it is back")
	}
	return t, nil
}

// createTail answers with the URL of a WebSocket, which wrangler uses as it is.
func createTail(c *call) (any, error) {
	t, err := c.openTail()
	if err != nil {
		return nil, err
	}
	return c.tailAddress(t, "/workers/scripts/"+c.script()), nil
}

// tailAddress says where to read a tail of what is at path.
func (c *call) tailAddress(t *tail.Tail, path string) tailJSON {
	scheme := "ws"
	if c.r.TLS != nil || c.r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "wss"
	}
	u := url.URL{
		Scheme: scheme, Host: c.r.Host, Path: "/client/v4/accounts/" + c.account() + path + "/tails/" + t.ID + "/events",
		RawQuery: url.Values{"ticket": {t.Ticket()}}.Encode(), // no log has queries
	}
	return tailJSON{ID: t.ID, URL: u.String(), ExpiresAt: t.Expires}
}

func deleteTail(c *call) (any, error) {
	c.Tails.Delete(tail.Script{Account: c.account(), Name: c.script()}, c.params["tail"])
	return nil, nil //nolint:nilnil // the envelope's result is null
}

// readTail is the WebSocket. Its ticket takes the place of a token: wrangler sends none.
func readTail(c *call) (any, error) {
	return c.readTail(tail.Script{Account: c.account(), Name: c.script()})
}

func (c *call) readTail(script tail.Script) (any, error) {
	t, err := c.Tails.Find(script, c.params["tail"], c.query().Get("ticket"))
	if err != nil {
		return nil, &apiError{Code: codeAuthentication, Message: "Authentication error: there is no such tail, or not with this ticket; open another one", Err: err}
	}
	return stream(func(w http.ResponseWriter) error {
		conn, err := websock.Accept(w, c.r, tailProtocol)
		if bad, ok := errors.AsType[*websock.HandshakeError](err); ok {
			return &apiError{Code: codeBadRequest, Message: bad.Text, Err: err}
		}
		if err != nil {
			return err
		}
		c.w.status, c.w.began = http.StatusSwitchingProtocols, true
		serveTail(c.ctx(), conn, t)
		return nil
	}), nil
}

// serveTail passes items on until the client or the tail ends.
func serveTail(ctx context.Context, conn *websock.Conn, t *tail.Tail) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // a hijacked request's context does not end with its connection
	var reading sync.WaitGroup
	reading.Go(func() {
		t.Read(ctx, func(item []byte) bool { return conn.Write(item) == nil })
		conn.Close(websock.CloseNormal, "the tail has ended")
	})
	_ = conn.Serve(ctx, nil) // how the client ends it is nobody's fault
	cancel()
	reading.Wait()
}

// followTail answers with one item a line, for clients that speak no WebSocket. An empty line says
// only that the stream lives.
func followTail(c *call) (any, error) {
	t, err := c.openTail()
	if err != nil {
		return nil, err
	}
	return c.streamTail(t), nil
}

// streamTail sends what a tail gets as lines, until the client goes.
func (c *call) streamTail(t *tail.Tail) stream {
	return func(w http.ResponseWriter) error {
		defer c.Tails.Delete(t.Script, t.ID)
		out, end := startLines(w)
		defer end()
		if out == nil {
			return nil
		}
		t.Read(c.ctx(), func(item []byte) bool { return out.line(item) })
		return nil
	}
}

type tailConsumerJSON struct {
	Consumer incomingJSON `json:"consumer"`
	Producer incomingJSON `json:"producer"`
}

// listTailProducers answers with the scripts whose tail worker the script is.
func listTailProducers(c *call) (any, error) {
	producers, err := c.Workers.TailProducers(c.ctx(), c.account(), c.script())
	if err != nil {
		return nil, err
	}
	out := make([]tailConsumerJSON, len(producers))
	for i, p := range producers {
		out[i] = tailConsumerJSON{Consumer: incomingJSON{Service: c.script(), Environment: environment}, Producer: incomingJSON{Service: p, Environment: environment}}
	}
	return out, nil
}
