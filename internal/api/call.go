package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/workers"
)

// call is one request on its way through a handler.
type call struct {
	*server

	w      *recorder
	r      *http.Request
	ray    string
	route  *route
	params map[string]string
	// body is the request's body without the route's bound; nil until the caller is admitted.
	body io.ReadCloser
	// stalled says that the client stopped sending it.
	stalled bool

	// token is who calls, bearer the text of what they showed: of a token, or of a ticket on a route
	// that takes one.
	token  accounts.Token
	bearer string
	// object is what the ticket is for.
	object   string
	admitted bool

	fault fault
	// cut says that the answer cannot be completed.
	cut bool
}

func (c *call) ctx() context.Context { return c.r.Context() }

func (c *call) query() url.Values { return c.r.URL.Query() }

// account is the account of the path, which admit has checked.
func (c *call) account() string { return c.params["account"] }

// script is the script of the path. Its service says whether the name is one.
func (c *call) script() string { return c.params["script"] }

// decode reads the body as one JSON value, whatever its content type says: wrangler sends JSON as
// text/plain and worse.
func (c *call) decode(v any) error {
	d := json.NewDecoder(c.r.Body)
	if err := d.Decode(v); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return err
		}
		return &apiError{Code: codeBadRequest, Message: "the body of the request is not the JSON that this endpoint takes: " + jsonProblem(err), Err: err}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errf(codeBadRequest, "the body of the request holds more than one JSON value")
	}
	return nil
}

// jsonProblem says what is wrong with a JSON text without repeating what it holds.
func jsonProblem(err error) string {
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typ):
		kind, _, _ := strings.Cut(typ.Value, " ") // of a number it holds the digits too
		if typ.Field == "" {
			return "the whole must not be of type " + kind
		}
		return "field " + typ.Field + " must not be of type " + kind
	case errors.Is(err, io.EOF):
		return "it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it breaks off"
	}
	return err.Error()
}

// origin says who made a change, and with what.
func (c *call) origin() workers.Origin {
	a := c.Accounts.Account()
	return workers.Origin{AuthorID: a.UserID, AuthorEmail: a.Email, Source: source(c.r.UserAgent())}
}

// source names the tool by its User-Agent, in the words that wrangler knows.
func source(agent string) string {
	switch {
	case strings.HasPrefix(agent, "wrangler/"):
		return "wrangler"
	case strings.HasPrefix(agent, "terraform"), strings.Contains(agent, "terraform-provider"):
		return "terraform"
	default:
		return "api"
	}
}
