package client

import (
	"context"
	"net/http"
	"time"
)

// User is who the token belongs to.
type User struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

// User returns the token's owner.
func (c *Client) User(ctx context.Context) (User, error) {
	return result[User](ctx, c, http.MethodGet, "/user", nil, nil)
}

// Account is an account that the token has access to.
type Account struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedOn time.Time `json:"created_on"`
}

// Accounts returns the accounts that the token has access to.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	return result[[]Account](ctx, c, http.MethodGet, "/accounts", nil, nil)
}

// TokenStatus is what the API says of the token that asks.
type TokenStatus struct {
	ID        string     `json:"id"`
	Status    string     `json:"status"` // "active"
	ExpiresOn *time.Time `json:"expires_on"`
}

// Verify checks the client's token. One that is not valid gives an [*Error] of status 401.
func (c *Client) Verify(ctx context.Context) (TokenStatus, error) {
	return result[TokenStatus](ctx, c, http.MethodGet, "/user/tokens/verify", nil, nil)
}

// Token is an API token without its secret.
type Token struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Scopes     []string   `json:"scopes"`
	CreatedOn  time.Time  `json:"created_on"`
	ExpiresOn  *time.Time `json:"expires_on"`
	LastUsedOn *time.Time `json:"last_used_on"`
}

// NewToken is a token with its secret, which the API shows this once.
type NewToken struct {
	Token

	Secret string `json:"secret"`
}

// Tokens lists the tokens that are not revoked.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return result[[]Token](ctx, c, http.MethodGet, c.path("selvage", "tokens"), nil, nil)
}

// CreateToken makes a token. A nil expires means that it lives until it is revoked. The client's own
// token must have every scope that it gives.
func (c *Client) CreateToken(ctx context.Context, name string, scopes []string, expires *time.Time) (NewToken, error) {
	in := struct {
		Name      string     `json:"name"`
		Scopes    []string   `json:"scopes"`
		ExpiresOn *time.Time `json:"expires_on,omitempty"`
	}{name, scopes, expires}
	return result[NewToken](ctx, c, http.MethodPost, c.path("selvage", "tokens"), nil, in)
}

// RollToken gives a token a new secret; the old one stops at once.
func (c *Client) RollToken(ctx context.Context, id string) (NewToken, error) {
	return result[NewToken](ctx, c, http.MethodPost, c.path("selvage", "tokens", id, "roll"), nil, nil)
}

// RevokeToken ends a token for good.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, c.path("selvage", "tokens", id), nil, nil, nil)
}

// Subdomain returns the account's part of its workers' hostnames.
func (c *Client) Subdomain(ctx context.Context) (string, error) {
	out, err := result[subdomain](ctx, c, http.MethodGet, c.path("workers", "subdomain"), nil, nil)
	return out.Subdomain, err
}

type subdomain struct {
	Subdomain string `json:"subdomain"`
}

// SetSubdomain changes it. The workers' old hostnames stop answering.
func (c *Client) SetSubdomain(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPut, c.path("workers", "subdomain"), nil, subdomain{name}, nil)
}
