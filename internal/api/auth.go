package api

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/selvage-dev/selvage/internal/accounts"
)

// admit lets a call through to its handler or says why not: who calls, whether their token's scopes
// cover the route, and whether the account in the path is theirs, in this order.
func (s *server) admit(c *call) error {
	if c.route.Open && (!c.route.ByAddress || askedByAddress(c.r)) {
		c.admitted = true
		return nil
	}
	if c.route.Secret {
		c.admitted = true
		return nil
	}
	bearer, err := c.credentials()
	if err != nil {
		c.w.Header().Set("WWW-Authenticate", c.challenge("Bearer"))
		return err
	}
	c.bearer = bearer
	if c.route.Ticket != "" {
		return s.admitTicket(c)
	}
	token, err := s.Accounts.Authenticate(c.ctx(), bearer)
	switch {
	case errors.Is(err, accounts.ErrUnauthenticated):
		c.w.Header().Set("WWW-Authenticate", c.challenge(`Bearer error="invalid_token"`))
		return &apiError{Code: codeAuthentication, Message: "Authentication error: the API token is unknown, expired or revoked; \"selvage env\" prints the operator's, \"selvage token create\" makes another", Err: err}
	case err != nil:
		return err
	}
	c.token = token
	if c.route.Scope != "" && !token.Allows(c.route.Scope) && (c.route.Also == "" || !token.Allows(c.route.Also)) {
		return errf(codeUnauthorized, "Unauthorized: the API token %q has not the scope %s that %s %s needs", token.Name, c.route.Scope, c.r.Method, c.r.URL.EscapedPath())
	}
	return s.admitAccount(c)
}

// askedByAddress reports whether the request can be no trick of a web page that has made its own
// hostname resolve to this machine: a browser names that host, and over TLS our certificate does not.
func askedByAddress(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	_, err = netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}

// admitTicket takes a signed ticket in place of a token. Its object is the handler's to check.
func (s *server) admitTicket(c *call) error {
	t, err := s.Accounts.VerifyTicket(c.bearer, c.route.Ticket)
	if err != nil {
		c.w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		return &apiError{Code: cmp.Or(c.route.BadTicket, codeAuthentication), Message: "Authentication error: the upload token is not valid for this call or has expired; begin the upload again", Err: err}
	}
	if account, named := c.params["account"]; named && t.Account != account {
		return errf(codeUnauthorized, "Unauthorized: the upload token belongs to another account")
	}
	c.admitted, c.object = true, t.Object
	return nil
}

func (s *server) admitAccount(c *call) error {
	if id, ok := c.params["account"]; ok && id != s.Accounts.Account().ID {
		return errf(codeUnauthorized, "Unauthorized: the API token has no access to an account %q; GET /client/v4/accounts lists those it has", id)
	}
	c.admitted = true
	return nil
}

// challenge is what a caller without a valid token is told to show.
func (c *call) challenge(bearer string) string {
	if c.route.Basic {
		return `Basic realm="selvage: any user name, an API token as the password"`
	}
	return bearer
}

// credentials takes what the route wants of the caller: a bearer token, or a ticket in the query.
func (c *call) credentials() (string, error) {
	if c.route.Basic {
		if _, password, ok := c.r.BasicAuth(); ok && password != "" {
			return password, nil
		}
	}
	if !c.route.InQuery {
		return credentials(c.r)
	}
	ticket := c.query().Get("ticket")
	if ticket == "" {
		return "", errf(codeNoCredentials, "Authentication error: this address is called with the ticket that the API has put into it; ask for it again")
	}
	return ticket, nil
}

// credentials takes the bearer token from a request.
func credentials(r *http.Request) (string, error) {
	h := r.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(h, " ")
	token = strings.TrimSpace(token)
	switch {
	case h == "" && r.Header.Get("X-Auth-Key") != "":
		return "", errf(codeAuthentication, "selvage has API tokens only: unset CLOUDFLARE_API_KEY and CLOUDFLARE_EMAIL and set CLOUDFLARE_API_TOKEN")
	case h == "":
		return "", errf(codeNoCredentials, "Authentication error: no API token; send it as \"Authorization: Bearer <token>\" (wrangler: CLOUDFLARE_API_TOKEN)")
	case !strings.EqualFold(scheme, "Bearer") || token == "":
		return "", errf(codeAuthentication, "Authentication error: the Authorization header is not \"Bearer <token>\"")
	}
	return token, nil
}
